//! The call log: a bounded ring of the last calls, and counts of all of them.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::operation::Operation;

/// One call. No address of a suppression list is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Counts up from 1 and never back, also over a reset of the log.
    pub seq: u64,
    /// When its outcome was decided.
    pub time: Timestamp,
    /// The operation.
    pub operation: Operation,
    /// What it was about: the name of a set, tenant or identity, or an ARN; method and path of an unknown one.
    pub target: String,
    /// `ok`, an error name, or `no-answer`.
    pub outcome: &'static str,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Whether the call did what it asks for.
    pub applied: bool,
    /// The fault that hit it.
    pub fault: Option<&'static str>,
    /// The access key id it was signed with.
    pub access_key: Option<String>,
    /// The role of the session it was signed with.
    pub role: Option<String>,
}

/// Outcome of a call whose connection was cut.
pub(super) const NO_ANSWER: &str = "no-answer";
/// Outcome of a call that succeeded.
pub(super) const OK: &str = "ok";

/// How often an operation had an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The operation.
    pub operation: Operation,
    /// As in [`CallRecord::outcome`].
    pub outcome: &'static str,
    /// How often.
    pub calls: u64,
}

/// The last calls and the counts.
#[derive(Clone, Debug)]
pub(super) struct CallLog {
    capacity: usize,
    last_seq: u64,
    records: VecDeque<CallRecord>,
    counts: BTreeMap<(Operation, &'static str), u64>,
}

impl CallLog {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            last_seq: 0,
            records: VecDeque::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds a call, whose `seq` is set here.
    pub(super) fn push(&mut self, mut record: CallRecord) {
        self.last_seq += 1;
        record.seq = self.last_seq;
        *self.counts.entry((record.operation, record.outcome)).or_default() += 1;
        if self.records.len() >= self.capacity {
            self.records.pop_front();
        }
        if self.capacity > 0 {
            self.records.push_back(record);
        }
    }

    /// Calls after this sequence number, oldest first, at most `limit`.
    pub(super) fn after(&self, seq: u64, limit: usize) -> Vec<CallRecord> {
        let from = self.records.partition_point(|record| record.seq <= seq);
        self.records.range(from..).take(limit).cloned().collect()
    }

    pub(super) fn counts(&self) -> Vec<Count> {
        let count = |(&(operation, outcome), &calls)| Count {
            operation,
            outcome,
            calls,
        };
        self.counts.iter().map(count).collect()
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Forgets calls and counts.
    pub(super) fn reset(&mut self) {
        self.records.clear();
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn record(operation: Operation, outcome: &'static str) -> CallRecord {
        CallRecord {
            seq: 0,
            time: Timestamp::UNIX_EPOCH,
            operation,
            target: String::new(),
            outcome,
            status: Some(200),
            applied: true,
            fault: None,
            access_key: None,
            role: None,
        }
    }

    fn seqs(log: &CallLog, after: u64, limit: usize) -> Vec<u64> {
        log.after(after, limit).iter().map(|record| record.seq).collect()
    }

    #[test]
    fn the_ring_keeps_the_last_calls_and_the_counts_keep_all() {
        let mut log = CallLog::new(2);
        for _ in 0..3 {
            log.push(record(Operation::GetAccount, OK));
        }
        log.push(record(Operation::GetAccount, "TooManyRequestsException"));
        assert_eq!(seqs(&log, 0, 10), [3, 4]);
        let counts: Vec<u64> = log.counts().iter().map(|count| count.calls).collect();
        assert_eq!(counts, [1, 3]);
    }

    #[test]
    fn a_reader_goes_on_where_it_stopped_also_over_a_reset() {
        let mut log = CallLog::new(10);
        log.push(record(Operation::GetAccount, OK));
        log.push(record(Operation::GetAccount, OK));
        assert_eq!(seqs(&log, 0, 1), [1]);
        assert_eq!(seqs(&log, 1, 10), [2]);
        log.reset();
        assert!(log.counts().is_empty());
        log.push(record(Operation::GetAccount, OK));
        assert_eq!(seqs(&log, 2, 10), [3]);
    }
}
