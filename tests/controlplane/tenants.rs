//! Tenant isolation: one tenant a namespace, with its identities and sets.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use mail_policy_operator::{
    api::MailPolicy,
    simulator::{
        Effect, Fault, Operation,
        state::{
            Recommendation,
            shapes::{FindingStatus, Impact, SendingStatus},
        },
    },
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

/// The replica of tests that kill it: its lease is its own after a restart.
const REPLICA: &str = "replica-a";

fn tenants_account() -> String {
    ACCOUNT.replace("  identities:", "  isolation: Tenant\n  identities:")
}

fn second_policy() -> String {
    POLICY.replace("name: default", "name: receipts")
}

/// A stage with a tenant for each namespace.
async fn empty(prefix: &str) -> Stage<'static> {
    let stage = Stage::empty(&Installation::shared().await.control_plane, prefix).await;
    stage.apply(&[&tenants_account(), GUARDRAIL].concat()).await;
    stage.account_says("Ready", "True Reached").await;
    stage
}

async fn set(prefix: &str) -> Stage<'static> {
    let stage = empty(prefix).await;
    stage.apply(POLICY).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.published_mode_is("default", "Live").await;
    stage
}

/// Each tenant, with the ARNs that belong to it.
fn tenants(stage: &Stage<'_>) -> BTreeMap<String, Vec<String>> {
    stage.ses().with_account(|account| {
        let resources = |name: &String| account.associations.resources_of(name).map(ToOwned::to_owned).collect();
        account
            .tenants
            .keys()
            .map(|name| (name.clone(), resources(name)))
            .collect()
    })
}

/// Waits until the only tenant has the identity and this many sets.
async fn tenant_has_sets(stage: &Stage<'_>, wanted: usize) {
    let look = async || {
        let tenants = tenants(stage);
        let resources: Vec<_> = tenants.values().flatten().collect();
        let of = |kind: &str| resources.iter().filter(|arn| arn.contains(kind)).count();
        match (tenants.len(), of(":identity/"), of(":configuration-set/")) {
            (1, 1, sets) if sets == wanted => Ok(()),
            _ => Err(format!("{tenants:?}")),
        }
    };
    stage
        .wait(&format!("the tenant has the identity and {wanted} sets"), look)
        .await;
}

fn tenant(stage: &Stage<'_>) -> (String, String) {
    stage.ses().with_account(|account| {
        let tenant = account.tenants.values().next().unwrap();
        (tenant.name.clone(), tenant.arn.clone())
    })
}

