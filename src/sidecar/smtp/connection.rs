//! One connection: a session, a stream and a desk brought together.

use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock;

use super::desk::Desk;
use super::limits::Limits;
use super::memory::Memory;
use super::pace::Pace;
use super::reply::Reply;
use super::session::{Phase, Question, Session, Step, Tls};

/// Octets read at once. A command line has at most 512, a message comes in as many reads as it takes.
const READ: usize = 16 * 1024;

/// Reads, of [`READ`] octets, of what a client still sends after the last reply. Were it not read, the system would cut
/// the connection: the client's next write would fail, and it would not look for that reply. Together 1 MiB.
const LINGER_READS: usize = 64;

/// What every connection needs.
#[derive(Debug)]
pub(super) struct Connections<D> {
    pub(super) desk: Rc<D>,
    pub(super) limits: Limits,
    pub(super) memory: Memory,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) stop: CancellationToken,
}

/// Why a conversation ended.
enum End {
    /// The last reply is written, or the client is gone.
    Done,
    /// The client wants TLS and waits for the handshake.
    Secure,
}

/// What came while bytes were awaited.
enum Came {
    Bytes(usize),
    /// The client closed, or the connection broke.
    End,
    /// The time for it is over.
    Late,
    Stop,
}

impl<D: Desk> Connections<D> {
    /// Talks with one client until one of both ends it.
    pub(super) async fn connection<S>(&self, mut stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let tls = if self.tls.is_some() { Tls::Offered } else { Tls::Absent };
        let mut session = Session::new(self.limits, tls, self.memory.clone());
        let end = self.converse(&mut session, &mut stream).await;
        match (end, &self.tls) {
            // On the heap: TLS is large, and most connections never have it.
            (End::Secure, Some(config)) => Box::pin(self.secure(session, stream, config)).await,
            (End::Done | End::Secure, _) => self.part(&mut stream).await,
        }
    }

    async fn secure<S>(&self, mut session: Session, stream: S, config: &Arc<ServerConfig>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        let Ok(Ok(mut stream)) = timeout(self.limits.handshake, handshake).await else {
            tracing::debug!("a TLS handshake failed");
            return;
        };
        session.secured();
        self.converse(&mut session, &mut stream).await;
        self.part(&mut stream).await;
    }

    async fn converse<S>(&self, session: &mut Session, stream: &mut S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = vec![0; READ];
        let mut pace = Pace::new(self.limits, clock::runtime());
        if !self.write(session, stream).await {
            return End::Done;
        }
        loop {
            let octets = match self.read(session.phase(), &pace, stream, &mut buffer).await {
                Came::Bytes(octets) => octets,
                Came::End => return End::Done,
                Came::Late => {
                    session.close(&Reply::new(421, (4, 4, 2), "That took too long; closing"));
                    0
                }
                Came::Stop => {
                    session.close(&Reply::new(421, (4, 3, 2), "Going down; try again"));
                    0
                }
            };
            let end = self.take(session, stream, &buffer[..octets]).await;
            if !self.write(session, stream).await {
                return End::Done;
            }
            if let Some(end) = end {
                return end;
            }
            pace.note(octets, session.phase(), session.progress(), clock::runtime());
        }
    }

    /// Feeds the session what was read, and the desk's answers; replies gather.
    async fn take<S>(&self, session: &mut Session, stream: &mut S, mut unread: &[u8]) -> Option<End>
    where
        S: AsyncWrite + Unpin,
    {
        loop {
            if self.stop.is_cancelled() {
                session.drain();
            }
            let (octets, step) = session.feed(unread);
            unread = &unread[octets..];
            match step {
                Step::Read => return None,
                Step::Close => return Some(End::Done),
                // What is left was sent in plain text.
                Step::Secure => return Some(End::Secure),
                Step::Ask(Question::Sender(sender)) => session.judged(self.desk.sender(sender.as_ref()).await),
                Step::Ask(Question::Recipient(recipient)) => session.judged(self.desk.recipient(&recipient).await),
                Step::Ask(Question::Message(message)) => {
                    // A message takes its time; the replies to what came before it need not.
                    if !self.write(session, stream).await {
                        tracing::debug!("a client went away before its message was taken");
                        return Some(End::Done);
                    }
                    session.taken(self.desk.message(message).await);
                }
            }
        }
    }

    /// Waits for bytes. A stop ends the wait for commands only: a text that is being sent is read to its end.
    async fn read<S>(&self, phase: Phase, pace: &Pace, stream: &mut S, buffer: &mut [u8]) -> Came
    where
        S: AsyncRead + Unpin,
    {
        let read = timeout_at(pace.deadline(), stream.read(buffer));
        tokio::select! {
            biased;
            () = self.stop.cancelled(), if phase == Phase::Commands => Came::Stop,
            read = read => match read {
                Err(_) => Came::Late,
                Ok(Ok(0) | Err(_)) => Came::End,
                Ok(Ok(octets)) => Came::Bytes(octets),
            },
        }
    }

    /// Writes what the session has to say; false where the client does not read it.
    async fn write<S>(&self, session: &mut Session, stream: &mut S) -> bool
    where
        S: AsyncWrite + Unpin,
    {
        let output = session.output();
        if output.is_empty() {
            return true;
        }
        let written = timeout(self.limits.write, async {
            stream.write_all(&output).await?;
            stream.flush().await
        });
        matches!(written.await, Ok(Ok(())))
    }

    /// Closes so that the last reply arrives: says that nothing follows, and reads on for a moment.
    async fn part<S>(&self, stream: &mut S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let parting = async {
            stream.shutdown().await?;
            let mut buffer = vec![0; READ];
            for _ in 0..LINGER_READS {
                if stream.read(&mut buffer).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        // That the client is gone already, or never goes, changes nothing.
        if let Ok(Err(error)) = timeout(self.limits.linger, parting).await {
            tracing::trace!(%error, "a connection broke as it ended");
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
