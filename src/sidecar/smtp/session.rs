//! The protocol as a state machine: bytes in, replies and questions out.

use crate::api::address::Address;

use super::auth::{self, Exchange, Next};
use super::command::{self, Verb};
use super::data::{Dropped, Reader, Text};
use super::desk::Submitted;
use super::fault::Fault;
use super::hello;
use super::limits::Limits;
use super::line::{Framed, Kind, Lines};
use super::mail::{self, Mail};
use super::memory::{Held, Memory};
use super::rcpt;
use super::reply::Reply;
use super::transaction::Transaction;

/// Whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It is not and cannot be: there is no certificate.
    Absent,
    /// It is not, and STARTTLS is offered.
    Offered,
    /// It is.
    On,
}

/// What is to be done before a session takes more bytes.
#[derive(Debug)]
pub enum Step {
    /// Bring more bytes.
    Read,
    /// Ask, and bring the answer: [`Session::judged`] or, for a message, [`Session::taken`].
    Ask(Question),
    /// Write the output, forget what was read, do the TLS handshake and call [`Session::secured`].
    Secure,
    /// Write the output and close.
    Close,
}

/// What only the desk knows.
#[derive(Debug)]
pub enum Question {
    /// May mail come from this sender?
    Sender(Option<Address>),
    /// May mail go to this recipient?
    Recipient(Address),
    /// What becomes of this message?
    Message(Submitted),
}

/// What a client is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Commands.
    Commands,
    /// A message's text.
    Text,
}

/// One SMTP session, from greeting to end.
///
/// Guarantees: the same bytes in other chunks give the same replies and questions. A message is asked about only when
/// CRLF.CRLF ended it, and only with a sender and recipients that the desk let pass. Memory stays within the
/// [`Limits`] and the [`Memory`], the output within some multiple of the bytes that were fed at once.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    memory: Memory,
    tls: Tls,
    lines: Lines,
    output: Vec<u8>,
    state: State,
    greeted: bool,
    authenticated: bool,
    envelope: Envelope,
    /// Lines and messages so far, by which a clock outside sees that something happens.
    taken: u64,
    errors: u32,
    idle_commands: u32,
    draining: bool,
}

#[derive(Debug)]
enum State {
    Commands,
    Auth(Exchange),
    Text(Box<(Reader, Transaction)>),
    Asking(Asked),
    Securing,
    Closed,
}

/// What an answer is awaited for.
#[derive(Debug)]
enum Asked {
    Sender(Mail),
    Recipient(Address),
    /// The memory of the message that was handed over: it exists until the answer comes.
    Message {
        _held: [Held; 2],
    },
}

#[derive(Debug)]
enum Envelope {
    /// No MAIL.
    None,
    /// A MAIL that was refused: commands that were sent along with it are no errors of their own.
    Refused,
    /// A MAIL that was accepted.
    Open(Box<Transaction>),
}

impl Session {
    /// A session that has greeted its client.
    #[must_use]
    pub fn new(limits: Limits, tls: Tls, memory: Memory) -> Self {
        let mut output = Vec::new();
        hello::greeting(&mut output);
        Self {
            limits,
            memory,
            tls,
            lines: Lines::default(),
            output,
            state: State::Commands,
            greeted: false,
            authenticated: false,
            envelope: Envelope::None,
            taken: 0,
            errors: 0,
            idle_commands: 0,
            draining: false,
        }
    }

