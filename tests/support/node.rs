//! A node of one's own, with pods: containerd, kubelet, kube-proxy and kube-scheduler beside a control plane.
//!
//! Only in the namespaces that `tests/node/run` makes: what these programs do to network and mounts stays there. Or a
//! cluster that is there already, by its kubeconfig.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
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

/// With `CLUSTER=current`: the address at which pods find this machine, and the command that gives an image to the nodes.
const CURRENT_ADDRESS: &str = "CLUSTER_ADDRESS";
const CURRENT_LOAD: &str = "CLUSTER_LOAD";

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

/// A control plane with a node.
pub struct Node {
    /// The control plane.
    pub cluster: ControlPlane,
    /// None where somebody else's nodes are used.
    processes: Option<Processes>,
}

/// Dropped in this order: kubelet must not see its containers go.
struct Processes {
    kubelet: Process,
    _proxy: Process,
    _scheduler: Process,
    _containerd: Process,
}

impl Node {
    /// Whether there can be one: this program runs in the namespaces that a node needs, or is told to use the current
    /// kubeconfig's (`CLUSTER=current`).
    pub fn is_possible() -> bool {
        uses_current() || address_here().is_some()
    }

    /// The command by which a person gets to where this program runs.
    pub fn way_in() -> Option<String> {
        let process = std::env::var(OUTSIDE).ok()?;
        Some(format!("sudo nsenter --target {process} --net --mount --pid"))
    }

    /// Starts a control plane and a node and returns when the node takes pods.
    pub async fn start() -> Result<Self> {
        if uses_current() {
            return Self::current().await;
        }
        let address = address_here().ok_or_else(|| lacks(ADDRESS, "run this by tests/node/run"))?;
        let controllers = [CONTROLLERS, POD_CONTROLLERS].concat();
        let cluster = ControlPlane::start(Options {
            controllers,
            address,
            ..Options::default()
        })
        .await?;
        let containerd = start_containerd(&cluster)?;
        let pause = make_image(&cluster, PAUSE, &[Path::new(BUSYBOX)], &["sleep", "2147483647"]).await?;
        import(&cluster, &pause).await?;
        let processes = Processes {
            _scheduler: start_scheduler(&cluster)?,
            _proxy: start_proxy(&cluster, address)?,
            kubelet: start_kubelet(&cluster, address)?,
            _containerd: containerd,
        };
        await_ready(&cluster, &processes.kubelet).await?;
        Ok(Self {
            cluster,
            processes: Some(processes),
        })
    }

    /// The nodes of the current kubeconfig.
    async fn current() -> Result<Self> {
        let how = "say at which of this machine's addresses pods find it; for kind: docker network inspect kind";
        let address = std::env::var(CURRENT_ADDRESS).ok().and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| lacks(CURRENT_ADDRESS, how))?;
        Ok(Self {
            cluster: ControlPlane::current(address).await?,
            processes: None,
        })
    }

    /// Whether it was started here, and ends with this.
    pub fn is_own(&self) -> bool {
        self.processes.is_some()
    }

    /// Makes an image of programs and gives it to the node. The first program is its entry point.
    pub async fn import(&self, image: &str, programs: &[&Path]) -> Result<()> {
        let tar = make_image(&self.cluster, image, programs, &[]).await?;
        if self.is_own() {
            return import(&self.cluster, &tar).await;
        }
        let how = "say by which command nodes get an image from a file; for kind: kind load image-archive";
        let load = std::env::var(CURRENT_LOAD).map_err(|_| lacks(CURRENT_LOAD, how))?;
        let mut words = load.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(&tar).stdout(Stdio::null());
        run(command, &load).await
    }
}

/// Whether the current kubeconfig is to be used.
fn uses_current() -> bool {
    std::env::var("CLUSTER").is_ok_and(|word| word == "current")
}

/// The address of the node and of everything that listens for pods, in the namespaces that a node needs.
fn address_here() -> Option<Ipv4Addr> {
    std::env::var(ADDRESS).ok()?.parse().ok()
}

fn lacks(variable: &str, how: &str) -> Error {
    Error::io("a node")(std::io::Error::other(format!("{variable} is not set: {how}")))
}

async fn await_ready(cluster: &ControlPlane, kubelet: &Process) -> Result<()> {
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')]} {.spec.taints}";
    let waited = eventually(READY, "the node takes pods", async || {
        let node = cluster.kubectl(&["get", "node", NAME, "--output", path]).await;
        match node.map_err(|error| error.to_string())? {
            said if said.contains(r#""status":"True""#) && !said.contains("NoSchedule") => Ok(()),
            said => Err(said),
        }
    });
    waited.await.map_err(|error| error.with_log_of(kubelet))
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

/// Makes an image of programs, in a file that `docker load` and others read.
async fn make_image(cluster: &ControlPlane, image: &str, programs: &[&Path], arguments: &[&str]) -> Result<PathBuf> {
    let tar = cluster.folder().join(format!("{}.tar", image.replace([':', '/'], "-")));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/image");
    let mut make = Command::new(script);
    make.arg(image)
        .args(programs)
        .arg("--")
        .args(arguments)
        .stdout(fs::File::create(&tar).map_err(Error::io(tar.display().to_string()))?);
    run(make, "tests/node/image").await?;
    Ok(tar)
}

/// Gives an image to containerd, which may have just been started.
async fn import(cluster: &ControlPlane, tar: &Path) -> Result<()> {
    eventually(READY, "containerd takes the image", async || {
        let mut command = Command::new("ctr");
        command
            .arg("--address")
            .arg(cluster.folder().join("containerd.sock"))
            .args(["--namespace", "k8s.io", "images", "import"])
            .arg(tar)
            .stdout(Stdio::null());
        run(command, "ctr").await.map_err(|error| error.to_string())
    })
    .await?;
    fs::remove_file(tar).map_err(Error::io(tar.display().to_string()))
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
