//! The sidecar: every message meets the policy before it can leave.

pub mod capture;
pub mod content;
pub mod message;
pub mod relay;