    /// Takes bytes up to where something else must be done first; says how many, and what.
    ///
    /// While a question is open nothing can be taken: the session ends with 421.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Step) {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            let (octets, step) = match &mut self.state {
                State::Commands | State::Auth(_) => self.feed_lines(rest),
                State::Text(text) => {
                    let (octets, ended) = text.0.take(rest);
                    let step = if ended { self.end_text() } else { Some(Step::Read) };
                    (octets, step)
                }
                // What was sent in plain text after STARTTLS must never be taken for something said under TLS.
                State::Securing => (rest.len(), Some(Step::Read)),
                State::Asking(_) => {
                    self.close(&Reply::new(421, (4, 3, 0), "Internal error; closing"));
                    continue;
                }
                State::Closed => (rest.len(), Some(Step::Close)),
            };
            taken += octets;
            if let Some(step) = step {
                return (taken, step);
            }
        }
    }

    /// Brings the answer about a sender or a recipient.
    pub fn judged(&mut self, verdict: Result<(), Reply>) {
        match (std::mem::replace(&mut self.state, State::Commands), verdict) {
            (State::Asking(Asked::Sender(mail)), Ok(())) => {
                self.envelope = Envelope::Open(Box::new(Transaction::new(mail, self.memory.hold())));
                self.say(&Reply::new(250, (2, 1, 0), "Sender ok"));
            }
            (State::Asking(Asked::Recipient(recipient)), Ok(())) => self.add_recipient(recipient),
            (State::Asking(Asked::Sender(_) | Asked::Recipient(_)), Err(refusal)) => self.refuse(&as_refusal(refusal)),
            (other, _) => self.state = other,
        }
    }

    /// Brings the answer about a message.
    pub fn taken(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.state, State::Commands) {
            State::Asking(Asked::Message { .. }) => {
                let reply = if reply.is_positive() { reply } else { as_refusal(reply) };
                self.say(&reply);
                if reply.code == 421 {
                    self.state = State::Closed;
                }
            }
            other => self.state = other,
        }
    }

    /// The connection is encrypted now; everything said before counts for nothing (RFC 3207, section 4.2).
    pub fn secured(&mut self) {
        if matches!(self.state, State::Securing) {
            *self = Self {
                output: Vec::new(),
                taken: self.taken + 1,
                draining: self.draining,
                ..Self::new(self.limits, Tls::On, self.memory.clone())
            };
        }
    }

    /// From now on every command but QUIT is answered with 421 and ends the session. What has begun goes on: a text
    /// that is being sent, a question that is open.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Ends the session with a last reply, whatever it is doing; a text that has not ended is forgotten.
    pub fn close(&mut self, reply: &Reply) {
        if !matches!(self.state, State::Closed) {
            self.say(reply);
            self.state = State::Closed;
            self.envelope = Envelope::None;
        }
    }

    /// Whether commands or a text are awaited.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Text(_) => Phase::Text,
            State::Commands | State::Auth(_) | State::Asking(_) | State::Securing | State::Closed => Phase::Commands,
        }
    }

    /// A number that rises with every line and every message.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.taken
    }

    /// Takes the replies that are to be written.
    #[must_use]
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn feed_lines(&mut self, input: &[u8]) -> (usize, Option<Step>) {
        let kind = match self.state {
            State::Auth(_) => Kind::AuthResponse,
            _ => Kind::Command,
        };
        let (octets, framed) = self.lines.take(input, kind, &self.limits);
        let result = match framed {
            Framed::More => return (octets, Some(Step::Read)),
            Framed::Line => {
                // The lines' buffer goes out and comes back, so that a line is not copied.
                let lines = std::mem::take(&mut self.lines);
                let result = self.line(lines.text());
                self.lines = lines;
                result
            }
            Framed::TooLong => Err(self.too_long()),
            Framed::Broken => Err(Fault::fatal(
                500,
                (5, 5, 2),
                "A line ends with CRLF and has no other CR, LF or NUL; closing",
            )),
        };
        self.taken += 1;
        let step = result.unwrap_or_else(|fault| {
            self.fault(fault);
            None
        });
        (octets, step)
    }

    fn too_long(&mut self) -> Fault {
        match self.state {
            State::Auth(_) => {
                self.state = State::Commands;
                Fault::breach(500, (5, 5, 6), "The response is too long")
            }
            _ => Fault::breach(500, (5, 5, 2), "The line is too long"),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Step>, Fault> {
        if self.draining {
            let quits = matches!(command::parse(line), Ok((Verb::Quit, _)));
            if !quits {
                return Err(Fault::fatal(421, (4, 3, 2), "Going down; try again"));
            }
            self.state = State::Commands;
        }
        if let State::Auth(exchange) = self.state {
            self.state = State::Commands;
            return exchange.respond(line).map(|next| self.authenticate(next));
        }
        let (verb, arguments) = command::parse(line)?;
        if verb.is_idle() {
            self.count_idle()?;
        }
        let reply = match verb {
            Verb::Mail => return self.mail(arguments).map(Some),
            Verb::Rcpt => return self.rcpt(arguments),
            Verb::Data => return self.data(),
            Verb::Quit => {
                self.close(&Reply::new(221, (2, 0, 0), "Bye"));
                return Ok(None);
            }
            Verb::StartTls => return self.start_tls().map(Some),
            Verb::Auth => return self.auth(arguments),
            Verb::Ehlo | Verb::Helo => return self.hello(verb, arguments).map(|()| None),
            Verb::Rset => {
                self.envelope = Envelope::None;
                Reply::new(250, (2, 0, 0), "Forgotten")
            }
            Verb::Vrfy => Reply::new(252, (2, 0, 0), "Send and see"),
            Verb::Expn => Reply::new(502, (5, 5, 1), "There are no lists here"),
            Verb::Help => Reply::new(214, (2, 0, 0), "EHLO, MAIL, RCPT, DATA; see RFC 5321"),
            Verb::Noop => Reply::new(250, (2, 0, 0), "Ok"),
        };
        self.say(&reply);
        Ok(None)
    }

    fn hello(&mut self, verb: Verb, name: &str) -> Result<(), Fault> {
        hello::check(name)?;
        self.greeted = true;
        self.envelope = Envelope::None;
        if verb == Verb::Ehlo {
            hello::offer(&self.limits, self.tls, &mut self.output);
        } else {
            hello::greet_back(&mut self.output);
        }
        Ok(())
    }

    fn start_tls(&mut self) -> Result<Step, Fault> {
        match self.tls {
            Tls::Absent => Err(Fault::breach(502, (5, 5, 1), "STARTTLS is not offered")),
            Tls::On => Err(Fault::sequence("The connection is encrypted already")),
            Tls::Offered => {
                self.say(&Reply::new(220, (2, 0, 0), "Go ahead"));
                self.envelope = Envelope::None;
                self.state = State::Securing;
                Ok(Step::Secure)
            }
        }
    }

    fn auth(&mut self, arguments: &str) -> Result<Option<Step>, Fault> {
        if !self.greeted {
            return Err(Fault::sequence("Say EHLO first"));
        }
        if self.authenticated {
            return Err(Fault::sequence("You are authenticated already"));
        }
        if matches!(self.envelope, Envelope::Open(_)) {
            return Err(Fault::sequence("Not within a mail transaction"));
        }
        auth::begin(arguments).map(|next| self.authenticate(next))
    }

    fn authenticate(&mut self, next: Next) -> Option<Step> {
        match next {
            Next::Challenge(exchange) => {
                self.say(&exchange.challenge());
                self.state = State::Auth(exchange);
            }
            Next::Accepted => {
                self.authenticated = true;
                self.say(&Reply::new(235, (2, 7, 0), "Welcome"));
            }
        }
        None
    }

    fn mail(&mut self, arguments: &str) -> Result<Step, Fault> {
        if !self.greeted {
            return Err(Fault::sequence("Say EHLO first"));
        }
        if matches!(self.envelope, Envelope::Open(_)) {
            return Err(Fault::sequence("A transaction is open: say RSET or DATA first"));
        }
        // Until it is accepted it is refused.
        self.envelope = Envelope::Refused;
        let mail = mail::parse(arguments, &self.limits)?;
        let question = Question::Sender(mail.sender.clone());
        self.state = State::Asking(Asked::Sender(mail));
        Ok(Step::Ask(question))
    }

    fn rcpt(&mut self, arguments: &str) -> Result<Option<Step>, Fault> {
        let transaction = self.envelope.open()?;
        if transaction.recipients.len() >= self.limits.recipients {
            return Err(Fault::refused(
                452,
                (4, 5, 3),
                "That is as many recipients as a message may have",
            ));
        }
        let recipient = rcpt::parse(arguments).inspect_err(|_| transaction.refused = true)?;
        if transaction.has(&recipient) {
            self.say(&recipient_ok());
            return Ok(None);
        }
        self.state = State::Asking(Asked::Recipient(recipient.clone()));
        Ok(Some(Step::Ask(Question::Recipient(recipient))))
    }

    fn add_recipient(&mut self, recipient: Address) {
        let Envelope::Open(transaction) = &mut self.envelope else {
            return;
        };
        if transaction.add(recipient) {
            self.say(&recipient_ok());
        } else {
            self.refuse(&no_memory());
        }
    }

    fn data(&mut self) -> Result<Option<Step>, Fault> {
        let transaction = self.envelope.open()?;
        if transaction.recipients.is_empty() {
            return Err(if transaction.refused {
                Fault::refused(554, (5, 5, 1), "No valid recipients")
            } else {
                Fault::sequence("Say RCPT first")
            });
        }
        let held = self.memory.hold();
        let Some(reader) = Reader::new(self.limits.message, transaction.mail.size, held) else {
            return Err(Fault::Refused(no_memory()));
        };
        if let Envelope::Open(transaction) = std::mem::replace(&mut self.envelope, Envelope::None) {
            self.state = State::Text(Box::new((reader, *transaction)));
            self.say(&Reply::new(
                354,
                (3, 0, 0),
                "Go ahead; end with a dot on a line of its own",
            ));
        }
        Ok(None)
    }

    fn end_text(&mut self) -> Option<Step> {
        let State::Text(text) = std::mem::replace(&mut self.state, State::Commands) else {
            return None;
        };
        self.taken += 1;
        self.errors = 0;
        self.idle_commands = 0;
        let (reader, transaction) = *text;
        match reader.finish() {
            Ok(Text {
                data,
                endings,
                longest_line,
                held,
            }) => {
                self.state = State::Asking(Asked::Message {
                    _held: [held, transaction.held],
                });
                Some(Step::Ask(Question::Message(Submitted {
                    sender: transaction.mail.sender,
                    recipients: transaction.recipients,
                    data,
                    endings,
                    longest_line,
                })))
            }
            Err(Dropped::TooLarge) => {
                self.say(&Reply::new(552, (5, 3, 4), "The message is larger than SIZE allows"));
                None
            }
            Err(Dropped::NoMemory) => {
                self.say(&no_memory());
                None
            }
        }
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.output);
    }

    /// The desk's refusal, or ours where there is no memory.
    fn refuse(&mut self, reply: &Reply) {
        if let Envelope::Open(transaction) = &mut self.envelope {
            transaction.refused = true;
        }
        self.say(reply);
        if reply.code == 421 {
            self.state = State::Closed;
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Refused(reply) => self.say(&reply),
            Fault::Breach(reply) if self.errors < self.limits.errors => {
                self.errors += 1;
                self.say(&reply);
            }
            Fault::Breach(_) => self.close(&Reply::new(421, (4, 7, 0), "Too many errors; closing")),
            Fault::Fatal(reply) => self.close(&reply),
        }
    }

    fn count_idle(&mut self) -> Result<(), Fault> {
        if self.idle_commands >= self.limits.idle_commands {
            return Err(Fault::fatal(
                421,
                (4, 7, 0),
                "Too many commands without a message; closing",
            ));
        }
        self.idle_commands += 1;
        Ok(())
    }
}

impl Envelope {
    fn open(&mut self) -> Result<&mut Transaction, Fault> {
        match self {
            Self::Open(transaction) => Ok(transaction),
            Self::Refused => Err(Fault::refused(503, (5, 5, 1), "MAIL was refused")),
            Self::None => Err(Fault::sequence("Say MAIL first")),
        }
    }
}

fn recipient_ok() -> Reply {
    Reply::new(250, (2, 1, 5), "Recipient ok")
}

fn no_memory() -> Reply {
    Reply::new(452, (4, 3, 1), "No memory free for more messages now; try again")
}

/// A refusal that refuses, whatever the desk said.
fn as_refusal(reply: Reply) -> Reply {
    if reply.is_refusal() {
        reply
    } else {
        Reply::new(451, (4, 3, 0), "Internal error; try again")
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
