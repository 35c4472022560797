//! The SMTP rows: the same `smtp-source` at `smtp-sink`, at the sidecar and at its peers.

use std::{net::SocketAddr, time::Duration};

use mail_policy_operator::clock;

use crate::{
    Result,
    http::count,
    messages::{RECIPIENT, SENDER},
    peers::{self, Peer},
    rig::{Ceilings, Rig, Sidecar},
};

/// Messages of the run that tells how many fit into the time.
const TRIAL: usize = 20;
/// The longest that one run may take, in seconds.
const LONGEST: u32 = 60;

/// A run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) messages: usize,
    /// Until the last was handed on.
    pub(crate) took: Duration,
    /// Until the last was taken, where that is earlier.
    pub(crate) taken: Duration,
    /// CPU seconds of the sidecar.
    pub(crate) cpu: Option<f64>,
}

/// One server.
pub(crate) struct Way {
    pub(crate) name: String,
    /// The run, or why there is none.
    pub(crate) run: std::result::Result<Run, String>,
}

/// The same load at several servers: the sink, the sidecar, Mailpit, Postfix.
pub(crate) struct Row {
    pub(crate) octets: usize,
    pub(crate) sessions: usize,
    pub(crate) ways: Vec<Way>,
}

impl Run {
    pub(crate) fn per_second(self) -> f64 {
        count(self.messages) / self.took.as_secs_f64()
    }

    /// Time of one message on one session, until its reply.
    pub(crate) fn transaction_micros(self, sessions: usize) -> f64 {
        self.taken.as_secs_f64() * 1e6 * count(sessions) / count(self.messages)
    }

    pub(crate) fn cpu_micros(self) -> Option<f64> {
        self.cpu.map(|cpu| cpu * 1e6 / count(self.messages))
    }
}

/// What is sent to.
enum Server<'a> {
    Peer(&'a Peer),
    Sidecar(&'a Sidecar),
}

impl Server<'_> {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Peer(peer) => peer.address,
            Self::Sidecar(sidecar) => sidecar.smtp,
        }
    }

    fn cpu(&self) -> Result<Option<f64>> {
        match self {
            Self::Peer(_) => Ok(None),
            Self::Sidecar(sidecar) => Ok(Some(sidecar.usage()?.cpu)),
        }
    }

    async fn has_handed_on(&self) -> Result<()> {
        match self {
            Self::Peer(peer) => peer.has_handed_on().await,
            // It replies once SES has the message.
            Self::Sidecar(_) => Ok(()),
        }
    }
}

/// Every row. A server that is not to be had says why in its rows.
pub(crate) async fn rows(rig: &Rig, time: Duration) -> Result<Vec<Row>> {
    let ours = rig.sidecar("smtp", rig.simulator, Ceilings::Wide).await?;
    let without = rig.sidecar("smtp-without", rig.simulator, Ceilings::None).await?;
    let to_bare = rig.sidecar("smtp-bare", rig.bare, Ceilings::Wide).await?;
    let sink = peers::sink(rig).await.map_err(|error| error.to_string());
    let mailpit = peers::mailpit(rig, "mailpit").await.map_err(|error| error.to_string());
    let postfix = match &sink {
        Ok(sink) => peers::postfix(rig, sink.address)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.clone()),
    };
    let mut rows = Vec::new();
    for (octets, sessions) in [
        (2_000, 1),
        (2_000, 10),
        (100_000, 1),
        (100_000, 10),
        (10_000_000, 1),
        // Six of these are more than the sidecar holds at once.
        (10_000_000, 4),
    ] {
        eprintln!("  SMTP, {octets} octets, {sessions} sessions");
        let mut ways = Vec::new();
        for (name, server) in [
            ("smtp-sink alone", peer(&sink)),
            ("sidecar", Ok(Server::Sidecar(&ours))),
            ("sidecar without ceilings", Ok(Server::Sidecar(&without))),
            // As little behind it as behind the others: the simulator reads every message and judges it.
            ("sidecar to the bare server", Ok(Server::Sidecar(&to_bare))),
            ("Mailpit", peer(&mailpit)),
            ("Postfix", peer(&postfix)),
        ] {
            let label = match &server {
                Ok(Server::Peer(peer)) if name != "smtp-sink alone" => peer.name.clone(),
                Ok(_) | Err(_) => name.to_owned(),
            };
            let run = match server {
                Ok(server) => measure(&server, octets, sessions, time)
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error),
            };
            ways.push(Way { name: label, run });
        }
        rows.push(Row { octets, sessions, ways });
    }
    Ok(rows)
}

fn peer(peer: &std::result::Result<Peer, String>) -> std::result::Result<Server<'_>, String> {
    peer.as_ref().map(Server::Peer).map_err(Clone::clone)
}

/// As many messages as fit into the time.
async fn measure(server: &Server<'_>, octets: usize, sessions: usize, time: Duration) -> Result<Run> {
    let trial = if octets > 1_000_000 {
        sessions
    } else {
        TRIAL.max(2 * sessions)
    };
    let tried = send(server, octets, sessions, trial).await?;
    let fit = tried.per_second() * time.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of messages"
    )]
    let messages = (fit as usize).max(trial);
    send(server, octets, sessions, messages).await
}

async fn send(server: &Server<'_>, octets: usize, sessions: usize, messages: usize) -> Result<Run> {
    // Without -d each message has a connection of its own.
    let mut arguments = vec!["-d".to_owned()];
    for (flag, value) in [
        ("-s", sessions.to_string()),
        ("-m", messages.to_string()),
        ("-l", octets.to_string()),
        ("-f", SENDER.to_owned()),
        ("-t", RECIPIENT.to_owned()),
    ] {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments.push(server.address().to_string());
    let before = server.cpu()?;
    let began = clock::monotonic();
    let ended = peers::run(LONGEST, "smtp-source", &arguments).await?;
    let taken = clock::monotonic() - began;
    if !ended.status.success() {
        return Err(format!("smtp-source, {}: {}", ended.status, peers::last_line(&ended.stderr)).into());
    }
    server.has_handed_on().await?;
    let cpu = server.cpu()?.zip(before).map(|(after, before)| after - before);
    Ok(Run {
        messages,
        took: clock::monotonic() - began,
        taken,
        cpu,
    })
}
