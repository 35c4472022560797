//! Any bytes at all, to sessions with narrow limits: the same in any chunks, and a message only after CRLF.CRLF.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_policy_operator::sidecar::{
    content::Content,
    run::LineEndings,
    smtp::{Limits, Memory, Phase, Question, Reply, Session, Step, Submitted, Tls, fixed_line_endings},
    submission::Submission,
    submitter,
};
use mail_policy_operator_fuzz::message::{check_address, check_sent};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What a session may hold beside the text, the lines and the output that its limits bound.
const OVERHEAD: usize = 4 * 1024;

/// The longest output of one command: the answer to EHLO.
const OUTPUT_MAX: usize = 512;

/// Around a session.
#[derive(Clone, Copy, Debug)]
struct World {
    tls: Tls,
    /// Whether the handshake comes; where it does not, all that follows must have no effect.
    shakes: bool,
    /// After how many octets the sidecar begins to end.
    drains: Option<usize>,
}

/// All that can be seen of a session from outside.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    said: Vec<u8>,
    asked: Vec<String>,
    messages: Vec<(usize, Submitted)>,
    closed: bool,
}

/// Small enough that a short input meets every limit.
fn limits() -> Limits {
    Limits {
        message: 200,
        recipients: 3,
        errors: 5,
        idle_commands: 10,
        auth_line: 600,
        buffered: 2500,
        ..Limits::default()
    }
}

struct Player<'a> {
    input: &'a [u8],
    session: Session,
    world: World,
    seen: Seen,
    taken: usize,
    /// Where the text began that is being sent, if the chunks are so small that this is known.
    text: Option<usize>,
}

impl<'a> Player<'a> {
    fn new(input: &'a [u8], world: World, memory: Memory) -> Self {
        Self {
            input,
            session: Session::new(limits(), world.tls, memory),
            world,
            seen: Seen::default(),
            taken: 0,
            text: None,
        }
    }

    fn feed(&mut self, mut chunk: &[u8]) {
        loop {
            let before = self.session.phase();
            let (octets, step) = self.session.feed(chunk);
            self.taken += octets;
            chunk = &chunk[octets..];
            if before == Phase::Commands && self.session.phase() == Phase::Text {
                self.text = (octets == 1).then_some(self.taken);
            }
            let said = self.session.output();
            assert!(said.len() <= OUTPUT_MAX * (octets + 1), "a session says little");
            self.seen.said.extend(said);
            match step {
                Step::Read => {
                    assert!(chunk.is_empty());
                    return;
                }
                Step::Close => {
                    self.seen.closed = true;
                    return;
                }
                Step::Secure if self.world.shakes => self.session.secured(),
                Step::Secure => {}
                Step::Ask(Question::Sender(sender)) => {
                    sender.iter().for_each(check_address);
                    let sender = sender.map(|sender| sender.to_string()).unwrap_or_default();
                    self.session.judged(judge(&sender));
                    self.seen.asked.push(sender);
                }
                Step::Ask(Question::Recipient(recipient)) => {
                    check_address(&recipient);
                    self.session.judged(judge(&recipient.to_string()));
                    self.seen.asked.push(recipient.to_string());
                }
                Step::Ask(Question::Message(message)) => {
                    let reply = match message.data.first() {
                        Some(b'!') => Reply::new(554, (5, 6, 0), String::from_utf8_lossy(&message.data)),
                        _ => Reply::new(250, (2, 0, 0), "taken"),
                    };
                    if let Some(start) = self.text {
                        assert_eq!(message.data, text_of(&self.input[start..self.taken]));
                    }
                    self.seen.messages.push((self.taken, message));
                    self.session.taken(reply);
                }
            }
        }
    }
}

fn judge(address: &str) -> Result<(), Reply> {
    if address.starts_with("no") {
        return Err(Reply::new(550, (5, 7, 1), address));
    }
    Ok(())
}

fn play<'a, C: Iterator<Item = &'a [u8]>>(input: &'a [u8], chunks: fn(&'a [u8]) -> C, world: World) -> Seen {
    let memory = Memory::new(limits().buffered);
    let mut player = Player::new(input, world, memory.clone());
    let (before, after) = input.split_at(world.drains.unwrap_or(input.len()));
    chunks(before).for_each(|chunk| player.feed(chunk));
    if world.drains.is_some() {
        player.session.drain();
    }
    chunks(after).for_each(|chunk| player.feed(chunk));
    player.seen.said.extend(player.session.output());
    let Player { session, seen, .. } = player;
    drop(session);
    assert_eq!(memory.free(), limits().buffered, "all memory comes back");
    seen
}

