//! The operator, and the simulator it is tried out with.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use mail_policy_operator::{
    api::crd, controller::run as operator, policy::SidecarConfig, ses::aws::look_for_certificate_authorities,
    signals::shutdown, simulator::cli as simulator,
};
use tracing_subscriber::EnvFilter;

/// Mail policy per namespace for Amazon SES on Kubernetes.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The operator.
    Run(operator::Args),
    /// Writes what is generated from the code: the custom resource definitions and the sidecar configuration's schema.
    Crds {
        /// The folder to write into.
        #[arg(long, default_value = "crds")]
        out: PathBuf,
    },
    /// An Amazon SES account in one process, for the demo, for tests and for rehearsals.
    Simulator(Box<simulator::Args>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let result: Result<(), Box<dyn std::error::Error>> = match cli.command {
        Command::Run(args) => run(args).await,
        Command::Crds { out } => write_crds(&out),
        Command::Simulator(args) => simulator::run(*args, shutdown()).await.map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: operator::Args) -> Result<(), Box<dyn std::error::Error>> {
    look_for_certificate_authorities()?;
    let client = kube::Client::try_default().await?;
    Ok(operator::run(args, client, shutdown()).await?)
}

fn write_crds(out: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(out)?;
    for (name, text) in crd::files()? {
        std::fs::write(out.join(name), text)?;
    }
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(SidecarConfig))?;
    std::fs::write(out.join("sidecar-config.schema.json"), schema + "\n")?;
    Ok(())
}
