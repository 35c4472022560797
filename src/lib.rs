//! Mail policy per namespace for Amazon SES on Kubernetes.
//!
//! Arrows go one way: `api ← policy ← ses ← controller`. Pure modules know no client, no clock and no environment.

pub mod api;
pub mod clock;
pub mod controller;
pub mod metrics;
pub mod policy;
pub mod ses;
pub mod sidecar;
pub mod simulator;
