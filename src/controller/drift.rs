//! The rotating reader: one policy after the other is compared with SES, option by option, and one suppression after the
//! other, a few entries at a time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{accounts::Account, context::Context, desired::tenant_name, world::Key};
use crate::{
    api::{MailPolicyStatus, policy::SesStatus},
    ses::{inventory::rotate, memory::SetMemory},
};

/// Where the reader of one account is.
#[derive(Default)]
struct Cursors {
    all: Option<Key>,
    paused: Option<Key>,
    /// Whether the next turn is one of the paused.
    paused_next: bool,
}

/// Reads one policy of each account every so often: with 300 policies each is compared every two and a half hours at
/// one in 30 seconds, for a fifteenth of SES's one call a second.
///
/// Policies that somebody paused in SES wait for somebody to end that in SES, and a person who did expects mail to go on:
/// while there are any, every other turn is theirs.
pub async fn rotate_reads(context: Arc<Context>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cursors = HashMap::<String, Cursors>::new();
    let mut suppression = None;
    loop {
        ticks.tick().await;
        for account in context.accounts.all() {
            let programmed = programmed(&context, &account.name);
            let cursors = cursors.entry(account.name.clone()).or_default();
            if let Some(next) = cursors.next(&programmed) {
                look_at(&context, &account, next, &programmed);
            }
        }
        suppression = rotate(&on_lists(&context), suppression.as_ref()).cloned();
        if let Some(next) = &suppression {
            context.lists.compare(next.clone());
            context.queues.suppressions.push(next.clone());
        }
    }
}

/// The suppressions that have something on SES's lists.
fn on_lists(context: &Context) -> BTreeSet<Key> {
    let has_some = |key: &Key| {
        let object = context.world.suppressions.get(key);
        let status = object.as_ref().and_then(|object| object.readable()?.status.as_ref());
        status.is_some_and(|status| status.applied.is_some_and(|applied| applied > 0))
    };
    context.world.suppressions.keys().into_iter().filter(has_some).collect()
}

/// The policies that have something in an account, and which of them are paused in SES.
#[derive(Default)]
struct Programmed {
    all: BTreeSet<Key>,
    paused: BTreeSet<Key>,
}

impl Cursors {
    /// Whose turn it is.
    fn next(&mut self, programmed: &Programmed) -> Option<Key> {
        let turn_of_paused = self.paused_next && !programmed.paused.is_empty();
        let (keys, cursor) = if turn_of_paused {
            (&programmed.paused, &mut self.paused)
        } else {
            (&programmed.all, &mut self.all)
        };
        self.paused_next = !turn_of_paused;
        cursor.clone_from(&rotate(keys, cursor.as_ref()).cloned());
        cursor.clone()
    }
}

fn programmed(context: &Context, account: &str) -> Programmed {
    let mut programmed = Programmed::default();
    for key in context.world.policies.keys() {
        let policy = context.world.policies.get(&key);
        let status = policy.as_ref().and_then(|policy| policy.readable()?.status.as_ref());
        if let Some(ses) = status.and_then(|status| made_in(status, account)) {
            if is_paused(ses) {
                programmed.paused.insert(key.clone());
            }
            programmed.all.insert(key);
        }
    }
    programmed
}

fn made_in<'a>(status: &'a MailPolicyStatus, account: &str) -> Option<&'a SesStatus> {
    let ses = status.ses.as_ref()?;
    (status.account.as_deref() == Some(account) && !ses.applied.is_empty()).then_some(ses)
}

/// The switch stands off, and we meant it on.
fn is_paused(ses: &SesStatus) -> bool {
    let stands = SetMemory::from(ses.applied.clone()).sending();
    ses.intended_sending == Some(true) && stands == Some(false)
}

/// Puts the policy's set in doubt, and its namespace's tenant with the first policy of each namespace.
fn look_at(context: &Context, account: &Account, policy: Key, programmed: &Programmed) {
    let first = programmed.all.iter().find(|other| other.namespace == policy.namespace);
    if let Some(tenant) = tenant_name(&account.spec, &policy.namespace)
        && first == Some(&policy)
    {
        account.tenants.doubt(tenant);
    }
    context.doubt(&policy);
    context.queues.policies.push(policy);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<Key> {
        let key = |name: &&str| Key {
            namespace: "shop".to_owned(),
            name: (*name).to_owned(),
        };
        names.iter().map(key).collect()
    }

    fn turns(programmed: &Programmed, turns: usize) -> Vec<String> {
        let mut cursors = Cursors::default();
        (0..turns).map(|_| cursors.next(programmed).unwrap().name).collect()
    }

    #[test]
    fn each_policy_has_its_turn() {
        let programmed = Programmed {
            all: keys(&["a", "b", "c"]),
            paused: BTreeSet::new(),
        };
        assert_eq!(turns(&programmed, 4), ["a", "b", "c", "a"]);
    }

    #[test]
    fn paused_policies_have_every_other_turn() {
        let programmed = Programmed {
            all: keys(&["a", "b", "c", "d"]),
            paused: keys(&["c", "d"]),
        };
        assert_eq!(turns(&programmed, 6), ["a", "c", "b", "d", "c", "c"]);
    }

    #[test]
    fn without_a_policy_nobody_is_read() {
        assert_eq!(Cursors::default().next(&Programmed::default()), None);
    }

    #[test]
    fn a_switch_that_stands_off_although_it_was_meant_on_is_a_pause() {
        let ses = |meant: bool, stands: &str| SesStatus {
            intended_sending: Some(meant),
            applied: [("sending".to_owned(), stands.to_owned())].into(),
            ..SesStatus::default()
        };
        assert!(is_paused(&ses(true, "off")));
        for other in [ses(true, "on"), ses(false, "off"), ses(true, "underWay")] {
            assert!(!is_paused(&other), "{other:?}");
        }
    }
}
