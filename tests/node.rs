//! Our programs as pods of a real node. Run by `make test-node`, in the namespaces that tests/node/run makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "node/pods.rs"]
mod pods;
mod stage;
mod support;
