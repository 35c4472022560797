//! A control plane of one's own for tests, benches, the demo and `make cluster`.
//!
//! Used by `mod support;` in `tests/` and by `#[path = "../tests/support/mod.rs"] mod support;` elsewhere.

// Each of these programs is a crate of its own that uses a part of this, and none exports anything.
#![allow(dead_code, unused_imports, unreachable_pub)]

mod access;
mod controlplane;
mod definitions;
mod error;
mod kubeconfig;
mod kubelet;
mod node;
mod pki;
mod pods;
mod process;
mod programs;
mod wait;

pub use controlplane::{CONTROLLERS, ControlPlane, Options};
pub use error::{Error, Result};
pub use kubelet::PodSidecar;
pub use node::{BUSYBOX, Node};
pub use pods::pod;
pub use process::{Folder, Process};
pub use programs::{Programs, ours};
pub use wait::eventually;
