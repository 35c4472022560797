//! Seals identities: mail that names no configuration set goes through one that cannot send.

use std::collections::{BTreeMap, BTreeSet};

use super::{accounts::Account, desired::owner, error::Error};
use crate::{
    api::SendingAccount,
    ses::{
        address::Identity,
        apply::apply,
        budget::Priority,
        desired::{DesiredSeal, DesiredSet, SetOptions},
        name::SetName,
        plan::{Consent, Context as PlanContext, Finding, plan_seal, plan_set},
    },
};

/// Whether each identity is sealed now, and what keeps one from it.
pub type Seals = BTreeMap<String, (bool, Option<String>)>;

/// Makes the seals of the spec true. An identity whose seal is remembered as wanted costs no call, unless `check` asks
/// for a look, also at the sealed set itself: one that somebody switched on seals nothing.
///
/// # Errors
/// What SES refused.
pub async fn settle(
    account: &Account,
    object: &SendingAccount,
    consent: &Consent,
    check: bool,
) -> Result<Seals, Error> {
    let remembered = remembered(object);
    let mut seals = Seals::new();
    let mut due = Vec::new();
    for identity in &object.spec.identities {
        let shown = super::account::shown(&identity.name);
        let before = remembered.get(shown.as_str()).copied().unwrap_or(false);
        if before == identity.sealed && !(check && identity.sealed) {
            seals.insert(identity.name.clone(), (identity.sealed, None));
        } else {
            due.push((identity.name.as_str(), identity.sealed));
        }
    }
    // What is listed in the spec no more is not ours to seal. An address is not known any more: only its domain was told.
    let listed: BTreeSet<_> = object.spec.identities.iter().map(|it| it.name.as_str()).collect();
    let dropped = |(name, sealed): &(&&str, &bool)| **sealed && !listed.contains(**name) && !name.contains(' ');
    due.extend(remembered.iter().filter(dropped).map(|(name, _)| (*name, false)));
    if due.is_empty() {
        return Ok(seals);
    }
    let set = SetName::sealed(&account.spec.cluster_id, &account.name);
    let refused = if due.iter().any(|(_, sealed)| *sealed) {
        ensure_set(account, object, &set, consent, check).await?
    } else {
        None
    };
    for (name, sealed) in due {
        let seal = match &refused {
            Some(refused) if sealed => (false, Some(refused.to_string())),
            _ => seal(account, name, &set, sealed, consent).await?,
        };
        if listed.contains(name) {
            seals.insert(name.to_owned(), seal);
        }
    }
    Ok(seals)
}

fn remembered(object: &SendingAccount) -> BTreeMap<&str, bool> {
    let identities = object.status.iter().flat_map(|status| &status.identities);
    identities
        .map(|identity| (identity.name.as_str(), identity.sealed))
        .collect()
}

async fn seal(
    account: &Account,
    name: &str,
    set: &SetName,
    sealed: bool,
    consent: &Consent,
) -> Result<(bool, Option<String>), Error> {
    let desired = DesiredSeal {
        identity: Identity::new(name),
        set: set.clone(),
        sealed,
    };
    let Some(observed) = account.reader(Priority::SpecChange).identity(&desired.identity).await? else {
        return Ok((false, None));
    };
    let plan = plan_seal(&desired, &observed, consent);
    let applied = apply(&plan, &*account.ses, &account.budget, Priority::SpecChange).await?;
    let kept = applied
        .findings()
        .iter()
        .find(|finding| matches!(finding, Finding::IdentityHasDefault { .. }));
    Ok((sealed && kept.is_none(), kept.map(ToString::to_string)))
}

/// Makes the set that cannot send stand; where it is not ours, why it is not used.
async fn ensure_set(
    account: &Account,
    object: &SendingAccount,
    name: &SetName,
    consent: &Consent,
    check: bool,
) -> Result<Option<Finding>, Error> {
    let stands = account.listed.has_set(name.as_str());
    if stands && !check {
        return Ok(None);
    }
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