/// A person switches the tenant.
fn switch(stage: &Stage<'_>, status: &str) {
    let (_, arn) = tenant(stage);
    let body = json!({"SendingStatus": status});
    let operation = Operation::UpdateReputationEntityCustomerManagedStatus;
    stage.behind(operation, &["RESOURCE", &arn], &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_policies_of_a_namespace_make_its_tenant_once_and_before_their_sets() {
    let stage = empty("tenant").await;
    stage.ses().reset_calls();

    stage.apply(&[POLICY, &second_policy()].concat()).await;

    for policy in ["default", "receipts"] {
        stage.policy_says(policy, "Ready", "True InForce").await;
    }
    tenant_has_sets(&stage, 2).await;
    let names = stage.write_names();
    let count = |wanted: &str| names.iter().filter(|name| **name == wanted).count();
    let at = |wanted: &str| names.iter().position(|name| *name == wanted).unwrap();
    assert_eq!(count("CreateTenant"), 1, "{names:?}");
    assert_eq!(count("CreateTenantResourceAssociation"), 3, "{names:?}");
    assert_eq!(names.len(), 8, "{names:?}");
    assert!(
        at("CreateTenant") < at("CreateTenantResourceAssociation")
            && at("CreateTenantResourceAssociation") < at("CreateConfigurationSet"),
        "{names:?}"
    );
    let config = stage.published_mode_is("default", "Live").await;
    let (name, _) = tenant(&stage);
    assert!(config.contains(&name), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_a_tenant_no_call_besides_the_listing() {
    let installation = Installation::exclusive().await;
    let operator = installation.replica(REPLICA).unwrap();
    let stage = Stage::empty(&installation.control_plane, "tenant-restart").await;
    stage.apply(&[&tenants_account(), GUARDRAIL, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage.published_mode_is("default", "Live").await;
    drop(operator);
    stage.ses().reset_calls();

    let _next = installation.replica(REPLICA).unwrap();

    let listings = async || {
        let calls = stage.ses().calls_after(0, 1000);
        let listings = calls.iter().filter(|call| call.operation == Operation::ListTenants);
        if listings.count() >= 3 {
            Ok(())
        } else {
            Err(format!("{calls:?}"))
        }
    };
    stage.wait("SES was listed three times", listings).await;
    let known = [
        Operation::GetCallerIdentity,
        Operation::GetAccount,
        Operation::ListConfigurationSets,
        Operation::ListEmailIdentities,
        Operation::ListTenants,
    ];
    let calls = stage.ses().calls_after(0, 1000);
    let others: Vec<_> = calls.iter().filter(|call| !known.contains(&call.operation)).collect();
    assert!(others.is_empty(), "{others:?}");
    stage.policy_says("default", "Ready", "True InForce").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_a_person_disabled_stays_so_until_it_is_enabled_in_ses() {
    let stage = set("tenant-paused").await;
    stage.ses().reset_calls();

    switch(&stage, "DISABLED");

    stage
        .policy_says("default", "SendingEnabled", "False TenantPausedInSES")
        .await;
    stage.published_mode_is("default", "Paused").await;
    stage.policy_says("default", "Ready", "True InForce").await;

    switch(&stage, "ENABLED");

    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    stage.published_mode_is("default", "Live").await;
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_aws_disabled_is_named_with_what_to_do_and_one_reinstated_is_in_sync() {
    let stage = set("tenant-disabled").await;
    stage.ses().reset_calls();
    let (name, arn) = tenant(&stage);
    stage
        .ses()
        .set_aws_status(&name, SendingStatus::Disabled, "Bounces.")
        .unwrap();

    let message = stage
        .policy_says("default", "SendingEnabled", "False TenantDisabledByAWS")
        .await;
    assert!(message.contains("AWS Support"), "{message}");
    stage.published_mode_is("default", "Paused").await;

    // AWS lets it send again, with the finding still open.
    stage.ses().put_recommendation(Recommendation {
        resource_arn: arn,
        kind: "BOUNCE_RATE".to_owned(),
        description: "Bounces.".to_owned(),
        status: FindingStatus::Open,
        impact: Impact::High,
        created_timestamp: 0,
        last_updated_timestamp: 0,
    });
    stage
        .ses()
        .set_aws_status(&name, SendingStatus::Reinstated, "Appeal.")
        .unwrap();

    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    stage.published_mode_is("default", "Live").await;
    let message = stage
        .policy_says("default", "Reinstated", "True TenantReinstated")
        .await;
    assert!(message.contains("open findings"), "{message}");

    stage
        .ses()
        .set_aws_status(&name, SendingStatus::Enabled, "Resolved.")
        .unwrap();

    let look = async || {
        let conditions = stage.policy("default").await.status.unwrap_or_default().conditions;
        match conditions.iter().find(|condition| condition.type_ == "Reinstated") {
            None => Ok(()),
            Some(still) => Err(format!("{still:?}")),
        }
    };
    stage.wait("it is reinstated no more", look).await;
    stage.policy_says("default", "SendingEnabled", "True ModeSends").await;
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_alone_tells_all_policies_of_a_tenant_that_it_was_disabled_and_enabled_and_it_is_read_once() {
    let installation = Installation::exclusive().await;
    // The reader does not come round while the test runs.
    let arguments = ["--list-every", "2s", "--read-every", "1h"];
    let _operator = installation.replica_with(REPLICA, &arguments).unwrap();
    let stage = Stage::empty(&installation.control_plane, "tenant-listed").await;
    let policies = [POLICY, &second_policy()].concat();
    stage.apply(&[&tenants_account(), GUARDRAIL, &policies].concat()).await;
    for policy in ["default", "receipts"] {
        stage.policy_says(policy, "Ready", "True InForce").await;
    }
    stage.ses().reset_calls();

    for (status, said) in [
        ("DISABLED", "False TenantPausedInSES"),
        ("ENABLED", "True ModeSends"),
        ("REINSTATED", "True ModeSends"),
    ] {
        switch(&stage, status);
        for policy in ["default", "receipts"] {
            stage.policy_says(policy, "SendingEnabled", said).await;
        }
    }
    for policy in ["default", "receipts"] {
        stage.policy_says(policy, "Reinstated", "True TenantReinstated").await;
        stage.published_mode_is(policy, "Live").await;
    }

    let calls = stage.ses().calls_after(0, 10_000);
    let of = |operation: Operation| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!(of(Operation::GetTenant), 3, "{calls:?}");
    assert_eq!(of(Operation::GetConfigurationSet), 0, "{calls:?}");
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_policy_takes_the_tenant_along_in_the_order_that_ses_asks_for() {
    let stage = set("tenant-goes").await;
    stage.apply(&second_policy()).await;
    stage.policy_says("receipts", "Ready", "True InForce").await;
    tenant_has_sets(&stage, 2).await;
    let policies: Api<MailPolicy> = stage.namespaced();
    stage.delete(&policies, "default").await;
    stage.gone(&policies, "default").await;
    tenant_has_sets(&stage, 1).await;
    stage.ses().reset_calls();

    stage.delete(&policies, "receipts").await;

    stage.gone(&policies, "receipts").await;
    assert_eq!(tenants(&stage), BTreeMap::new());
    assert_eq!(
        stage.write_names(),
        [
            "PutConfigurationSetSendingOptions",
            "DeleteTenantResourceAssociation",
            "DeleteConfigurationSetEventDestination",
            "DeleteConfigurationSet",
            "DeleteTenantResourceAssociation",
            "DeleteTenant",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_go_together_take_the_tenant_along_and_one_whose_set_is_retained_keeps_it() {
    let stage = set("tenant-together").await;
    stage.apply(&second_policy()).await;
    stage.policy_says("receipts", "Ready", "True InForce").await;
    let policies: Api<MailPolicy> = stage.namespaced();
    let go = async || {
        for policy in ["default", "receipts"] {
            stage.delete(&policies, policy).await;
        }
        for policy in ["default", "receipts"] {
            stage.gone(&policies, policy).await;
        }
    };

    go().await;

    assert_eq!(tenants(&stage), BTreeMap::new());
    assert!(stage.sets().is_empty());

    let retained = second_policy().replace("deletionPolicy: Delete", "deletionPolicy: Retain");
    stage.apply(&[POLICY, &retained].concat()).await;
    for policy in ["default", "receipts"] {
        stage.policy_says(policy, "Ready", "True InForce").await;
    }
    go().await;
    tenant_has_sets(&stage, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_are_all_under_way_together_leave_no_tenant_behind_nor_does_a_namespace_that_goes() {
    let stage = set("tenant-at-once").await;
    let more = ["a", "b", "c"].map(|name| POLICY.replace("name: default", &format!("name: {name}")));
    stage.apply(&more.concat()).await;
    stage.sets_are(4).await;
    tenant_has_sets(&stage, 4).await;
    let policies: Api<MailPolicy> = stage.namespaced();
    // Each is past its set's association, and finds the others' sets still there, or not yet gone.
    for operation in [Operation::DeleteConfigurationSet, Operation::GetTenant] {
        let late = Fault {
            operation: Some(operation),
            ..Fault::next_calls(Effect::Latency { millis: 500 }, 4)
        };
        stage.ses().arm(late).unwrap();
    }

    policies
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();

    for policy in ["default", "a", "b", "c"] {
        stage.gone(&policies, policy).await;
    }
    assert_eq!((tenants(&stage), stage.sets().len()), (BTreeMap::new(), 0));

    stage.apply(&[POLICY, &second_policy()].concat()).await;
    tenant_has_sets(&stage, 2).await;
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    stage.delete(&namespaces, &stage.name).await;
    stage.gone(&namespaces, &stage.name).await;
    assert_eq!((tenants(&stage), stage.sets().len()), (BTreeMap::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_deleted_or_changed_behind_our_back_is_put_right_with_its_sets_and_told_of() {
    let stage = set("tenant-drift").await;
    let identity = tenants(&stage)
        .into_values()
        .flatten()
        .find(|arn| arn.contains(":identity/"))
        .unwrap();
    let (name, _) = tenant(&stage);
    let take = |resource: &str| {
        let body = json!({"TenantName": name, "ResourceArn": resource});
        stage.behind(Operation::DeleteTenantResourceAssociation, &[], &body);
    };

    take(&identity);

    let look = async || {
        let message = stage.policy_says("default", "Drifted", "True Corrected").await;
        if message.contains("changed") {
            Ok(())
        } else {
            Err(message)
        }
    };
    stage.wait("the change is told of", look).await;
    tenant_has_sets(&stage, 1).await;

    tenants(&stage).values().flatten().for_each(|resource| take(resource));
    stage.behind(Operation::DeleteTenant, &[], &json!({"TenantName": name}));

    tenant_has_sets(&stage, 1).await;
    let look = async || {
        let message = stage.policy_says("default", "Drifted", "True Corrected").await;
        if message.contains("vanished") {
            Ok(())
        } else {
            Err(message)
        }
    };
    stage.wait("the vanishing is told of", look).await;
    stage.published_mode_is("default", "Live").await;
}

/// What a policy with a tenant is made and unmade with, besides the calls that it needs without one.
const CUTS: [(&str, Operation, u32); 6] = [
    ("created", Operation::CreateTenant, 0),
    ("created", Operation::CreateTenantResourceAssociation, 0),
    ("created", Operation::CreateTenantResourceAssociation, 1),
    ("deleted", Operation::DeleteTenantResourceAssociation, 0),
    ("deleted", Operation::DeleteTenantResourceAssociation, 1),
    ("deleted", Operation::DeleteTenant, 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_before_or_after_any_call_for_a_tenant_makes_and_removes_it_once() {
    let installation = Installation::exclusive().await;
    let operator = installation.replica(REPLICA).unwrap();
    let effects = [Effect::Hang { millis: 60_000 }, Effect::Withhold { millis: 60_000 }];
    let cuts = CUTS.into_iter().flat_map(|cut| effects.map(|effect| (cut, effect)));
    let stages = join_all(cuts.map(async |((life, operation, skip), effect)| {
        let stage = Stage::empty(&installation.control_plane, "tenant-cut").await;
        stage.apply(&[&tenants_account(), GUARDRAIL].concat()).await;
        stage.account_says("Ready", "True Reached").await;
        if life == "deleted" {
            stage.apply(POLICY).await;
            stage.policy_says("default", "Ready", "True InForce").await;
        }
        let fault = Fault {
            operation: Some(operation),
            skip,
            ..Fault::next_calls(effect, 1)
        };
        stage.ses().arm(fault).unwrap();
        stage.ses().reset_calls();
        (life, stage)
    }))
    .await;
    join_all(stages.iter().map(async |(life, stage)| {
        if *life == "created" {
            stage.apply(POLICY).await;
        } else {
            stage.delete(&stage.namespaced::<MailPolicy>(), "default").await;
        }
        let hit = async || match stage.ses().faults() {
            armed if armed.is_empty() => Ok(()),
            armed => Err(format!("{armed:?}, {:?}", stage.write_names())),
        };
        stage.wait("it is cut", hit).await;
    }))
    .await;
    drop(operator);

    let _next = installation.replica(REPLICA).unwrap();

    join_all(stages.iter().map(async |(life, stage)| {
        if *life == "created" {
            stage.policy_says("default", "Ready", "True InForce").await;
            stage.published_mode_is("default", "Live").await;
            tenant_has_sets(stage, 1).await;
        } else {
            stage.gone(&stage.namespaced::<MailPolicy>(), "default").await;
            let calls: Vec<_> = stage.writes();
            assert_eq!((tenants(stage), stage.sets().len()), (BTreeMap::new(), 0), "{calls:?}");
        }
        let names: Vec<_> = stage.writes().into_iter().filter(|call| call.applied).collect();
        let of_tenants = names.iter().filter(|call| call.operation.name().ends_with("Tenant"));
        assert_eq!(of_tenants.count(), 1, "{names:?}");
    }))
    .await;
}
