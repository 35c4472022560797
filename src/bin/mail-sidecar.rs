//! The sidecar beside a workload.

use std::process::ExitCode;

use clap::Parser;
use mail_policy_operator::{sidecar::run as sidecar, signals};
use tracing_subscriber::EnvFilter;

/// Decides on every mail of the pod by the namespace's mail policy, and hands to Amazon SES only what may leave.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: sidecar::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // One thread is enough, and all that a sidecar costs is paid by every pod.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let local = tokio::task::LocalSet::new();
            local
                .block_on(&runtime, sidecar::run(cli.args, signals::shutdown()))
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
