//! Memory: idle, with many messages half sent, and over many messages.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    Result,
    http::{self, Load, Until},
    messages::{RECIPIENT, SENDER, head, text},
    peers,
    rig::{Ceilings, Rig},
    usage::Usage,
};

/// Connections that are in the midst of a message.
pub(crate) const CONNECTIONS: usize = 200;
/// Octets of each message.
pub(crate) const OCTETS: usize = 100_000;
/// Recipients among whom many messages are spread.
const RECIPIENTS: u64 = 10_000;
/// So often is looked while many messages go through.
const STEPS: u64 = 10;
/// Between two looks at what a process has.
const PAUSE: Duration = Duration::from_millis(300);
/// Looks until memory must have settled.
const LOOKS: u32 = 20;

/// What a server needs, in MiB.
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) idle: f64,
    /// Of that, what is no file's: the program's own pages are shared by all that run it on a node.
    pub(crate) idle_anonymous: f64,
    /// With all connections in the midst of a message.
    pub(crate) open: f64,
    /// The most, until all messages were taken at once.
    pub(crate) peak: f64,
    /// Once all connections have gone.
    pub(crate) after: f64,
}

/// What is left after so many messages.
pub(crate) struct Step {
    pub(crate) messages: u64,
    pub(crate) usage: Usage,
    pub(crate) load: Load,
}

pub(crate) struct Memory {
    pub(crate) held: Vec<std::result::Result<Held, String>>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) async fn measure(rig: &Rig, many: u64) -> Result<Memory> {
    let mut all = Vec::new();
    eprintln!("  memory of the sidecar with {CONNECTIONS} messages half sent");
    let sidecar = rig.sidecar("memory", rig.simulator, Ceilings::Wide).await?;
    all.push(Ok(held("sidecar".to_owned(), sidecar.smtp, sidecar.id()?).await?));
    eprintln!("  memory of Mailpit with {CONNECTIONS} messages half sent");
    all.push(match peers::mailpit(rig, "mailpit-memory").await {
        Ok(peer) => held(peer.name.clone(), peer.address, peer.id()?)
            .await
            .map_err(|error| format!("{}: {error}", peer.name)),
        Err(error) => Err(error.to_string()),
    });
    let mut steps = Vec::new();
    if many > 0 {
        let sidecar = rig.sidecar("many", rig.simulator, Ceilings::Wide).await?;
        for step in 1..=STEPS {
            eprintln!("  {} of {many} messages", many * step / STEPS);
            let body = |number| small(many * (step - 1) / STEPS + number);
            let load = http::load(sidecar.http, 10, Until::Sent(many / STEPS), body).await?;
            steps.push(Step {
                messages: many * step / STEPS,
                usage: sidecar.usage()?,
                load,
            });
        }
    }
    Ok(Memory { held: all, steps })
}

fn small(number: u64) -> Bytes {
    let request = json!({
        "FromEmailAddress": SENDER,
        "Destination": {"ToAddresses": [format!("jo{}@example.com", number % RECIPIENTS)]},
        "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello, and good bye."}}}},
    });
    request.to_string().into()
}

async fn held(name: String, address: SocketAddr, process: u32) -> Result<Held> {
    let idle = settled(process).await?.resident;
    let idle_anonymous = anonymous(process)?;
    let message = format!("{}\r\n{}", head(), text(OCTETS));
    let connections = try_join_all((0..CONNECTIONS).map(|_| Connection::begin(address, message.as_bytes()))).await?;
    let open = settled(process).await?.resident;
    try_join_all(connections.into_iter().map(Connection::end)).await?;
    let Usage { peak, resident, .. } = settled(process).await?;
    Ok(Held {
        name,
        idle,
        idle_anonymous,
        open,
        peak,
        after: resident,
    })
}

/// What a process has once that does not change any more.
async fn settled(process: u32) -> Result<Usage> {
    let mut last = Usage::of(process)?;
    for _ in 0..LOOKS {
        tokio::time::sleep(PAUSE).await;
        let next = Usage::of(process)?;
        let is_settled = (next.resident - last.resident).abs() < 0.05;
        last = next;
        if is_settled {
            break;
        }
    }
    Ok(last)
}

/// The memory of a process that is no file's, in MiB.
fn anonymous(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status.lines().find_map(|line| {
        let number = line.strip_prefix("RssAnon:")?.trim().strip_suffix("kB")?;
        number.trim().parse::<f64>().ok()
    });
    Ok(kibibytes.ok_or("/proc/PID/status has no RssAnon")? / 1024.0)
}

/// A client of SMTP that can stop in the midst of a message.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// All of a message but its end.
    async fn begin(address: SocketAddr, message: &[u8]) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut it = Self(BufReader::with_capacity(512, stream));
        it.expect("220").await?;
        for (command, reply) in [
            ("EHLO bench.example.com".to_owned(), "250"),
            (format!("MAIL FROM:<{SENDER}>"), "250"),
            (format!("RCPT TO:<{RECIPIENT}>"), "250"),
            ("DATA".to_owned(), "354"),
        ] {
            it.0.write_all(format!("{command}\r\n").as_bytes()).await?;
            it.expect(reply).await?;
        }
        it.0.write_all(message).await?;
        it.0.flush().await?;
        Ok(it)
    }

    async fn end(mut self) -> Result<()> {
        self.0.write_all(b"\r\n.\r\n").await?;
        self.expect("250").await?;
        self.0.write_all(b"QUIT\r\n").await?;
        self.expect("221").await
    }

    async fn expect(&mut self, code: &str) -> Result<()> {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            if !line.starts_with(code) {
                return Err(format!("expected {code}, got: {}", line.trim_end()).into());
            }
            // `250-` is followed by more lines.
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
