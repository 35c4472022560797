//! As what SES stood when a policy was last programmed: mail opens no further than that.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use super::world::Key;
use crate::{
    api::{Mode, policy::SesStatus},
    ses::{
        desired::{DesiredSet, fingerprint},
        memory::SetMemory,
    },
};

/// What was programmed for a policy: marks, since it is kept of thousands and only ever compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programmed {
    /// Of the account, the set and the tenant.
    place: u64,
    /// Of all that stands.
    memory: u64,
    /// How the switch stands, where that is known.
    sending: Option<bool>,
    /// The mode that it was programmed for.
    mode: Mode,
}

impl Programmed {
    /// What stands, where, and the mode that it was programmed for.
    #[must_use]
    pub fn new(account: &str, set: &str, tenant: Option<&str>, memory: &SetMemory, mode: Mode) -> Self {
        Self {
            place: fingerprint(&(account, set, tenant)),
            memory: fingerprint(memory),
            sending: memory.sending(),
            mode,
        }
    }

    /// As a status of an earlier run tells it; `None` where it was never programmed.
    #[must_use]
    pub fn from_status(ses: &SesStatus) -> Option<Self> {
        let memory = ses.applied.clone().into();
        let (account, set, tenant) = (&ses.account, &ses.configuration_set, ses.tenant.as_deref());
        Some(Self::new(account, set, tenant, &memory, ses.programmed_mode?))
    }

    /// The most permissive mode that mail may have now. `wanted` is what SES shall hold, where that can be told: until it
    /// does, mail goes on as it was programmed for, and not at all through another account, set or tenant.
    #[must_use]
    pub fn bound(&self, account: &str, set: &str, tenant: Option<&str>, wanted: Option<&DesiredSet>) -> Mode {
        let same = self.place == fingerprint(&(account, set, tenant));
        if !same || (self.mode.needs_sending() && self.sending != Some(true)) {
            return Mode::Paused;
        }
        let stands = wanted.is_some_and(|wanted| self.memory == fingerprint(&SetMemory::of(wanted)));
        if stands { Mode::Live } else { self.mode }
    }
}

/// What was programmed, by policy, as this run left it.
#[derive(Default)]
pub struct Registry(RwLock<HashMap<Key, Left>>);

/// How this run left a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Stopped, or never opened: nothing may be sent.
    Stopped,
    /// Programmed.
    Programmed(Programmed),
}

impl Registry {
    /// What this run knows: `None` where it has not programmed the policy yet.
    #[must_use]
    pub fn get(&self, policy: &Key) -> Option<Left> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(policy)
            .copied()
    }

    /// Notes how the policy was left.
    pub fn note(&self, policy: &Key, left: Left) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(policy.clone(), left);
    }

    /// The policy is gone.
    pub fn forget(&self, policy: &Key) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ses::test_support::desired_set;

    fn programmed(mode: Mode, desired: &DesiredSet) -> Programmed {
        Programmed::new("primary", "set", None, &SetMemory::of(desired), mode)
    }

    #[test]
    fn mail_is_unbound_where_ses_stands_as_wanted() {
        let wanted = desired_set();
        assert_eq!(
            programmed(Mode::Restricted, &wanted).bound("primary", "set", None, Some(&wanted)),
            Mode::Live
        );
    }

    #[test]
    fn mail_goes_on_as_it_was_while_a_change_waits() {
        let (standing, mut wanted) = (desired_set(), desired_set());
        wanted.options.reputation_metrics = true;
        for wanted in [Some(&wanted), None] {
            let bound = programmed(Mode::Restricted, &standing).bound("primary", "set", None, wanted);
            assert_eq!(bound, Mode::Restricted);
        }
    }

    #[test]
    fn nothing_goes_through_another_account_set_or_tenant_or_one_that_is_off() {
        let wanted = desired_set();
        let live = programmed(Mode::Live, &wanted);
        assert_eq!(live.bound("other", "set", None, Some(&wanted)), Mode::Paused);
        assert_eq!(live.bound("primary", "other", None, Some(&wanted)), Mode::Paused);
        assert_eq!(
            live.bound("primary", "set", Some("tenant"), Some(&wanted)),
            Mode::Paused
        );
        let memory = SetMemory::of(&wanted).with_sending(false);
        let off = Programmed::new("primary", "set", None, &memory, Mode::Live);
        assert_eq!(off.bound("primary", "set", None, Some(&wanted)), Mode::Paused);
    }

    #[test]
    fn what_was_captured_stays_captured_until_the_set_is_on() {
        let on = desired_set();
        let off = DesiredSet {
            sending: false,
            ..desired_set()
        };
        assert_eq!(
            programmed(Mode::Capture, &off).bound("primary", "set", None, Some(&on)),
            Mode::Capture
        );
    }
}
