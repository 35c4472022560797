#![allow(clippy::unwrap_used, clippy::panic)]
use super::super::desired::{DesiredSet, Reason, Suppression, SuppressionOverride, SuppressionScope, TlsPolicy};
use super::super::name::{DestinationName, TenantName};
use super::super::plan::{Context, Removal, plan_set, plan_set_removal};
use super::super::read::Reader;
use super::super::test_support::fake::{Cut, Fake, State};
use super::super::test_support::{arns, context, desired_set, feedback, unlimited};
use super::*;

/// A set with two destinations and a tenant.
fn wanted() -> DesiredSet {
    let mut desired = desired_set();
    desired
        .destinations
        .insert(DestinationName::parse("own").unwrap(), feedback());
    desired.tenant = Some(TenantName::of_namespace("prod", "shop"));
    desired
}

/// As [`wanted`], with a change of everything that can change.
fn changed() -> DesiredSet {
    let mut desired = wanted();
    desired.sending = false;
    desired.options.delivery.tls = TlsPolicy::Require;
    desired.options.suppression = Suppression::Only(SuppressionOverride {
        reasons: [Reason::Complaint].into(),
        scope: SuppressionScope::Account,
        validation: None,
    });
    desired.destinations.remove(&DestinationName::parse("own").unwrap());
    desired
        .destinations
        .insert(DestinationName::parse("other").unwrap(), feedback());
    desired
}

/// More writes than any life below has.
const LONGEST_LIFE: usize = 16;

/// What is to be done with the account.
type Work = fn(Option<&super::super::observed::ObservedSet>, &Context) -> Plan;

async fn work(fake: &Fake, make: Work) -> Result<Applied, ApplyError> {
    let (budget, arns, name) = (unlimited(), arns(), wanted().name);
    let reader = Reader::new(fake, &budget, Priority::Drift);
    let observed = reader.set(&name, Some(&arns)).await.unwrap();
    apply(&make(observed.as_ref(), &context()), fake, &budget, Priority::Creation).await
}

/// The state after the works, each done until it succeeds, with one write cut.
async fn with_cut(works: &[Work], cut: Option<(usize, Cut)>) -> State {
    let fake = Fake::default();
    *fake.cut.lock().unwrap() = cut;
    for make in works {
        let mut tries = 0;
        while let Err(error) = work(&fake, *make).await {
            tries += 1;
            assert!(tries < 3, "does not converge: {error}");
        }
    }
    fake.state.into_inner().unwrap()
}

fn create(observed: Option<&super::super::observed::ObservedSet>, context: &Context) -> Plan {
    plan_set(&wanted(), observed, context)
}

fn change(observed: Option<&super::super::observed::ObservedSet>, context: &Context) -> Plan {
    plan_set(&changed(), observed, context)
}

fn remove(observed: Option<&super::super::observed::ObservedSet>, context: &Context) -> Plan {
    plan_set_removal(&wanted().owner, observed, Removal::Delete, context)
}

#[tokio::test]
async fn killed_between_any_two_calls_the_next_start_converges_and_nothing_is_made_twice() {
    let lives: [&[Work]; 3] = [&[create], &[create, change], &[create, change, remove]];
    let mut cuts = 0;
    for works in lives {
        let uncut = with_cut(works, None).await;
        for at in 0..LONGEST_LIFE {
            for how in [Cut::Before, Cut::After] {
                assert_eq!(with_cut(works, Some((at, how))).await, uncut, "cut {how:?} write {at}");
                cuts += 1;
            }
        }
        assert!(uncut.created.values().all(|times| *times == 1), "{:?}", uncut.created);
    }
    assert_eq!(cuts, 3 * LONGEST_LIFE * 2);
}

#[tokio::test]
async fn a_plan_of_nothing_makes_no_request() {
    let fake = Fake::default();
    *fake.cut.lock().unwrap() = Some((0, Cut::Before));
    let applied = apply(&Plan::default(), &fake, &unlimited(), Priority::Drift)
        .await
        .unwrap();
    assert_eq!((applied.steps(), fake.cut.into_inner().unwrap().is_some()), (0, true));
}

#[tokio::test]
async fn a_set_that_appeared_meanwhile_is_stale_and_not_an_error() {
    let fake = Fake::default();
    work(&fake, create).await.unwrap();
    let again = apply(&create(None, &context()), &fake, &unlimited(), Priority::Creation)
        .await
        .unwrap_err();
    assert_eq!((again.reason(), again.retry()), ("Stale", Retry::Backoff));
}

#[tokio::test]
async fn a_failed_step_says_which_it_was_and_what_was_done() {
    let fake = Fake::default();
    *fake.cut.lock().unwrap() = Some((1, Cut::After));
    let error = work(&fake, create).await.unwrap_err();
    let ApplyError::Failed { done, step, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (*done, step.starts_with("create event destination")),
        (1, true),
        "{error}"
    );
    assert!(error.outcome_unknown());
}

#[tokio::test]
async fn a_tenant_that_no_step_created_is_told() {
    let tenant = super::super::call::TenantRef::Created(TenantName::of_namespace("prod", "shop"));
    assert_eq!(
        with_arn(&SesCall::PutTenantSending { tenant, enabled: true }, &BTreeMap::new()),
        None
    );
}
