//! What one MailSuppression puts on SES's lists, and takes off again.

use std::{collections::BTreeSet, sync::Arc};

use kube::{Api, Resource, core::PartialObjectMeta};

use super::{
    accounts::Account,
    batch::{Batch, Wanted},
    context::Context,
    desired::{ses_reason, tenant_name},
    error::Error,
    finalizer::Finalizer,
    policy::account_exists,
    record::{Place, Record},
    records::{self, Claims},
    world::Key,
};
use crate::{
    api::{MailSuppression, guardrail::SuppressionScope},
    policy::{CompiledNamespace, suppressions::Entries},
    ses::{address::Address, apply::apply, budget::Priority, desired::SuppressionList},
};

/// Keeps a suppression until what it put on SES's lists is taken off.
pub(super) const FINALIZER: Finalizer = Finalizer {
    name: "mailpolicy.dev/ses",
    kind: "MailSuppression",
};

/// The metadata of a namespace's suppressions.
pub(super) fn metadata(context: &Context, namespace: &str) -> Api<PartialObjectMeta<MailSuppression>> {
    Api::namespaced(context.client.clone(), namespace)
}

/// What shall stand on SES's lists, what a guardrail keeps from it, and what it waits for.
#[derive(Default)]
pub(super) struct Wish {
    /// What shall stand.
    pub wanted: Wanted,
    /// What of the spec is not done, and why.
    pub clamps: Vec<String>,
    /// Whether anything of it may belong on SES's lists.
    pub wants_lists: bool,
    /// The tenant on whose list entries shall stand does not stand itself yet.
    pub lacks_tenant: bool,
}

/// What became of a wish.
pub(super) enum Outcome {
    /// SES's lists stand as wished.
    Stands,
    /// A batch was done, and others wait.
    MoreWaits,
    /// The account cannot be reached yet, or is not known.
    AccountWaits,
    /// Something was refused or not answered; it is tried again.
    Failed(Error),
}

/// The account of the namespace, once it was reached and listed.
pub(super) fn account(context: &Context, namespace: &CompiledNamespace) -> Option<Arc<Account>> {
    let account = context.accounts.get(&namespace.account.as_ref()?.value)?;
    account.listed.inventory().is_some().then_some(account)
}

/// The spec's entries and releases, as far as the guardrails and the account let them reach.
pub(super) fn wish(
    object: &MailSuppression,
    namespace: &CompiledNamespace,
    account: Option<&Account>,
    entries: &Entries,
) -> Wish {
    let mut wish = Wish::default();
    let allowed = namespace.bounds.scopes();
    let asked: BTreeSet<SuppressionScope> = object.spec.scopes.iter().copied().collect();
    for scope in asked.difference(&allowed) {
        wish.clamps.push(format!(
            "scope {scope:?} is not used: the guardrails of this namespace do not allow it"
        ));
    }
    let releases = !object.spec.release.is_empty();
    if releases && !namespace.bounds.may_release() {
        wish.clamps
            .push("release is not done: the guardrails of this namespace do not allow it".to_owned());
    }
    let scopes = asked.intersection(&allowed);
    wish.wants_lists = scopes.clone().any(|scope| *scope != SuppressionScope::Sidecar);
    let Some(account) = account else { return wish };
    let own_namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let tenant = tenant_name(&account.spec, own_namespace);
    let mut lists = Vec::new();
    for scope in scopes {
        match (scope, &tenant) {
            (SuppressionScope::Sidecar, _) => {}
            (SuppressionScope::Account, _) => lists.push(SuppressionList::Account),
            (SuppressionScope::Tenant, None) => wish
                .clamps
                .push("scope Tenant is not used: the SendingAccount isolates by configuration set".to_owned()),
            (SuppressionScope::Tenant, Some(tenant)) if account.listed.has_tenant(tenant.as_str()) => {
                lists.push(SuppressionList::Tenant(tenant.clone()));
            }
            (SuppressionScope::Tenant, Some(_)) => wish.lacks_tenant = true,
        }
    }
    let wanted = &mut wish.wanted;
    for list in &lists {
        let place = |address: &str| (list.clone(), Address::new(address));
        if releases && namespace.bounds.may_release() {
            wanted
                .released
                .extend(object.spec.release.iter().map(|text| place(text)));
        }
        let listed = entries.addresses();
        wanted
            .listed
            .extend(listed.map(|(address, reason)| (place(&address.to_string()), ses_reason(reason))));
    }
    let released = &wanted.released;
    wanted.listed.retain(|place, _| !released.contains(place));
    wish
}

