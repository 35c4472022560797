//! The addresses of a header such as To.
//!
//! Display names, quoted texts, comments and groups may be there, as mailers write them; an address itself is only ever a
//! dot-atom at a domain. What two parsers could read as two different addresses is refused.

use std::fmt;

use thiserror::Error;

use crate::api::{Address, address::AddressError};

/// Why a list of mailboxes cannot be read. Names no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MailboxError {
    /// A quote, bracket, comment or group that does not end, or ends without having begun.
    #[error("a quote, bracket, comment or group has no end or no beginning")]
    Unbalanced,
    /// Something stands where it may not.
    #[error("write `Name <name@example.com>` or `name@example.com`, with commas between them")]
    Form,
    /// An address is wrong.
    #[error("an address in it is not one: use letters, digits and single dots before the @, and a domain after it")]
    Address,
}

impl From<AddressError> for MailboxError {
    fn from(_: AddressError) -> Self {
        Self::Address
    }
}

/// An address, with the name it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name as it was written, quotes and all; nothing in it is an address.
    name: Option<String>,
    /// The address.
    pub address: Address,
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self { name: None, address }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// What has been read of one mailbox.
#[derive(Default)]
struct Reading {
    /// The name as it was written.
    name: String,
    /// What stands outside of brackets, quotes and comments.
    bare: String,
    /// What stands in angle brackets.
    angle: Option<String>,
    /// Whether a quoted text was among it.
    quoted: bool,
}

impl Reading {
    /// The mailbox; `None` where nothing stands between two commas.
    fn finish(self) -> Result<Option<Mailbox>, MailboxError> {
        let bare = self.bare.trim_matches(is_space);
        match self.angle {
            // An @ in a name is an address to some parsers.
            Some(_) if bare.contains('@') => Err(MailboxError::Form),
            Some(address) => Ok(Some(Mailbox {
                name: Some(self.name.trim_matches(is_space).to_owned()).filter(|name| !name.is_empty()),
                address: Address::parse(&address)?,
            })),
            None if bare.is_empty() && !self.quoted => Ok(None),
            None if self.quoted => Err(MailboxError::Address),
            None => Ok(Some(Address::parse(bare)?.into())),
        }
    }
}

/// What may stand around a word. Other white space is part of it: parsers of mail know no other.
pub(super) fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

/// Control characters, line ends among them, have no place in a value, not even escaped or in a comment.
fn is_control(char: char) -> bool {
    char.is_control() && char != '\t'
}

/// Reads an unfolded value.
///
/// # Errors
/// [`MailboxError`], and then nothing of it may be used.
pub fn mailboxes(value: &str) -> Result<Vec<Mailbox>, MailboxError> {
    let mut found = Vec::new();
    let mut mailbox = Reading::default();
    let mut in_group = false;
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' if mailbox.angle.is_none() => {
                mailbox.name.push_str(&quoted(&mut chars)?);
                mailbox.quoted = true;
            }
            '(' => {
                skip_comment(&mut chars)?;
                // A comment is a space (RFC 5322, section 3.2.2): what stands on both sides of it is not one word.
                mailbox.bare.push(' ');
            }
            '<' if mailbox.angle.is_none() => mailbox.angle = Some(angle(&mut chars)?),
            ',' => found.extend(std::mem::take(&mut mailbox).finish()?),
            ':' if !in_group && mailbox.angle.is_none() && !mailbox.bare.contains('@') => {
                in_group = true;
                mailbox = Reading::default();
            }
            ';' if in_group => {
                found.extend(std::mem::take(&mut mailbox).finish()?);
                in_group = false;
            }
            '"' | '<' | '>' | ')' | ':' | ';' | '\\' => return Err(MailboxError::Form),
            // After `<…>` only the next comma may come.
            char if mailbox.angle.is_some() => {
                if !is_space(char) {
                    return Err(MailboxError::Form);
                }
            }
            char if is_control(char) => return Err(MailboxError::Form),
            char => {
                mailbox.bare.push(char);
                mailbox.name.push(char);
            }
        }
    }
    if in_group {
        return Err(MailboxError::Unbalanced);
    }
    found.extend(mailbox.finish()?);
    Ok(found)
}

/// A quoted text with both its quotes.
fn quoted(chars: &mut std::str::Chars<'_>) -> Result<String, MailboxError> {
    let mut text = String::from('"');
    while let Some(char) = chars.next() {
        text.push(char);
        let escaped = if char == '\\' { chars.next() } else { None };
        text.extend(escaped);
        match escaped.unwrap_or(char) {
            '"' if escaped.is_none() => return Ok(text),
            // A line's end ends the line also where it is escaped.
            char if is_control(char) => return Err(MailboxError::Form),
            _ => {}
        }
    }
    Err(MailboxError::Unbalanced)
}

fn skip_comment(chars: &mut std::str::Chars<'_>) -> Result<(), MailboxError> {
    let mut depth = 1_u32;
    while let Some(char) = chars.next() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' if chars.next().is_some_and(is_control) => return Err(MailboxError::Form),
            char if is_control(char) => return Err(MailboxError::Form),
            _ => {}
        }
        if depth == 0 {
            return Ok(());
        }
    }
    Err(MailboxError::Unbalanced)
}

fn angle(chars: &mut std::str::Chars<'_>) -> Result<String, MailboxError> {
    let mut address = String::new();
    for char in chars {
        match char {
            '>' => return Ok(address),
            '<' | '"' | '(' => return Err(MailboxError::Address),
            char => address.push(char),
        }
    }
    Err(MailboxError::Unbalanced)
}
