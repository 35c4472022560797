#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::super::desired::{DesiredSet, DesiredTenant, ReputationPolicy, TenantSending};
use super::super::observed::{ObservedSet, SendingStatus};
use super::super::plan::{Removal, plan_set, plan_set_removal, plan_tenant, plan_tenant_removal};
use super::super::read::Reader;
use super::super::test_support::fake::{Cut, Fake};
use super::super::test_support::mock::{Mock, Step};
use super::super::test_support::{arns, context, desired_set, desired_tenant, in_sync, unlimited};
use super::*;

async fn apply_to(ses: &dyn WriteSes, plan: &Plan) -> Result<Applied, ApplyError> {
    apply(plan, ses, &unlimited(), Priority::Creation).await
}

fn switch_off() -> Plan {
    plan_set(
        &DesiredSet {
            sending: false,
            ..desired_set()
        },
        Some(&in_sync(&desired_set())),
        &context(),
    )
}

async fn answered(plan: &Plan, error: ErrorKind) -> ApplyError {
    let mock = Mock::new([Step::Write(plan.steps()[0].clone(), Err(error))]);
    apply_to(&mock, plan).await.unwrap_err()
}

#[tokio::test]
async fn an_empty_plan_makes_no_request() {
    let plan = plan_set(&desired_set(), Some(&in_sync(&desired_set())), &context());
    apply_to(&Mock::new([]), &plan).await.unwrap();
}

#[tokio::test]
async fn a_plan_is_carried_out_in_its_order() {
    let plan = plan_set(&desired_set(), None, &context());
    let mock = Mock::new(
        plan.steps()
            .iter()
            .map(|step| Step::Write(step.clone(), Ok(Answer::Done))),
    );
    apply_to(&mock, &plan).await.unwrap();
}

#[tokio::test]
async fn a_set_that_exists_after_all_is_read_again() {
    let error = answered(&plan_set(&desired_set(), None, &context()), ErrorKind::AlreadyExists).await;
    assert!(matches!(error, ApplyError::Stale { done: 0, .. }), "{error}");
    assert_eq!((error.reason(), error.retry()), ("Stale", Retry::Backoff));
}

#[tokio::test]
async fn a_failed_step_says_which_and_why() {
    let error = answered(&switch_off(), ErrorKind::AccessDenied).await;
    assert!(
        error
            .to_string()
            .starts_with("step 1 (switch sending off of prod-shop-default-"),
        "{error}"
    );
    assert_eq!((error.reason(), error.retry()), ("AccessDenied", Retry::UserMustMend));
}

#[tokio::test]
async fn a_tenant_that_no_step_creates_is_a_mistake_and_no_request() {
    let held = DesiredTenant {
        sending: TenantSending::Held,
        ..desired_tenant()
    };
    let plan = plan_tenant(&held, None, &context());
    // SES answers the creation without an ARN: the next step cannot name the tenant.
    let mock = Mock::new([Step::Write(plan.steps()[0].clone(), Ok(Answer::Done))]);
    let error = apply_to(&mock, &plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::TenantUnknown { done: 1, .. }), "{error}");
    assert_eq!(error.reason(), "TenantUnknown");
}

#[tokio::test]
async fn associating_twice_is_done_whichever_way_ses_answers() {
    let tenant = DesiredTenant { ..desired_tenant() };
    let plan = plan_tenant(&tenant, None, &context());
    let arn = Arn::new("arn:aws:ses:eu-west-1:123456789012:tenant/t/tn-1");
    let mock = Mock::new([
        Step::Write(plan.steps()[0].clone(), Ok(Answer::TenantCreated(arn.clone()))),
        Step::Write(plan.steps()[1].clone(), Err(ErrorKind::AlreadyExists)),
    ]);
    apply_to(&mock, &plan).await.unwrap();
}

#[tokio::test]
async fn what_is_gone_need_not_be_deleted() {
    let off = DesiredSet {
        sending: false,
        ..desired_set()
    };
    let plan = plan_set_removal(&off.owner, Some(&in_sync(&off)), Removal::Delete, &context());
    let mock = Mock::new(
        plan.steps()
            .iter()
            .map(|step| Step::Write(step.clone(), Err(ErrorKind::NotFound))),
    );
    apply_to(&mock, &plan).await.unwrap();
}

/// What a controller does: read, plan, apply, until nothing is left to do.
struct Controller<'a> {
    ses: &'a Fake,
    tenant: &'a DesiredTenant,
    set: &'a DesiredSet,
}

