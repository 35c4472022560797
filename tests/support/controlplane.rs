//! A Kubernetes API of one's own: etcd, kube-apiserver and kube-controller-manager, on loopback unless a node joins.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use tokio::sync::OnceCell;

use super::error::{Error, Result};
use super::pki::Pki;
use super::process::{Folder, Process};
use super::programs::Programs;
use super::wait::eventually;

/// Until the API server must answer; it takes about four seconds, more on a machine that compiles meanwhile.
const READY: Duration = Duration::from_mins(1);

/// Gives each namespace its service account. Always among the controllers: its first deed tells that they work.
const SERVICE_ACCOUNTS: &str = "serviceaccount-controller";

/// The controllers of kube-controller-manager that our objects need: owners' garbage, namespaces that end, and what the
/// roles `view`, `edit` and `admin` consist of.
pub const CONTROLLERS: &[&str] = &[
    "garbage-collector-controller",
    "namespace-controller",
    "clusterrole-aggregation-controller",
];

/// Where Services have their addresses, and the one of the API server.
const SERVICES: &str = "10.96.0.0/16";
const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// What a control plane is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The controllers of kube-controller-manager beside `serviceaccount-controller`. It is not started where there are
    /// none; then no object is collected and no namespace ends.
    pub controllers: Vec<&'static str>,
    /// Lifts the API server's limits on concurrent requests, so that a bench measures the operator and not them.
    pub unthrottled: bool,
    /// The address at which a node and its pods reach the API server; loopback where there are none.
    pub address: Ipv4Addr,
}

impl Options {
    /// Whether a node is to join, with pods that talk to the API.
    fn has_node(&self) -> bool {
        !self.address.is_loopback()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controllers: CONTROLLERS.to_vec(),
            unthrottled: false,
            address: Ipv4Addr::LOCALHOST,
        }
    }
}

/// A running control plane. It is gone when this is dropped, and when the process ends in whatever way.
pub struct ControlPlane {
    pub(super) programs: Programs,
    pub(super) pki: Pki,
    /// An administrator's kubeconfig.
    pub(super) admin: PathBuf,
    /// Numbers files and namespaces.
    pub(super) number: AtomicU32,
    /// Whether our kinds are served.
    pub(super) definitions: OnceCell<()>,
    options: Options,
    port: u16,
    etcd_port: u16,
    // Dropped in this order: clients of the API server first, the folder last.
    manager: Option<Process>,
    apiserver: Option<Process>,
    /// None where somebody else's is used.
    etcd: Option<Process>,
    folder: Folder,
}

