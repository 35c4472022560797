//! A desk with a few rules, and a client that does not wait.

use std::cell::RefCell;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::api::address::Address;

use super::desk::{Desk, Submitted};
use super::limits::Limits;
use super::memory::Memory;
use super::reply::Reply;
use super::session::{Question, Session, Step, Tls};

/// Refuses who is called `no`, for now who is called `later`, and hangs up on `bye`; keeps messages.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) messages: RefCell<Vec<Submitted>>,
    pub(super) asked: RefCell<Vec<String>>,
}

impl Rules {
    pub(super) fn judge(&self, address: Option<&Address>) -> Result<(), Reply> {
        let text = address.map(ToString::to_string).unwrap_or_default();
        self.asked.borrow_mut().push(text);
        match address.map(Address::local) {
            Some("no") => Err(Reply::new(550, (5, 7, 1), "not to be")),
            Some("later") => Err(Reply::new(451, (4, 7, 1), "later")),
            Some("bye") => Err(Reply::new(421, (4, 3, 2), "hanging up")),
            Some("odd") => Err(Reply::new(250, (2, 0, 0), "a refusal that says yes")),
            _ => Ok(()),
        }
    }

    pub(super) fn take(&self, message: Submitted) -> Reply {
        let reply = match message.data.as_slice() {
            b"refuse me\r\n" => Reply::new(554, (5, 6, 0), "refused"),
            b"nonsense\r\n" => Reply::new(354, (3, 0, 0), "say it again"),
            b"hang up\r\n" => Reply::new(421, (4, 3, 2), "hanging up"),
            _ => {
                let number = self.messages.borrow().len() + 1;
                Reply::new(250, (2, 0, 0), format!("taken as {number}"))
            }
        };
        self.messages.borrow_mut().push(message);
        reply
    }

    /// The texts that were taken.
    pub(super) fn texts(&self) -> Vec<String> {
        let messages = self.messages.borrow();
        messages
            .iter()
            .map(|message| String::from_utf8_lossy(&message.data).into_owned())
            .collect()
    }
}

impl Desk for Rules {
    async fn sender(&self, sender: Option<&Address>) -> Result<(), Reply> {
        self.judge(sender)
    }

    async fn recipient(&self, recipient: &Address) -> Result<(), Reply> {
        self.judge(Some(recipient))
    }

    async fn message(&self, message: Submitted) -> Reply {
        self.take(message)
    }
}

/// A session together with what answers it.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) session: Session,
    pub(super) rules: Rules,
    pub(super) closed: bool,
    pub(super) said: Vec<u8>,
    /// All that was fed, as far as the session took it: for each message, how many octets when it was asked about.
    pub(super) fed: usize,
    pub(super) ends: Vec<usize>,
}

impl Dialogue {
    pub(super) fn new(limits: Limits, tls: Tls) -> Self {
        let mut session = Session::new(limits, tls, Memory::new(limits.buffered));
        Self {
            said: session.output(),
            session,
            rules: Rules::default(),
            closed: false,
            fed: 0,
            ends: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut input: &[u8]) {
        loop {
            let (taken, step) = self.session.feed(input);
            self.fed += taken;
            input = &input[taken..];
            match step {
                Step::Read | Step::Secure => {
                    assert!(
                        input.is_empty() || matches!(step, Step::Secure),
                        "a session leaves nothing it may read"
                    );
                    if input.is_empty() {
                        break;
                    }
                }
                Step::Close => {
                    self.closed = true;
                    break;
                }
                Step::Ask(Question::Sender(sender)) => {
                    let verdict = self.rules.judge(sender.as_ref());
                    self.session.judged(verdict);
                }
                Step::Ask(Question::Recipient(recipient)) => {
                    let verdict = self.rules.judge(Some(&recipient));
                    self.session.judged(verdict);
                }
                Step::Ask(Question::Message(message)) => {
                    self.ends.push(self.fed);
                    let reply = self.rules.take(message);
                    self.session.taken(reply);
                }
            }
        }
        self.said.append(&mut self.session.output());
    }

    /// The lines said since this was last asked.
    pub(super) fn replies(&mut self) -> Vec<String> {
        let said = String::from_utf8(std::mem::take(&mut self.said)).unwrap();
        assert!(said.is_empty() || said.ends_with("\r\n"), "{said:?}");
        said.split_terminator("\r\n").map(str::to_owned).collect()
    }

    /// The codes of the replies since this was last asked.
    pub(super) fn codes(&mut self) -> Vec<String> {
        let replies = self.replies().into_iter();
        replies
            .filter(|line| line.as_bytes()[3] == b' ')
            .map(|line| line[..3].to_owned())
            .collect()
    }
}

/// A dialogue past EHLO, with its replies so far forgotten.
pub(super) fn greeted(limits: Limits) -> Dialogue {
    let mut dialogue = Dialogue::new(limits, Tls::Absent);
    dialogue.feed(b"EHLO app\r\n");
    dialogue.said.clear();
    dialogue
}

/// A client that reads replies as they come.
#[derive(Debug)]
pub(super) struct Client<S> {
    pub(super) stream: S,
    unread: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client that has not read the greeting.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// One line, without its CRLF; nothing where the connection has ended.
    pub(super) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let mut buffer = [0; 4096];
            let octets = self.stream.read(&mut buffer).await.unwrap_or(0);
            if octets == 0 {
                assert!(self.unread.is_empty(), "the connection ended amid a line");
                return None;
            }
            self.unread.extend_from_slice(&buffer[..octets]);
        }
    }

    /// One reply, its last line; how it must begin.
    pub(super) async fn expect(&mut self, start: &str) {
        loop {
            let line = self
                .line()
                .await
                .unwrap_or_else(|| panic!("the end instead of {start}"));
            if line.as_bytes()[3] == b' ' {
                assert!(line.starts_with(start), "{line:?} instead of {start}");
                return;
            }
        }
    }

    pub(super) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None);
    }

    /// Begins a message and comes as far as 354.
    pub(super) async fn data(&mut self) {
        self.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
            .await;
        for start in ["250", "250", "354"] {
            self.expect(start).await;
        }
    }

    pub(super) async fn hello(&mut self) {
        self.expect("220").await;
        self.send("EHLO app\r\n").await;
        self.expect("250").await;
    }
}
