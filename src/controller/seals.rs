//! Seals identities: mail that names no configuration set goes through one that cannot send.
//!
//! A listing does not tell which set is an identity's default. So the status remembers which are sealed, by a keyed hash of
//! each: an identity may be an address, and may have left the spec since.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{account::write_status, accounts::Account, context::Context, desired::owner, error::Error};
use crate::{
    api::{
        SendingAccount, SendingAccountStatus,
        account::SealStatus,
        condition::{self, kind},
    },
    ses::{
        address::Identity,
        apply::apply,
        budget::Priority,
        desired::{DesiredSeal, DesiredSet, SetOptions},
        error::Retry,
        inventory::{Inventory, rotate},
        name::SetName,
        plan::{Consent, Context as PlanContext, Finding, Plan, plan_seal, plan_set},
    },
};

/// What became of an account's seals.
#[derive(Debug, Default)]
pub struct Seals {
    /// Each identity of the spec: whether it is to be sealed, whether it is, and what keeps it from standing as wanted.
    shown: BTreeMap<String, Shown>,
    /// What is to be remembered.
    pub standing: Vec<SealStatus>,
    /// What SES or the API server refused first; it is tried again.
    pub error: Option<Error>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    wanted: bool,
    sealed: bool,
    message: Option<String>,
}

/// One identity whose seal is wanted, or stands, or may stand.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    identity: Identity,
    /// Its keyed hash.
    hash: String,
    in_spec: bool,
    wanted: bool,
    standing: Standing,
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    /// Only reading tells.
    UnderWay,
    Sealed,
}

impl Entry {
    fn is_due(&self) -> bool {
        match self.standing {
            Standing::Open => self.wanted,
            Standing::UnderWay => true,
            Standing::Sealed => !self.wanted,
        }
    }
}

impl Seals {
    /// Whether the identity is sealed, and what keeps it from standing as wanted.
    #[must_use]
    pub fn of(&self, identity: &str) -> (bool, Option<String>) {
        let shown = self.shown.get(identity).cloned().unwrap_or_default();
        (shown.sealed, shown.message)
    }

    /// What the account's conditions say of its seals; `None` where none is wanted and nothing failed.
    #[must_use]
    pub fn condition(&self) -> Option<condition::Finding> {
        if let Some(error) = &self.error {
            return Some(condition::Finding::no(
                kind::IDENTITIES_SEALED,
                error.reason(),
                error.to_string(),
            ));
        }
        let wanted: Vec<&Shown> = self.shown.values().filter(|shown| shown.wanted).collect();
        if wanted.iter().all(|shown| shown.sealed) {
            let message = "mail of the sealed identities that names no configuration set is refused by SES";
            return (!wanted.is_empty()).then(|| condition::Finding::yes(kind::IDENTITIES_SEALED, "Sealed", message));
        }
        let messages: BTreeSet<&str> = wanted.iter().filter_map(|shown| shown.message.as_deref()).collect();
        let message = messages.into_iter().collect::<Vec<_>>().join("; ");
        Some(condition::Finding::no(kind::IDENTITIES_SEALED, "NotSealed", message))
    }
}

/// Makes the seals of the spec true. What is remembered as wanted costs no call, but for `look`: then the sealed set is
/// read, since one that somebody switched on seals nothing, and one of the identities, each in its turn.
///
/// What is refused for one identity is told of it and keeps nothing else from being done.
pub async fn settle(
    context: &Context,
    account: &Account,
    object: &SendingAccount,
    inventory: &Inventory,
    consent: &Consent,
    look: bool,
) -> Seals {
    let hash = |identity: &Identity| context.publisher.seal_hash(&account.name, identity);
    let mut work = Work {
        account,
        consent,
        set: SetName::sealed(&account.spec.cluster_id, &account.name),
        entries: entries(object, inventory, hash),
        error: None,
    };
    let looked_at = if look { next(account, &work.entries) } else { None };
    let seals = |entry: &Entry| entry.wanted && (look || entry.is_due());
    let usable = !work.entries.iter().any(seals) || work.ensure_set(object).await;
    let mut plans = work.plans(looked_at.as_ref(), usable).await;
    work.remember_beginnings(context, object, &mut plans).await;
    work.carry_out(plans).await;
    work.ended(object)
}

/// The seals of one account while they are worked on.
struct Work<'a> {
    account: &'a Account,
    consent: &'a Consent,
    /// The sealed set.
    set: SetName,
    entries: Vec<Entry>,
    /// What was refused first.
    error: Option<Error>,
}

