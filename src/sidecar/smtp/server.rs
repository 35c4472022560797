//! The listening socket.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet, LocalSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::Connections;
use super::desk::Desk;
use super::limits::Limits;
use super::memory::Memory;

/// What a client hears that finds every place taken.
const TURNED_AWAY: &[u8] = b"421 4.3.2 Too many connections; try again\r\n";
/// How long it may take to hear it. Its socket is empty, so it takes no time at all.
const TURN_AWAY: Duration = Duration::from_secs(1);
/// The wait after a connection could not be accepted: out of file descriptors, and nothing says when there are some.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    memory: Memory,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    /// Listens; offers STARTTLS where there is a configuration for it, such as [`self_signed`](super::self_signed)'s.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, limits: Limits, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            limits,
            memory: Memory::new(limits.buffered),
            tls,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The memory that its sessions share.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Serves until `stop`, then finishes what has begun for at most [`Limits::grace`].
    ///
    /// Connections are tasks on this thread, so neither the desk nor its answers need be [`Send`]. A connection that
    /// panics ends alone.
    pub async fn serve<D: Desk + 'static>(self, desk: Rc<D>, stop: CancellationToken) {
        LocalSet::new().run_until(self.run(desk, stop)).await;
    }

    async fn run<D: Desk + 'static>(self, desk: Rc<D>, stop: CancellationToken) {
        let Self {
            listener,
            limits,
            memory,
            tls,
        } = self;
        let shared = Rc::new(Connections {
            desk,
            limits,
            memory,
            tls,
            stop: stop.clone(),
        });
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    log(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if connections.len() >= limits.connections => turn_away(stream).await,
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps its delay");
                    }
                    let shared = Rc::clone(&shared);
                    connections.spawn_local(async move { shared.connection(stream).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
        drop(listener);
        end(connections, limits.grace).await;
    }
}

async fn turn_away(mut stream: TcpStream) {
    tracing::warn!("a connection was turned away: all places are taken");
    let said = timeout(TURN_AWAY, async {
        stream.write_all(TURNED_AWAY).await?;
        stream.shutdown().await
    });
    if !matches!(said.await, Ok(Ok(()))) {
        tracing::debug!("a client that was turned away did not hear it");
    }
}

/// Waits for what has begun; what then still goes on ends with the set.
async fn end(mut connections: JoinSet<()>, grace: Duration) {
    let ended = timeout(grace, async {
        while let Some(ended) = connections.join_next().await {
            log(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "mail was still under way at the end of the grace period"
        );
    }
}

fn log(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // Its message may hold anything, addresses too.
        tracing::error!("a connection ended in a panic");
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
