//! The sidecar as a process: where it listens, what it reads, how it ends.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use clap::{Args as ClapArgs, ValueEnum};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    capture::{Bounds, Mailpit, Store},
    counted::{Counted, Share, new_life},
    desk::{CaptureTo, Desk},
    http::{self, Audience},
    mounts::Mounts,
    pulse::Pulse,
    relay::{Relay, Source},
    smtp,
    submitter::Submitter,
    watch::Watch,
};
use crate::policy::allotment::Allotted;

/// How the sidecar is run. Every flag may be a variable.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where SMTP is spoken, on loopback.
    #[arg(long, env = "MAIL_SIDECAR_SMTP", default_value = "127.0.0.1:2525")]
    pub smtp: SocketAddr,
    /// Where SES's API is spoken and captured mail is shown, on loopback.
    #[arg(long, env = "MAIL_SIDECAR_HTTP", default_value = "127.0.0.1:2773")]
    pub http: SocketAddr,
    /// Where metrics and status are read, on the pod's address.
    #[arg(long, env = "MAIL_SIDECAR_STATUS", default_value = "0.0.0.0:9250")]
    pub status: SocketAddr,
    /// The folder with ConfigMap mail-sidecar.
    #[arg(long, env = "MAIL_SIDECAR_CONFIG", default_value = "/etc/mail-policy/config")]
    pub config: PathBuf,
    /// The folder with Secret mail-suppressions.
    #[arg(
        long,
        env = "MAIL_SIDECAR_SUPPRESSIONS",
        default_value = "/etc/mail-policy/suppressions"
    )]
    pub suppressions: PathBuf,
    /// The folder with Secret mail-credentials; without it the pod's own credentials are used.
    #[arg(long, env = "MAIL_SIDECAR_CREDENTIALS")]
    pub credentials: Option<PathBuf>,
    /// The file with the pod's annotation mailpolicy.dev/allotment.
    #[arg(
        long,
        env = "MAIL_SIDECAR_ALLOTMENT",
        required_unless_present = "alone",
        conflicts_with = "alone"
    )]
    pub allotment: Option<PathBuf>,
    /// The namespace has no other sidecar: all of its ceilings are this one's.
    #[arg(long, env = "MAIL_SIDECAR_ALONE")]
    pub alone: bool,
    /// A folder that outlives the container: an emptyDir.
    #[arg(long, env = "MAIL_SIDECAR_STATE", default_value = "/var/lib/mail-policy")]
    pub state: PathBuf,
    /// The pod's workload, for a message tag.
    #[arg(long, env = "MAIL_SIDECAR_WORKLOAD")]
    pub workload: Option<String>,
    /// The pod's UID, which an allotment names.
    #[arg(long, env = "MAIL_SIDECAR_POD_UID", default_value = "")]
    pub pod_uid: String,
    /// The container's termination message.
    #[arg(long, env = "MAIL_SIDECAR_FAREWELL")]
    pub farewell: Option<PathBuf>,
    /// Captured messages that are kept at most.
    #[arg(long, env = "MAIL_SIDECAR_CAPTURE_MESSAGES", default_value_t = 500)]
    pub capture_messages: usize,
    /// Octets of captured messages that are kept at most.
    #[arg(long, env = "MAIL_SIDECAR_CAPTURE_OCTETS", default_value_t = 32 * 1024 * 1024)]
    pub capture_octets: usize,
    /// Host and port of the namespace's Mailpit, which gets captured messages in place of the store.
    #[arg(long, env = "MAIL_SIDECAR_MAILPIT", value_parser = host_and_port)]
    pub mailpit: Option<(String, u16)>,
    /// Offers STARTTLS, for clients that insist on it. Its certificate proves nothing: clients that take whatever is offered
    /// would refuse it.
    #[arg(long, env = "MAIL_SIDECAR_STARTTLS")]
    pub starttls: bool,
    /// What becomes of a message by SMTP with lines that do not end in CRLF.
    #[arg(long, env = "MAIL_SIDECAR_LINE_ENDINGS", value_enum, default_value_t = LineEndings::Deny)]
    pub invalid_line_endings: LineEndings,
    /// Seconds for what has begun to end, once the sidecar is to end.
    #[arg(long, env = "MAIL_SIDECAR_GRACE", default_value_t = 25)]
    pub grace_seconds: u64,
}