/// Plans, each with the place of its entry.
type Plans = Vec<(usize, Plan)>;

impl Work<'_> {
    /// Makes the set that cannot send stand; whether identities may be sealed by it.
    async fn ensure_set(&mut self, object: &SendingAccount) -> bool {
        let message = match ensure_set(self.account, object, &self.set, self.consent).await {
            Ok(None) => return true,
            Ok(Some(refused)) => {
                // It is not ours, and may send: what it is the default of is not sealed by it.
                let seals = self.entries.iter_mut().filter(|entry| entry.wanted);
                seals
                    .filter(|entry| entry.standing == Standing::Sealed)
                    .for_each(|entry| entry.standing = Standing::UnderWay);
                refused.to_string()
            }
            Err(failed) => {
                let message = failed.to_string();
                self.error = Some(failed);
                message
            }
        };
        let unsealed = self.entries.iter_mut().filter(|entry| entry.wanted && entry.is_due());
        unsealed.for_each(|entry| entry.message = Some(message.clone()));
        false
    }

    /// Reads what is due and what is looked at.
    async fn plans(&mut self, looked_at: Option<&Identity>, usable: bool) -> Plans {
        let mut plans = Vec::new();
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            let due = entry.is_due() || looked_at == Some(&entry.identity);
            if !due || (entry.wanted && !usable) {
                continue;
            }
            match plan(self.account, entry, &self.set, self.consent).await {
                Ok(Some(plan)) => plans.push((at, plan)),
                // It went since the listing, and its seal with it.
                Ok(None) => self.entries[at].standing = Standing::Open,
                Err(failed) => self.note(at, failed),
            }
            if self.error.as_ref().is_some_and(passes) {
                break;
            }
        }
        plans
    }

    /// Before a call, so that a seal is known of whose identity leaves the spec while the operator is away.
    async fn remember_beginnings(&mut self, context: &Context, object: &SendingAccount, plans: &mut Plans) {
        let begins = |(at, plan): &&(usize, Plan)| self.entries[*at].standing == Standing::Open && !plan.is_empty();
        let beginning: Vec<usize> = plans.iter().filter(begins).map(|(at, _)| *at).collect();
        if beginning.is_empty() {
            return;
        }
        for at in &beginning {
            self.entries[*at].standing = Standing::UnderWay;
        }
        let status = SendingAccountStatus {
            seals: standing(&self.entries),
            ..object.status.clone().unwrap_or_default()
        };
        if let Err(failed) = write_status(context, object, &status).await {
            plans.retain(|(at, _)| !beginning.contains(at));
            for at in beginning {
                self.entries[at].standing = Standing::Open;
            }
            self.error.get_or_insert(failed);
        }
    }

    async fn carry_out(&mut self, plans: Plans) {
        let Account { ses, budget, .. } = self.account;
        for (at, plan) in plans {
            let entry = &mut self.entries[at];
            match apply(&plan, &**ses, budget, Priority::SpecChange).await {
                Ok(applied) => {
                    let kept = |finding: &&Finding| matches!(finding, Finding::IdentityHasDefault { .. });
                    let kept = applied.findings().iter().find(kept);
                    let sealed = entry.wanted && kept.is_none();
                    entry.standing = if sealed { Standing::Sealed } else { Standing::Open };
                    entry.message = kept.map(ToString::to_string);
                }
                Err(failed) => {
                    entry.standing = Standing::UnderWay;
                    self.note(at, failed.into());
                }
            }
            if self.error.as_ref().is_some_and(passes) {
                return;
            }
        }
    }

    fn note(&mut self, at: usize, failed: Error) {
        self.entries[at].message = Some(failed.to_string());
        self.error.get_or_insert(failed);
    }

    fn ended(mut self, object: &SendingAccount) -> Seals {
        // What was not come to is told why.
        let why = self.error.as_ref().map(ToString::to_string);
        let not_come_to = |entry: &&mut Entry| entry.is_due() && entry.message.is_none();
        for entry in self.entries.iter_mut().filter(not_come_to) {
            entry.message.clone_from(&why);
        }
        Seals {
            standing: standing(&self.entries),
            shown: shown(object, &self.entries),
            error: self.error,
        }
    }
}

/// Whether an error passes by itself: the next call may well meet it, too, and it is tried again soon.
pub(super) fn passes(error: &Error) -> bool {
    error.retry() != Retry::UserMustMend
}

