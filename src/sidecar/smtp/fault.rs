//! What becomes of a command that is not done.

use super::reply::Reply;

/// A refusal, by its consequence for the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A command as it should be, about something that cannot be.
    Refused(Reply),
    /// The client breaks the protocol; a session bears a few of these.
    Breach(Reply),
    /// What follows cannot be told from commands: the session ends.
    Fatal(Reply),
}

impl Fault {
    pub(super) fn refused(code: u16, enhanced: (u8, u8, u8), text: &str) -> Self {
        Self::Refused(Reply::new(code, enhanced, text))
    }

    pub(super) fn breach(code: u16, enhanced: (u8, u8, u8), text: &str) -> Self {
        Self::Breach(Reply::new(code, enhanced, text))
    }

    pub(super) fn fatal(code: u16, enhanced: (u8, u8, u8), text: &str) -> Self {
        Self::Fatal(Reply::new(code, enhanced, text))
    }

    /// A command whose arguments are wrong.
    pub(super) fn arguments(text: &str) -> Self {
        Self::breach(501, (5, 5, 4), text)
    }

    /// A command that has no place here.
    pub(super) fn sequence(text: &str) -> Self {
        Self::breach(503, (5, 5, 1), text)
    }
}
