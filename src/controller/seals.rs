//! Seals identities: mail that names no configuration set goes through one that cannot send.

use std::collections::{BTreeMap, BTreeSet};

use super::{accounts::Account, desired::owner, error::Error};
use crate::{
    api::{SendingAccount, account::Identity as IdentitySpec},
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
/// for a look.
///
/// # Errors
/// What SES refused.
pub async fn settle(account: &Account, object: &SendingAccount, consent: Consent, check: bool) -> Result<Seals, Error> {
    let remembered: BTreeMap<&str, bool> = object
        .status
        .iter()
        .flat_map(|status| &status.identities)
        .map(|identity| (identity.name.as_str(), identity.sealed))
        .collect();
    let mut seals = Seals::new();
    for identity in &object.spec.identities {
        let shown = super::account::shown(&identity.name);
        let before = remembered.get(shown.as_str()).copied().unwrap_or(false);
        let settled = before == identity.sealed && !(check && identity.sealed);
        let seal = if settled {
            (identity.sealed, None)
        } else {
            seal(account, object, identity, consent).await?
        };
        seals.insert(identity.name.clone(), seal);
    }
    Ok(seals)
}

async fn seal(
    account: &Account,
    object: &SendingAccount,
    identity: &IdentitySpec,
    consent: Consent,
) -> Result<(bool, Option<String>), Error> {
    let name = SetName::sealed(&account.spec.cluster_id, &account.name);
    if identity.sealed {
        ensure_set(account, object, &name).await?;
    }
    let desired = DesiredSeal {
        identity: Identity::new(identity.name.clone()),
        set: name.clone(),
        sealed: identity.sealed,
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
    Ok((identity.sealed && kept.is_none(), kept.map(ToString::to_string)))
}

/// The set that cannot send.
async fn ensure_set(account: &Account, object: &SendingAccount, name: &SetName) -> Result<(), Error> {
    if account.has_set(name.as_str()) {
        return Ok(());
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
        consent: Consent::default(),
        intended_sending: None,
        default_of: BTreeSet::new(),
    };
    let observed = account.reader(Priority::SpecChange).set(name, None).await?;
    let plan = plan_set(&desired, observed.as_ref(), &context);
    apply(&plan, &*account.ses, &account.budget, Priority::SpecChange).await?;
    account.note_set(name.as_str());
    Ok(())
}
