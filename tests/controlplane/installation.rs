//! The operator on a real API server.

use std::{fs, path::Path};

use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub use crate::stage::{ACCOUNT, GUARDRAIL, POLICY, Stage};
use crate::support::{ControlPlane, Error, Options, Process, Result};

/// One API server with the CRDs, and one operator.
pub struct Installation {
    /// The API server.
    pub control_plane: ControlPlane,
    /// The operator; none where tests start it themselves.
    operator: Option<Process>,
}

impl Installation {
    /// The one that all tests share which do no harm to it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Installation> = OnceCell::const_new();
        let start = async || {
            let mut installation = Self::start().await?;
            // A reader that looks often: what it finds changed is put right while a test waits.
            let arguments = ["--list-every", "2s", "--read-every", "2s"];
            installation.operator = Some(installation.replica_with("shared", &arguments)?);
            Ok::<_, Error>(installation)
        };
        SHARED.get_or_try_init(start).await.unwrap()
    }

    /// The one for tests that stop, kill or starve its parts: one at a time, each with operators that it starts itself.
    pub async fn exclusive() -> MutexGuard<'static, Self> {
        static EXCLUSIVE: OnceCell<Mutex<Installation>> = OnceCell::const_new();
        let start = async || Ok::<_, Error>(Mutex::new(Self::start().await?));
        EXCLUSIVE.get_or_try_init(start).await.unwrap().lock().await
    }

    /// What the shared operator's log says.
    pub fn log(&self) -> String {
        let operator = self.operator.as_ref().unwrap();
        fs::read_to_string(operator.log()).unwrap()
    }

    async fn start() -> Result<Self> {
        let control_plane = ControlPlane::start(Options::default()).await?;
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        for kind in [
            "sendingaccounts",
            "mailguardrails",
            "mailpolicies",
            "mailwindows",
            "mailsuppressions",
        ] {
            control_plane.apply(&crds.join(format!("{kind}.yaml"))).await?;
        }
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        control_plane.kubectl(&wait).await?;
        control_plane
            .kubectl(&["create", "namespace", "mail-policy-system"])
            .await?;
        Ok(Self {
            control_plane,
            operator: None,
        })
    }

    /// Starts a replica of the operator. Dropping it kills it, as a machine that loses its power would.
    pub fn replica(&self, instance: &str) -> Result<Process> {
        self.replica_with(instance, &["--list-every", "2s"])
    }

    /// As [`Self::replica`], with these arguments in place of those that suit most tests.
    pub fn replica_with(&self, instance: &str, arguments: &[&str]) -> Result<Process> {
        let fixed = ["run", "--listen", "127.0.0.1:0", "--instance", instance];
        let arguments: Vec<String> = fixed.iter().chain(arguments).map(ToString::to_string).collect();
        let kubeconfig = self.control_plane.kubeconfig().to_string_lossy().into_owned();
        let environment = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("AWS_ACCESS_KEY_ID", "simulator"),
            ("AWS_SECRET_ACCESS_KEY", "simulator"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            // What failed once in a hundred runs must be told by its one log.
            ("RUST_LOG", "info,mail_policy_operator=debug"),
        ];
        let program = Path::new(env!("CARGO_BIN_EXE_mail-policy-operator"));
        self.control_plane
            .run(&format!("operator-{instance}"), program, &arguments, &environment)
    }
}
