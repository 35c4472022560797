//! The sidecar as it runs in a pod, against a simulator of SES and clients that we did not write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sidecar/allotment.rs"]
mod allotment;
#[path = "sidecar/faults.rs"]
mod faults;
#[path = "sidecar/http.rs"]
mod http;
#[path = "sidecar/limits.rs"]
mod limits;
#[path = "sidecar/mounts.rs"]
mod mounts;
#[path = "sidecar/smtp.rs"]
mod smtp;
#[path = "sidecar/stage.rs"]
mod stage;
mod support;
