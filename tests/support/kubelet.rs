//! What kubelet does for a pod with a sidecar, where there is no node: it starts the sidecar, mounts what the pod names,
//! reads all of it anew when the pod changes and only then, and takes down the sidecar's last message.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    error::{Error, Result},
    process::{Folder, Process},
    wait::eventually,
};

/// How long a sidecar may take to start or to end.
const SOON: Duration = Duration::from_secs(30);

/// Numbers addresses. Sidecars answer the operator at one port, so each has an address of loopback's of its own.
static ADDRESSES: AtomicU32 = AtomicU32::new(0);

/// The annotation with a pod's share.
const ALLOTMENT: &str = "mailpolicy.dev/allotment";

/// A pod whose sidecar runs here.
pub struct PodSidecar {
    /// Where an application of the pod finds SMTP.
    pub smtp: SocketAddr,
    /// Where it finds SES's API.
    pub http: SocketAddr,
    /// Where the operator and Prometheus find it.
    pub status: SocketAddr,
    name: String,
    pods: Api<Pod>,
    folder: Folder,
    process: Process,
    mounting: JoinHandle<()>,
}

impl PodSidecar {
    /// Makes a pod and starts its sidecar, once it has nothing but what is there now.
    pub async fn start(client: &Client, namespace: &str, name: &str, program: &Path) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let address = free_address();
        let pod = serde_json::from_value(manifest(name)).map_err(|error| Error::io("a pod")(error.into()))?;
        let made = pods
            .create(&PostParams::default(), &pod)
            .await
            .map_err(Error::api("a pod"))?;
        let folder = Folder::create()?;
        let mounts = Mounts {
            folder: folder.path().to_owned(),
            client: client.clone(),
            namespace: namespace.to_owned(),
        };
        mounts.make()?;
        mounts.mount(&made).await?;
        let arguments = arguments(folder.path(), &made.uid().unwrap_or_default(), address, name);
        let process = Process::start(&folder, "sidecar", program, &arguments, &[])?;
        let listens = eventually(SOON, "the sidecar listens", async || listens(&process)).await?;
        let running = json!({ "status": { "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }] } });
        patch_status(&pods, name, running).await?;
        let mounting = tokio::spawn(follow(pods.clone(), name.to_owned(), mounts));
        let [smtp, http, status] = listens;
        Ok(Self {
            smtp,
            http,
            status,
            name: name.to_owned(),
            pods,
            folder,
            process,
            mounting,
        })
    }

    /// The pod is deleted: the sidecar ends as it does then, and the pod goes.
    pub async fn delete(mut self) -> Result<()> {
        let deleted = self
            .pods
            .delete(&self.name, &DeleteParams::default().grace_period(30))
            .await;
        deleted.map_err(Error::api("a pod"))?;
        self.process.signal("TERM")?;
        let process = &mut self.process;
        let ended = async || match process.ended() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        eventually(SOON, "the sidecar has ended", ended).await?;
        let message = fs::read_to_string(self.folder.path().join("farewell")).unwrap_or_default();
        self.take_down(&message).await
    }

    /// The node is gone: the sidecar with it, and nothing is said.
    pub async fn vanish(self) -> Result<()> {
        self.process.signal("KILL")?;
        self.take_down("").await
    }

    async fn take_down(&self, message: &str) -> Result<()> {
        let terminated = json!({ "terminated": { "exitCode": 0, "message": message } });
        let container = json!({
            "name": "mail-sidecar", "image": "mail-sidecar", "imageID": "", "ready": false, "restartCount": 0, "state": terminated,
        });
        let status = json!({ "status": { "phase": "Running", "initContainerStatuses": [container] } });
        patch_status(&self.pods, &self.name, status).await?;
        let gone = self
            .pods
            .delete(&self.name, &DeleteParams::default().grace_period(0))
            .await;
        gone.map(|_| ()).map_err(Error::api("a pod"))
    }

    /// What the sidecar logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap_or_default()
    }
}

impl Drop for PodSidecar {
    fn drop(&mut self) {
        self.mounting.abort();
    }
}

/// What is mounted into the sidecar.
struct Mounts {
    folder: PathBuf,
    client: Client,
    namespace: String,
}

impl Mounts {
    fn make(&self) -> Result<()> {
        for name in ["config", "suppressions", "credentials", "allotment", "state"] {
            fs::create_dir(self.folder.join(name)).map_err(Error::io(name))?;
        }
        Ok(())
    }

