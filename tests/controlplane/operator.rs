//! The operator, the simulator and a real API server together.

use std::{path::Path, time::Duration};

use mail_policy_operator::simulator::{Config, Limit, Running, Simulator};

use crate::support::{ControlPlane, Error, Options, Process, Result, eventually};

/// What people wait for at most in these tests.
const DEADLINE: Duration = Duration::from_mins(1);

/// One installation: API server, simulator, operator.
struct Installation {
    control_plane: ControlPlane,
    simulator: Running,
    operator: Process,
}

impl Installation {
    async fn start() -> Result<Self> {
        let control_plane = ControlPlane::start(Options::default()).await?;
        for file in [
            "sendingaccounts",
            "mailguardrails",
            "mailpolicies",
            "mailwindows",
            "mailsuppressions",
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("crds")
                .join(format!("{file}.yaml"));
            control_plane.apply(&path).await?;
        }
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        control_plane.kubectl(&wait).await?;
        control_plane
            .kubectl(&["create", "namespace", "mail-policy-system"])
            .await?;
        let config = Config {
            identities: vec![("example.com".to_owned(), true)],
            limit: Limit::None,
            ..Config::default()
        };
        let simulator = Simulator::start(config)
            .await
            .map_err(Error::io("start the simulator"))?;
        let operator = operator(&control_plane, "first")?;
        Ok(Self {
            control_plane,
            simulator,
            operator,
        })
    }

    /// Applies these documents; `ENDPOINT` stands for the simulator's address.
    async fn apply(&self, yaml: &str) -> Result<()> {
        self.control_plane
            .apply_yaml(&yaml.replace("ENDPOINT", &self.simulator.endpoint()))
            .await
            .map(drop)
    }

    /// One value of an object, by `JSONPath`.
    async fn value(&self, kind: &str, namespace: &str, name: &str, path: &str) -> String {
        let path = format!("jsonpath={path}");
        let arguments = ["get", kind, name, "--namespace", namespace, "--output", &path];
        self.control_plane
            .kubectl(&arguments)
            .await
            .unwrap_or_else(|error| error.to_string())
    }

    /// Waits until the value is this.
    async fn becomes(&self, kind: &str, namespace: &str, name: &str, path: &str, wanted: &str) -> Result<()> {
        eventually(
            DEADLINE,
            &format!("{kind} {namespace}/{name} {path} is {wanted}"),
            async || {
                let value = self.value(kind, namespace, name, path).await;
                if value == wanted {
                    Ok(())
                } else {
                    Err(format!("{value}\n{}", self.operator.log_tail()))
                }
            },
        )
        .await
    }

    /// Writing operations at SES since the last look, in order.
    fn writes(&self) -> Vec<String> {
        let reads = ["Get", "List"];
        let calls = self.simulator.admin().calls_after(0, 1000);
        let names = calls
            .iter()
            .map(|call| format!("{:?}", call.operation).trim_matches('"').to_owned());
        let writes = names.filter(|name| !reads.iter().any(|read| name.contains(read)) && !name.contains("Assume"));
        let writes = writes.collect();
        self.simulator.admin().reset_calls();
        writes
    }
}

fn operator(control_plane: &ControlPlane, instance: &str) -> Result<Process> {
    let arguments = ["run", "--listen", "127.0.0.1:0", "--instance", instance].map(ToOwned::to_owned);
    let kubeconfig = control_plane.kubeconfig().to_string_lossy().into_owned();
    let environment = [
        ("KUBECONFIG", kubeconfig.as_str()),
        ("AWS_ACCESS_KEY_ID", "simulator"),
        ("AWS_SECRET_ACCESS_KEY", "simulator"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_mail-policy-operator"));
    control_plane.run(&format!("operator-{instance}"), program, &arguments, &environment)
}

const PLATFORM: &str = r#"
apiVersion: mailpolicy.dev/v1alpha1
kind: SendingAccount
metadata: {name: primary}
spec:
  region: us-east-1
  clusterId: test
  endpointUrl: ENDPOINT
  identities: [{name: example.com}]
  apiBudget: {perSecond: 1, burst: 100}
  feedback: {destination: {sns: {topicArn: "arn:aws:sns:us-east-1:111122223333:feedback"}}}
---
apiVersion: mailpolicy.dev/v1alpha1
kind: MailGuardrail
metadata: {name: staging}
spec:
  namespaceSelector: {matchLabels: {env: staging}}
  accountRef: {name: primary}
  maxMode: Restricted
  window: {maxMode: Live, maxDuration: 4h}
  allowedDomains: [example.com]
  ceilings: {recipients: ["10/s", "1000/d"]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: staging}}
---
apiVersion: mailpolicy.dev/v1alpha1
kind: MailPolicy
metadata: {name: default, namespace: shop}
spec: {mode: Live, deletionPolicy: Delete}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_becomes_a_configuration_set_and_a_sidecar_configuration_and_goes_again() {
    let installation = Installation::start().await.unwrap();
    installation.apply(PLATFORM).await.unwrap();
    let ready = "{.status.conditions[?(@.type=='Ready')].status}";
    installation
        .becomes("mailpolicies.mailpolicy.dev", "shop", "default", ready, "True")
        .await
        .unwrap();
    assert_eq!(
        installation
            .value("mailpolicies.mailpolicy.dev", "shop", "default", "{.status.mode}")
            .await,
        "Restricted"
    );
    let clamped = "{.status.conditions[?(@.type=='Clamped')].message}";
    let message = installation
        .value("mailpolicies.mailpolicy.dev", "shop", "default", clamped)
        .await;
    assert_eq!(message, "mode: asked Live, in force Restricted (MailGuardrail/staging)");
    assert_eq!(
        installation.writes(),
        ["CreateConfigurationSet", "CreateConfigurationSetEventDestination"]
    );
    let config = installation
        .value("configmap", "shop", "mail-sidecar", "{.data.sidecar\\.yaml}")
        .await;
    assert!(
        config.contains("mode: Restricted") && config.contains("- example.com"),
        "{config}"
    );

    // One option that differs costs one call.
    let tls = r#"{"spec":{"ses":{"tls":"Require"}}}"#;
    let patch = [
        "patch",
        "mailpolicies",
        "default",
        "--namespace",
        "shop",
        "--type=merge",
        "--patch",
        tls,
    ];
    installation.control_plane.kubectl(&patch).await.unwrap();
    let observed = "{.status.observedGeneration}";
    installation
        .becomes("mailpolicies.mailpolicy.dev", "shop", "default", observed, "2")
        .await
        .unwrap();
    assert_eq!(installation.writes(), ["PutConfigurationSetDeliveryOptions"]);

    installation
        .control_plane
        .kubectl(&["delete", "mailpolicies", "default", "--namespace", "shop"])
        .await
        .unwrap();
    let wanted = [
        "PutConfigurationSetSendingOptions",
        "DeleteConfigurationSetEventDestination",
        "DeleteConfigurationSet",
    ];
    assert_eq!(installation.writes(), wanted);
}
