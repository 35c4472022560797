//! What the sidecar is compared with: postfix's `smtp-sink`, which only reads; Mailpit; Postfix that hands on to a relay.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::{
    Result,
    rig::{Rig, STARTS},
    support::{Process, eventually},
};

/// Where Debian has the programs of package postfix.
const SBIN: &str = "/usr/sbin";
/// Where Debian has Postfix's daemons.
const DAEMONS: &str = "/usr/lib/postfix/sbin";
/// Until a queue must be empty.
const EMPTY: Duration = Duration::from_mins(1);
/// Between two looks into a queue.
const LOOK: Duration = Duration::from_millis(20);

/// A server of SMTP.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    process: Process,
    /// Where what it has taken waits until it is handed on.
    queue: Option<PathBuf>,
}

impl Peer {
    /// Waits until everything is handed on.
    pub(crate) async fn has_handed_on(&self) -> Result<()> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let waits = async {
            while ["maildrop", "incoming", "active", "deferred"]
                .iter()
                .any(|part| has_files(&queue.join(part)))
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        let in_time = tokio::time::timeout(EMPTY, waits).await;
        Ok(in_time.map_err(|_| format!("{}'s queue was not empty within {EMPTY:?}", self.name))?)
    }

    /// Its process.
    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.process.id()?)
    }
}

/// Runs a program of package postfix to its end, for at most so many seconds.
pub(crate) async fn run(seconds: u32, program: &str, arguments: &[String]) -> io::Result<Output> {
    let mut command = Command::new("timeout");
    command.arg(seconds.to_string());
    command.arg(Path::new(SBIN).join(program)).args(arguments);
    output(command).await
}

async fn output(mut command: Command) -> io::Result<Output> {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(io::Error::other)?
}

/// The sink.
pub(crate) async fn sink(rig: &Rig) -> Result<Peer> {
    let address = free_address()?;
    let mut arguments = Vec::new();
    if is_root()? {
        arguments.extend(["-u".to_owned(), "nobody".to_owned()]);
    }
    arguments.extend([address.to_string(), "100".to_owned()]);
    let program = Path::new(SBIN).join("smtp-sink");
    start(rig, "smtp-sink", "smtp-sink".to_owned(), &program, &arguments, address).await
}

/// Mailpit as it comes, its database in a file.
pub(crate) async fn mailpit(rig: &Rig, name: &str) -> Result<Peer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sidecar/mailpit");
    let mut command = Command::new("timeout");
    command.arg("1200").arg(script);
    let built = output(command).await?;
    if !built.status.success() {
        return Err(format!("Mailpit cannot be built: {}", last_line(&built.stderr)).into());
    }
    let program = PathBuf::from(String::from_utf8_lossy(&built.stdout).trim_end());
    let version = program.parent().and_then(Path::file_name).unwrap_or_default();
    let version = version.to_string_lossy().replace("mailpit-v", "");
    let (smtp, http) = (free_address()?, free_address()?);
    let database = rig.folder.path().join(format!("{name}.db"));
    let arguments = ["--quiet", "--smtp", &smtp.to_string(), "--listen", &http.to_string()];
    let mut arguments: Vec<String> = arguments.map(ToOwned::to_owned).to_vec();
    arguments.extend(["--database".to_owned(), database.display().to_string()]);
    start(rig, name, format!("Mailpit {version}"), &program, &arguments, smtp).await
}

/// Postfix as a null client: whatever comes goes to `relay`. All its settings are its own but those of the place.
pub(crate) async fn postfix(rig: &Rig, relay: SocketAddr) -> Result<Peer> {
    if !is_root()? {
        return Err("Postfix starts as root only".into());
    }
    let version = run(10, "postconf", &["-dh".to_owned(), "mail_version".to_owned()]).await?;
    if !version.status.success() {
        return Err("Postfix is not installed".into());
    }
    let address = free_address()?;
    let own = rig.folder.path().join("postfix.d");
    let [config, queue, data] = ["config", "queue", "data"].map(|name| own.join(name));
    for folder in [&config, &queue, &data] {
        fs::create_dir_all(folder)?;
    }
    let mut chown = Command::new("chown");
    chown.arg("postfix").arg(&data);
    output(chown).await?;
    let main = format!(
        "compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = {SBIN}
daemon_directory = {DAEMONS}
maillog_file = {own}/mail.log
maillog_file_prefixes = {own}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = bench.example.com
mydestination =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{relay}
disable_dns_lookups = yes
message_size_limit = 40000000
mailbox_size_limit = 0
",
        queue = queue.display(),
        data = data.display(),
        own = own.display(),
        relay = relay.port(),
    );
    fs::write(config.join("main.cf"), main)?;
    fs::write(config.join("master.cf"), services(address))?;
    let of_config = |word: &str| ["-c".to_owned(), config.display().to_string(), word.to_owned()];
    // It makes the folders of the queue.
    let checked = run(30, "postfix", &of_config("check")).await?;
    if !checked.status.success() {
        return Err(format!("Postfix refuses its settings: {}", last_line(&checked.stderr)).into());
    }
    // Not `postfix start-fg`: a shell would be killed in the end, and not the master.
    let arguments = of_config("-d");
    let program = Path::new(DAEMONS).join("master");
    let version = String::from_utf8_lossy(&version.stdout).trim_end().to_owned();
    let peer = start(
        rig,
        "postfix",
        format!("Postfix {version}"),
        &program,
        &arguments,
        address,
    );
    Ok(Peer {
        queue: Some(queue),
        ..peer.await?
    })
}

/// The services that a null client needs, as in the file that Postfix comes with.
fn services(address: SocketAddr) -> String {
    format!(
        "{address} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}

async fn start(
    rig: &Rig,
    file: &str,
    name: String,
    program: &Path,
    arguments: &[String],
    address: SocketAddr,
) -> Result<Peer> {
    if !program.is_file() {
        return Err(format!("{name} is not installed").into());
    }
    let process = Process::start(&rig.folder, file, program, arguments, &[])?;
    let listens = eventually(STARTS, format!("{name} listens"), async || {
        TcpStream::connect(address).await.map_err(|error| error.to_string())
    });
    if let Err(error) = listens.await {
        return Err(format!("{error}; it says: {}", last_line(process.log_tail().as_bytes())).into());
    }
    Ok(Peer {
        name,
        address,
        process,
        queue: None,
    })
}

/// An address that nobody listens at.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn is_root() -> io::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

fn has_files(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.file_type().ok()?)))
        .any(|(path, kind)| kind.is_file() || (kind.is_dir() && has_files(&path)))
}

/// The last line of what a program said.
pub(crate) fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("nothing")
        .to_owned()
}
