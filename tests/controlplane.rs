//! What needs a real API server. Each test works in namespaces of its own; few control planes serve all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "controlplane/allotments.rs"]
mod allotments;
#[path = "controlplane/bounds.rs"]
mod bounds;
#[path = "controlplane/crds.rs"]
mod crds;
#[path = "controlplane/deletion.rs"]
mod deletion;
#[path = "controlplane/drift.rs"]
mod drift;
#[path = "controlplane/examples.rs"]
mod examples;
#[path = "controlplane/faults.rs"]
mod faults;
#[path = "controlplane/harness.rs"]
mod harness;
#[path = "controlplane/installation.rs"]
mod installation;
#[path = "controlplane/leadership.rs"]
mod leadership;
#[path = "controlplane/operator.rs"]
mod operator;
#[path = "controlplane/rbac.rs"]
mod rbac;
#[path = "controlplane/seals.rs"]
mod seals;
#[path = "controlplane/specs.rs"]
mod specs;
mod stage;
#[path = "controlplane/start.rs"]
mod start;
#[path = "controlplane/stops.rs"]
mod stops;
mod support;
#[path = "controlplane/suppressions.rs"]
mod suppressions;
#[path = "controlplane/tenants.rs"]
mod tenants;
#[path = "controlplane/windows.rs"]
mod windows;
