//! A workload that sends mail, for pods of the demo and of tests: an application as any other, which knows nothing of
//! policies. What it was told is printed as JSON.
#![allow(clippy::print_stdout)] // what it prints is what it is for

#[path = "demo/letters.rs"]
mod letters;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::{Parser, Subcommand};
use letters::{Letter, Sidecar, Way, send, send_letters};
use mail_policy_operator::{clock, signals};
use serde_json::json;

/// Between two messages of one who sends until it is refused.
const PACE: Duration = Duration::from_millis(10);

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Does nothing until it is told to end; the others are run beside it.
    Wait,
    /// Sends ten messages that try a policy's edges.
    Letters {
        /// The way.
        #[arg(long, value_enum)]
        by: Way,
    },
    /// Sends to one mailbox.
    Send {
        /// The way.
        #[arg(long, value_enum, default_value = "api")]
        by: Way,
        /// The mailbox.
        #[arg(long)]
        to: String,
        /// So often, or until it is refused.
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let sidecar = Sidecar {
        smtp: at(2525),
        http: at(2773),
    };
    match Cli::parse().work {
        Work::Wait => signals::shutdown().await,
        Work::Letters { by } => println!("{}", json!(send_letters(sidecar, by).await?)),
        Work::Send { by, to, times } => {
            let (mut sent, mut refused) = (0, None);
            while sent < times && refused.is_none() {
                refused = send(sidecar, by, &letter_to(&to)).await?;
                sent += u32::from(refused.is_none());
                tokio::time::sleep(PACE).await;
            }
            println!("{}", json!({"sent": sent, "refused": refused, "at": clock::now()}));
        }
    }
    Ok(())
}

/// A message to one mailbox.
fn letter_to(mailbox: &str) -> Letter {
    Letter {
        what: "to one mailbox",
        from: "no-reply@example.com",
        to: vec![mailbox.to_owned()],
        cc: vec![],
        bcc: vec![],
        steering: false,
    }
}
