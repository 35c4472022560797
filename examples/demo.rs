//! `make demo`: the whole story on a real API server, with an SES account of its own in this process. Where the machine
//! allows a node (see tests/node/run), operator, sidecars and workloads are pods; otherwise they are processes.
//!
//! Stays until Ctrl-C, so that anyone can look around with the printed KUBECONFIG; `DEMO=once` ends.
#![allow(clippy::print_stdout)] // what it prints is what it is for

#[path = "demo/letters.rs"]
mod letters;
#[path = "demo/mail.rs"]
mod mail;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use mail::Ground;
use mail_policy_operator::{
    clock,
    simulator::{
        Config, Limit, Running, Simulator,
        state::{AccountSettings, Owner},
    },
};
use support::{ControlPlane, Error, Node, Options, Process, Result, eventually, ours};

/// How long anything may take to settle.
const DEADLINE: Duration = Duration::from_mins(2);
/// How long before the demo's window opens, and how long it is open.
const WINDOW: SignedDuration = SignedDuration::from_secs(4);
/// The policy whose window is shown.
const WINDOW_OF: (&str, &str) = ("shop-dev", "mail");

/// Everything that runs.
struct Demo {
    cluster: Cluster,
    ses: Running,
}

/// Where the operator, and later the workloads, run.
#[allow(clippy::large_enum_variant)] // There is one.
enum Cluster {
    /// In pods.
    Node(Node),
    /// In processes beside an API server.
    Api(ControlPlane, Process),
}

impl Cluster {
    async fn start() -> Result<Self> {
        if Node::is_possible() {
            let node = Node::start().await?;
            node.import_ours().await?;
            node.install_operator(&[]).await?;
            return Ok(Self::Node(node));
        }
        let cluster = ControlPlane::start(Options::default()).await?;
        cluster.apply_crds().await?;
        cluster
            .kubectl(&["apply", "--kustomize", &folder("deploy/operator")])
            .await?;
        let operator = operator(&cluster).await?;
        Ok(Self::Api(cluster, operator))
    }

    /// What the operator said last.
    async fn log(&self) -> String {
        match self {
            Self::Api(_, operator) => operator.log_tail(),
            Self::Node(node) => {
                let logs = [
                    "logs",
                    "--namespace",
                    "mail-policy-system",
                    "deployment/mail-policy-operator",
                    "--tail=20",
                ];
                node.cluster
                    .kubectl(&logs)
                    .await
                    .unwrap_or_else(|error| error.to_string())
            }
        }
    }
}

impl Deref for Cluster {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Node(node) => &node.cluster,
            Self::Api(cluster, _) => cluster,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let demo = Demo::start().await?;
    demo.apply_examples().await?;
    demo.settle().await?;
    demo.show_resources().await?;
    demo.show_ses();
    demo.show_configuration().await?;
    demo.show_window().await?;
    demo.show_mail().await?;
    demo.show_calls();
    if std::env::var("DEMO").is_ok_and(|word| word == "once") {
        return Ok(());
    }
    title("Everything stays until Ctrl-C");
    if let Some(enter) = Node::way_in() {
        println!("{enter}   # in another terminal, first");
    }
    println!("export KUBECONFIG={}", demo.cluster.kubeconfig().display());
    println!("curl {}/_admin/state   # the SES account", demo.ses.endpoint());
    if let Cluster::Api(_, operator) = &demo.cluster {
        println!("the operator's log: {}", operator.log().display());
    }
    tokio::signal::ctrl_c().await.map_err(Error::io("Ctrl-C"))
}

impl Demo {
    async fn start() -> Result<Self> {
        title("A control plane, an SES account, the operator under its own rights");
        let cluster = Cluster::start().await?;
        let ses = Simulator::start(Config {
            listen: (cluster.address(), 0).into(),
            owner: Owner {
                region: "eu-west-1".to_owned(),
                ..Config::default().owner
            },
            identities: [("example.com".to_owned(), true), ("example.org".to_owned(), true)].into(),
            limit: Limit::None,
            settings: AccountSettings {
                max_24_hour_send: 500_000.0,
                max_send_rate: 100.0,
                ..AccountSettings::production()
            },
            ..Config::default()
        })
        .await
        .map_err(Error::io("the simulator"))?;
        println!("API server {}, SES {}", cluster.server(), ses.endpoint());
        match &cluster {
            Cluster::Node(_) => println!("A whole Kubernetes: the operator, the sidecars and the workloads are pods."),
            Cluster::Api(..) => println!("An API server without a node: the operator and the sidecars are processes."),
        }
        Ok(Self { cluster, ses })
    }

