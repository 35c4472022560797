//! Clients that are slow, many or large: they get no more than their bounds, and keep nobody else from sending.

use std::{fs, net::SocketAddr};

use mail_policy_operator::sidecar::smtp::Limits;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use crate::{
    http::{send, simple},
    stage::{SOON, Stage},
};

/// A client that is in no hurry.
struct Client(BufStream<TcpStream>);

impl Client {
    /// Connects; with what it is greeted.
    async fn connect(at: SocketAddr) -> (Self, String) {
        let mut client = Self(BufStream::new(TcpStream::connect(at).await.unwrap()));
        let greeting = client.hear().await;
        (client, greeting)
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(SOON, read).await.unwrap().unwrap();
        line
    }

    async fn say(&mut self, line: &str) -> String {
        self.write(line.as_bytes()).await.unwrap();
        self.hear().await
    }

    async fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.0.write_all(octets).await?;
        self.0.flush().await
    }

    /// Begins a message.
    async fn begin(at: SocketAddr) -> Self {
        let (mut client, _) = Self::connect(at).await;
        for line in [
            "HELO client\r\n",
            "MAIL FROM:<shop@example.com>\r\n",
            "RCPT TO:<jo@example.com>\r\n",
            "DATA\r\n",
        ] {
            let reply = client.say(line).await;
            assert!(reply.starts_with('2') || reply.starts_with('3'), "{line}{reply}");
        }
        client
    }
}

/// MiB of memory that the sidecar has resident.
fn resident(stage: &mut Stage) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.process().id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so_and_the_others_go_on() {
    let (stage, at) = Stage::set(&[]).await;
    let mut held = Vec::new();
    for _ in 0..Limits::default().connections {
        let (client, greeting) = Client::connect(at.smtp).await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        held.push(client);
    }
    let (_, greeting) = Client::connect(at.smtp).await;
    assert!(greeting.starts_with("421 "), "{greeting}");
    assert!(held[7].say("HELO client\r\n").await.starts_with("250"));
    assert_eq!(send(at.http, &simple(&["jo@example.com"])).await.0, 200);

    held.pop();
    let welcomed = async || match Client::connect(at.smtp).await.1 {
        greeting if greeting.starts_with("220 ") => Ok(()),
        greeting => Err(greeting),
    };
    stage.wait("there is room again", welcomed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_that_never_end_are_held_within_their_bound_and_keep_nobody_from_sending() {
    const MIB: usize = 1024 * 1024;
    let (mut stage, at) = Stage::set(&[]).await;
    let before = resident(&mut stage);
    let line = format!("{}\r\n", "x".repeat(998));
    let text = line.repeat(MIB / line.len());
    let bound = Limits::default().buffered / MIB;
    let mut held = Vec::new();
    let mut refused = None;
    // One after the other, each with eight of them; only the one that is too many comes to its end.
    while refused.is_none() && held.len() < bound {
        let mut client = Client::begin(at.smtp).await;
        client.write(b"From: shop@example.com\r\n\r\n").await.unwrap();
        for _ in 0..8 {
            client.write(text.as_bytes()).await.unwrap();
        }
        // It is read to its end and only then refused: the client would hear nothing before.
        if held.len() == bound / 8 {
            client.write(b".\r\n").await.unwrap();
            refused = Some(client.hear().await);
        }
        held.push(client);
    }
    assert!(refused.as_ref().unwrap().starts_with("452 "), "{refused:?}");
    assert_eq!(send(at.http, &simple(&["jo@example.com"])).await.0, 200);
    let grown = resident(&mut stage) - before;
    assert!(grown < 2 * bound, "{grown} MiB for {bound}");

    drop(held);
    let accepted = async || {
        let mut client = Client::begin(at.smtp).await;
        let text = "From: shop@example.com\r\n\r\nsmall\r\n.\r\n";
        match client.say(text).await {
            reply if reply.starts_with("250 ") => Ok(()),
            reply => Err(reply),
        }
    };
    stage.wait("there is room again", accepted).await;
    assert_eq!(stage.mailed(), ["jo@example.com", "jo@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trickles_keeps_nobody_from_sending() {
    let (stage, at) = Stage::set(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = Client::begin(at.smtp).await;
        client.write(b"F").await.unwrap();
        slow.push(client);
    }
    for _ in 0..20 {
        assert_eq!(send(at.http, &simple(&["jo@example.com"])).await.0, 200);
    }
    // Each of them is served to its end all the same.
    for client in &mut slow {
        for octet in b"rom: shop@example.com\r\n\r\nslow\r\n." {
            client.write(&[*octet]).await.unwrap();
        }
        let reply = client.say("\r\n").await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    assert_eq!(stage.mailed().len(), 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_messages_that_were_sent() {
    let (mut stage, at) = Stage::set(&[]).await;
    let client = reqwest::Client::new();
    let url = format!("http://{}/v2/email/outbound-emails", at.http);
    let body = simple(&["jo@example.com"]).to_string();
    let mut sizes = Vec::new();
    for _ in 0..2 {
        for _ in 0..3_000 {
            let answer = client.post(&url).body(body.clone()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            // So that the connection is used again.
            answer.bytes().await.unwrap();
        }
        sizes.push(resident(&mut stage));
    }
    assert!(sizes[1] <= sizes[0] + 1, "{sizes:?} MiB");
}