impl ControlPlane {
    /// The control plane that the tests of one binary share. They run in namespaces of their own
    /// ([`Self::create_namespace`]). A runtime may end before the next test: ask for a client in every test.
    pub async fn shared() -> Result<&'static Self> {
        // Statics are not dropped. The end of the process ends the control plane too.
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(Options::default())).await
    }

    /// Starts a fresh one and returns when it serves.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = Programs::locate(if options.has_node() { &["node"] } else { &[] }).await?;
        let folder = Folder::create()?;
        let pki = Pki::create(folder.path(), &[options.address, SERVICE_ADDRESS])?;
        let [port, etcd_port] = free_ports()?;
        let etcd = start_etcd(&programs, &folder, etcd_port)?;
        let admin = folder.path().join("admin.kubeconfig");
        let mut started = Self {
            programs,
            pki,
            admin,
            number: AtomicU32::new(0),
            definitions: OnceCell::new(),
            options,
            port,
            etcd_port,
            manager: None,
            apiserver: None,
            etcd: Some(etcd),
            folder,
        };
        started.write_admin_kubeconfig()?;
        started.start_apiserver().await?;
        started.start_manager().await?;
        Ok(started)
    }

    /// The control plane of the current kubeconfig, to which pods and this machine are joined: `address` is where pods
    /// find what listens here. Its data and processes are somebody else's.
    pub async fn current(address: Ipv4Addr) -> Result<Self> {
        let programs = Programs::locate(&[]).await?;
        let folder = Folder::create()?;
        let admin = folder.path().join("admin.kubeconfig");
        programs.flatten_kubeconfig(&admin).await?;
        Ok(Self {
            programs,
            pki: Pki::create(folder.path(), &[])?,
            admin,
            number: AtomicU32::new(0),
            definitions: OnceCell::new(),
            options: Options {
                address,
                ..Options::default()
            },
            port: 0,
            etcd_port: 0,
            manager: None,
            apiserver: None,
            etcd: None,
            folder,
        })
    }

    /// Kills the API server and starts it again on the same port and data. Only the owner can: others of a shared one
    /// would be surprised.
    pub async fn restart_apiserver(&mut self) -> Result<()> {
        self.apiserver = None;
        self.start_apiserver().await
    }

    /// The address of everything that the API server, operators and pods are to reach.
    pub fn address(&self) -> Ipv4Addr {
        self.options.address
    }

    /// Where the API server listens.
    pub fn server(&self) -> String {
        format!("https://{}:{}", self.options.address, self.port)
    }

    /// The folder with the programs' data and logs. It goes with the control plane.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program of ours beside the control plane, with its log in the same folder. `name` is for this one alone.
    pub fn run(
        &self,
        name: &str,
        program: &Path,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> Result<Process> {
        Process::start(&self.folder, name, program, arguments, environment)
    }

    async fn start_apiserver(&mut self) -> Result<()> {
        let arguments = self.apiserver_arguments();
        let path = self.programs.path("kube-apiserver");
        let mut apiserver = Process::start(&self.folder, "kube-apiserver", &path, &arguments, &[])?;
        let client = self.client().await?;
        await_ready(&client, self.etcd.as_mut(), &mut apiserver).await?;
        self.apiserver = Some(apiserver);
        Ok(())
    }

    async fn start_manager(&mut self) -> Result<()> {
        if self.options.controllers.is_empty() {
            return Ok(());
        }
        let mut arguments = flags(&[
            ("kubeconfig", self.admin.display().to_string()),
            (
                "controllers",
                format!("{SERVICE_ACCOUNTS},{}", self.options.controllers.join(",")),
            ),
            ("leader-elect", "false".into()),
            ("secure-port", "0".into()),
            // So that nobody waits for a limit: a thousand namespaces are gone in 70 s on two cores, which compute all
            // the while (some 60 kinds of object are looked for in each).
            ("kube-api-qps", "2000".into()),
            ("kube-api-burst", "4000".into()),
            ("concurrent-namespace-syncs", "50".into()),
            ("concurrent-gc-syncs", "50".into()),
        ]);
        if self.options.has_node() {
            // For pods, by which they know the API server.
            let authority = self.pki.authority_file().display().to_string();
            arguments.extend(flags(&[("root-ca-file", authority)]));
        }
        let path = self.programs.path("kube-controller-manager");
        let mut manager = Process::start(&self.folder, "kube-controller-manager", &path, &arguments, &[])?;
        await_service_account(&self.client().await?, &mut manager).await?;
        self.manager = Some(manager);
        Ok(())
    }

    fn apiserver_arguments(&self) -> Vec<String> {
        let file = |path: PathBuf| path.display().to_string();
        let mut arguments = flags(&[
            ("etcd-servers", format!("http://127.0.0.1:{}", self.etcd_port)),
            ("bind-address", self.options.address.to_string()),
            ("secure-port", self.port.to_string()),
            ("advertise-address", self.options.address.to_string()),
            ("service-cluster-ip-range", SERVICES.into()),
            ("tls-cert-file", file(self.pki.server_certificate_file())),
            ("tls-private-key-file", file(self.pki.server_key_file())),
            ("client-ca-file", file(self.pki.authority_file())),
            ("authorization-mode", "RBAC".into()),
            ("service-account-issuer", "https://kubernetes.default.svc".into()),
            ("service-account-signing-key-file", file(self.pki.token_key_file())),
            ("service-account-key-file", file(self.pki.token_public_key_file())),
        ]);
        if self.options.has_node() {
            let (certificate, key) = (self.pki.client_certificate_file(), self.pki.client_key_file());
            arguments.extend(flags(&[
                ("allow-privileged", "true".into()),
                // The node has no name that anybody resolves.
                ("kubelet-preferred-address-types", "InternalIP".into()),
                ("kubelet-client-certificate", file(certificate)),
                ("kubelet-client-key", file(key)),
            ]));
        } else {
            // Nobody reaches the API by the Service `kubernetes`, and loopback is refused as its endpoint.
            arguments.extend(flags(&[("endpoint-reconciler-type", "none".into())]));
        }
        if self.options.controllers.is_empty() {
            // Otherwise no pod could be made: its namespace has no service account.
            arguments.extend(flags(&[("disable-admission-plugins", "ServiceAccount".into())]));
        }
        if self.options.unthrottled {
            arguments.extend(flags(&[
                ("enable-priority-and-fairness", "false".into()),
                ("max-requests-inflight", "0".into()),
                ("max-mutating-requests-inflight", "0".into()),
            ]));
        }
        arguments
    }
}