    /// Mounts everything as it stands.
    async fn mount(&self, pod: &Pod) -> Result<()> {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let config = config_maps
            .get_opt("mail-sidecar")
            .await
            .map_err(Error::api("ConfigMap"))?;
        let files = config.and_then(|config| config.data).unwrap_or_default();
        let files = files.into_iter().map(|(name, text)| (name, text.into_bytes()));
        self.swap("config", &files.collect())?;
        for (folder, name) in [
            ("suppressions", "mail-suppressions"),
            ("credentials", "mail-credentials"),
        ] {
            let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
            let secret = secrets.get_opt(name).await.map_err(Error::api("Secret"))?;
            let files = secret.and_then(|secret| secret.data).unwrap_or_default();
            let files = files.into_iter().map(|(name, value)| (name, value.0));
            self.swap(folder, &files.collect())?;
        }
        let allotment = pod.annotations().get(ALLOTMENT).cloned().unwrap_or_default();
        self.swap(
            "allotment",
            &BTreeMap::from([("allotment".to_owned(), allotment.into_bytes())]),
        )
    }

    /// Swaps a folder for another version of it, unless it is the same.
    fn swap(&self, folder: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        let folder = self.folder.join(folder);
        let current = folder.join("..data");
        let same = |(name, contents): (&String, &Vec<u8>)| fs::read(current.join(name)).is_ok_and(|it| it == *contents);
        let count = fs::read_dir(&current).map_or(usize::MAX, Iterator::count);
        if count == files.len() && files.iter().all(same) {
            return Ok(());
        }
        let failed = |error| Error::io(folder.display().to_string())(error);
        let version = format!("..{}", ADDRESSES.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(folder.join(&version)).map_err(failed)?;
        for (name, contents) in files {
            fs::write(folder.join(&version).join(name), contents).map_err(failed)?;
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).map_err(failed)?;
            }
        }
        symlink(&version, folder.join("..data_tmp")).map_err(failed)?;
        fs::rename(folder.join("..data_tmp"), current).map_err(failed)
    }
}

/// Mounts everything anew whenever the pod changes.
async fn follow(pods: Api<Pod>, name: String, mounts: Mounts) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let changes = watcher(pods, config).default_backoff().applied_objects();
    let mounted = changes.try_for_each(async |pod| {
        // One that fails is followed by the next change, as with kubelet.
        mounts
            .mount(&pod)
            .await
            .unwrap_or_else(|error| tell("a volume was not mounted", &error));
        Ok(())
    });
    if let Err(error) = mounted.await {
        tell("a pod is followed no more", &error);
    }
}

#[allow(clippy::print_stderr)] // A test that fails shows what its processes say.
fn tell(what: &str, error: &dyn std::fmt::Display) {
    eprintln!("{what}: {error}");
}

/// Where the sidecar listens, once it says so: SMTP, SES's API, status.
fn listens(process: &Process) -> Result<[SocketAddr; 3], String> {
    let log = fs::read_to_string(process.log()).map_err(|error| error.to_string())?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut fields = lines.map(|line| line["fields"].clone());
    let fields = fields.find(|fields| fields["message"] == "listens").ok_or(log)?;
    let address = |name: &str| fields[name].as_str().unwrap_or_default().parse();
    let addresses = [address("smtp"), address("http"), address("status")];
    let [smtp, http, status] = addresses.map(|address| address.map_err(|error| format!("{error}")));
    Ok([smtp?, http?, status?])
}

async fn patch_status(pods: &Api<Pod>, name: &str, status: Value) -> Result<()> {
    let patched = pods
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await;
    patched.map(|_| ()).map_err(Error::api("a pod's status"))
}

/// An address of loopback's that nobody of ours has: this process's number and a count make it.
fn free_address() -> Ipv4Addr {
    let number = ADDRESSES.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let second = 64 + u8::try_from(number / 250 % 128).unwrap_or_default();
    let last = 1 + u8::try_from(number % 250).unwrap_or_default();
    Ipv4Addr::new(127, second, high ^ low, last)
}

fn arguments(folder: &Path, uid: &str, address: Ipv4Addr, name: &str) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<String> = ["--smtp", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(["--status".to_owned(), format!("{address}:9250")]);
    for mount in ["config", "suppressions", "credentials", "state", "farewell"] {
        arguments.extend([format!("--{mount}"), path(mount)]);
    }
    arguments.extend(["--allotment".to_owned(), path("allotment/allotment")]);
    arguments.extend([
        "--pod-uid".to_owned(),
        uid.to_owned(),
        "--workload".to_owned(),
        name.to_owned(),
    ]);
    arguments
}

/// A pod on a node that there is not: the API server keeps it until its kubelet, this here, lets it go.
fn manifest(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"mailpolicy.dev/sidecar": "true"}},
        "spec": {
            "nodeName": "nowhere",
            "automountServiceAccountToken": false,
            "initContainers": [{"name": "mail-sidecar", "image": "mail-sidecar", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "image": "app"}],
        },
    })
}
