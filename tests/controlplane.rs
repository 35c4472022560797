//! What needs a real API server. One control plane for the whole binary, one namespace or more for each test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "controlplane/crds.rs"]
mod crds;
#[path = "controlplane/examples.rs"]
mod examples;
#[path = "controlplane/harness.rs"]
mod harness;
#[path = "controlplane/operator.rs"]
mod operator;
#[path = "controlplane/rbac.rs"]
mod rbac;
#[path = "controlplane/specs.rs"]
mod specs;
mod support;
