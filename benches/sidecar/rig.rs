//! What runs: a simulator, the bare server, and sidecars with a folder each.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use mail_policy_operator::policy::suppressions::HashKey;
use serde_json::Value;

use crate::{
    Result, http, sink,
    support::{Folder, Process, eventually},
    usage::Usage,
};

const SIDECAR: &str = env!("CARGO_BIN_EXE_mail-sidecar");
const OPERATOR: &str = env!("CARGO_BIN_EXE_mail-policy-operator");
/// Until a process answers.
pub(crate) const STARTS: Duration = Duration::from_secs(20);

/// The configuration of a namespace whose mail goes out.
pub(crate) const CONFIG: &str = r#"version: 1
namespace: shop
account: {name: primary, region: us-east-1, endpointUrl: "ENDPOINT"}
unmatched: {mode: Paused, from: [default]}
ceilings: {recipients: [SECOND, DAY], newRecipients: [DAY], from: {}}
policies:
- name: mail
  match: {type: Rest}
  mode: Live
  enforcement: Enforce
  allowed: []
  otherRecipients: {action: Reject}
  senders: [example.com]
  ceilings: {recipients: [SECOND, DAY], newRecipients: [DAY], perRecipient: [DAY], maxWaitMillis: 0}
  configurationSet: shop-mail
  from: {mode: [MailPolicy/mail]}
suppressions: {revision: r1}
"#;

/// Which ceilings a sidecar keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ceilings {
    /// All kinds, none of which is ever reached: what goes through is written down before it goes.
    Wide,
    /// None.
    None,
}

/// What every part needs.
pub(crate) struct Rig {
    pub(crate) folder: Folder,
    /// The simulator of SES.
    pub(crate) simulator: SocketAddr,
    /// The bare server.
    pub(crate) bare: SocketAddr,
    _simulator: Process,
}

/// One sidecar.
pub(crate) struct Sidecar {
    process: Process,
    pub(crate) smtp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Ceilings {
    /// The configuration with these ceilings.
    pub(crate) fn config(self, endpoint: &str) -> String {
        let text = CONFIG.replace("ENDPOINT", endpoint);
        match self {
            Self::Wide => text.replace("SECOND", "1000000/s").replace("DAY", "1000000000/d"),
            Self::None => text.replace("[SECOND, DAY]", "[]").replace("[DAY]", "[]"),
        }
    }
}

impl Rig {
    pub(crate) async fn start() -> Result<Self> {
        let folder = Folder::create()?;
        // Peers may run as somebody else; what they must not read has its own folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let port_file = folder.path().join("simulator.port");
        let port = port_file.display().to_string();
        let arguments = [
            ["--listen", "127.0.0.1:0"],
            ["--port-file", &port],
            ["--calls-per-second", "none"],
            ["--identity", "example.com"],
            ["--max-24-hour-send", "1000000000"],
            ["--max-send-rate", "1000000"],
            // A million messages are counted, not kept.
            ["--received-messages", "0"],
            ["--call-log", "0"],
        ];
        let arguments: Vec<String> = std::iter::once("simulator")
            .chain(arguments.into_iter().flatten())
            .map(ToOwned::to_owned)
            .collect();
        let process = Process::start(&folder, "simulator", Path::new(OPERATOR), &arguments, &[])?;
        let port = eventually(STARTS, "the simulator listens", async || {
            let text = fs::read_to_string(&port_file).map_err(|error| error.to_string())?;
            text.trim().parse::<u16>().map_err(|error| error.to_string())
        });
        let simulator = SocketAddr::from(([127, 0, 0, 1], port.await?));
        let set = br#"{"ConfigurationSetName": "shop-mail"}"#.as_slice();
        http::once(simulator, "/v2/email/configuration-sets", set.into()).await?;
        Ok(Self {
            folder,
            simulator,
            bare: sink::start()?,
            _simulator: process,
        })
    }

    /// A sidecar that hands over at `ses`.
    pub(crate) async fn sidecar(&self, name: &str, ses: SocketAddr, ceilings: Ceilings) -> Result<Sidecar> {
        let own = self.folder.path().join(format!("{name}.d"));
        for folder in ["config", "suppressions", "credentials", "state"] {
            fs::create_dir_all(own.join(folder))?;
        }
        let key = HashKey::for_namespace(b"master", "shop");
        let config = ceilings.config(&format!("http://{ses}"));
        let files: [(&str, &[u8]); 6] = [
            ("config/sidecar.yaml", config.as_bytes()),
            ("suppressions/key", key.as_bytes()),
            ("suppressions/revision", b"r1"),
            ("suppressions/hashes", b""),
            ("credentials/accessKeyId", b"simulator"),
            ("credentials/secretAccessKey", b"secret"),
        ];
        for (file, text) in files {
            fs::write(own.join(file), text)?;
        }
        let path = |name: &str| own.join(name).display().to_string();
        let mut arguments = vec![
            "--alone".to_owned(),
            "--workload".to_owned(),
            "deployment.web".to_owned(),
        ];
        for way in ["--smtp", "--http", "--status"] {
            arguments.extend([way.to_owned(), "127.0.0.1:0".to_owned()]);
        }
        for folder in ["config", "suppressions", "credentials", "state"] {
            arguments.extend([format!("--{folder}"), path(folder)]);
        }
        let process = Process::start(&self.folder, name, Path::new(SIDECAR), &arguments, &[])?;
        let listens = async || {
            let log = fs::read_to_string(process.log()).map_err(|error| error.to_string())?;
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listens = lines.find(|line| line["fields"]["message"] == "listens");
            listens.ok_or(log)
        };
        let line = eventually(STARTS, "the sidecar listens", listens).await?;
        let address = |name: &str| -> Result<SocketAddr> {
            let text = line["fields"][name].as_str().ok_or("the sidecar does not say where")?;
            Ok(text.parse()?)
        };
        Ok(Sidecar {
            smtp: address("smtp")?,
            http: address("http")?,
            process,
        })
    }
}

impl Sidecar {
    /// What it has used since its start.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.id()?)
    }

    /// Its process.
    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.process.id()?)
    }
}
