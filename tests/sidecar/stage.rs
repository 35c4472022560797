//! A sidecar as it runs in a pod, beside a simulator of SES: the binary itself, with folders as kubelet mounts them.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use mail_policy_operator::{
    policy::suppressions::{HashKey, Subject},
    simulator::{Config, Limit, Operation, Running, Simulator, state::AccountSettings},
};
use serde_json::Value;

use crate::support::{Folder, Process, eventually};

/// How long anything may take here.
pub const SOON: Duration = Duration::from_secs(20);

/// A configuration of namespace shop, whose parts a test replaces.
pub const CONFIG: &str = r#"version: 1
namespace: shop
account: {name: primary, region: us-east-1, endpointUrl: "ENDPOINT"}
unmatched: {mode: Paused, from: [default]}
ceilings: {recipients: [], newRecipients: [], from: {}}
policies:
- name: mail
  match: {type: Rest}
  mode: Restricted
  enforcement: Enforce
  allowed: [example.com, "qa+*@example.org"]
  otherRecipients: {action: Reject}
  senders: [example.com]
  ceilings: {recipients: [], newRecipients: [], perRecipient: [], maxWaitMillis: 0}
  configurationSet: shop-mail
  from:
    mode: [MailGuardrail/staging]
    allowed: [MailPolicy/mail]
    senders: [MailGuardrail/company]
    ceilings.recipients: [MailPolicy/mail]
suppressions: {revision: r1}
"#;

/// One sidecar, its folders and SES.
pub struct Stage {
    pub ses: Running,
    folder: Folder,
    process: Option<Process>,
    starts: u32,
    versions: u32,
    more: Vec<String>,
    /// A folder of the test's own.
    pub other: PathBuf,
}

/// Where a sidecar listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub smtp: SocketAddr,
    pub http: SocketAddr,
    pub status: SocketAddr,
}

/// SES with a verified example.com and a configuration set.
async fn ses(listen: SocketAddr) -> Running {
    let config = Config {
        listen,
        limit: Limit::None,
        identities: vec![("example.com".to_owned(), true)],
        settings: AccountSettings {
            max_24_hour_send: 1_000_000.0,
            max_send_rate: 100_000.0,
            ..AccountSettings::production()
        },
        ..Config::default()
    };
    let ses = Simulator::start(config).await.unwrap();
    let set = br#"{"ConfigurationSetName": "shop-mail"}"#;
    ses.admin()
        .perform(Operation::CreateConfigurationSet, vec![], "", set)
        .unwrap();
    ses
}

