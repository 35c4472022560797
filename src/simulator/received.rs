//! The messages that were taken: the last ones within bounds, and counts of all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::operation::Operation;
use super::state::{Accepted, Content, Destination, MessageTag, Outcome, domain};

/// Recipients' domains that are counted by name.
const MAX_DOMAINS: usize = 10_000;
/// The name under which recipients of all further domains are counted; no domain is called so.
pub const OTHER_DOMAINS: &str = "*";
/// About what a message takes besides its content and addresses.
const OVERHEAD: usize = 512;

/// How much is kept; the oldest messages go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedLimits {
    /// Messages; 0 keeps none and only counts.
    pub messages: usize,
    /// Bytes of their contents and addresses.
    pub bytes: usize,
}

impl Default for ReceivedLimits {
    /// 10,000 messages, 64 MiB.
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedMessage {
    /// Counts up from 1 and never back, also over a reset.
    pub seq: u64,
    /// When it was taken.
    pub time: Timestamp,
    /// What the sender was told.
    pub message_id: String,
    /// How it came: `SendEmail` (of either version), `SendRawEmail` or `SendBulkEmail`.
    pub operation: Operation,
    /// The configuration set that applies: the one named, or the identity's default.
    pub configuration_set: Option<String>,
    /// The tenant named.
    pub tenant: Option<String>,
    /// Its tags.
    pub tags: Vec<MessageTag>,
    /// The sender as given.
    pub from: String,
    /// The recipients as given. Version 1's raw messages name them all in `to`.
    pub destination: Destination<String>,
    /// What became of it at each, in the order To, Cc, Bcc.
    pub recipients: Vec<Recipient>,
    /// What it says.
    pub content: Content,
    /// The access key id it was signed with; empty for one sent through the admin API.
    pub access_key: String,
}

/// A recipient and what became of the message there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// `local@domain`, the domain in lower case.
    pub address: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl ReceivedMessage {
    fn bytes(&self) -> usize {
        let addresses: usize = self
            .recipients
            .iter()
            .map(|recipient| 2 * recipient.address.len())
            .sum();
        self.content.len() + addresses + OVERHEAD
    }
}

/// The last messages, and counts of all.
#[derive(Clone, Debug)]
pub(super) struct Received {
    limits: ReceivedLimits,
    last_seq: u64,
    bytes: usize,
    messages: VecDeque<Arc<ReceivedMessage>>,
    total: u64,
    by_domain: BTreeMap<String, u64>,
}

impl Received {
    pub(super) fn new(limits: ReceivedLimits) -> Self {
        Self {
            limits,
            last_seq: 0,
            bytes: 0,
            messages: VecDeque::new(),
            total: 0,
            by_domain: BTreeMap::new(),
        }
    }

    /// Keeps a message; the id its sender is told. Events will be made of what is kept here.
    pub(super) fn push(
        &mut self,
        operation: Operation,
        accepted: Accepted,
        access_key: &str,
        time: Timestamp,
    ) -> String {
        let Accepted {
            from,
            destination,
            recipients,
            set,
            tenant,
            tags,
            content,
        } = accepted;
        self.last_seq += 1;
        self.total += 1;
        let seq = self.last_seq;
        // The form of SES's ids: time, something unique, a counter.
        let message_id = format!(
            "0100{:012x}-{seq:08x}-0000-4000-8000-{seq:012x}-000000",
            time.as_millisecond()
        );
        for (address, _) in &recipients {
            self.count(domain(address));
        }
        if self.limits.messages > 0 {
            let recipient = |(address, outcome)| Recipient { address, outcome };
            let message = ReceivedMessage {
                seq,
                time,
                message_id: message_id.clone(),
                operation,
                configuration_set: set,
                tenant,
                tags,
                from,
                destination,
                recipients: recipients.into_iter().map(recipient).collect(),
                content,
                access_key: access_key.to_owned(),
            };
            self.bytes += message.bytes();
            self.messages.push_back(Arc::new(message));
            self.forget();
        }
        message_id
    }

