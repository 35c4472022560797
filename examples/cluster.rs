//! `make cluster`: a Kubernetes API on loopback that stays until Ctrl-C.
#![allow(clippy::print_stdout)] // the kubeconfig is what this program is for

#[path = "../tests/support/mod.rs"]
mod support;

use support::{ControlPlane, Options, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = ControlPlane::start(Options::default()).await?;
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("logs and data: {}", cluster.folder().display());
    println!("{} serves until Ctrl-C", cluster.server());
    tokio::signal::ctrl_c().await.map_err(support::Error::io("Ctrl-C"))
}
