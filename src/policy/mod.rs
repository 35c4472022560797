//! The policy core: pure, without client, clock or environment.
//!
//! `effective = (policy ∧ every guardrail ∧ account), raised by open windows as far as guardrails let them, ∧ open holds
//! ∧ clock`. Every field has an order from most restrictive to most permissive; the effective value is the meet, and it
//! carries whose word it is.

pub mod allotment;
pub mod bounds;
pub mod ceiling;
pub mod compile;
pub mod config;
pub mod effective;
pub mod gate;
pub mod hold;
pub(crate) mod keyed;
pub mod last_accepted;
pub mod limits;
mod mark;
pub mod meet;
pub mod other;
pub mod provenance;
pub mod steps;
pub mod suppressions;
pub mod terms;
pub mod windows;

pub use bounds::Bounds;
pub use compile::{CompiledNamespace, CompiledPolicy, NamespaceFacts, compile};
pub use config::SidecarConfig;
pub use effective::Effective;
pub use hold::Hold;
pub use limits::Limits;
pub use mark::SubjectPrefix;
pub use meet::Meet;
pub use other::Other;
pub use provenance::{Source, Sourced};
pub use steps::{Step, Steps};