/// What stands by a suppression after its turn.
pub(super) struct Settled {
    /// Entries known to stand.
    pub standing: usize,
    /// What became of its wish.
    pub outcome: Outcome,
}

impl Settled {
    /// Nothing was changed; what its record says stands.
    pub async fn unchanged(context: &Context, key: &Key) -> Self {
        match records::read(context, key).await {
            Ok(record) => Self {
                standing: record.standing(),
                outcome: Outcome::Stands,
            },
            Err(error) => Self {
                standing: 0,
                outcome: Outcome::Failed(error),
            },
        }
    }

    /// The same with this failure before all else.
    pub fn unless_refused(self, refused: Option<Error>) -> Self {
        match refused {
            Some(error) => Self {
                outcome: Outcome::Failed(error),
                ..self
            },
            None => self,
        }
    }
}

/// One suppression on SES's lists.
pub(super) struct OnLists<'a, O> {
    /// What every reconciliation shares.
    pub context: &'a Context,
    /// Its namespace and name.
    pub key: &'a Key,
    /// The object, of which only the metadata is read.
    pub object: &'a O,
}

impl<O: Resource<DynamicType = ()>> OnLists<'_, O> {
    /// Brings SES's lists one batch nearer to what is wished. Without an account nothing can be changed, and nothing
    /// that stands is forgotten.
    pub async fn settle(&self, account: Option<&Account>, wish: &Wish) -> Settled {
        let mut record = match records::read(self.context, self.key).await {
            Ok(record) => record,
            Err(error) => {
                return Settled {
                    standing: 0,
                    outcome: Outcome::Failed(error),
                };
            }
        };
        let outcome = match account {
            Some(account) => self.approach(account, &wish.wanted, &mut record).await,
            None if record.is_empty() && !wish.wants_lists => Ok(Outcome::Stands),
            None => Ok(Outcome::AccountWaits),
        };
        Settled {
            standing: record.standing(),
            outcome: outcome.unwrap_or_else(Outcome::Failed),
        }
    }

    async fn approach(&self, account: &Account, wanted: &Wanted, record: &mut Record) -> Result<Outcome, Error> {
        if record.account.as_ref().is_some_and(|former| *former != account.name) {
            // What stands in another account goes first: one record tells of one.
            return Ok(match self.take_off(record).await? {
                Outcome::Stands => Outcome::MoreWaits,
                outcome => outcome,
            });
        }
        if !wanted.is_empty() {
            let api = metadata(self.context, &self.key.namespace);
            FINALIZER.add(self.context, &api, self.object).await?;
        }
        self.advance(account, wanted, record).await
    }

    /// Takes the next batch of what the suppression put on any list off it. Needs no valid spec.
    ///
    /// # Errors
    /// What was refused or not answered, and a record that cannot be read.
    pub async fn clear(&self) -> Result<Outcome, Error> {
        let mut record = records::read(self.context, self.key).await?;
        self.take_off(&mut record).await
    }

    /// As [`Self::clear`]. What stands in an account that is gone stays.
    async fn take_off(&self, record: &mut Record) -> Result<Outcome, Error> {
        let Some(former) = record.account.clone() else {
            return Ok(Outcome::Stands);
        };
        if let Some(account) = self.context.accounts.get(&former) {
            return self.advance(&account, &Wanted::default(), record).await;
        }
        if account_exists(self.context, &former) {
            return Ok(Outcome::AccountWaits);
        }
        let note = format!(
            "its SendingAccount is gone: {} entries stay on SES's lists",
            record.listed.len()
        );
        self.context.events.warning(self.object, "LeftInSES", note).await;
        self.store(record, Record::default()).await?;
        Ok(Outcome::Stands)
    }

    /// Does the next batch, in the turn of this suppression on the account's lists.
    async fn advance(&self, account: &Account, wanted: &Wanted, record: &mut Record) -> Result<Outcome, Error> {
        let lists = &self.context.lists;
        let turn = lists.turn(&account.name);
        let _turn = turn.lock().await;
        let doubted = lists.take_doubt(self.key);
        let outcome = self.do_batch(account, wanted, record, doubted).await;
        if doubted && outcome.is_err() {
            lists.doubt(self.key.clone());
        }
        outcome
    }

    async fn do_batch(
        &self,
        account: &Account,
        wanted: &Wanted,
        record: &mut Record,
        doubted: bool,
    ) -> Result<Outcome, Error> {
        let lists = &self.context.lists;
        let mut known = record.clone();
        if doubted {
            known.doubt();
        }
        let compared = lists.take_comparison(self.key, &known);
        let batch = Batch::between(&known, wanted, &compared);
        if batch.is_empty() {
            lists.note_bulk(self.key, false);
            return Ok(Outcome::Stands);
        }
        let priority = if lists.is_in_bulk(self.key) || batch.only_compares {
            Priority::Drift
        } else {
            Priority::SpecChange
        };
        let observed = account.reader(priority).entries(batch.places()).await?;
        let shared = batch.shared(&known, &observed);
        let claims = if shared.is_empty() {
            Claims::default()
        } else {
            let namespaces = who_may_claim(self.context, self.key, &shared);
            records::claims(self.context, self.key, &account.name, &namespaces).await?
        };
        let step = batch.step(&account.name, &known, &observed, &claims);
        // What may stand is recorded before the first call, what stands after the last.
        if let Some(before) = step.before {
            self.store(record, before).await?;
        }
        apply(&step.plan, &*account.ses, &account.budget, priority).await?;
        self.store(record, step.after).await?;
        if batch.only_compares && !step.plan.is_empty() {
            let drift = self.context.drifted("vanished", &step.plan);
            self.context.events.warning(self.object, "Drifted", drift).await;
        }
        let more = batch.more && (!step.withheld || batch.adds_or_releases());
        lists.note_bulk(self.key, more);
        match (more, step.withheld) {
            (true, _) => Ok(Outcome::MoreWaits),
            (false, true) => Err(Error::OthersUnreadable),
            (false, false) => Ok(Outcome::Stands),
        }
    }

    /// Records what stands, where that differs from what was recorded.
    async fn store(&self, record: &mut Record, new: Record) -> Result<(), Error> {
        if *record != new {
            records::write(self.context, self.key, &new).await?;
            *record = new;
        }
        Ok(())
    }
}

/// The namespaces whose suppressions may want an entry, too: of a tenant's list only the own one.
fn who_may_claim(context: &Context, key: &Key, places: &BTreeSet<&Place>) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::from([key.namespace.clone()]);
    if places.iter().any(|(list, _)| *list == SuppressionList::Account) {
        let reaches = |other: &Key| {
            let object = context.world.suppressions.get(other);
            // One that cannot be read may have put something there before.
            object.is_some_and(|object| {
                object
                    .readable()
                    .is_none_or(|object| object.spec.scopes.contains(&SuppressionScope::Account))
            })
        };
        let others = context.world.suppressions.keys().into_iter().filter(reaches);
        namespaces.extend(others.map(|other| other.namespace));
    }
    namespaces
}
