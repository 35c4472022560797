//! A message as it came in by any way, and what is made of it once the gate has decided.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    capture::Outcome,
    content::{Content, Named},
    message::{Mailbox, Visible},
    relay::{Destination, Tag},
};
use crate::{
    api::Address,
    policy::gate::{Decision, Fate},
};

/// The most recipients of one call to SES (quotas page of the Developer Guide).
pub const RECIPIENTS_A_CALL: usize = 50;

/// A message that wants to leave.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The envelope's sender, where the way in has one.
    pub sender: Option<Address>,
    /// Who it is from.
    pub from: Mailbox,
    /// Whom it is for. By SMTP, where the envelope does not tell To from Cc, all are here.
    pub to: Vec<Mailbox>,
    /// Whom it is for, in header Cc.
    pub cc: Vec<Mailbox>,
    /// Whom it is for, in no header.
    pub bcc: Vec<Mailbox>,
    /// What it says.
    pub content: Content,
    /// The application's tags.
    pub tags: Vec<Tag>,
    /// What else it asks of SES.
    pub options: Map<String, Value>,
}

/// Where a recipient is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    To,
    Cc,
    Bcc,
}

/// One who is mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailing {
    /// With the name it came with, where it is mailed as it is.
    pub mailbox: Mailbox,
    place: Place,
}

/// What is made of a message.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who is mailed, each once.
    pub mailed: Vec<Mailing>,
    /// Whom the message names then, where that is not as it came.
    pub visible: Option<Visible>,
    /// What becomes of everyone it was for.
    pub outcomes: Vec<(Address, Outcome)>,
}

impl Submission {
    /// Everyone it is for, each once, in order.
    #[must_use]
    pub fn recipients(&self) -> Vec<Address> {
        let mut seen = BTreeSet::new();
        let all = self.placed().map(|(mailbox, _)| &mailbox.address);
        all.filter(|address| seen.insert((*address).clone())).cloned().collect()
    }

    /// Whom the message names.
    #[must_use]
    pub fn named(&self) -> (Vec<Address>, Vec<Address>) {
        match &self.content {
            // A header that cannot be read names nobody: it is kept as it stands, and shown to nobody else.
            Content::Raw(message) => (
                message.addresses("To").unwrap_or_default(),
                message.addresses("Cc").unwrap_or_default(),
            ),
            Content::Parts(_) => (addresses(&self.to), addresses(&self.cc)),
        }
    }

    /// The message as people look at it.
    #[must_use]
    pub fn shown(&self) -> bytes::Bytes {
        let (to, cc) = self.named();
        self.content.shown(Named {
            from: &self.from.address,
            to: &to,
            cc: &cc,
        })
    }

    fn placed(&self) -> impl Iterator<Item = (&Mailbox, Place)> {
        let at = |place| move |mailbox| (mailbox, place);
        let to = self.to.iter().map(at(Place::To));
        let cc = self.cc.iter().map(at(Place::Cc));
        to.chain(cc).chain(self.bcc.iter().map(at(Place::Bcc)))
    }
}

fn addresses(mailboxes: &[Mailbox]) -> Vec<Address> {
    mailboxes.iter().map(|mailbox| mailbox.address.clone()).collect()
}

impl Plan {
    /// What is made of a message of which nobody is refused; `recipients` as the decision's verdicts are.
    #[must_use]
    pub fn new(submission: &Submission, recipients: &[Address], decision: &Decision<'_>) -> Self {
        let (to, cc) = submission.named();
        let is_raw = matches!(submission.content, Content::Raw(_));
        let mut plan = Self {
            mailed: Vec::new(),
            visible: None,
            outcomes: Vec::new(),
        };
        let mut mailed = BTreeSet::new();
        for (recipient, verdict) in recipients.iter().zip(&decision.verdicts) {
            let came = submission.placed().find(|(mailbox, _)| mailbox.address == *recipient);
            let Some((mailbox, placed)) = came else { continue };
            // By SMTP it is the headers that say who is named.
            let place = match is_raw {
                true if to.contains(recipient) => Place::To,
                true if cc.contains(recipient) => Place::Cc,
                true => Place::Bcc,
                false => placed,
            };
            let (mailbox, outcome) = match &verdict.fate {
                Fate::Send => (Some(mailbox.clone()), Outcome::Sent),
                Fate::Replace(address) => (Some(address.clone().into()), Outcome::Replaced),
                Fate::Capture | Fate::Refuse(_) => (None, Outcome::Captured),
            };
            plan.outcomes.push((recipient.clone(), outcome));
            if let Some(mailbox) = mailbox.filter(|mailbox| mailed.insert(mailbox.address.clone())) {
                plan.mailed.push(Mailing { mailbox, place });
            }
        }
        if plan.captures() {
            let named = |place| {
                let there = plan.mailed.iter().filter(move |mailing| mailing.place == place);
                there.map(|mailing| mailing.mailbox.address.clone()).collect()
            };
            plan.visible = Some(Visible {
                to: named(Place::To),
                cc: named(Place::Cc),
                subject_prefix: decision
                    .policies
                    .first()
                    .and_then(|policy| policy.subject_prefix.clone()),
            });
        }
        plan
    }

    /// Whether a copy is captured: somebody is not mailed as it came.
    #[must_use]
    pub fn captures(&self) -> bool {
        self.outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Sent)
    }
}

/// The destination of one call to SES.
#[must_use]
pub fn destination(mailings: &[Mailing]) -> Destination {
    let at = |place| {
        let there = mailings.iter().filter(move |mailing| mailing.place == place);
        there.map(|mailing| mailing.mailbox.to_string()).collect()
    };
    Destination {
        to_addresses: at(Place::To),
        cc_addresses: at(Place::Cc),
        bcc_addresses: at(Place::Bcc),
    }
}
