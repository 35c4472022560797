//! Ceilings as one pod keeps them: its share of them, what went through, and where that is kept.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;
use tracing::warn;

use super::past::{Event, Keeping, Kept, Past};
use crate::{
    api::Rate,
    policy::{
        allotment::{
            Allotment, Allotted, CeilingKey, Closed, Counted as Counts, Farewell, InForce, Life, NotTaken, Outcome,
        },
        allotment::{Report, WireError, never_fits},
        ceiling::{
            CeilingName, CeilingOf, Ceilings, Count, Hindrance, Mailed, Moment, NamespaceLimits, RecipientHash, Ticket,
        },
    },
};

/// Which part of the namespace's ceilings is this pod's.
#[derive(Clone, Debug)]
pub enum Share {
    /// All: the pod is the only one.
    Whole,
    /// What the operator allots to it.
    Allotted(Box<Allotted>),
}

/// Why a message may not go now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindered {
    /// The pod has no share, or none of this ceiling; whether it had one before.
    NoShare {
        /// Whether it is the first that it waits for.
        is_first: bool,
    },
    /// A ceiling.
    Ceiling(Hindrance),
    /// What the ceilings let through cannot be kept.
    NotKept,
}

/// Why an allotment was not taken.
#[derive(Debug, Error)]
pub enum AllotmentError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] WireError),
    /// It is not for this sidecar, now.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

/// Ceilings, the pod's share of them, and where their past is kept; without that nothing is sent.
pub struct Counted {
    folder: PathBuf,
    ceilings: Ceilings,
    past: Option<Past>,
    share: Share,
    /// What the configuration states; `None` before the first.
    own: Option<NamespaceLimits>,
    in_force: InForce,
    has_complained: bool,
}

impl Counted {
    /// Ceilings without limits yet, whose past is kept in this folder.
    #[must_use]
    pub fn new(folder: PathBuf, share: Share) -> Self {
        Self {
            folder,
            ceilings: Ceilings::default(),
            past: None,
            share,
            own: None,
            in_force: InForce::default(),
            has_complained: false,
        }
    }

    /// Reads what is kept of the past, unless that is done.
    pub fn open(&mut self, now: Timestamp, moment: Moment) {
        if self.past.is_some() {
            return;
        }
        match Past::open(&self.folder, moment) {
            Ok((past, Kept { ceilings, allotted })) => {
                self.ceilings = ceilings;
                self.past = Some(past);
                if let (Share::Allotted(share), Some(kept)) = (&mut self.share, allotted) {
                    **share = kept;
                }
                self.reckon(now, moment);
            }
            // Said once, not several times a second.
            Err(_) if self.has_complained => {}
            Err(error) => {
                self.has_complained = true;
                warn!(%error, "what the ceilings let through cannot be read: nothing is sent");
            }
        }
    }

    /// Keeps the ceilings of another configuration from now on.
    pub fn set_limits(&mut self, own: NamespaceLimits, now: Timestamp, moment: Moment) {
        if self.own.as_ref() == Some(&own) {
            return;
        }
        if let Share::Allotted(share) = &mut self.share {
            share.keep(&own);
        }
        self.own = Some(own);
        self.reckon(now, moment);
    }

    /// Obeys the text of an annotation from now on; whether it is another than before.
    ///
    /// # Errors
    /// [`AllotmentError`]: then what was obeyed stays.
    pub fn take_allotment(&mut self, text: &str, now: Timestamp, moment: Moment) -> Result<bool, AllotmentError> {
        let Share::Allotted(share) = &mut self.share else {
            return Ok(false);
        };
        let is_new = share.take(Allotment::parse(text)?, now, self.ceilings.usage(moment))?;
        if is_new {
            self.reckon(now, moment);
        }
        Ok(is_new)
    }

    /// What is in force of limits and share, and a snapshot of it: only onto that can a journal be replayed. Where it cannot
    /// be written, what was kept is read again before anything is sent.
    fn reckon(&mut self, now: Timestamp, moment: Moment) {
        // Before the first configuration the past stays under the limits that it was kept under: none would be kept of it.
        let Some(own) = &self.own else { return };
        self.in_force = match &self.share {
            Share::Whole => InForce {
                limits: own.clone(),
                ..InForce::default()
            },
            Share::Allotted(share) => share.in_force(own, now),
        };
        self.ceilings = std::mem::take(&mut self.ceilings).under(&self.in_force.limits, moment);
        let kept = keeping(&self.ceilings, &self.share);
        if let Some(Err(error)) = self.past.as_mut().map(|past| past.renew(kept)) {
            warn!(%error, "what the ceilings let through cannot be written: nothing is sent");
            self.past = None;
        }
    }

    /// Room for a message, or what hinders it now. `is_last`: whether it is asked no more if it is hindered.
    ///
    /// # Errors
    /// [`Hindered`].
    pub fn take(
        &mut self,
        policies: &[&str],
        mailed: &[Mailed],
        now: Timestamp,
        moment: Moment,
    ) -> Result<Ticket, Hindered> {
        self.lapse(now, moment);
        if self.past.is_none() || self.own.is_none() {
            return Err(Hindered::NotKept);
        }
        let new = self.new_among(mailed);
        if let Some((_, closed)) = self.in_force.closed_to(policies, new > 0) {
            return Err(Hindered::NoShare {
                is_first: closed == Closed::NotYet,
            });
        }
        let ticket = self.ceilings.take(policies, mailed, moment);
        let ticket = ticket.map_err(|hindrance| Hindered::Ceiling(self.told(hindrance, mailed, new)))?;
        let event = Event::Taken(ticket.clone());
        if let Err(error) = self.note(&event) {
            warn!(%error, "what the ceilings let through cannot be written: nothing is sent");
            self.ceilings.give_back(&ticket, mailed, moment);
            return Err(Hindered::NotKept);
        }
        self.asked(policies, mailed, new, Outcome::Went, moment);
        Ok(ticket)
    }

