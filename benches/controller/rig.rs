//! One API server, one simulator, one operator: started, asked how they do, and gone with the rig.

use std::{collections::BTreeMap, path::Path, time::Duration};

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use mail_policy_operator::api::MailPolicy;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{objects, usage::Usage};
use crate::{
    Result,
    support::{ControlPlane, Error, Options, Process, eventually},
};

/// The program under test, built with the bench's own profile.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mail-policy-operator");
/// Until a process answers.
const STARTS: Duration = Duration::from_secs(30);

/// What runs.
pub(crate) struct Rig {
    pub(crate) client: kube::Client,
    operator: Option<Process>,
    operator_address: String,
    starts: u32,
    endpoint: String,
    http: reqwest::Client,
    _simulator: Process,
    control_plane: ControlPlane,
}

/// Calls to SES by operation.
pub(crate) type Calls = BTreeMap<String, u64>;

impl Rig {
    /// An API server with the account and the guardrail, and a simulator. The operator is not started.
    ///
    /// `calls_per_second` is the simulator's limit; `None` lifts it, and the account's budget with it.
    pub(crate) async fn start(calls_per_second: Option<u32>) -> Result<Self> {
        eprintln!("  an API server and a simulator start");
        let options = Options {
            controllers: Vec::new(),
            unthrottled: true,
            ..Options::default()
        };
        let control_plane = ControlPlane::start(options).await?;
        let (simulator, endpoint) = simulator(&control_plane, calls_per_second).await?;
        install(&control_plane).await?;
        // The widest budget that a spec can ask for.
        let budget = calls_per_second.unwrap_or(10_000);
        control_plane.apply_yaml(&objects::platform(&endpoint, budget)).await?;
        Ok(Self {
            client: control_plane.client().await?,
            operator: None,
            operator_address: String::new(),
            starts: 0,
            endpoint,
            http: reqwest::Client::new(),
            _simulator: simulator,
            control_plane,
        })
    }

    /// Starts the operator and returns at once; what it says is there after [`Self::operator_serves`].
    pub(crate) fn start_operator(&mut self) -> Result<()> {
        self.starts += 1;
        let arguments = ["run", "--listen", "127.0.0.1:0"].map(ToOwned::to_owned);
        let kubeconfig = self.control_plane.kubeconfig().to_string_lossy().into_owned();
        let environment = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("AWS_ACCESS_KEY_ID", "simulator"),
            ("AWS_SECRET_ACCESS_KEY", "simulator"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NO_COLOR", "1"),
        ];
        let name = format!("operator-{}", self.starts);
        let operator = self
            .control_plane
            .run(&name, Path::new(PROGRAM), &arguments, &environment)?;
        self.operator = Some(operator);
        Ok(())
    }

    /// Waits until the operator serves its metrics.
    pub(crate) async fn operator_serves(&mut self) -> Result<()> {
        let log = self.operator()?.log();
        let address = eventually(STARTS, "the operator serves", async || {
            let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
            let address = text
                .split_whitespace()
                .find_map(|word| word.strip_prefix("address="))
                .map(ToOwned::to_owned);
            address.ok_or(text)
        });
        self.operator_address = address.await?;
        Ok(())
    }

    /// Ends the operator as Kubernetes does, and waits until it is gone.
    pub(crate) async fn stop_operator(&mut self) -> Result<()> {
        let Some(mut operator) = self.operator.take() else {
            return Ok(());
        };
        operator.signal("TERM")?;
        let ended = eventually(STARTS, "the operator ends", async || match operator.ended() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        Ok(ended.await?)
    }

    fn operator(&self) -> Result<&Process> {
        Ok(self.operator.as_ref().ok_or("the operator does not run")?)
    }

    /// What the operator has used since its start.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.operator()?.id()?)
    }

    /// The sum of one of the operator's counters, over the labels that contain `label`.
    pub(crate) async fn counter(&self, name: &str, label: &str) -> Result<u64> {
        let url = format!("http://{}/metrics", self.operator_address);
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        let lines = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let mut sum = 0;
        for line in lines.filter(|line| line.contains(label)) {
            let value = line.rsplit(' ').next().unwrap_or_default();
            sum += value.parse::<u64>().map_err(|_| format!("`{line}` is no counter"))?;
        }
        Ok(sum)
    }