/// The identities of the spec and those that are remembered, as far as SES lists them: the seal of one that is gone went
/// with it.
fn entries(object: &SendingAccount, inventory: &Inventory, hash: impl Fn(&Identity) -> String) -> Vec<Entry> {
    let remembered = object.status.iter().flat_map(|status| &status.seals);
    let mut remembered: HashMap<&str, Standing> = remembered
        .map(|SealStatus { identity, under_way }| {
            let standing = if *under_way {
                Standing::UnderWay
            } else {
                Standing::Sealed
            };
            (identity.as_str(), standing)
        })
        .collect();
    let mut entries = Vec::new();
    for identity in &object.spec.identities {
        let (wanted, identity) = (identity.sealed, Identity::new(&identity.name));
        let hash = hash(&identity);
        let standing = remembered.remove(hash.as_str()).unwrap_or(Standing::Open);
        if inventory.identities.contains_key(&identity) {
            entries.push(Entry {
                identity,
                hash,
                in_spec: true,
                wanted,
                standing,
                message: None,
            });
        }
    }
    if !remembered.is_empty() {
        for identity in inventory.identities.keys() {
            let hash = hash(identity);
            if let Some(standing) = remembered.remove(hash.as_str()) {
                entries.push(Entry {
                    identity: identity.clone(),
                    hash,
                    in_spec: false,
                    wanted: false,
                    standing,
                    message: None,
                });
            }
        }
    }
    entries
}

/// The sealed identity whose turn it is to be read.
fn next(account: &Account, entries: &[Entry]) -> Option<Identity> {
    let sealed = |entry: &&Entry| entry.wanted && entry.standing == Standing::Sealed;
    let sealed: BTreeSet<Identity> = entries.iter().filter(sealed).map(|it| it.identity.clone()).collect();
    account.next_seal(|before| rotate(&sealed, before).cloned())
}

fn standing(entries: &[Entry]) -> Vec<SealStatus> {
    let stands = |entry: &&Entry| entry.standing != Standing::Open;
    let seal = |entry: &Entry| SealStatus {
        identity: entry.hash.clone(),
        under_way: entry.standing == Standing::UnderWay,
    };
    let mut seals: Vec<SealStatus> = entries.iter().filter(stands).map(seal).collect();
    seals.sort_by(|one, two| one.identity.cmp(&two.identity));
    seals
}

fn shown(object: &SendingAccount, entries: &[Entry]) -> BTreeMap<String, Shown> {
    let found = |name: &str| {
        entries
            .iter()
            .find(|entry| entry.in_spec && entry.identity.as_str() == name)
    };
    let shown = |identity: &crate::api::account::Identity| {
        let shown = match found(&identity.name) {
            Some(entry) => Shown {
                wanted: entry.wanted,
                // One that is to be given back is sealed until it was.
                sealed: match entry.standing {
                    Standing::Open => false,
                    Standing::UnderWay => !entry.wanted,
                    Standing::Sealed => true,
                },
                message: entry.message.clone(),
            },
            None => Shown {
                wanted: identity.sealed,
                sealed: false,
                message: identity
                    .sealed
                    .then(|| format!("{} does not exist in SES", Identity::new(&identity.name))),
            },
        };
        (identity.name.clone(), shown)
    };
    object.spec.identities.iter().map(shown).collect()
}

/// What makes the identity's seal as wanted; `None` where there is no such identity.
async fn plan(account: &Account, entry: &Entry, set: &SetName, consent: &Consent) -> Result<Option<Plan>, Error> {
    let desired = DesiredSeal {
        identity: entry.identity.clone(),
        set: set.clone(),
        sealed: entry.wanted,
    };
    let observed = account.reader(Priority::SpecChange).identity(&entry.identity).await?;
    Ok(observed.map(|observed| plan_seal(&desired, &observed, consent)))
}

