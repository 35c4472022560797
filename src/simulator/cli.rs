//! `mail-policy-operator simulator`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::config::{Config, DEFAULT_ACCESS_KEY};
use super::received::ReceivedLimits;
use super::server::{Running, Simulator, run_until};
use super::state::{AccountSettings, Enforcement, Owner};
use super::throttle::Limit;
use super::wire::UnknownMembers;

/// An Amazon SES account in one process, for the demo, for tests and for rehearsals.
#[derive(Clone, Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub struct Args {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:2776")]
    listen: SocketAddr,
    /// Print the address as one line of JSON once it is listened on.
    #[arg(long)]
    print_address: bool,
    /// Write the port into this file once it is listened on.
    #[arg(long, value_name = "PATH")]
    port_file: Option<PathBuf>,
    /// The account's region.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The account's id.
    #[arg(long, default_value = "111122223333", value_parser = account_id)]
    account_id: String,
    /// A verified identity (a domain or an address); may be repeated.
    #[arg(long = "identity", value_name = "NAME")]
    identities: Vec<String>,
    /// An identity that is not verified; may be repeated.
    #[arg(long = "pending-identity", value_name = "NAME")]
    pending_identities: Vec<String>,
    /// The account is in the sandbox.
    #[arg(long)]
    sandbox: bool,
    /// What AWS thinks of the account.
    #[arg(long, default_value = "HEALTHY", value_parser = enforcement, value_name = "HEALTHY|PROBATION|SHUTDOWN")]
    enforcement: Enforcement,
    /// Recipients in any 24 hours; SES's own for the sandbox or a new account by default, and none below 0.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_24_hour_send: Option<f64>,
    /// Recipients a second; none below 0.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_send_rate: Option<f64>,
    /// Control calls a second, shared by all operations, or `none`.
    #[arg(long, default_value = "1", value_name = "N|none")]
    calls_per_second: Rate,
    /// Control calls at once.
    #[arg(long, default_value_t = 1, value_name = "N")]
    burst: u32,
    /// Ignore members an operation does not have, as SES does. By default they are refused, to find mistakes.
    #[arg(long)]
    ignore_unknown_members: bool,
    /// Associating a resource twice succeeds. Both answers have been seen from SES.
    #[arg(long)]
    associate_twice_succeeds: bool,
    /// A known access key id; may be repeated. Signatures are not verified, so any secret goes with it.
    #[arg(long = "access-key", default_value = DEFAULT_ACCESS_KEY, value_name = "ID")]
    access_keys: Vec<String>,
    /// A role that can be assumed, with the external id it asks for; may be repeated.
    #[arg(long = "role", value_name = "ARN[=EXTERNAL-ID]")]
    roles: Vec<Role>,
    /// How many calls the call log keeps; 0 keeps none and only counts.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    call_log: usize,
    /// How many sent messages are kept for inspection; 0 keeps none and only counts.
    #[arg(long, default_value_t = ReceivedLimits::default().messages, value_name = "N")]
    received_messages: usize,
    /// How many bytes of sent messages are kept for inspection.
    #[arg(long, default_value_t = ReceivedLimits::default().bytes, value_name = "BYTES")]
    received_bytes: usize,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate(Option<f64>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|rate| Self(Some(rate)))
            .map_err(|_| format!("{text} is neither a number nor none"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Role {
    arn: String,
    external_id: Option<String>,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A role's ARN may have `=` in its path or name; an external id may not be empty.
        let (arn, external_id) = match text.rsplit_once('=') {
            Some((arn, external_id)) if !external_id.is_empty() => (arn, Some(external_id.to_owned())),
            Some(_) => return Err("the external id is empty".to_owned()),
            None => (text, None),
        };
        let is_role = arn.starts_with("arn:aws") && arn.split(':').nth(5).is_some_and(|part| part.starts_with("role/"));
        if is_role {
            Ok(Self {
                arn: arn.to_owned(),
                external_id,
            })
        } else {
            Err(format!("{arn} is not the ARN of a role"))
        }
    }
}

fn account_id(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("an account id has twelve digits".to_owned())
    }
}

/// In the words of the wire, which the account already reads.
fn enforcement(text: &str) -> Result<Enforcement, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}

/// Why a simulator does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A rate or burst that makes no sense.
    #[error("{0}; see --calls-per-second and --burst")]
    Limit(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The address cannot be made known.
    #[error("cannot announce the address: {0}")]
    Announce(std::io::Error),
}