    async fn apply_examples(&self) -> Result<()> {
        title("The platform team's account and guardrails, two teams' policies: deploy/examples/");
        let folder = PathBuf::from(folder("deploy/examples"));
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(Error::io("deploy/examples"))?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(Error::io("an example"))?;
            let text = text.replace("http://127.0.0.1:8080", &self.ses.endpoint());
            print!("{}", self.cluster.apply_yaml(&text).await?);
        }
        Ok(())
    }

    /// Waits until every object says that what it asks is in force.
    async fn settle(&self) -> Result<()> {
        let kinds = "sendingaccounts,mailguardrails,mailpolicies,mailsuppressions";
        let path = "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} \
                    {.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}";
        eventually(DEADLINE, "everything is Ready", async || {
            let listed = self
                .cluster
                .kubectl(&["get", kinds, "--all-namespaces", "--output", path])
                .await;
            let listed = listed.map_err(|error| error.to_string())?;
            let waiting: Vec<&str> = listed.lines().filter(|line| !line.ends_with(" True")).collect();
            if waiting.is_empty() {
                Ok(())
            } else {
                Err(format!("{waiting:?}\n{}", self.cluster.log().await))
            }
        })
        .await
    }

    async fn show_resources(&self) -> Result<()> {
        title("kubectl get mail --all-namespaces -o wide");
        let get = [
            "get",
            "sendingaccounts,mailguardrails,mailpolicies,mailsuppressions",
            "--all-namespaces",
        ];
        println!(
            "{}",
            self.cluster
                .kubectl(&[&get[..], &["--output", "wide"]].concat())
                .await?
        );
        title("A policy that asked for more than its guardrail allows: each value in force, and whose word it is");
        let (clamped, name) = ("billing-staging", "mail");
        println!(
            "clamped: {}",
            self.condition(clamped, name, "Clamped", "message").await?
        );
        let path = "jsonpath={range .status.effective[*]}{.field}{'\\t'}{.value}{'\\t'}{.from}{'\\n'}{end}";
        let values = self
            .cluster
            .kubectl(&["get", "mailpolicies", name, "-n", clamped, "--output", path])
            .await?;
        for line in values.lines() {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            println!("{:<26}{:<36}{}", column(), column(), column());
        }
        Ok(())
    }

    fn show_ses(&self) {
        title("What stands in SES");
        self.ses.admin().with_account(|account| {
            for (name, set) in &account.sets {
                let switch = if set.sending_enabled() { "on" } else { "off" };
                let destinations: Vec<&str> = set.destinations.keys().map(String::as_str).collect();
                println!("{name:<48} sending {switch:<4} events to {}", destinations.join(", "));
            }
            println!(
                "{} addresses on the account's suppression list",
                account.suppressed.len()
            );
        });
    }

    async fn show_configuration(&self) -> Result<()> {
        title("The sidecar configuration of shop-staging: ConfigMap mail-sidecar");
        let get = ["get", "configmap", "mail-sidecar", "-n", "shop-staging"];
        let path = ["--output", "jsonpath={.data.sidecar\\.yaml}"];
        println!("{}", self.cluster.kubectl(&[&get[..], &path].concat()).await?);
        Ok(())
    }

    /// Opens a window for a few seconds: before, in and after.
    async fn show_window(&self) -> Result<()> {
        let (namespace, policy) = WINDOW_OF;
        title("A MailWindow switches sending to the mailbox simulator on, for a few seconds");
        // A window's times are whole seconds.
        let now = clock::now();
        let from = now - Duration::from_nanos(now.subsec_nanosecond().unsigned_abs().into()) + WINDOW;
        let until = from + WINDOW;
        self.cluster.apply_yaml(&window(namespace, policy, from, until)).await?;
        for (phase, mode) in [("Scheduled", "Capture"), ("Open", "Simulate"), ("Closed", "Capture")] {
            let path = "jsonpath={.status.phase}";
            eventually(DEADLINE, &format!("the window is {phase}"), async || {
                let arguments = ["get", "mailwindows", "loadtest", "-n", namespace, "--output", path];
                let now = self
                    .cluster
                    .kubectl(&arguments)
                    .await
                    .map_err(|error| error.to_string())?;
                if now == phase { Ok(()) } else { Err(now) }
            })
            .await?;
            eventually(DEADLINE, &format!("the mode is {mode}, and SES follows"), async || {
                let (seen, sending) = (self.mode(namespace, policy).await, self.sends(namespace));
                let wanted = (mode.to_owned(), Some(mode == "Simulate"));
                if (seen.clone(), sending) == wanted {
                    Ok(())
                } else {
                    Err(format!("{seen}, {sending:?}"))
                }
            })
            .await?;
            let switch = if mode == "Simulate" { "on" } else { "off" };
            println!(
                "{}  window {phase:<10} mode {mode:<10} SES sending {switch}",
                clock::now()
            );
        }
        println!("it was to open at {from} and to close at {until}");
        Ok(())
    }

    fn show_calls(&self) {
        title("What it took: calls to SES by operation");
        let mut counts = BTreeMap::<&str, u64>::new();
        for count in self.ses.admin().counts() {
            *counts.entry(count.operation.name()).or_default() += count.calls;
        }
        for (operation, count) in &counts {
            println!("{count:>5}  {operation}");
        }
        println!("{:>5}  in all", counts.values().sum::<u64>());
    }

    async fn show_mail(&self) -> Result<()> {
        title("Two workloads in each mode send the same ten messages through their sidecars");
        self.add_suppression().await?;
        let client = self.cluster.client().await?;
        let sidecar = ours("mail-sidecar")?;
        let ground = match &self.cluster {
            Cluster::Node(node) => Ground::Node(node),
            Cluster::Api(..) => Ground::Here(&sidecar),
        };
        for line in mail::table(&client, self.ses.admin(), &ground).await? {
            println!("{line}");
        }
        println!("\nSES 1: so many recipients as they are or redirected; simulator 1: of SES's mailbox simulator.");
        Ok(())
    }

    /// An address that nobody may mail, in the namespaces whose sidecars send.
    async fn add_suppression(&self) -> Result<()> {
        for namespace in ["shop-loadtest", "shop-staging", "shop-production"] {
            let suppression = format!(
                "apiVersion: mailpolicy.dev/v1alpha1\nkind: MailSuppression\nmetadata: {{name: demo, namespace: \
                 {namespace}}}\nspec: {{entries: [{{address: closed@customer.example, reason: Complaint}}]}}\n"
            );
            self.cluster.apply_yaml(&suppression).await?;
            let wait = [
                "wait",
                "--for=condition=Ready",
                "--timeout=30s",
                "mailsuppressions/demo",
                "-n",
                namespace,
            ];
            self.cluster.kubectl(&wait).await?;
        }
        Ok(())
    }

    async fn condition(&self, namespace: &str, policy: &str, kind: &str, field: &str) -> Result<String> {
        let path = format!("jsonpath={{.status.conditions[?(@.type=='{kind}')].{field}}}");
        self.cluster
            .kubectl(&["get", "mailpolicies", policy, "-n", namespace, "--output", &path])
            .await
    }

    async fn mode(&self, namespace: &str, policy: &str) -> String {
        let arguments = [
            "get",
            "mailpolicies",
            policy,
            "-n",
            namespace,
            "--output",
            "jsonpath={.status.mode}",
        ];
        self.cluster
            .kubectl(&arguments)
            .await
            .unwrap_or_else(|error| error.to_string())
    }

    /// The switch of the namespace's first set, as SES has it.
    fn sends(&self, namespace: &str) -> Option<bool> {
        let part = format!("-{namespace}-");
        self.ses.admin().with_account(|account| {
            let mut sets = account.sets.iter();
            sets.find(|(name, _)| name.contains(&part))
                .map(|(_, set)| set.sending_enabled())
        })
    }
}