/// The text that these octets are by RFC 5321, read in a way of its own: everything before the first CRLF.CRLF, without
/// the dots that begin lines.
fn text_of(octets: &[u8]) -> Vec<u8> {
    let lined = [b"\r\n", octets].concat();
    let end = lined
        .windows(5)
        .position(|window| window == b"\r\n.\r\n")
        .expect("an end");
    assert_eq!(end + 5, lined.len(), "the first end is the end");
    let text = &lined[..end + 2];
    let mut kept = Vec::new();
    for (at, octet) in text.iter().enumerate() {
        let begins_line = at >= 2 && &text[at - 2..at] == b"\r\n";
        if *octet != b'.' || !begins_line {
            kept.push(*octet);
        }
    }
    kept.split_off(2)
}

/// The input in pieces whose sizes it chooses itself.
fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let (piece, next) = rest.split_at(rest.len().min(1 + usize::from(*first) % 32));
        rest = next;
        Some(piece)
    })
}

/// However long a session lasts, and however little memory there is, it holds no more than its limits say.
fn play_long(input: &[u8]) {
    const FREE: usize = 300;
    let world = World {
        tls: Tls::Absent,
        shakes: false,
        drains: None,
    };
    let memory = Memory::new(FREE);
    let held = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let mut player = Player::new(input, world, memory.clone());
    for _ in 0..4 {
        for piece in pieces(input) {
            player.feed(piece);
            player.text = None;
            player.seen = Seen::default();
            assert!(memory.free() <= FREE);
        }
    }
    drop(player);
    assert_eq!(memory.free(), FREE);
    let peak = HEAP.peak_usage().saturating_sub(held);
    assert!(
        peak <= FREE + 2 * limits().auth_line + OVERHEAD,
        "a session holds {peak} octets"
    );
}

fn check_message(end: &[u8], message: Submitted) {
    assert!(end.ends_with(b"\r\n.\r\n"));
    assert!(message.data.is_empty() || message.data.ends_with(b"\r\n"));
    assert!(message.data.len() <= limits().message);
    assert!((1..=limits().recipients).contains(&message.recipients.len()));
    for (at, recipient) in message.recipients.iter().enumerate() {
        assert!(judge(&recipient.to_string()).is_ok());
        assert!(!message.recipients[..at].contains(recipient), "each once");
    }
    let is_clean = fixed_line_endings(message.data.clone()) == message.data && !message.data.contains(&0);
    assert_eq!(message.endings.are_clean(), is_clean);
    let recipients = message.recipients.clone();
    for line_endings in [LineEndings::Deny, LineEndings::Fix] {
        let data = match line_endings {
            LineEndings::Deny => message.data.clone(),
            LineEndings::Fix => fixed_line_endings(message.data.clone()),
        };
        if let Ok(submission) = submitter::read(message.clone(), line_endings) {
            assert!(is_clean || line_endings == LineEndings::Fix);
            assert_eq!(submission.recipients(), recipients);
            check_taken(&submission, &data);
        }
    }
}

fn check_taken(submission: &Submission, data: &[u8]) {
    let Content::Raw(message) = &submission.content else {
        panic!("a whole message")
    };
    assert_eq!(message.raw(), data, "what is taken is what was sent");
    assert!(!data.contains(&0));
    for (at, octet) in data.iter().enumerate() {
        match octet {
            b'\r' => assert_eq!(data.get(at + 1), Some(&b'\n')),
            b'\n' => assert_eq!(data[at - 1], b'\r'),
            _ => {}
        }
    }
    check_sent(message, None);
}

fn check_replies(said: &[u8]) {
    let said = said.strip_suffix(b"\r\n").expect("a session greets");
    for line in String::from_utf8_lossy(said).split("\r\n") {
        assert!((4..=510).contains(&line.len()), "{line:?}");
        assert!(line.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{line:?}");
        let (code, text) = line.split_at(3);
        assert!((200..600).contains(&code.parse::<u16>().expect("a code")), "{line:?}");
        assert!(text.starts_with([' ', '-']), "{line:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let worlds = [
        (Tls::Absent, false, None),
        (Tls::Offered, false, None),
        (Tls::Offered, true, None),
        (Tls::Absent, false, Some(input.len() / 2)),
    ];
    for (tls, shakes, drains) in worlds {
        let world = World { tls, shakes, drains };
        let whole = play(input, std::iter::once, world);
        assert_eq!(play(input, |input| input.chunks(1), world), whole);
        assert_eq!(play(input, pieces, world), whole);
        check_replies(&whole.said);
        for (end, message) in whole.messages {
            check_message(&input[..end], message);
        }
    }
    play_long(input);
});
