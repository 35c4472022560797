//! A node of one's own, with pods: containerd, kubelet, kube-proxy and kube-scheduler beside a control plane.
//!
//! Only in the namespaces that `tests/node/run` makes: what these programs do to network and mounts stays there.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    controlplane::{CONTROLLERS, ControlPlane, Options, flags},
    error::{Error, Result},
    process::Process,
    programs::output,
    wait::eventually,
};

/// Where `tests/node/run` tells the address of the bridge that pods are joined by.
const ADDRESS: &str = "NODE_ADDRESS";

/// Where it tells the id that this program's parent has outside.
const OUTSIDE: &str = "NODE_PROCESS";

/// The node's name.
const NAME: &str = "node";

/// Small programs in one file that needs no library.
pub const BUSYBOX: &str = "/bin/busybox";

/// The image of every pod's first container, which holds the pod's namespaces and does nothing.
const PAUSE: &str = "pause:0.1.0";

/// Until the node is ready; it takes about four seconds, more on a machine that compiles meanwhile.
const READY: Duration = Duration::from_mins(2);

/// What pods and those who make them need of kube-controller-manager.
const POD_CONTROLLERS: &[&str] = &[
    "cronjob-controller",
    "deployment-controller",
    "endpointslice-controller",
    "job-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "statefulset-controller",
];

/// A control plane with one node.
pub struct Node {
    /// The control plane.
    pub cluster: ControlPlane,
    // Dropped in this order: kubelet must not see its containers go.
    kubelet: Process,
    _proxy: Process,
    _scheduler: Process,
    _containerd: Process,
}

impl Node {
    /// The address of the node and of everything that listens for pods, where this program runs in the namespaces that
    /// a node needs.
    pub fn address_here() -> Option<Ipv4Addr> {
        std::env::var(ADDRESS).ok()?.parse().ok()
    }

    /// The command by which a person gets to where this program runs.
    pub fn way_in() -> Option<String> {
        let process = std::env::var(OUTSIDE).ok()?;
        Some(format!("sudo nsenter --target {process} --net --mount --pid"))
    }

    /// Starts a control plane and a node and returns when the node takes pods.
    pub async fn start() -> Result<Self> {
        let address = Self::address_here().ok_or_else(|| Error::io("a node")(no_namespaces()))?;
        let controllers = [CONTROLLERS, POD_CONTROLLERS].concat();
        let cluster = ControlPlane::start(Options {
            controllers,
            address,
            ..Options::default()
        })
        .await?;
        let containerd = start_containerd(&cluster)?;
        import(&cluster, PAUSE, &[Path::new(BUSYBOX)], &["sleep", "2147483647"]).await?;
        let node = Self {
            _scheduler: start_scheduler(&cluster)?,
            _proxy: start_proxy(&cluster, address)?,
            kubelet: start_kubelet(&cluster, address)?,
            _containerd: containerd,
            cluster,
        };
        node.await_ready().await?;
        Ok(node)
    }

    /// Makes an image of programs and gives it to the node. The first program is its entry point.
    pub async fn import(&self, image: &str, programs: &[&Path]) -> Result<()> {
        import(&self.cluster, image, programs, &[]).await
    }

    /// Kills a container of a pod, as one that runs out of memory is.
    pub async fn kill_container(&self, namespace: &str, pod: &str, container: &str) -> Result<()> {
        let path = format!(
            "jsonpath={{.status.containerStatuses[?(@.name=='{container}')].containerID}}\
             {{.status.initContainerStatuses[?(@.name=='{container}')].containerID}}"
        );
        let get = ["get", "pod", "--namespace", namespace, pod, "--output", &path];
        let id = self.cluster.kubectl(&get).await?;
        let kill = [
            "tasks",
            "kill",
            "--signal",
            "SIGKILL",
            id.trim_start_matches("containerd://"),
        ];
        ctr(&self.cluster, &kill).await
    }