impl Args {
    /// What the arguments ask for.
    ///
    /// # Errors
    /// A rate or burst makes no sense.
    pub fn config(&self) -> Result<Config, RunError> {
        let limit = self.calls_per_second.0.map_or(Limit::None, |per_second| Limit::Bucket {
            per_second,
            burst: self.burst,
        });
        let base = if self.sandbox {
            AccountSettings::sandbox()
        } else {
            AccountSettings::production()
        };
        let settings = AccountSettings {
            enforcement: self.enforcement,
            max_24_hour_send: self.max_24_hour_send.unwrap_or(base.max_24_hour_send),
            max_send_rate: self.max_send_rate.unwrap_or(base.max_send_rate),
            associate_twice_succeeds: self.associate_twice_succeeds,
            ..base
        };
        let verified = self.identities.iter().map(|name| (name.clone(), true));
        let pending = self.pending_identities.iter().map(|name| (name.clone(), false));
        let roles = self
            .roles
            .iter()
            .map(|role| (role.arn.clone(), role.external_id.clone()));
        Ok(Config {
            listen: self.listen,
            owner: Owner {
                region: self.region.clone(),
                account_id: self.account_id.clone(),
            },
            settings,
            identities: verified.chain(pending).collect(),
            access_keys: self.access_keys.iter().cloned().collect(),
            roles: roles.collect::<BTreeMap<_, _>>(),
            limit: limit.validated().map_err(RunError::Limit)?,
            unknown_members: if self.ignore_unknown_members {
                UnknownMembers::Ignored
            } else {
                UnknownMembers::Refused
            },
            call_log: self.call_log,
            received: ReceivedLimits {
                messages: self.received_messages,
                bytes: self.received_bytes,
            },
        })
    }
}

/// Runs a simulator until `shutdown`.
///
/// # Errors
/// The arguments make no sense, the address is taken, or it cannot be announced.
pub async fn run(args: Args, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let config = args.config()?;
    let address = config.listen;
    let running = Simulator::start(config)
        .await
        .map_err(|source| RunError::Listen { address, source })?;
    announce(&args, &running).map_err(RunError::Announce)?;
    tracing::info!(address = %running.address(), "the simulator listens");
    run_until(running, shutdown).await;
    tracing::info!("the simulator has stopped");
    Ok(())
}

fn announce(args: &Args, running: &Running) -> std::io::Result<()> {
    let address = running.address();
    if let Some(path) = &args.port_file {
        write_whole(path, &format!("{}\n", address.port()))?;
    }
    if args.print_address {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{}",
            serde_json::json!({"address": address, "endpoint": running.endpoint()})
        )?;
        out.flush()?;
    }
    Ok(())
}

/// Writes beside the file and renames, so that who waits for the file never reads half of it.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn config(arguments: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from([&["simulator"], arguments].concat()).map_err(|error| error.to_string())?;
        cli.args.config().map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_it_is_a_production_account_with_sess_own_limit() {
        let config = config(&[]).unwrap();
        assert!(config.settings.production_access);
        assert_eq!(config.limit, Limit::SES);
        assert_eq!(config.unknown_members, UnknownMembers::Refused);
        assert!(config.access_keys.contains(DEFAULT_ACCESS_KEY));
    }

    #[test]
    fn arguments_are_read() {
        let role = "arn:aws:iam::111122223333:role/control=secret-id";
        let arguments = [
            "--sandbox",
            "--identity",
            "example.com",
            "--calls-per-second",
            "none",
            "--role",
            role,
        ];
        let config = config(&arguments).unwrap();
        assert!(!config.settings.production_access);
        assert_eq!(config.identities, [("example.com".to_owned(), true)]);
        assert_eq!(config.limit, Limit::None);
        let wanted = Some("secret-id".to_owned());
        assert_eq!(
            config.roles.get("arn:aws:iam::111122223333:role/control"),
            Some(&wanted)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (arguments, reason) in [
            (["--calls-per-second", "0"], "above 0"),
            (["--calls-per-second", "often"], "neither a number nor none"),
            (["--burst", "0"], "at least 1"),
            (["--account-id", "1"], "twelve digits"),
            (["--enforcement", "FINE"], "PROBATION"),
            (["--role", "control"], "not the ARN of a role"),
            (
                ["--role", "arn:aws:iam::111122223333:role/control="],
                "external id is empty",
            ),
        ] {
            let error = config(&arguments).unwrap_err();
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }
}