/// Makes the set that cannot send stand; where it is not ours, why it is not used.
async fn ensure_set(
    account: &Account,
    object: &SendingAccount,
    name: &SetName,
    consent: &Consent,
) -> Result<Option<Finding>, Error> {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let desired = DesiredSet {
        name: name.clone(),
        owner: owner(&account.spec.cluster_id, "", &account.name, uid),
        sending: false,
        options: SetOptions::default(),
        destinations: BTreeMap::new(),
        tenant: None,
    };
    let context = PlanContext {
        arns: account.arns.clone(),
        consent: consent.clone(),
        intended_sending: None,
        default_of: BTreeSet::new(),
    };
    let observed = account.reader(Priority::SpecChange).set(name, None).await?;
    let plan = plan_set(&desired, observed.as_ref(), &context);
    let applied = apply(&plan, &*account.ses, &account.budget, Priority::SpecChange).await?;
    account.listed.note_set(name.as_str());
    let mut findings = applied.findings().iter();
    Ok(findings.find(|it| matches!(it, Finding::Refused { .. })).cloned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;
    use crate::ses::observed::IdentityListing;

    fn object(spec: &[(&str, bool)], seals: &[(&str, bool)]) -> SendingAccount {
        let identities: Vec<_> = spec
            .iter()
            .map(|(name, sealed)| json!({"name": name, "sealed": sealed}))
            .collect();
        let seals: Vec<_> = seals
            .iter()
            .map(|(identity, under_way)| json!({"identity": hash(identity), "underWay": under_way}))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "SendingAccount", "metadata": {"name": "primary"},
            "spec": {
                "region": "us-east-1", "clusterId": "a", "identities": identities,
                "feedback": {"destination": {"eventBridge": {}}},
            },
            "status": {"seals": seals},
        }))
        .unwrap()
    }

    fn hash(identity: &str) -> String {
        format!("hash of {identity}")
    }

    fn found(spec: &[(&str, bool)], seals: &[(&str, bool)], listed: &[&str]) -> Vec<Entry> {
        let listing = |name: &&str| {
            let identity = Identity::new(*name);
            let listing = IdentityListing {
                identity: identity.clone(),
                verified: true,
                sending: true,
            };
            (identity, listing)
        };
        let inventory = Inventory {
            identities: listed.iter().map(listing).collect(),
            ..Inventory::default()
        };
        entries(&object(spec, seals), &inventory, |identity| hash(identity.as_str()))
    }

    fn due(entries: &[Entry]) -> Vec<(&str, bool)> {
        let due = entries.iter().filter(|entry| entry.is_due());
        due.map(|entry| (entry.identity.as_str(), entry.wanted)).collect()
    }

    const ONE: &str = "one@example.com";
    const TWO: &str = "two@example.com";

    #[test]
    fn what_is_remembered_as_wanted_is_not_due() {
        let entries = found(&[(ONE, true), (TWO, false)], &[(ONE, false)], &[ONE, TWO]);
        assert_eq!(due(&entries), []);
    }

    #[test]
    fn mailboxes_at_one_domain_are_told_apart() {
        let entries = found(&[(ONE, true), (TWO, true)], &[(ONE, false)], &[ONE, TWO]);
        assert_eq!(due(&entries), [(TWO, true)]);
        let entries = found(&[(ONE, false), (TWO, true)], &[(ONE, false), (TWO, false)], &[ONE, TWO]);
        assert_eq!(due(&entries), [(ONE, false)]);
    }

    #[test]
    fn an_address_that_leaves_the_spec_is_given_back_and_remembered_until_it_was() {
        let entries = found(
            &[(TWO, true)],
            &[(ONE, false), (TWO, false)],
            &[ONE, TWO, "example.com"],
        );
        assert_eq!(due(&entries), [(ONE, false)]);
        let seals = standing(&entries);
        assert_eq!(seals.len(), 2);
        assert!(seals.iter().all(|seal| !seal.under_way));
    }

    #[test]
    fn a_seal_that_was_under_way_is_read() {
        for wanted in [true, false] {
            assert_eq!(due(&found(&[(ONE, wanted)], &[(ONE, true)], &[ONE])), [(ONE, wanted)]);
        }
    }

    #[test]
    fn an_identity_that_ses_has_no_more_is_forgotten_and_one_that_is_to_be_sealed_says_so() {
        let entries = found(&[(TWO, true)], &[(ONE, false), (TWO, false)], &[]);
        assert_eq!((standing(&entries), due(&entries).len()), (Vec::new(), 0));
        let seals = Seals {
            shown: shown(&object(&[(TWO, true)], &[]), &entries),
            ..Seals::default()
        };
        let condition = seals.condition().unwrap();
        assert_eq!((condition.status, condition.reason), (Some(false), "NotSealed"));
        assert!(!condition.message.contains("two"), "{}", condition.message);
    }

    #[test]
    fn no_condition_speaks_of_seals_where_none_is_wanted() {
        let entries = found(&[(ONE, false)], &[], &[ONE]);
        let seals = Seals {
            shown: shown(&object(&[(ONE, false)], &[]), &entries),
            ..Seals::default()
        };
        assert_eq!(seals.condition(), None);
        assert_eq!(seals.of(ONE), (false, None));
    }
}
