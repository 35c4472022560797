use std::cell::Cell;

use lettre::address::Envelope;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::*;
use crate::api::address::Address;
use crate::sidecar::smtp::desk::Submitted;
use crate::sidecar::smtp::reply::Reply;
use crate::sidecar::smtp::test_support::{Client, Rules};

/// Longer than anything here takes, on a machine with other work.
const PATIENCE: Duration = Duration::from_mins(1);

struct Running {
    address: SocketAddr,
    memory: Memory,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start<D: Desk + 'static>(limits: Limits, desk: &Rc<D>) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), limits, None).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            address: server.address().unwrap(),
            memory: server.memory().clone(),
            stop: stop.clone(),
            task: tokio::task::spawn_local(server.serve(Rc::clone(desk), stop)),
        }
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn on_one_thread(test: impl Future<Output = ()>) {
    timeout(PATIENCE, LocalSet::new().run_until(test)).await.unwrap();
}

#[tokio::test]
async fn a_client_that_we_did_not_write_sends_messages_over_one_connection() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let server = Running::start(Limits::default(), &rules).await;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(server.address.port())
            .hello_name(ClientId::Domain("app.example.com".to_owned()))
            .credentials(("user".to_owned(), "password".to_owned()).into())
            .build();
        assert!(transport.test_connection().await.unwrap());
        let envelope = |recipients: &[&str]| {
            let recipients = recipients.iter().map(|recipient| recipient.parse().unwrap()).collect();
            Envelope::new(Some("app@example.com".parse().unwrap()), recipients).unwrap()
        };
        let text = b"Subject: hello\r\n\r\n.\r\n..\r\nhello";
        let answer = transport
            .send_raw(&envelope(&["a@example.org", "b@example.org"]), text)
            .await
            .unwrap();
        assert_eq!(answer.first_line(), Some("2.0.0 taken as 1"));
        let refusal = transport
            .send_raw(&envelope(&["no@example.org"]), text)
            .await
            .unwrap_err();
        assert!(refusal.is_permanent(), "{refusal}");
        let delay = transport
            .send_raw(&envelope(&["later@example.org"]), text)
            .await
            .unwrap_err();
        assert!(delay.is_transient(), "{delay}");
        {
            let messages = rules.messages.borrow();
            assert_eq!(messages.len(), 1);
            assert_eq!(messages[0].recipients.len(), 2);
            // This client ends the last line itself.
            assert_eq!(messages[0].data, [text.as_slice(), b"\r\n"].concat());
        }
        transport.shutdown().await;
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn many_clients_are_served_at_once() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let server = Running::start(Limits::default(), &rules).await;
        let mut clients = JoinSet::new();
        for number in 0..50 {
            let mut client = server.connect().await;
            clients.spawn_local(async move {
                client.hello().await;
                for message in 0..10 {
                    client.data().await;
                    client.send(&format!("{number}/{message}\r\n.\r\n")).await;
                    client.expect("250").await;
                }
                client.send("QUIT\r\n").await;
                client.expect("221").await;
                client.expect_end().await;
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        let mut texts = rules.texts();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 500);
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_over_the_cap_is_turned_away_until_a_place_is_free() {
    on_one_thread(async {
        let limits = Limits {
            connections: 2,
            ..Limits::default()
        };
        let server = Running::start(limits, &Rc::new(Rules::default())).await;
        let mut first = server.connect().await;
        first.hello().await;
        let mut second = server.connect().await;
        second.hello().await;
        let mut third = server.connect().await;
        third.expect("421 4.3.2 Too many connections").await;
        third.expect_end().await;
        drop(first);
        // The server learns of the free place when it learns that the client has gone.
        loop {
            let mut next = server.connect().await;
            if next.line().await.unwrap().starts_with("220") {
                break;
            }
        }
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn messages_share_their_memory() {
    on_one_thread(async {
        let limits = Limits {
            buffered: 100_000,
            ..Limits::default()
        };
        let server = Running::start(limits, &Rc::new(Rules::default())).await;
        let mut first = server.connect().await;
        first.hello().await;
        first
            .send("MAIL FROM:<a@example.com> SIZE=90000\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
            .await;
        for start in ["250", "250", "354"] {
            first.expect(start).await;
        }
        let mut second = server.connect().await;
        second.hello().await;
        second.data().await;
        second.send(&format!("{}\r\n.\r\n", "x".repeat(20_000))).await;
        second.expect("452 4.3.1").await;
        first.send("done\r\n.\r\n").await;
        first.expect("250").await;
        second.data().await;
        second.send(&format!("{}\r\n.\r\n", "x".repeat(20_000))).await;
        second.expect("250").await;
        let memory = server.memory.clone();
        drop((first, second));
        server.stop().await;
        assert_eq!(memory.free(), 100_000);
    })
    .await;
}

#[tokio::test]
async fn a_stop_ends_listening_and_finishes_what_has_begun() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let server = Running::start(Limits::default(), &rules).await;
        let mut idle = server.connect().await;
        idle.hello().await;
        let mut busy = server.connect().await;
        busy.hello().await;
        busy.data().await;
        server.stop.cancel();
        idle.expect("421 4.3.2").await;
        idle.expect_end().await;
        // Whoever was told so has been told after the listener was closed, or will find it closed.
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!server.task.is_finished());
        busy.send("hello\r\n.\r\n").await;
        busy.expect("250").await;
        busy.expect("421 4.3.2").await;
        drop((idle, busy));
        server.stop().await;
        assert_eq!(rules.texts(), ["hello\r\n"]);
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_its_grace() {
    on_one_thread(async {
        let rules = Rc::new(Rules::default());
        let limits = Limits {
            grace: Duration::from_millis(50),
            ..Limits::default()
        };
        let server = Running::start(limits, &rules).await;
        let mut client = server.connect().await;
        client.hello().await;
        client.data().await;
        client.send("hello\r\n").await;
        let memory = server.memory.clone();
        server.stop().await;
        client.expect_end().await;
        assert!(rules.texts().is_empty());
        assert_eq!(memory.free(), limits.buffered);
    })
    .await;
}

#[tokio::test]
async fn a_client_hears_why_it_is_let_go_though_it_goes_on_talking() {
    on_one_thread(async {
        let server = Running::start(Limits::default(), &Rc::new(Rules::default())).await;
        for _ in 0..20 {
            // Its system holds little for it: what the server does not read cannot be sent.
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_send_buffer_size(4096).unwrap();
            let mut client = Client::new(socket.connect(server.address).await.unwrap());
            client.hello().await;
            client.send(&format!("NOOP\n{}", "x".repeat(800_000))).await;
            client.expect("500 5.5.2").await;
            // An end, and not an error: the system would cut a connection that has unread octets.
            assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
        }
        server.stop().await;
    })
    .await;
}

/// Panics over the first message.
#[derive(Debug, Default)]
struct Fragile {
    broken: Cell<bool>,
}

impl Desk for Fragile {
    async fn sender(&self, _: Option<&Address>) -> Result<(), Reply> {
        Ok(())
    }

    async fn recipient(&self, _: &Address) -> Result<(), Reply> {
        Ok(())
    }

    async fn message(&self, _: Submitted) -> Reply {
        assert!(self.broken.replace(true), "the first message");
        Reply::new(250, (2, 0, 0), "taken")
    }
}

#[tokio::test]
async fn a_connection_that_panics_ends_alone_and_holds_nothing() {
    on_one_thread(async {
        let server = Running::start(Limits::default(), &Rc::new(Fragile::default())).await;
        let mut first = server.connect().await;
        first.hello().await;
        let mut second = server.connect().await;
        second.hello().await;
        for client in [&mut first, &mut second] {
            client.data().await;
        }
        first.send("x\r\n.\r\n").await;
        first.expect_end().await;
        second.send("x\r\n.\r\n").await;
        second.expect("250").await;
        let memory = server.memory.clone();
        drop(second);
        server.stop().await;
        assert_eq!(memory.free(), Limits::default().buffered);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let limits = Limits::default();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits, None).await.unwrap();
    let again = Server::bind(server.address().unwrap(), limits, None).await;
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}
