//! What a session asks of whoever decides.

use std::future::Future;

use crate::api::address::Address;

use super::endings::Endings;
use super::reply::Reply;

/// Decides about senders, recipients and messages.
///
/// Its answers should come soon: a session waits for each before it reads on, and its other replies wait with it. An
/// answer that is awaited is dropped where a stop's grace has passed.
pub trait Desk {
    /// Whether mail may come from this sender; `None` is the null sender. What is not 4xx or 5xx refuses with 451.
    fn sender(&self, sender: Option<&Address>) -> impl Future<Output = Result<(), Reply>>;

    /// Whether this recipient is refused whatever the message says. What is not 4xx or 5xx refuses with 451.
    fn recipient(&self, recipient: &Address) -> impl Future<Output = Result<(), Reply>>;

    /// Takes over a whole message. The reply is what the client gets: 2xx is that the message is taken, for all its
    /// recipients; what is not 2xx, 4xx or 5xx becomes 451.
    fn message(&self, message: Submitted) -> impl Future<Output = Reply>;
}

/// A message as it was submitted, with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Who sends it; `None` is the null sender.
    pub sender: Option<Address>,
    /// Whom it is for: each once, in the order they were named, at least one.
    pub recipients: Vec<Address>,
    /// Headers and body without the dots that SMTP puts before some lines. It may hold lines of one dot: whoever
    /// writes it to SMTP again puts dots before them.
    pub data: Vec<u8>,
    /// Which line endings but CRLF it has.
    pub endings: Endings,
    /// Its longest line in octets, without its ending; any CR and LF ends a line here.
    pub longest_line: usize,
}