/// What becomes of a message with lines that do not end in CRLF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LineEndings {
    /// It is refused.
    Deny,
    /// They are made CRLF.
    Fix,
}

/// Why the sidecar does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address} for {what}: {error}")]
    Listen {
        /// For what.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("write it like mailpit:1025")?;
    Ok((
        host.to_owned(),
        port.parse().map_err(|_| "the port is a number".to_owned())?,
    ))
}

/// Runs until `shutdown`, then ends what has begun.
///
/// # Errors
/// [`StartError`] where it cannot start. A mail problem is none: then it runs and refuses mail.
pub async fn run(args: Args, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let made = args.starttls.then(smtp::self_signed).transpose();
    let tls = made.unwrap_or_else(|error| {
        warn!(%error, "STARTTLS is not offered");
        None
    });
    let limits = smtp::Limits {
        grace: Duration::from_secs(args.grace_seconds),
        ..smtp::Limits::default()
    };
    let bound = smtp::Server::bind(args.smtp, limits, tls).await;
    let smtp_server = bound.map_err(failed("SMTP", args.smtp))?;
    let http_listener = listen("SES's API", args.http).await?;
    let status_listener = listen("metrics and status", args.status).await?;
    let credentials = match &args.credentials {
        Some(_) => Source::mounted(),
        None => Source::pod().await,
    };
    let capture = match &args.mailpit {
        Some((host, port)) => CaptureTo::Mailpit(Mailpit::new(host, *port)),
        None => CaptureTo::Store(
            Store::new(Bounds {
                messages: args.capture_messages,
                octets: args.capture_octets,
            })
            .into(),
        ),
    };
    let share = if args.alone {
        Share::Whole
    } else {
        Share::Allotted(Allotted::new(args.pod_uid.clone(), new_life()).into())
    };
    let counted = Counted::new(args.state.clone(), share);
    let relay = Relay::new(credentials);
    let desk = Desk::new(relay, capture, counted, args.workload.clone(), Pulse::default());
    let desk = Rc::new(desk);
    let mounts = Mounts {
        config: args.config.clone(),
        suppressions: args.suppressions.clone(),
        credentials: args.credentials.clone(),
        allotment: args.allotment.clone(),
    };
    let mut watch = Watch::new(mounts);
    watch.look(&desk);
    let watching = tokio::task::spawn_local(watch.run(Rc::clone(&desk)));
    let stop = CancellationToken::new();
    let limits = http::Limits::default();
    let serve = |listener, audience| http::serve(listener, audience, Rc::clone(&desk), limits, stop.clone());
    let servers = [
        serve(http_listener, Audience::Application).map_err(failed("SES's API", args.http))?,
        serve(status_listener, Audience::Cluster).map_err(failed("status", args.status))?,
    ];
    let smtp_address = smtp_server.address().map_err(failed("SMTP", args.smtp))?;
    let submitter = Rc::new(Submitter::new(Rc::clone(&desk), args.invalid_line_endings));
    let smtp = tokio::task::spawn_local(smtp_server.serve(submitter, stop.clone()));
    let [application, cluster] = &servers;
    info!(
        smtp = %smtp_address, http = %application.address, status = %cluster.address,
        "listens"
    );
    shutdown.await;

    info!(
        under_way = desk.under_way(),
        "ends: what has begun is finished, what is new is refused"
    );
    desk.end();
    stop.cancel();
    let all = async {
        if let Err(error) = smtp.await {
            warn!(%error, "the SMTP listener ended badly");
        }
        for server in servers {
            server.ended().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(args.grace_seconds), all)
        .await
        .is_err()
    {
        warn!(under_way = desk.under_way(), "what had begun did not end in time");
    }
    watching.abort();
    if let Some(path) = &args.farewell {
        leave(&desk, path);
    }
    Ok(())
}

/// Leaves what the pod used as the container's termination message: without it the pod's share counts until it expires.
fn leave(desk: &Desk, path: &Path) {
    // What is still under way might yet take room.
    let Some(farewell) = desk.farewell().filter(|_| desk.under_way() == 0) else {
        return;
    };
    let written = farewell.text().map_err(|error| error.to_string());
    let written = written.and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()));
    if let Err(error) = written {
        warn!(%error, "no farewell was left: the pod's share counts until it expires");
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(failed(what, address))
}

fn failed(what: &'static str, address: SocketAddr) -> impl FnOnce(std::io::Error) -> StartError {
    move |error| StartError::Listen { what, address, error }
}