impl Controller<'_> {
    async fn observe(&self) -> Option<ObservedSet> {
        let budget = unlimited();
        Reader::new(self.ses, &budget, Priority::Drift)
            .set(&self.set.name, Some(&arns()))
            .await
            .unwrap()
    }

    async fn wanted(&self) -> Result<(), ApplyError> {
        let budget = unlimited();
        let tenant = Reader::new(self.ses, &budget, Priority::Drift)
            .tenant(&self.tenant.name)
            .await
            .unwrap();
        apply_to(self.ses, &plan_tenant(self.tenant, tenant.as_ref(), &context())).await?;
        apply_to(self.ses, &plan_set(self.set, self.observe().await.as_ref(), &context())).await?;
        Ok(())
    }

    async fn removed(&self) -> Result<(), ApplyError> {
        let budget = unlimited();
        let set = self.observe().await;
        apply_to(
            self.ses,
            &plan_set_removal(&self.set.owner, set.as_ref(), Removal::Delete, &context()),
        )
        .await?;
        let tenant = Reader::new(self.ses, &budget, Priority::Drift)
            .tenant(&self.tenant.name)
            .await
            .unwrap();
        apply_to(
            self.ses,
            &plan_tenant_removal(&self.tenant.owner, tenant.as_ref(), Removal::Delete),
        )
        .await?;
        Ok(())
    }
}

fn tenant_and_set() -> (DesiredTenant, DesiredSet) {
    let tenant = DesiredTenant {
        reputation_policy: ReputationPolicy::Strict,
        sending: TenantSending::Held,
        ..desired_tenant()
    };
    let set = DesiredSet {
        tenant: Some(tenant.name.clone()),
        ..desired_set()
    };
    (tenant, set)
}

/// Both kinds of cut, at each of the first requests.
fn cuts(requests: usize) -> impl Iterator<Item = Cut> {
    (0..requests).flat_map(|at| [Cut::Before(at), Cut::After(at)])
}

#[tokio::test]
async fn creation_cut_at_any_request_converges_and_does_nothing_twice() {
    let (tenant, set) = tenant_and_set();
    let undisturbed = Fake::default();
    Controller {
        ses: &undisturbed,
        tenant: &tenant,
        set: &set,
    }
    .wanted()
    .await
    .unwrap();
    let requests = undisturbed.log.lock().unwrap().len();
    assert_eq!(requests, 7);
    for cut in cuts(requests) {
        let ses = Fake::default();
        ses.cut(cut);
        let controller = Controller {
            ses: &ses,
            tenant: &tenant,
            set: &set,
        };
        controller.wanted().await.expect_err("the cut is met");
        controller.wanted().await.unwrap();
        assert_eq!(
            *ses.account.lock().unwrap(),
            *undisturbed.account.lock().unwrap(),
            "{cut:?}"
        );
        let mut log = ses.log.lock().unwrap().clone();
        log.sort();
        log.dedup();
        assert_eq!(log.len(), ses.log.lock().unwrap().len(), "{cut:?} did something twice");
    }
}

#[tokio::test]
async fn a_change_cut_at_any_request_converges_and_does_nothing_twice() {
    let (tenant, before) = tenant_and_set();
    let mut after = DesiredSet {
        sending: false,
        ..before.clone()
    };
    after.options.delivery.tls = super::super::desired::TlsPolicy::Require;
    after.options.reputation_metrics = true;
    after
        .destinations
        .values_mut()
        .for_each(|destination| destination.enabled = false);
    for cut in cuts(4) {
        let ses = Fake::default();
        Controller {
            ses: &ses,
            tenant: &tenant,
            set: &before,
        }
        .wanted()
        .await
        .unwrap();
        ses.log.lock().unwrap().clear();
        ses.cut(cut);
        let controller = Controller {
            ses: &ses,
            tenant: &tenant,
            set: &after,
        };
        controller.wanted().await.expect_err("the cut is met");
        controller.wanted().await.unwrap();
        assert!(
            plan_set(&after, controller.observe().await.as_ref(), &context()).is_empty(),
            "{cut:?}"
        );
        assert_eq!(ses.log.lock().unwrap().len(), 4, "{cut:?}");
    }
}

#[tokio::test]
async fn a_deletion_cut_at_any_request_converges_and_leaves_nothing() {
    let (tenant, set) = tenant_and_set();
    for cut in cuts(6) {
        let ses = Fake::default();
        let controller = Controller {
            ses: &ses,
            tenant: &tenant,
            set: &set,
        };
        controller.wanted().await.unwrap();
        ses.cut(cut);
        controller.removed().await.expect_err("the cut is met");
        controller.removed().await.unwrap();
        assert_eq!(
            *ses.account.lock().unwrap(),
            super::super::test_support::fake::Account::default(),
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn a_held_tenant_is_released_by_one_call() {
    let (held, set) = tenant_and_set();
    let ses = Fake::default();
    Controller {
        ses: &ses,
        tenant: &held,
        set: &set,
    }
    .wanted()
    .await
    .unwrap();
    ses.log.lock().unwrap().clear();
    let released = DesiredTenant {
        sending: TenantSending::Enabled,
        ..held
    };
    Controller {
        ses: &ses,
        tenant: &released,
        set: &set,
    }
    .wanted()
    .await
    .unwrap();
    assert_eq!(ses.log.lock().unwrap().len(), 1);
    assert_eq!(
        ses.account.lock().unwrap().tenants[&released.name].1.by_customer,
        SendingStatus::Enabled
    );
}
