//! From custom resources to SES and the sidecar's configuration.

pub mod accounts;
pub mod desired;
pub mod error;
pub mod events;
pub mod lease;
pub mod objects;
pub mod queue;
pub mod world;
