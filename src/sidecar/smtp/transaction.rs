//! One mail transaction: a sender and the recipients so far.

use std::collections::HashSet;

use crate::api::address::Address;

use super::mail::Mail;
use super::memory::Held;

/// What keeping one recipient costs beside its text: two addresses of two strings each, and a place in a set.
const RECIPIENT_OVERHEAD: usize = 160;

/// What MAIL has begun and DATA has not.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) mail: Mail,
    pub(super) recipients: Vec<Address>,
    /// The same recipients. Keyed by the standard library's random keys: whoever names them chooses them.
    known: HashSet<Address>,
    /// A recipient was refused.
    pub(super) refused: bool,
    pub(super) held: Held,
}

impl Transaction {
    pub(super) fn new(mail: Mail, held: Held) -> Self {
        Self {
            mail,
            recipients: Vec::new(),
            known: HashSet::new(),
            refused: false,
            held,
        }
    }

    /// Whether this recipient is among those so far.
    pub(super) fn has(&self, recipient: &Address) -> bool {
        self.known.contains(recipient)
    }

    /// Adds a recipient; false where there is no memory for it.
    #[must_use]
    pub(super) fn add(&mut self, recipient: Address) -> bool {
        let text = recipient.local().len() + recipient.domain().as_str().len();
        if !self.held.grow(2 * text + RECIPIENT_OVERHEAD) {
            return false;
        }
        if self.known.insert(recipient.clone()) {
            self.recipients.push(recipient);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecar::smtp::memory::Memory;

    fn transaction(memory: &Memory) -> Transaction {
        let mail = Mail {
            sender: None,
            size: None,
        };
        Transaction::new(mail, memory.hold())
    }

    #[test]
    fn a_recipient_is_kept_once_in_the_order_of_its_first_time() {
        let mut transaction = transaction(&Memory::new(10_000));
        for name in ["b@example.com", "a@example.com", "b@EXAMPLE.com"] {
            assert!(transaction.add(Address::parse(name).unwrap()));
        }
        let names: Vec<String> = transaction.recipients.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b@example.com", "a@example.com"]);
    }

    #[test]
    fn recipients_take_memory_and_give_it_back() {
        let memory = Memory::new(400);
        let mut transaction = transaction(&memory);
        assert!(transaction.add(Address::parse("a@example.com").unwrap()));
        assert!(transaction.add(Address::parse("b@example.com").unwrap()));
        assert!(!transaction.add(Address::parse("c@example.com").unwrap()));
        drop(transaction);
        assert_eq!(memory.free(), 400);
    }
}