    /// Writes to the API server since the operator's start.
    pub(crate) async fn writes(&self) -> Result<u64> {
        self.counter("mail_policy_api_writes_total", "").await
    }

    /// Calls that the simulator has counted, whatever became of them.
    pub(crate) async fn calls(&self) -> Result<Calls> {
        #[derive(Deserialize)]
        struct Counts {
            counts: Vec<Count>,
        }
        #[derive(Deserialize)]
        struct Count {
            operation: String,
            calls: u64,
        }
        let url = format!("{}/_admin/counts", self.endpoint);
        let Counts { counts } = self.http.get(url).send().await?.error_for_status()?.json().await?;
        let mut calls = Calls::new();
        for Count { operation, calls: more } in counts {
            *calls.entry(operation).or_default() += more;
        }
        Ok(calls)
    }

    /// Forgets the simulator's counts.
    pub(crate) async fn reset_calls(&self) -> Result<()> {
        let url = format!("{}/_admin/calls", self.endpoint);
        self.http.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// How many policies are Ready.
    pub(crate) async fn ready(&self) -> Result<u64> {
        let table = self.table("includeObject=None").await?;
        let column = table.column_of("Ready")?;
        let ready = table.rows.iter().filter(|row| row.says(column, "True"));
        Ok(u64::try_from(ready.count())?)
    }

    /// The namespace of a policy that is Ready, the first by name.
    pub(crate) async fn first_ready(&self) -> Result<Option<String>> {
        let table = self.table("includeObject=Metadata").await?;
        let column = table.column_of("Ready")?;
        let ready = table.rows.into_iter().find(|row| row.says(column, "True"));
        Ok(ready.and_then(|row| row.object?.metadata.namespace))
    }

    /// The policies as `kubectl get` shows them: a table is far smaller than the objects.
    async fn table(&self, query: &str) -> Result<Table> {
        let request = http::Request::get(format!("/apis/mailpolicy.dev/v1alpha1/mailpolicies?{query}"))
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())?;
        Ok(self.client.request(request).await?)
    }

    /// Changes a policy's spec.
    pub(crate) async fn patch(&self, namespace: &str, spec: &Value) -> Result<()> {
        let policies: Api<MailPolicy> = Api::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(json!({ "spec": spec }));
        policies.patch("default", &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
    object: Option<PartialObjectMeta>,
}

impl Table {
    fn column_of(&self, name: &str) -> Result<usize> {
        let at = self.column_definitions.iter().position(|column| column.name == name);
        Ok(at.ok_or_else(|| format!("MailPolicies have no column {name}"))?)
    }
}

impl Row {
    fn says(&self, column: usize, word: &str) -> bool {
        self.cells.get(column).and_then(Value::as_str) == Some(word)
    }
}

async fn install(control_plane: &ControlPlane) -> Result<()> {
    control_plane.apply_crds().await?;
    let system = ["create", "namespace", "mail-policy-system"];
    control_plane.kubectl(&system).await?;
    Ok(())
}

async fn simulator(control_plane: &ControlPlane, calls_per_second: Option<u32>) -> Result<(Process, String)> {
    let file = control_plane.folder().join("simulator.port");
    let limit = calls_per_second.map_or_else(|| "none".to_owned(), |calls| calls.to_string());
    let port_file = file.display().to_string();
    let arguments = [
        ["--listen", "127.0.0.1:0"],
        ["--port-file", &port_file],
        ["--calls-per-second", &limit],
        ["--identity", "example.com"],
        ["--identity", "click.example.com"],
        // The ceilings of all policies together are within it, as on an account of that size.
        ["--max-24-hour-send", "1000000000"],
    ];
    let arguments: Vec<String> = std::iter::once("simulator")
        .chain(arguments.into_iter().flatten())
        .map(ToOwned::to_owned)
        .collect();
    let process = control_plane.run("simulator", Path::new(PROGRAM), &arguments, &[])?;
    let port = eventually(STARTS, "the simulator listens", async || {
        std::fs::read_to_string(&file).map_err(|error| error.to_string())
    });
    let port = port.await.map_err(|error: Error| error.with_log_of(&process))?;
    Ok((process, format!("http://127.0.0.1:{}", port.trim_end())))
}
