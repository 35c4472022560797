//! Messages that SES accepted for some of their recipients only: sent again, they go to the others.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{content::Content, submission::Submission};
use crate::api::Address;

/// How long one is remembered: clients try again within minutes.
const KEPT: Duration = Duration::from_hours(1);

/// How many are remembered; one more is sent to everyone again.
const MOST: usize = 1_000;

/// What a message is known again by.
pub type Fingerprint = [u8; 32];

/// What SES had accepted of a message.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// For whom.
    pub accepted: BTreeSet<Address>,
    /// By which ids.
    pub ids: Vec<String>,
}

/// Messages that were begun.
#[derive(Debug, Default)]
pub struct Unfinished(HashMap<Fingerprint, (Duration, Begun)>);

impl Unfinished {
    /// What a message is known again by: sender, recipients and what it says.
    #[must_use]
    pub fn fingerprint(submission: &Submission) -> Fingerprint {
        let mut digest = Sha256::new();
        digest.update(submission.from.to_string());
        for recipient in submission.recipients() {
            digest.update(b"\n");
            digest.update(recipient.to_string());
        }
        digest.update(b"\n\n");
        match &submission.content {
            Content::Raw(message) => digest.update(message.raw()),
            // A map of JSON writes itself always alike.
            Content::Parts(parts) => digest.update(serde_json::to_vec(&parts.members).unwrap_or_default()),
        }
        digest.finalize().into()
    }

    /// What SES had accepted of this message; `now` is time since the start.
    #[must_use]
    pub fn begun(&self, fingerprint: Fingerprint, now: Duration) -> Begun {
        let begun = self.0.get(&fingerprint).filter(|(end, _)| *end > now);
        begun.map(|(_, begun)| begun.clone()).unwrap_or_default()
    }

    /// SES has accepted it for everyone.
    pub fn finish(&mut self, fingerprint: Fingerprint) {
        self.0.remove(&fingerprint);
    }

    /// SES has accepted it for these.
    pub fn keep(&mut self, fingerprint: Fingerprint, accepted: Vec<Address>, ids: Vec<String>, now: Duration) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (end, _)| *end > now);
        }
        if self.0.len() < MOST {
            let accepted = accepted.into_iter().collect();
            self.0.insert(fingerprint, (now + KEPT, Begun { accepted, ids }));
        }
    }
}
