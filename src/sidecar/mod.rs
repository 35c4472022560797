//! The sidecar: every message meets the policy before it can leave.

pub mod capture;
pub mod content;
pub mod counted;
pub mod denial;
pub mod desk;
pub mod http;
pub mod message;
pub mod metrics;
pub mod mounts;
pub mod past;
pub mod pulse;
pub mod relay;
pub mod rules;
pub mod run;
pub mod smtp;
pub mod submission;
pub mod submitter;
pub mod unfinished;
pub mod watch;