    fn count(&mut self, domain: &str) {
        if let Some(count) = self.by_domain.get_mut(domain) {
            *count += 1;
        } else {
            let room = self.by_domain.len() < MAX_DOMAINS;
            let name = if room { domain } else { OTHER_DOMAINS };
            *self.by_domain.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn forget(&mut self) {
        let ReceivedLimits { messages, bytes } = self.limits;
        while self.messages.len() > messages || self.bytes > bytes {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }

    /// Messages after this sequence number, oldest first, at most `limit`.
    pub(super) fn after(&self, seq: u64, limit: usize) -> Vec<Arc<ReceivedMessage>> {
        let from = self.messages.partition_point(|message| message.seq <= seq);
        self.messages.range(from..).take(limit).cloned().collect()
    }

    /// The message of this sequence number, if it is still kept.
    pub(super) fn get(&self, seq: u64) -> Option<Arc<ReceivedMessage>> {
        let position = self.messages.binary_search_by_key(&seq, |message| message.seq).ok()?;
        self.messages.get(position).cloned()
    }

    /// How many were ever taken, since the last [`Received::clear`].
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Recipients of all of them by domain.
    pub(super) fn by_domain(&self) -> &BTreeMap<String, u64> {
        &self.by_domain
    }

    /// Forgets messages and counts; sequence numbers go on.
    pub(super) fn clear(&mut self) {
        let Self { limits, last_seq, .. } = *self;
        *self = Self {
            last_seq,
            ..Self::new(limits)
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn accepted(recipient: &str, bytes: usize) -> Accepted {
        Accepted {
            from: "a@example.com".to_owned(),
            destination: Destination {
                to: vec![recipient.to_owned()],
                cc: Vec::new(),
                bcc: Vec::new(),
            },
            recipients: vec![(recipient.to_owned(), Outcome::Delivery)],
            set: None,
            tenant: None,
            tags: Vec::new(),
            content: Content::Raw(vec![b'x'; bytes]),
        }
    }

    fn push(received: &mut Received, recipient: &str, bytes: usize) -> String {
        received.push(
            Operation::SendEmail,
            accepted(recipient, bytes),
            "key",
            Timestamp::UNIX_EPOCH,
        )
    }

    fn kept(received: &Received) -> Vec<u64> {
        received
            .after(0, usize::MAX)
            .iter()
            .map(|message| message.seq)
            .collect()
    }

    #[test]
    fn the_last_messages_are_kept_and_all_are_counted() {
        let mut received = Received::new(ReceivedLimits {
            messages: 2,
            bytes: 1_000_000,
        });
        for _ in 0..3 {
            push(&mut received, "a@example.org", 1);
        }
        push(&mut received, "a@example.net", 1);
        assert_eq!((kept(&received), received.total()), (vec![3, 4], 4));
        let domains: Vec<_> = received
            .by_domain()
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(domains, [("example.net", 1), ("example.org", 3)]);
        assert_eq!((received.get(3).unwrap().seq, received.get(1)), (3, None));
    }

    #[test]
    fn the_oldest_go_when_the_bytes_are_too_many_and_one_too_large_is_not_kept() {
        let mut received = Received::new(ReceivedLimits {
            messages: 10,
            bytes: 3000,
        });
        push(&mut received, "a@example.org", 1000);
        push(&mut received, "a@example.org", 1000);
        assert_eq!(kept(&received), [2], "each takes more than its content");
        push(&mut received, "a@example.org", 10_000);
        assert_eq!((kept(&received), received.bytes), (vec![], 0));
    }

    #[test]
    fn without_room_it_only_counts() {
        let mut received = Received::new(ReceivedLimits { messages: 0, bytes: 0 });
        push(&mut received, "a@example.org", 1);
        assert_eq!((kept(&received), received.total()), (vec![], 1));
    }

    #[test]
    fn ids_differ_and_numbers_go_on_over_a_clearing() {
        let mut received = Received::new(ReceivedLimits::default());
        let first = push(&mut received, "a@example.org", 1);
        received.clear();
        assert_eq!((kept(&received), received.total()), (vec![], 0));
        assert_ne!(push(&mut received, "a@example.org", 1), first);
        assert_eq!(kept(&received), [2]);
    }

    #[test]
    fn domains_beyond_the_limit_are_counted_together() {
        let mut received = Received::new(ReceivedLimits { messages: 0, bytes: 0 });
        for number in 0..MAX_DOMAINS + 2 {
            push(&mut received, &format!("a@d{number}.example"), 1);
        }
        assert_eq!(received.by_domain().get(OTHER_DOMAINS), Some(&2));
        assert_eq!(received.by_domain().len(), MAX_DOMAINS + 1);
    }
}
