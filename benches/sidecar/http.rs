//! The HTTP rows: one client, hyper on kept connections, to the sidecar and past it.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use mail_policy_operator::clock;
use tokio::net::TcpStream;

use crate::{
    Result,
    messages::{PATH, RECIPIENT, Shape, request},
    rig::{Ceilings, Rig, Sidecar},
};

/// Who calls; the simulator verifies no signature, and the sidecar asks for none.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=simulator/20260101/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=00";

/// With and without the sidecar in turn, so often: what else the machine does meets both.
const ROUNDS: u32 = 4;

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After a time.
    Over(Duration),
    /// After so many messages.
    Sent(u64),
}

/// What a load was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// How long each message took, in microseconds.
    micros: Vec<f64>,
    took: Duration,
    /// CPU seconds of who took the messages, where that was measured.
    cpu: f64,
}

/// One way to take messages.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
}

/// The same load by several ways; the first has no sidecar in it.
pub(crate) struct Row {
    pub(crate) shape: Shape,
    pub(crate) octets: usize,
    pub(crate) sessions: usize,
    pub(crate) ways: Vec<Way>,
}

impl Load {
    fn add(&mut self, more: Self) {
        self.micros.extend(more.micros);
        self.took += more.took;
        self.cpu += more.cpu;
    }

    pub(crate) fn messages(&self) -> usize {
        self.micros.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        count(self.messages()) / self.took.as_secs_f64()
    }

    /// CPU time of one message in microseconds.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu * 1e6 / count(self.messages())
    }

    /// The time within which this part of the messages was answered, in microseconds.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, part)
    }
}

/// The element at this part of a sorted list.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the length"
    )]
    let at = (count(sorted.len()) * part) as usize;
    let at = at.min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Every row.
pub(crate) async fn rows(rig: &Rig, time: Duration) -> Result<Vec<Row>> {
    let ours = rig.sidecar("http", rig.simulator, Ceilings::Wide).await?;
    let without = rig.sidecar("http-without", rig.simulator, Ceilings::None).await?;
    let to_bare = rig.sidecar("http-bare", rig.bare, Ceilings::Wide).await?;
    let mut rows = Vec::new();
    for (shape, octets, sessions) in [
        (Shape::Simple, 2_000, 1),
        (Shape::Simple, 2_000, 10),
        (Shape::Raw, 2_000, 1),
        (Shape::Raw, 2_000, 10),
        (Shape::Raw, 100_000, 1),
        (Shape::Raw, 100_000, 10),
        (Shape::Raw, 10_000_000, 1),
        // More of these at once than four are refused: bodies have a bound together.
        (Shape::Raw, 10_000_000, 4),
    ] {
        let mut ways: Vec<(&'static str, SocketAddr, Option<&Sidecar>)> = vec![
            ("straight to the simulator", rig.simulator, None),
            ("sidecar to the simulator", ours.http, Some(&ours)),
        ];
        rows.push(row((shape, octets, sessions), &ways, time).await?);
        if octets <= 2_000 {
            ways = vec![
                ("straight to the bare server", rig.bare, None),
                ("sidecar to the bare server", to_bare.http, Some(&to_bare)),
            ];
            rows.push(row((shape, octets, sessions), &ways, time).await?);
        }
        if (shape, octets) == (Shape::Simple, 2_000) {
            ways = vec![
                ("straight to the simulator", rig.simulator, None),
                ("sidecar without ceilings", without.http, Some(&without)),
            ];
            rows.push(row((shape, octets, sessions), &ways, time).await?);
        }
    }
    Ok(rows)
}

async fn row(
    (shape, octets, sessions): (Shape, usize, usize),
    ways: &[(&'static str, SocketAddr, Option<&Sidecar>)],
    time: Duration,
) -> Result<Row> {
    eprintln!("  HTTP, {shape:?}, {octets} octets, {sessions} sessions");
    let body = request(shape, octets, RECIPIENT);
    let mut measured: Vec<Way> = ways
        .iter()
        .map(|&(name, ..)| Way {
            name,
            load: Load::default(),
        })
        .collect();
    for (_, address, _) in ways {
        load(*address, sessions, Until::Over(time / 10), |_| body.clone()).await?;
    }
    for _ in 0..ROUNDS {
        for ((_, address, sidecar), way) in ways.iter().zip(&mut measured) {
            let before = cpu(*sidecar)?;
            let mut more = load(*address, sessions, Until::Over(time / ROUNDS), |_| body.clone()).await?;
            more.cpu = cpu(*sidecar)? - before;
            way.load.add(more);
        }
    }
    Ok(Row {
        shape,
        octets,
        sessions,
        ways: measured,
    })
}

fn cpu(sidecar: Option<&Sidecar>) -> Result<f64> {
    sidecar.map_or(Ok(0.0), |sidecar| Ok(sidecar.usage()?.cpu))
}

/// Sends on so many kept connections, each message after the answer to the one before; `body` is of the message's number.
pub(crate) async fn load(
    address: SocketAddr,
    sessions: usize,
    until: Until,
    body: impl Fn(u64) -> Bytes,
) -> Result<Load> {
    let began = clock::monotonic();
    let (next, body) = (Cell::new(0_u64), &body);
    let next = &next;
    let session = async move || -> Result<Vec<f64>> {
        let mut client = Client::connect(address).await?;
        let mut micros = Vec::new();
        loop {
            let number = next.get();
            next.set(number + 1);
            let is_over = match until {
                Until::Over(time) => clock::monotonic() - began >= time,
                Until::Sent(messages) => number >= messages,
            };
            if is_over {
                return Ok(micros);
            }
            let body = body(number);
            let sent = clock::monotonic();
            client.post(PATH, body).await?;
            micros.push((clock::monotonic() - sent).as_secs_f64() * 1e6);
        }
    };
    let all = try_join_all((0..sessions).map(|_| session())).await?;
    Ok(Load {
        micros: all.concat(),
        took: clock::monotonic() - began,
        cpu: 0.0,
    })
}

/// One request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, path: &str, body: Bytes) -> Result<()> {
    Client::connect(address).await?.post(path, body).await
}

/// One kept connection.
struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // The sender gets the same error.
            let _ended = connection.await;
        });
        Ok(Self {
            sender,
            host: address.to_string(),
        })
    }

    /// Whatever is not answered with 200 ends the bench.
    async fn post(&mut self, path: &str, body: Bytes) -> Result<()> {
        let request = Request::post(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, AUTHORIZATION)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                text.extend_from_slice(&data);
            }
        }
        if status == 200 {
            Ok(())
        } else {
            Err(format!("{} answered {status}: {}", self.host, String::from_utf8_lossy(&text)).into())
        }
    }
}
