//! From custom resources to SES and the sidecar's configuration.

pub mod account;
pub mod accounts;
pub mod context;
pub mod desired;
pub mod engine;
pub mod error;
pub mod events;
pub mod feed;
mod finalizer;
mod former;
pub mod guardrail;
mod in_use;
pub mod lease;
pub mod namespace;
pub mod objects;
pub mod policy;
pub mod program;
pub mod publish;
pub mod queue;
pub mod run;
pub mod server;
pub mod skew;
pub mod status;
pub mod window;
pub mod world;
