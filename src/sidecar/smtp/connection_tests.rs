use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{DuplexStream, ReadBuf, duplex};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, LocalSet};
use tokio_rustls::TlsConnector;

use super::*;
use crate::api::address::Address;
use crate::sidecar::smtp::desk::Submitted;
use crate::sidecar::smtp::test_support::{Client, Rules};
use crate::sidecar::smtp::tls;

/// A desk that takes its time over a message: until it is let go on.
#[derive(Debug)]
struct Slow {
    rules: Rules,
    asked: Semaphore,
    go_on: Semaphore,
}

impl Slow {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            rules: Rules::default(),
            asked: Semaphore::new(0),
            go_on: Semaphore::new(0),
        })
    }
}

impl Desk for Slow {
    async fn sender(&self, sender: Option<&Address>) -> Result<(), Reply> {
        self.rules.judge(sender)
    }

    async fn recipient(&self, recipient: &Address) -> Result<(), Reply> {
        self.rules.judge(Some(recipient))
    }

    async fn message(&self, message: Submitted) -> Reply {
        self.asked.add_permits(1);
        self.go_on.acquire().await.unwrap().forget();
        self.rules.take(message)
    }
}

fn connections<D: Desk>(desk: &Rc<D>) -> Connections<D> {
    let limits = Limits::default();
    Connections {
        desk: Rc::clone(desk),
        limits,
        memory: Memory::new(limits.buffered),
        tls: None,
        stop: CancellationToken::new(),
    }
}

/// Connects over a pipe that holds so many octets each way.
fn connect<D: Desk + 'static>(
    connections: &Rc<Connections<D>>,
    octets: usize,
) -> (Client<DuplexStream>, JoinHandle<()>) {
    let (near, far) = duplex(octets);
    let connections = Rc::clone(connections);
    let task = tokio::task::spawn_local(async move { connections.connection(far).await });
    (Client::new(near), task)
}

const WIDE: usize = 1 << 20;

