//! A message as it came: its header lines, and what of them is sent. Knows no IO.
//!
//! Only the head is read and rewritten; what follows it is never touched.

mod mailboxes;
mod rewrite;

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use thiserror::Error;

pub use self::{
    mailboxes::{Mailbox, MailboxError, mailboxes},
    rewrite::Visible,
};
use crate::{api::Address, policy::gate};

/// The most octets of a head: SES itself cuts headers at 10 KB in its events.
pub const HEAD_MAX: usize = 256 * 1024;

/// The most lines of a head.
pub const LINES_MAX: usize = 1_000;

/// The most octets of a text line without its end (RFC 5322, section 2.1.1).
pub const LINE_MAX: usize = 998;

/// A message with its lines ended by CRLF.
#[derive(Clone, Debug)]
pub struct Message {
    raw: Bytes,
    lines: Vec<Line>,
    /// Where the empty line begins that ends the head; the message's end where there is none.
    head_end: usize,
}

/// One header field with its folded lines.
#[derive(Clone, Debug)]
struct Line {
    name: Range<usize>,
    /// What follows the colon, without the last line's end.
    value: Range<usize>,
}

/// Why a message cannot be judged, and so is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The head is too large.
    #[error("the message's headers have more than {HEAD_MAX} octets or {LINES_MAX} fields")]
    TooLarge,
    /// A line of the head is no header field.
    #[error("line {0} of the message is not a header field: write `Name: value`, and an empty line before the text")]
    Field(usize),
    /// A line of the head is too long.
    #[error("line {0} of the message has more than {LINE_MAX} octets: fold it")]
    LineTooLong(usize),
    /// A NUL, or an end of line that is not CRLF.
    #[error("line {0} of the message holds a NUL or an end of line that is not CRLF")]
    Control(usize),
    /// No header From.
    #[error("the message has no header From")]
    NoFrom,
    /// More than one sender.
    #[error("the message has more than one header From, or more than one address in it")]
    SeveralFrom,
    /// An address header that cannot be read.
    #[error("header {0} of the message: {1}")]
    Mailboxes(&'static str, MailboxError),
}

impl Message {
    /// Reads the head of a message.
    ///
    /// # Errors
    /// [`MessageError`] where it is no head, or holds a line end that is not CRLF.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, MessageError> {
        let raw = raw.into();
        let head_end = if raw.starts_with(b"\r\n") {
            0
        } else {
            memmem::find(&raw, b"\r\n\r\n").map_or(raw.len(), |at| at + 2)
        };
        if head_end > HEAD_MAX {
            return Err(MessageError::TooLarge);
        }
        let mut lines: Vec<Line> = Vec::new();
        let mut start = 0;
        let mut number = 0;
        while start < head_end {
            number += 1;
            let end = memmem::find(&raw[start..head_end], b"\r\n").map_or(head_end, |at| start + at);
            let text = &raw[start..end];
            if text.len() > LINE_MAX {
                return Err(MessageError::LineTooLong(number));
            }
            if text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
                return Err(MessageError::Control(number));
            }
            match (text.first(), lines.last_mut()) {
                (Some(b' ' | b'\t'), Some(folded)) => folded.value.end = end,
                _ => {
                    let colon = text.iter().position(|byte| *byte == b':');
                    let colon = colon.ok_or(MessageError::Field(number))?;
                    // RFC 5322: any printable character but the colon; a space before it is an old form that parsers
                    // read differently.
                    if colon == 0 || !text[..colon].iter().all(u8::is_ascii_graphic) {
                        return Err(MessageError::Field(number));
                    }
                    if lines.len() >= LINES_MAX {
                        return Err(MessageError::TooLarge);
                    }
                    lines.push(Line {
                        name: start..start + colon,
                        value: start + colon + 1..end,
                    });
                }
            }
            start = end + 2;
        }
        Ok(Self { raw, lines, head_end })
    }

    /// How many octets it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The message as it came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// What follows the head, the empty line first; an empty line where there is nothing.
    #[must_use]
    pub fn body(&self) -> Bytes {
        if self.head_end < self.raw.len() {
            self.raw.slice(self.head_end..)
        } else {
            Bytes::from_static(b"\r\n")
        }
    }

    /// The values of all fields of this name, unfolded and without spaces around them.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let of_name = self.lines.iter().filter(move |line| self.is_named(line, name));
        of_name.map(|line| unfolded(&self.raw[line.value.clone()]))
    }

    /// The one address of header From.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn from(&self) -> Result<Mailbox, MessageError> {
        let mut values = self.values("From");
        let value = values.next().ok_or(MessageError::NoFrom)?;
        let mut mailboxes = mailboxes(&value).map_err(|error| MessageError::Mailboxes("From", error))?;
        match (values.next(), mailboxes.pop(), mailboxes.is_empty()) {
            (None, Some(mailbox), true) => Ok(mailbox),
            (None, None, _) => Err(MessageError::NoFrom),
            _ => Err(MessageError::SeveralFrom),
        }
    }

    /// The addresses of all fields of this name.
    ///
    /// # Errors
    /// Where one of them is not an address.
    pub fn addresses(&self, name: &'static str) -> Result<Vec<Address>, MessageError> {
        let mut all = Vec::new();
        for value in self.values(name) {
            let mailboxes = mailboxes(&value).map_err(|error| MessageError::Mailboxes(name, error))?;
            all.extend(mailboxes.into_iter().map(|mailbox| mailbox.address));
        }
        Ok(all)
    }

    fn is_named(&self, line: &Line, name: &str) -> bool {
        self.raw[line.name.clone()].eq_ignore_ascii_case(name.as_bytes())
    }
}

impl gate::Headers for Message {
    fn has_line(&self, name: &str, value: &str) -> bool {
        self.values(name).any(|held| held == value)
    }
}

/// A field's value on one line.
fn unfolded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split("\r\n")
        .collect::<String>()
        .trim_matches(mailboxes::is_space)
        .to_owned()
}

#[cfg(test)]
mod tests;