    async fn await_ready(&self) -> Result<()> {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')]} {.spec.taints}";
        let waited = eventually(READY, "the node takes pods", async || {
            let node = self.cluster.kubectl(&["get", "node", NAME, "--output", path]).await;
            match node.map_err(|error| error.to_string())? {
                said if said.contains(r#""status":"True""#) && !said.contains("NoSchedule") => Ok(()),
                said => Err(said),
            }
        });
        waited.await.map_err(|error| error.with_log_of(&self.kubelet))
    }
}

fn no_namespaces() -> std::io::Error {
    std::io::Error::other(format!("{ADDRESS} is not set: run this by tests/node/run"))
}

fn start_containerd(cluster: &ControlPlane) -> Result<Process> {
    let folder = cluster.folder();
    let networks = folder.join("cni");
    fs::create_dir_all(&networks).map_err(Error::io("cni"))?;
    write(&networks.join("10-pods.conflist"), PODS_NETWORK)?;
    let file = folder.join("containerd.toml");
    write(
        &file,
        &CONTAINERD
            .replace("FOLDER", &folder.display().to_string())
            .replace("PAUSE", PAUSE),
    )?;
    let arguments = flags(&[("config", file.display().to_string())]);
    cluster.run("containerd", Path::new("containerd"), &arguments, &[])
}

fn start_kubelet(cluster: &ControlPlane, address: Ipv4Addr) -> Result<Process> {
    let folder = cluster.folder();
    let config = KUBELET
        .replace("FOLDER", &folder.display().to_string())
        .replace("AUTHORITY", &cluster.pki.authority_file().display().to_string())
        .replace("ADDRESS", &address.to_string());
    let file = folder.join("kubelet.yaml");
    write(&file, &config)?;
    let arguments = flags(&[
        ("config", file.display().to_string()),
        ("kubeconfig", cluster.kubeconfig().display().to_string()),
        ("hostname-override", NAME.into()),
        ("node-ip", address.to_string()),
        ("root-dir", folder.join("kubelet").display().to_string()),
        ("cert-dir", folder.join("kubelet-certificates").display().to_string()),
    ]);
    cluster.run("kubelet", &cluster.programs.path("kubelet"), &arguments, &[])
}

fn start_proxy(cluster: &ControlPlane, address: Ipv4Addr) -> Result<Process> {
    // What concerns connection tracking is the whole machine's, and is left as it is.
    let arguments = flags(&[
        ("kubeconfig", cluster.kubeconfig().display().to_string()),
        ("hostname-override", NAME.into()),
        ("proxy-mode", "iptables".into()),
        ("bind-address", address.to_string()),
        ("conntrack-max-per-core", "0".into()),
        ("conntrack-min", "0".into()),
        ("conntrack-tcp-timeout-established", "0".into()),
        ("conntrack-tcp-timeout-close-wait", "0".into()),
    ]);
    cluster.run("kube-proxy", &cluster.programs.path("kube-proxy"), &arguments, &[])
}

fn start_scheduler(cluster: &ControlPlane) -> Result<Process> {
    let arguments = flags(&[
        ("kubeconfig", cluster.kubeconfig().display().to_string()),
        ("leader-elect", "false".into()),
        ("secure-port", "0".into()),
    ]);
    cluster.run(
        "kube-scheduler",
        &cluster.programs.path("kube-scheduler"),
        &arguments,
        &[],
    )
}

async fn import(cluster: &ControlPlane, image: &str, programs: &[&Path], arguments: &[&str]) -> Result<()> {
    let tar = cluster.folder().join(format!("{}.tar", image.replace([':', '/'], "-")));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/image");
    let mut make = Command::new(script);
    make.arg(image)
        .args(programs)
        .arg("--")
        .args(arguments)
        .stdout(fs::File::create(&tar).map_err(Error::io(tar.display().to_string()))?);
    run(make, "tests/node/image").await?;
    let import = ["images".to_owned(), "import".to_owned(), tar.display().to_string()];
    eventually(READY, "containerd takes the image", async || {
        let imported = ctr(cluster, &import.each_ref().map(String::as_str)).await;
        imported.map_err(|error| error.to_string())
    })
    .await?;
    fs::remove_file(&tar).map_err(Error::io(tar.display().to_string()))
}

async fn ctr(cluster: &ControlPlane, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ctr");
    command
        .arg("--address")
        .arg(cluster.folder().join("containerd.sock"))
        .args(["--namespace", "k8s.io"])
        .args(arguments)
        .stdout(Stdio::null());
    run(command, "ctr").await
}

async fn run(mut command: Command, what: &str) -> Result<()> {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let done = output(command).await.map_err(Error::io(what))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(Error::io(what)(std::io::Error::other(said)))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io(path.display().to_string()))
}

/// How pods are joined: the bridge that `tests/node/run` made.
const PODS_NETWORK: &str = r#"{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}"#;

const CONTAINERD: &str = r#"
version = 2
root = "FOLDER/containerd/root"
state = "FOLDER/containerd/state"
oom_score = 0

[grpc]
  address = "FOLDER/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "FOLDER/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  # Lowering the score of a process takes a right that a container of this machine may lack.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "FOLDER/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#;

/// With what a machine may lack left out: limits, cgroups of one's own, a disk that is told apart.
const KUBELET: &str = "
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ADDRESS
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: AUTHORITY}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://FOLDER/containerd.sock
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
evictionHard: {memory.available: 10Mi, nodefs.available: 1%, imagefs.available: 1%}
failCgroupV1: false
failSwapOn: false
healthzPort: 0
cgroupRoot: /mail-policy-node
localStorageCapacityIsolation: false
maxOpenFiles: 1024
oomScoreAdj: 0
";