/// Runs a test. Where time is paused it stands still while anything happens: the hour passes only when all wait.
async fn on_one_thread(test: impl Future<Output = ()>) {
    let thread = LocalSet::new();
    let ended = timeout(Duration::from_hours(1), thread.run_until(Box::pin(test)));
    ended.await.expect("somebody waits for what does not come");
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_through() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let (mut client, task) = connect(&Rc::new(connections(&rules)), WIDE);
        client.hello().await;
        client.data().await;
        client.send("hello\r\n.\r\nQUIT\r\n").await;
        client.expect("250 2.0.0 taken as 1").await;
        client.expect("221").await;
        client.expect_end().await;
        drop(client);
        task.await.unwrap();
        assert_eq!(rules.texts(), ["hello\r\n"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go_after_five_minutes() {
    on_one_thread(async {
        let (mut client, task) = connect(&Rc::new(connections(&Rc::new(Rules::default()))), WIDE);
        let start = clock::runtime();
        client.expect("220").await;
        client.expect("421 4.4.2").await;
        assert_eq!(start.elapsed().as_secs(), 300);
        client.expect_end().await;
        drop(client);
        task.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_octet_by_octet_gets_no_more_time() {
    on_one_thread(async {
        let (mut client, _) = connect(&Rc::new(connections(&Rc::new(Rules::default()))), WIDE);
        let start = clock::runtime();
        client.expect("220").await;
        for _ in 0..5 {
            client.send("N").await;
            tokio::time::advance(Duration::from_secs(55)).await;
        }
        client.expect("421 4.4.2").await;
        assert_eq!(start.elapsed().as_secs(), 300);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_hardly_grows_is_given_up_after_a_minute() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let connections = Rc::new(connections(&rules));
        let (mut client, task) = connect(&connections, WIDE);
        client.hello().await;
        client.data().await;
        let start = clock::runtime();
        for _ in 0..5 {
            client.send("x").await;
            tokio::time::advance(Duration::from_secs(11)).await;
        }
        client.expect("421 4.4.2").await;
        assert_eq!(start.elapsed().as_secs(), 60);
        drop(client);
        task.await.unwrap();
        assert!(rules.texts().is_empty());
        assert_eq!(connections.memory.free(), Limits::default().buffered);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_grows_without_end_is_given_up_after_ten_minutes() {
    on_one_thread(async {
        let (mut client, _) = connect(&Rc::new(connections(&Rc::new(Rules::default()))), WIDE);
        client.hello().await;
        client.data().await;
        let start = clock::runtime();
        for _ in 0..11 {
            client.send(&"x".repeat(2000)).await;
            tokio::time::advance(Duration::from_secs(50)).await;
        }
        client.expect("421 4.4.2").await;
        assert_eq!(start.elapsed().as_secs(), 600);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_let_go_after_a_minute() {
    on_one_thread(async {
        let connections = Rc::new(connections(&Rc::new(Rules::default())));
        let (mut client, task) = connect(&connections, 100);
        client.hello().await;
        let start = clock::runtime();
        // Its own words find no room either, once the server waits for room for its own.
        let speaking = tokio::task::spawn_local(async move {
            for _ in 0..50 {
                if client.stream.write_all(b"HELP\r\n").await.is_err() {
                    break;
                }
            }
            client
        });
        task.await.unwrap();
        let waited = start.elapsed();
        assert!(waited >= connections.limits.write, "{waited:?}");
        assert!(
            waited <= connections.limits.write + connections.limits.linger,
            "{waited:?}"
        );
        speaking.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_amid_a_text_leaves_no_message() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let connections = Rc::new(connections(&rules));
        let (mut client, task) = connect(&connections, WIDE);
        client.hello().await;
        client.data().await;
        client.send("hello\r\n.\r").await;
        drop(client);
        task.await.unwrap();
        assert!(rules.texts().is_empty());
        assert_eq!(connections.memory.free(), Limits::default().buffered);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_idle_clients_go_at_once() {
    on_one_thread(async {
        let connections = Rc::new(connections(&Rc::new(Rules::default())));
        let (mut client, task) = connect(&connections, WIDE);
        client.hello().await;
        connections.stop.cancel();
        client.expect("421 4.3.2").await;
        client.expect_end().await;
        drop(client);
        task.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_text_and_lets_nothing_begin_after_it() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let connections = Rc::new(connections(&rules));
        let (mut client, _) = connect(&connections, WIDE);
        client.hello().await;
        client.data().await;
        connections.stop.cancel();
        tokio::time::advance(Duration::from_secs(5)).await;
        client.send("hello\r\n.\r\nMAIL FROM:<a@example.com>\r\n").await;
        client.expect("250 2.0.0 taken as 1").await;
        client.expect("421 4.3.2").await;
        client.expect_end().await;
        assert_eq!(rules.texts().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_an_answer() {
    on_one_thread(async {
        let desk = Slow::new();
        let connections = Rc::new(connections(&desk));
        let (mut client, _) = connect(&connections, WIDE);
        client.hello().await;
        client.data().await;
        client.send("hello\r\n.\r\n").await;
        desk.asked.acquire().await.unwrap().forget();
        connections.stop.cancel();
        desk.go_on.add_permits(1);
        client.expect("250 2.0.0 taken as 1").await;
        client.expect("421 4.3.2").await;
        client.expect_end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_message_is_answered_before_the_message_is() {
    on_one_thread(async {
        let desk = Slow::new();
        let (mut client, _) = connect(&Rc::new(connections(&desk)), WIDE);
        client.expect("220").await;
        client
            .send("HELO app\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nhello\r\n.\r\n")
            .await;
        for start in ["250 mail-sidecar", "250 2.1.0", "250 2.1.5", "354"] {
            client.expect(start).await;
        }
        desk.go_on.add_permits(1);
        client.expect("250 2.0.0 taken as 1").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_costs_little_but_its_buffer() {
    let (_, stream) = duplex(WIDE);
    let connections = connections(&Rc::new(Rules::default()));
    assert!(size_of_val(&connections.connection(stream)) < 4096);
}

/// Counts how often it is written to.
struct Counted {
    stream: DuplexStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<std::io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn the_replies_to_commands_that_came_together_are_written_together() {
    on_one_thread(async {
        let connections = connections(&Rc::new(Rules::default()));
        let (near, stream) = duplex(WIDE);
        let writes = Rc::new(Cell::new(0));
        let counted = Counted {
            stream,
            writes: Rc::clone(&writes),
        };
        tokio::task::spawn_local(async move { connections.connection(counted).await });
        let mut client = Client::new(near);
        client.hello().await;
        assert_eq!(writes.get(), 2);
        let recipients: Vec<String> = (0..200)
            .map(|number| format!("RCPT TO:<r{number}@example.org>\r\n"))
            .collect();
        let recipients = recipients.concat();
        client
            .send(&format!("MAIL FROM:<a@example.com>\r\n{recipients}DATA\r\n"))
            .await;
        for _ in 0..201 {
            client.expect("250").await;
        }
        client.expect("354").await;
        assert_eq!(writes.get(), 3);
    })
    .await;
}

/// A client's TLS that trusts one certificate.
fn trusting(certificate: rustls::pki_types::CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn secure_connections(rules: &Rc<Rules>) -> (Rc<Connections<Rules>>, TlsConnector) {
    let (certificate, key) = tls::generate().unwrap();
    let connections = Connections {
        tls: Some(tls::configure(certificate.clone(), key).unwrap()),
        ..connections(rules)
    };
    (Rc::new(connections), trusting(certificate))
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_speaks_tls_by_name_and_by_address() {
    on_one_thread(async {
        for name in ["localhost", "127.0.0.1"] {
            let rules = Rc::new(Rules::default());
            let (connections, connector) = secure_connections(&rules);
            let (mut client, _) = connect(&connections, WIDE);
            client.hello().await;
            client.send("STARTTLS\r\n").await;
            client.expect("220").await;
            let name = ServerName::try_from(name).unwrap();
            let mut client = Client::new(Box::pin(connector.connect(name, client.stream)).await.unwrap());
            client.send("EHLO app\r\n").await;
            client.expect("250").await;
            client.data().await;
            client.send("secret\r\n.\r\nQUIT\r\n").await;
            client.expect("250 2.0.0 taken as 1").await;
            client.expect("221").await;
            client.expect_end().await;
            assert_eq!(rules.texts(), ["secret\r\n"]);
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_that_came_with_starttls_is_said_under_tls() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let (connections, connector) = secure_connections(&rules);
        let (mut client, _) = connect(&connections, WIDE);
        client.hello().await;
        client
            .send("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\n")
            .await;
        client.expect("220").await;
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = Client::new(Box::pin(connector.connect(name, client.stream)).await.unwrap());
        client.send("RCPT TO:<a@example.org>\r\n").await;
        client.expect("503").await;
        assert!(rules.asked.borrow().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    on_one_thread(async {
        let (connections, _) = secure_connections(&Rc::new(Rules::default()));
        let (mut client, task) = connect(&connections, WIDE);
        client.hello().await;
        client.send("STARTTLS\r\n").await;
        client.expect("220").await;
        let start = clock::runtime();
        task.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
        client.expect_end().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn plain_text_instead_of_a_handshake_ends_the_connection() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let (connections, _) = secure_connections(&rules);
        let (mut client, task) = connect(&connections, WIDE);
        client.hello().await;
        client.send("STARTTLS\r\n").await;
        client.expect("220").await;
        client.send("EHLO app\r\nMAIL FROM:<a@example.com>\r\n").await;
        task.await.unwrap();
        assert!(rules.asked.borrow().is_empty());
    })
    .await;
}