impl Stage {
    /// SES with a verified example.com and a configuration set, and no sidecar yet.
    pub async fn without_sidecar() -> Self {
        let stage = Self {
            ses: ses(Config::default().listen).await,
            folder: Folder::create().unwrap(),
            process: None,
            starts: 0,
            versions: 0,
            more: Vec::new(),
            other: PathBuf::new(),
        };
        for folder in ["config", "suppressions", "credentials", "state"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        stage
    }

    /// SES is down: nobody listens where the sidecar finds it. Where that is.
    pub async fn lose_ses(&mut self) -> SocketAddr {
        let address = self.ses.address();
        self.ses = ses(Config::default().listen).await;
        address
    }

    /// SES is up again, and remembers nothing.
    pub async fn find_ses(&mut self, address: SocketAddr) {
        self.ses = ses(address).await;
    }

    /// A sidecar in force with these texts of [`CONFIG`] replaced.
    pub async fn set(changes: &[(&str, &str)]) -> (Self, Addresses) {
        Self::set_with(changes, &[]).await
    }

    /// As [`Self::set`], with flags beside the sidecar's own.
    pub async fn set_with(changes: &[(&str, &str)], flags: &[&str]) -> (Self, Addresses) {
        let mut stage = Self::without_sidecar().await;
        stage.more = flags.iter().map(|&flag| flag.to_owned()).collect();
        stage.hand_out_credentials();
        stage.suppress(&[]);
        stage.configure(changes);
        let addresses = stage.start().await;
        (stage, addresses)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Publishes a configuration.
    pub fn configure(&mut self, changes: &[(&str, &str)]) {
        let text = changes
            .iter()
            .fold(CONFIG.replace("ENDPOINT", &self.ses.endpoint()), |text, (old, new)| {
                assert!(text.contains(old), "the configuration has no {old}");
                text.replace(old, new)
            });
        self.publish("config", &[("sidecar.yaml", text.as_bytes())]);
    }

    /// Publishes suppressions, as revision r1.
    pub fn suppress(&mut self, subjects: &[Subject]) {
        let key = HashKey::for_namespace(b"master", "shop");
        let lines: Vec<String> = subjects
            .iter()
            .map(|subject| format!("{} Bounce\n", key.hash(subject)))
            .collect();
        let hashes = lines.concat();
        let files = [
            ("key", key.as_bytes()),
            ("revision", b"r1".as_slice()),
            ("hashes", hashes.as_bytes()),
        ];
        self.publish("suppressions", &files);
    }

    pub fn hand_out_credentials(&mut self) {
        self.publish(
            "credentials",
            &[("accessKeyId", b"simulator"), ("secretAccessKey", b"secret")],
        );
    }

    /// Writes a version of a folder as kubelet does: files behind one symlink, which is swapped.
    pub fn publish(&mut self, folder: &str, files: &[(&str, &[u8])]) {
        self.versions += 1;
        let (folder, version) = (self.path(folder), format!("..{}", self.versions));
        fs::create_dir(folder.join(&version)).unwrap();
        for (name, contents) in files {
            fs::write(folder.join(&version).join(name), contents).unwrap();
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        symlink(&version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    /// Takes away what is in a folder.
    pub fn unpublish(&mut self, folder: &str) {
        fs::remove_file(self.path(folder).join("..data")).unwrap();
    }

    /// Starts the sidecar and waits until it listens.
    pub async fn start(&mut self) -> Addresses {
        self.starts += 1;
        let name = format!("sidecar-{}", self.starts);
        let path = |name: &str| self.path(name).display().to_string();
        let mut arguments: Vec<String> = [
            "--smtp",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--status",
            "127.0.0.1:0",
        ]
        .map(str::to_owned)
        .to_vec();
        for folder in ["config", "suppressions", "credentials", "state"] {
            arguments.extend([format!("--{folder}"), path(folder)]);
        }
        if !self.more.iter().any(|flag| flag == "--allotment") {
            arguments.push("--alone".to_owned());
        }
        arguments.extend(["--workload", "deployment.web"].map(str::to_owned));
        arguments.extend(self.more.clone());
        let program = Path::new(env!("CARGO_BIN_EXE_mail-sidecar"));
        let process = Process::start(&self.folder, &name, program, &arguments, &[]).unwrap();
        let listens = async || {
            let log = fs::read_to_string(process.log()).map_err(|error| error.to_string())?;
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let fields = lines.map(|line| line["fields"].clone());
            let listens = fields.into_iter().find(|fields| fields["message"] == "listens");
            listens.ok_or(log)
        };
        let fields = eventually(SOON, "the sidecar listens", listens).await.unwrap();
        self.process = Some(process);
        let address = |name: &str| fields[name].as_str().unwrap().parse().unwrap();
        Addresses {
            smtp: address("smtp"),
            http: address("http"),
            status: address("status"),
        }
    }

    /// The sidecar's process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Kills the sidecar as the kernel does.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("KILL").unwrap();
        let ended = async || process.ended().ok().flatten().ok_or_else(|| "it runs".to_owned());
        eventually(SOON, "the sidecar is gone", ended).await.unwrap();
    }

    /// What the sidecar logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.process.as_ref().unwrap().log()).unwrap()
    }

    /// Everyone whom SES was ever asked to mail, in order.
    pub fn mailed(&self) -> Vec<String> {
        let messages = self.ses.admin().received();
        let recipients = messages.iter().flat_map(|message| message.recipients.iter());
        recipients.map(|recipient| recipient.address.clone()).collect()
    }

    /// Waits for a condition.
    pub async fn wait<T>(&self, what: &str, attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
        eventually(SOON, what, attempt).await.unwrap()
    }
}
