//! Mail policy per namespace for Amazon SES on Kubernetes.
//!
//! Arrows go one way: `api ← policy ← ses ← controller`. Pure modules know no client, no clock and no environment.

pub mod simulator;
