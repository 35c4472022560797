//! From custom resources to SES and the sidecar's configuration.

pub mod account;
pub mod accounts;
pub mod context;
pub mod desired;
pub mod drift;
pub mod engine;
pub mod error;
pub mod events;
pub mod feed;
pub mod gauges;
pub mod guardrail;
pub mod lease;
pub mod namespace;
pub mod objects;
pub mod policy;
pub mod program;
pub mod publish;
pub mod queue;
pub mod run;
pub mod seals;
pub mod server;
pub mod skew;
pub mod status;
pub mod tenant;
pub mod window;
pub mod world;