fn start_etcd(programs: &Programs, folder: &Folder, port: u16) -> Result<Process> {
    let clients = format!("http://127.0.0.1:{port}");
    let arguments = flags(&[
        ("data-dir", folder.path().join("etcd").display().to_string()),
        ("listen-client-urls", clients.clone()),
        ("advertise-client-urls", clients),
        ("listen-peer-urls", "http://127.0.0.1:0".into()),
        // The data need not outlive the machine, only a killed process.
        ("unsafe-no-fsync", "true".into()),
        // The default of 2 GiB is filled by a bench that makes ten thousand objects several times.
        ("quota-backend-bytes", (8_u64 << 30).to_string()),
    ]);
    Process::start(folder, "etcd", &programs.path("etcd"), &arguments, &[])
}

async fn await_ready(client: &kube::Client, mut etcd: Option<&mut Process>, apiserver: &mut Process) -> Result<()> {
    let waited = eventually(READY, "the API server is ready", async || {
        let etcd = etcd.as_mut().map_or(Ok(()), |etcd| etcd.still_runs());
        if let Err(ended) = etcd.and_then(|()| apiserver.still_runs()) {
            return Ok(Err(ended));
        }
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .map_err(|error| error.to_string())?;
        client
            .request_text(request)
            .await
            .map(|_ok| Ok(()))
            .map_err(|error| error.to_string())
    });
    waited.await.map_err(|error| error.with_log_of(apiserver))?
}

/// The first thing the controller manager does that can be seen.
async fn await_service_account(client: &kube::Client, manager: &mut Process) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let waited = eventually(READY, "the namespace `default` has its service account", async || {
        if let Err(ended) = manager.still_runs() {
            return Ok(Err(ended));
        }
        accounts
            .get("default")
            .await
            .map(|_found| Ok(()))
            .map_err(|error| error.to_string())
    });
    waited.await.map_err(|error| error.with_log_of(manager))?
}

/// Command line flags.
pub(super) fn flags(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

/// Ports below those that the kernel gives to outgoing connections: while the API server restarts, a client that connects
/// to its port could otherwise be given that very port, connect to itself and keep it.
fn free_ports() -> Result<[u16; 2]> {
    // Both are held until both are known, so that they differ.
    let [one, two] = [free_port()?, free_port()?];
    let port = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_err(Error::io("a free port"))
            .map(|at| at.port())
    };
    Ok([port(&one)?, port(&two)?])
}

fn free_port() -> Result<TcpListener> {
    let mut refused = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _attempt in 0..100 {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, rand::random_range(20_000..32_000))) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(Error::io("a free port of 127.0.0.1")(refused))
}
