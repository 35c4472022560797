//! How a process is told to end.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves on the first SIGTERM or ctrl-c.
pub async fn shutdown() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM is not heard; stop with ctrl-c");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminate => {}
        result = tokio::signal::ctrl_c() => {
            if let Err(error) = result {
                tracing::warn!(%error, "ctrl-c is not heard");
            }
        }
    }
}
