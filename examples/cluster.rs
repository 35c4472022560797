//! `make cluster`: a Kubernetes of one's own that stays until Ctrl-C, with a node for pods where the machine allows one.
#![allow(clippy::print_stdout)] // the kubeconfig is what this program is for

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use support::{BUSYBOX, ControlPlane, Error, Node, Options, Result};

#[tokio::main]
async fn main() -> Result<()> {
    if Node::is_possible() {
        let node = Node::start().await?;
        if node.is_own() {
            node.import("busybox:0.1.0", &[Path::new(BUSYBOX)]).await?;
        }
        serve(&node.cluster, "with a node").await
    } else {
        let cluster = ControlPlane::start(Options::default()).await?;
        serve(&cluster, "without a node").await
    }
}

async fn serve(cluster: &ControlPlane, what: &str) -> Result<()> {
    if let Some(enter) = Node::way_in() {
        println!("{enter}   # in another terminal, first");
    }
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("logs and data: {}", cluster.folder().display());
    println!("{}, {what}, serves until Ctrl-C", cluster.server());
    tokio::signal::ctrl_c().await.map_err(Error::io("Ctrl-C"))
}