/// The operator as its Deployment runs it: its own service account, nothing of this environment.
async fn operator(cluster: &ControlPlane) -> Result<Process> {
    let kubeconfig = cluster
        .kubeconfig_of_service_account("mail-policy-system", "mail-policy-operator")
        .await?;
    let kubeconfig = kubeconfig.to_string_lossy().into_owned();
    let arguments = ["run", "--listen", "127.0.0.1:0", "--instance", "demo"].map(ToOwned::to_owned);
    let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let environment = [
        ("KUBECONFIG", kubeconfig.as_str()),
        ("AWS_ACCESS_KEY_ID", "simulator"),
        ("AWS_SECRET_ACCESS_KEY", "simulator"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("RUST_LOG", log.as_str()),
    ];
    cluster.run("operator", &ours("mail-policy-operator")?, &arguments, &environment)
}

fn folder(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(path)
        .to_string_lossy()
        .into_owned()
}

fn title(text: &str) {
    println!("\n== {text}\n");
}

fn window(namespace: &str, policy: &str, from: Timestamp, until: Timestamp) -> String {
    format!(
        "apiVersion: mailpolicy.dev/v1alpha1\nkind: MailWindow\nmetadata: {{name: loadtest, namespace: {namespace}}}\n\
         spec:\n  policyRef: {{name: {policy}}}\n  mode: Simulate\n  from: \"{from:.0}\"\n  until: \"{until:.0}\"\n  \
         reason: load test of the nightly mailing\n"
    )
}
