//! The head that is sent.

use memchr::memmem;

use super::{LINE_MAX, Line, Message};
use crate::{api::Address, policy::SubjectPrefix};

/// Fields that are never sent: recipients who must stay hidden.
const HIDDEN: [&str; 2] = ["Bcc", "Resent-Bcc"];

/// Fields by which SES could be steered from within a message begin so.
const STEERING: &[u8] = b"x-ses-";

/// Where originals are kept.
const ORIGINAL: &str = "X-Original-";

/// The recipients whom a rewritten message names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// In header To.
    pub to: Vec<Address>,
    /// In header Cc.
    pub cc: Vec<Address>,
    /// What the subject begins with.
    pub subject_prefix: Option<SubjectPrefix>,
}

impl Message {
    /// The head that is sent, without the empty line that ends it: hidden and steering fields are left out. Where others
    /// are mailed than the message names, To and Cc name those, and `X-Original-To` and `X-Original-Cc` keep what stood
    /// there; who was hidden stays so.
    #[must_use]
    pub fn head(&self, visible: Option<&Visible>) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.head_end + 256);
        if let Some(visible) = visible {
            named(&mut head, "To", &visible.to);
            named(&mut head, "Cc", &visible.cc);
            if visible.to.is_empty() && visible.cc.is_empty() {
                head.extend_from_slice(b"To: undisclosed-recipients:;\r\n");
            }
            if let Some(prefix) = visible.subject_prefix.as_ref().filter(|_| !self.has("Subject")) {
                head.extend_from_slice(format!("Subject: {}\r\n", prefix.as_str()).as_bytes());
            }
        }
        for line in &self.lines {
            self.write(&mut head, line, visible);
        }
        head
    }

    fn has(&self, wanted: &str) -> bool {
        let mut names = self.lines.iter().map(|line| &self.raw[line.name.clone()]);
        names.any(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    fn write(&self, head: &mut Vec<u8>, line: &Line, visible: Option<&Visible>) {
        let name = &self.raw[line.name.clone()];
        let value = &self.raw[line.value.clone()];
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let is_steering = name.len() >= STEERING.len() && name[..STEERING.len()].eq_ignore_ascii_case(STEERING);
        if is_steering || HIDDEN.iter().any(|hidden| is(hidden)) {
            return;
        }
        let mut put = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| head.extend_from_slice(part));
            head.extend_from_slice(b"\r\n");
        };
        match visible {
            // Ours alone say what was there.
            Some(_) if is("X-Original-To") || is("X-Original-Cc") => {}
            Some(_) if is("To") || is("Cc") => {
                let value = value.trim_ascii_start();
                let fold = fold(ORIGINAL.len() + name.len() + 2, value);
                put(&[ORIGINAL.as_bytes(), name, b": ", fold, value]);
            }
            Some(Visible {
                subject_prefix: Some(prefix),
                ..
            }) if is("Subject") => {
                let value = value.trim_ascii_start();
                let prefix = prefix.as_str().as_bytes();
                let fold = fold(name.len() + 2 + prefix.len() + 1, value);
                put(&[name, b": ", prefix, b" ", fold, value]);
            }
            Some(_) | None => put(&[name, b":", value]),
        }
    }
}

/// What belongs between the first octets of a field and a value that was first without them: SES refuses a line that has
/// got too long.
fn fold(before: usize, value: &[u8]) -> &'static [u8] {
    let first = memmem::find(value, b"\r\n").unwrap_or(value.len());
    if before + first > LINE_MAX { b"\r\n " } else { b"" }
}

/// A field of addresses, each on its own line.
fn named(head: &mut Vec<u8>, name: &str, addresses: &[Address]) {
    for (index, address) in addresses.iter().enumerate() {
        let before = if index == 0 {
            format!("{name}: ")
        } else {
            ",\r\n ".to_owned()
        };
        head.extend_from_slice(before.as_bytes());
        head.extend_from_slice(address.to_string().as_bytes());
    }
    if !addresses.is_empty() {
        head.extend_from_slice(b"\r\n");
    }
}
