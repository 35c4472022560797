//! Our programs in pods of a node: the operator by its own manifests, and workloads with a sidecar beside them as
//! docs/sidecar.md writes it.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::{
    error::{Error, Result},
    node::{BUSYBOX, Node},
    programs::ours,
    wait::eventually,
};

/// How long a pod may take to start or to end.
const SOON: Duration = Duration::from_mins(2);

/// The images, by the programs that they hold.
const IMAGES: [(&str, &str); 2] = [
    ("mail-policy-operator:0.1.0", "mail-policy-operator"),
    ("mail-sidecar:0.1.0", "mail-sidecar"),
];
const WORKLOAD: &str = "workload:0.1.0";

/// What users are told to write.
const GUIDE: &str = include_str!("../../docs/sidecar.md");

/// The container of a workload.
const APP: &str = "web";

impl Node {
    /// Makes images of our programs and gives them to the node.
    pub async fn import_ours(&self) -> Result<()> {
        for (image, program) in IMAGES {
            self.import(image, &[&ours(program)?]).await?;
        }
        self.import(WORKLOAD, &[&ours("examples/workload")?, Path::new(BUSYBOX)])
            .await
    }

    /// Installs kinds and operator as a user would, with these arguments more, and returns when it is ready.
    pub async fn install_operator(&self, arguments: &[&str]) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/operator");
        self.cluster.apply_crds().await?;
        self.cluster
            .kubectl(&["apply", "--kustomize", &folder.display().to_string()])
            .await?;
        // No role of AWS's is to be had: what an account of the simulator's takes.
        let environment = [
            ("AWS_ACCESS_KEY_ID", "simulator"),
            ("AWS_SECRET_ACCESS_KEY", "simulator"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let environment = environment.map(|(name, value)| json!({"name": name, "value": value}));
        let arguments: Vec<&str> = ["run"].iter().chain(arguments).copied().collect();
        let container = json!({"name": "operator", "args": arguments, "env": environment});
        let change = json!({"spec": {"template": {"spec": {"containers": [container]}}}}).to_string();
        let operator = ["deployment/mail-policy-operator", "--namespace", "mail-policy-system"];
        self.cluster
            .kubectl(&[&["patch"], &operator[..], &["--patch", &change]].concat())
            .await?;
        self.cluster
            .kubectl(&[&["rollout", "status", "--timeout=2m"], &operator[..]].concat())
            .await?;
        Ok(())
    }

    /// Applies a pod and returns when it is ready.
    pub async fn start_pod(&self, pod: &Value) -> Result<()> {
        self.apply_object(pod).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let wait = [
            "wait",
            "--for=condition=Ready",
            "--timeout=2m",
            "--namespace",
            &namespace,
            &format!("pod/{name}"),
        ];
        self.cluster.kubectl(&wait).await?;
        Ok(())
    }

    /// Runs the workload's program in a pod that waits; what it was told.
    pub async fn in_pod(&self, namespace: &str, name: &str, arguments: &[&str]) -> Result<Value> {
        let said = self
            .exec(namespace, name, &[&["/workload"], arguments].concat())
            .await?;
        serde_json::from_str(&said).map_err(|error| Error::io(said)(error.into()))
    }

    /// Runs a program in a pod that waits; what it printed.
    pub async fn exec(&self, namespace: &str, name: &str, command: &[&str]) -> Result<String> {
        let exec = ["exec", "--namespace", namespace, name, "--container", APP, "--"];
        self.cluster.kubectl(&[&exec[..], command].concat()).await
    }

    /// Runs a workload's program in a pod of its own until it ends, and the pod with it; what it printed.
    pub async fn run_to_its_end(&self, namespace: &str, name: &str, arguments: &[&str]) -> Result<String> {
        let mut pod = pod(namespace, name, arguments)?;
        pod["spec"]["restartPolicy"] = json!("Never");
        self.apply_object(&pod).await?;
        let place = ["--namespace", namespace, name];
        eventually(SOON, "the pod has ended", async || {
            let phase = [&["get", "pod", "--output", "jsonpath={.status.phase}"], &place[..]].concat();
            match self.cluster.kubectl(&phase).await.map_err(|error| error.to_string())? {
                phase if phase == "Succeeded" => Ok(()),
                phase => Err(phase),
            }
        })
        .await?;
        let printed = self
            .cluster
            .kubectl(&[&["logs", "--container", APP], &place[..]].concat())
            .await?;
        self.cluster.kubectl(&[&["delete", "pod"], &place[..]].concat()).await?;
        Ok(printed)
    }

    /// Applies an object.
    pub async fn apply_object(&self, object: &Value) -> Result<()> {
        self.cluster.apply_yaml(&object.to_string()).await.map(|_| ())
    }
}

/// The pod of docs/sidecar.md, of our image and with what a namespace that is enforced as `restricted` asks of a workload.
pub fn pod(namespace: &str, name: &str, arguments: &[&str]) -> Result<Value> {
    let unreadable = |what: &str| Error::io("docs/sidecar.md")(std::io::Error::other(what.to_owned()));
    let block = GUIDE
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let mut pod: Value = serde_yaml::from_str(block.ok_or_else(|| unreadable("it shows no pod"))?)
        .map_err(|error| unreadable(&error.to_string()))?;
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(namespace);
    let sidecar = pod["spec"]["initContainers"][0].clone();
    let app = &mut pod["spec"]["containers"][0];
    app["image"] = json!(WORKLOAD);
    app["args"] = json!(arguments);
    app["securityContext"] = sidecar["securityContext"].clone();
    Ok(pod)
}