    /// A message was put off: the operator learns that more is wanted.
    pub fn put_off(&mut self, policies: &[&str], mailed: &[Mailed], moment: Moment) {
        self.asked(policies, mailed, self.new_among(mailed), Outcome::PutOff, moment);
    }

    /// These were not mailed. What cannot be written stays taken after a restart, which stops no more than it must.
    pub fn give_back(&mut self, ticket: &Ticket, not_mailed: Vec<Mailed>, moment: Moment) {
        if not_mailed.is_empty() {
            return;
        }
        self.ceilings.give_back(ticket, &not_mailed, moment);
        let event = Event::GivenBack {
            ticket: ticket.clone(),
            not_mailed,
            at: moment,
        };
        if let Err(error) = self.note(&event) {
            warn!(%error, "what the ceilings got back cannot be written");
        }
    }

    /// SES accepted mail to these.
    pub fn learn(&mut self, hashes: Vec<RecipientHash>) {
        if !self.ceilings.counts_new() {
            return;
        }
        let unknown: Vec<u64> = hashes.into_iter().filter(|hash| !self.ceilings.knows(*hash)).collect();
        if unknown.is_empty() {
            return;
        }
        self.ceilings.learn(unknown.iter().copied());
        if let Err(error) = self.note(&Event::Accepted(unknown)) {
            warn!(%error, "to whom something was delivered cannot be written: they are new again after a restart");
        }
    }

    /// Each limit in force, and how many recipients count on it now.
    pub fn usage(&self, moment: Moment) -> impl Iterator<Item = (CeilingName, Rate, u64)> {
        self.ceilings.usage(moment)
    }

    /// What the operator is told; `None` where nothing is allotted.
    #[must_use]
    pub fn report(&self, moment: Moment) -> Option<Report> {
        match &self.share {
            Share::Whole => None,
            Share::Allotted(share) => Some(share.report(self.ceilings.usage(moment), moment)),
        }
    }

    /// What is left behind in the end; `None` where nothing is allotted.
    #[must_use]
    pub fn farewell(&self, moment: Moment) -> Option<Farewell> {
        match &self.share {
            Share::Whole => None,
            Share::Allotted(share) => Some(share.farewell(self.ceilings.usage(moment))),
        }
    }

    /// How many of these nothing was ever delivered to.
    fn new_among(&self, mailed: &[Mailed]) -> u64 {
        let new = mailed
            .iter()
            .filter(|it| !it.simulated && !self.ceilings.knows(it.hash));
        new.count() as u64
    }

    /// An allotment that has expired is nothing.
    fn lapse(&mut self, now: Timestamp, moment: Moment) {
        if self.in_force.until.is_some_and(|until| until <= now) {
            self.reckon(now, moment);
        }
    }

    fn note(&mut self, event: &Event) -> std::io::Result<()> {
        match &mut self.past {
            None => Ok(()),
            // The ceilings have the event already.
            Some(past) if past.is_long() => past.renew(keeping(&self.ceilings, &self.share)),
            Some(past) => past.note(event),
        }
    }

    fn asked(&mut self, policies: &[&str], mailed: &[Mailed], new: u64, outcome: Outcome, moment: Moment) {
        let Share::Allotted(share) = &mut self.share else {
            return;
        };
        let scopes = std::iter::once(None).chain(policies.iter().map(|policy| Some(*policy)));
        for policy in scopes {
            for (of, count) in [
                (Counts::Recipients, Count::of(mailed)),
                (Counts::NewRecipients, new.into()),
            ] {
                let key = policy.map_or_else(|| CeilingKey::namespace(of), |policy| CeilingKey::policy(policy, of));
                if self
                    .own
                    .as_ref()
                    .and_then(|own| key.limits(own))
                    .is_some_and(|limits| !limits.is_empty())
                    && count.all > 0
                {
                    share.asked(&key, count, outcome, moment);
                }
            }
        }
    }

    /// A message that exceeds the pod's share alone may go once the share is larger: only what exceeds the ceiling itself
    /// never goes.
    fn told(&self, hindrance: Hindrance, mailed: &[Mailed], new: u64) -> Hindrance {
        if hindrance.wait.is_some() {
            return hindrance;
        }
        let own = self
            .own
            .as_ref()
            .zip(CeilingKey::of(&hindrance.ceiling))
            .and_then(|(own, key)| key.limits(own));
        let count = match hindrance.ceiling.of {
            CeilingOf::NewRecipients => new,
            CeilingOf::Recipients | CeilingOf::PerRecipient => Count::of(mailed).longer,
        };
        match own.and_then(|own| never_fits(own, count)) {
            Some(rate) => Hindrance { rate, ..hindrance },
            None => Hindrance {
                wait: Some(std::time::Duration::from_secs(hindrance.rate.seconds)),
                ..hindrance
            },
        }
    }
}

/// What is to be kept of both.
fn keeping<'a>(ceilings: &'a Ceilings, share: &'a Share) -> Keeping<'a> {
    Keeping {
        ceilings,
        allotted: match share {
            Share::Whole => None,
            Share::Allotted(share) => Some(share),
        },
    }
}

/// A life that no sidecar had before.
#[must_use]
pub fn new_life() -> Life {
    Life(rand::random())
}
