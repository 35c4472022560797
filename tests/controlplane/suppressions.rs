//! Who must not be mailed: in the sidecar's hashes always, on SES's lists as far as guardrails let it, and off again.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, api::DeleteParams};
use mail_policy_operator::{
    api::MailSuppression,
    simulator::{
        Operation,
        state::{SuppressedAddress, SuppressionList, shapes::Reason},
    },
};
use serde_json::json;

use crate::installation::{ACCOUNT, GUARDRAIL, Installation, POLICY, Stage};

/// A clock's second, an API server's round trip and a busy machine.
const ON_TIME: Duration = Duration::from_secs(3);

const SUPPRESSION: &str = r"
apiVersion: mailpolicy.dev/v1alpha1
kind: MailSuppression
metadata: {name: bounced, namespace: STAGE}
spec:
  scopes: [Sidecar, Account]
  entries: [{address: whispering.person@example.net}, {domain: closed.example.net}]
---
";

/// The local part that nothing but the user's own objects may show.
const SECRET: &str = "whispering";

fn guardrail(suppression: &str) -> String {
    GUARDRAIL.replace(
        "  allowedDomains",
        &format!("  suppression: {suppression}\n  allowedDomains"),
    )
}

/// A stage whose guardrail lets suppressions reach the account's list.
async fn stage(prefix: &str) -> Stage<'static> {
    let stage = Stage::empty(&Installation::shared().await.control_plane, prefix).await;
    let guardrail = guardrail("{scopes: [Sidecar, Account], release: Allow}");
    stage.apply(&[ACCOUNT, &guardrail, POLICY].concat()).await;
    stage.policy_says("default", "Ready", "True InForce").await;
    stage
}

fn entries(list: &SuppressionList) -> BTreeMap<String, Reason> {
    list.iter()
        .map(|(address, entry)| (address.to_owned(), entry.reason))
        .collect()
}

fn on_account(stage: &Stage<'_>) -> BTreeMap<String, Reason> {
    stage.ses().with_account(|account| entries(&account.suppressed))
}

/// Waits until the account's list holds these addresses and no others.
async fn account_lists(stage: &Stage<'_>, wanted: &[&str]) {
    let look = async || {
        let listed = on_account(stage);
        if listed.keys().eq(wanted) {
            Ok(())
        } else {
            Err(format!("{listed:?}"))
        }
    };
    stage.wait(&format!("the account lists {wanted:?}"), look).await;
}

/// What SES does after a bounce.
fn bounced(stage: &Stage<'_>, address: &str) {
    let entry = SuppressedAddress {
        reason: Reason::Bounce,
        updated: Timestamp::UNIX_EPOCH,
        message_id: Some("0100-a".to_owned()),
        feedback_id: Some("0100-b".to_owned()),
    };
    stage
        .ses()
        .with_account(|account| account.suppressed.insert(address, entry));
}

/// What a person does with a call.
fn listed_by_a_person(stage: &Stage<'_>, address: &str) {
    let body = json!({"EmailAddress": address, "Reason": "BOUNCE"});
    stage.behind(Operation::PutSuppressedDestination, &[], &body);
}

/// Calls about entries, oldest first.
fn entry_calls(stage: &Stage<'_>) -> Vec<Operation> {
    let calls = stage.ses().calls_after(0, 10_000).into_iter();
    let operations = calls.map(|call| call.operation);
    operations
        .filter(|operation| operation.name().ends_with("SuppressedDestination"))
        .collect()
}

/// How many hashes are published.
async fn hashes(stage: &Stage<'_>) -> usize {
    let secrets: Api<Secret> = stage.namespaced();
    let secret = secrets.get_opt("mail-suppressions").await.unwrap();
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let text = data
        .get("hashes")
        .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
    text.unwrap_or_default().lines().filter(|line| !line.is_empty()).count()
}

async fn hashes_are(stage: &Stage<'_>, wanted: usize) {
    let look = async || match hashes(stage).await {
        count if count == wanted => Ok(()),
        count => Err(format!("{count}")),
    };
    stage.wait(&format!("{wanted} hashes are published"), look).await;
}

fn suppressions(stage: &Stage<'_>) -> Api<MailSuppression> {
    stage.namespaced()
}

async fn list_secret(stage: &Stage<'_>, lines: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mail-suppression-list", "namespace": stage.name},
        "stringData": {"support": lines},
    });
    stage.apply(&secret.to_string()).await;
}

fn another(name: &str, address: &str) -> String {
    let suppression = json!({
        "apiVersion": "mailpolicy.dev/v1alpha1", "kind": "MailSuppression",
        "metadata": {"name": name, "namespace": "STAGE"}, "spec": {"entries": [{"address": address}]},
    });
    suppression.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_fits_a_namespace_is_told_and_the_older_stand() {
    let stage = stage("full").await;
    let lines: Vec<String> = (0..16_384).map(|number| format!("{number}@example.net")).collect();
    let secrets: Api<Secret> = stage.namespaced();
    let secret = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some("mail-suppression-list".to_owned()),
            ..kube::api::ObjectMeta::default()
        },
        string_data: Some([("support".to_owned(), lines.join("\n"))].into()),
        ..Secret::default()
    };
    secrets
        .create(&kube::api::PostParams::default(), &secret)
        .await
        .unwrap();
    let full =
        another("full", "0@example.net").replace(r#""entries":"#, r#""fromSecret": {"key": "support"}, "entries":"#);
    stage.apply(&full).await;
    stage.suppression_says("full", "Ready", "True InForce").await;
    assert_eq!(hashes(&stage).await, 16_384);

    stage.apply(&another("late", "one.too.many@example.net")).await;

    let message = stage.suppression_says("late", "Accepted", "False SpecInvalid").await;
    assert!(message.contains("within 16384 entries"), "{message}");
    stage.suppression_says("late", "Stalled", "True SpecInvalid").await;
    assert_eq!(hashes(&stage).await, 16_384);
    // Once it fits, it is in force.
    stage.delete(&suppressions(&stage), "full").await;
    stage.suppression_says("late", "Ready", "True InForce").await;
    assert_eq!(hashes(&stage).await, 1);
}

/// No address shows in a status, an Event or the log.
async fn nothing_is_told(stage: &Stage<'_>) {
    let status = suppressions(stage).get("bounced").await.unwrap().status;
    let status = serde_json::to_string(&status).unwrap();
    let events = stage
        .control_plane
        .kubectl(&["get", "events.events.k8s.io", "-A", "-o", "json"]);
    for text in [status, events.await.unwrap(), Installation::shared().await.log()] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_the_spec_and_the_secret_reach_the_accounts_list_and_go_as_they_came() {
    let stage = stage("entries").await;
    list_secret(&stage, "caller@example.net,Complaint\n").await;
    let both = SUPPRESSION.replace("  scopes", "  fromSecret: {key: support}\n  scopes");
    stage.apply(&both).await;

    stage.suppression_says("bounced", "Ready", "True InForce").await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    let wanted = [
        ("caller@example.net".to_owned(), Reason::Complaint),
        ("whispering.person@example.net".to_owned(), Reason::Bounce),
    ];
    assert_eq!(on_account(&stage), wanted.into());
    hashes_are(&stage, 3).await;
    nothing_is_told(&stage).await;

    // One is taken out of the spec, and stays where nobody else wants it gone.
    let fewer = json!({"spec": {"entries": [{"domain": "closed.example.net"}]}});
    stage.patch(&suppressions(&stage), "bounced", fewer).await;
    account_lists(&stage, &["caller@example.net"]).await;
    hashes_are(&stage, 2).await;
    list_secret(&stage, "other@example.net\n").await;
    account_lists(&stage, &["other@example.net"]).await;

    stage.delete(&suppressions(&stage), "bounced").await;

    stage.gone(&suppressions(&stage), "bounced").await;
    assert_eq!(on_account(&stage), BTreeMap::new());
    hashes_are(&stage, 0).await;
    let mut names = stage.write_names();
    names.retain(|name| name.contains("Suppressed"));
    let (put, delete) = ("PutSuppressedDestination", "DeleteSuppressedDestination");
    assert_eq!(names, [put, put, delete, put, delete, delete]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_stay_in_the_sidecar_where_the_guardrail_does_not_let_them_reach_ses() {
    let stage = Stage::set(&Installation::shared().await.control_plane, "sidecar-only").await;
    stage.ses().reset_calls();
    stage.apply(SUPPRESSION).await;

    let message = stage
        .suppression_says("bounced", "Clamped", "True BoundedByGuardrail")
        .await;

    assert!(message.contains("scope Account is not used"), "{message}");
    stage
        .suppression_says("bounced", "Programmed", "True SidecarOnly")
        .await;
    stage.suppression_says("bounced", "Ready", "True InForce").await;
    hashes_are(&stage, 2).await;
    assert_eq!(stage.write_names(), Vec::<&str>::new());

    // Allowed, they go; forbidden again, they are taken off.
    let scopes = |scopes: &[&str]| json!({"spec": {"suppression": {"scopes": scopes}}});
    stage
        .patch(&stage.guardrails(), &stage.name, scopes(&["Sidecar", "Account"]))
        .await;
    account_lists(&stage, &["whispering.person@example.net"]).await;
    stage
        .patch(&stage.guardrails(), &stage.name, scopes(&["Sidecar"]))
        .await;
    account_lists(&stage, &[]).await;
    hashes_are(&stage, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "an expiry is about the time of day")]
async fn an_entry_that_expires_is_off_the_list_and_out_of_the_hashes_on_the_second() {
    let stage = stage("expiry").await;
    let end = Timestamp::from_second(Timestamp::now().as_second()).unwrap() + SignedDuration::from_secs(6);
    let expiring = SUPPRESSION.replace("@example.net}", &format!("@example.net, expires: \"{end}\"}}"));
    stage.apply(&expiring).await;
    account_lists(&stage, &["whispering.person@example.net"]).await;
    hashes_are(&stage, 2).await;
    assert!(
        Timestamp::now() < end,
        "the machine was too slow to see it before it ended"
    );

    account_lists(&stage, &[]).await;
    let off = Timestamp::now();
    hashes_are(&stage, 1).await;

    assert!(off >= end, "it ended early");
    let late = Timestamp::now().duration_since(end);
    assert!(Duration::try_from(late).unwrap() < ON_TIME, "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ses_added_by_itself_is_taken_off_only_by_a_release_that_the_guardrail_allows() {
    let stage = stage("release").await;
    let release = |release: &str| json!({"spec": {"suppression": {"release": release}}});
    stage.patch(&stage.guardrails(), &stage.name, release("Deny")).await;
    bounced(&stage, "whispering.person@example.net");
    stage.apply(SUPPRESSION).await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;

    // Neither an entry that is taken out, nor a release without leave.
    let released = json!({"spec": {"entries": [], "release": ["whispering.person@example.net"]}});
    stage.patch(&suppressions(&stage), "bounced", released).await;
    let message = stage
        .suppression_says("bounced", "Clamped", "True BoundedByGuardrail")
        .await;
    assert!(message.contains("release is not done"), "{message}");
    hashes_are(&stage, 0).await;
    assert_eq!(on_account(&stage).len(), 1);
    nothing_is_told(&stage).await;

    stage.patch(&stage.guardrails(), &stage.name, release("Allow")).await;

    account_lists(&stage, &[]).await;
    stage.suppression_says("bounced", "Clamped", "False WithinBounds").await;

    // A release is done once: what SES adds later is new evidence.
    bounced(&stage, "whispering.person@example.net");
    let more = json!({"spec": {"entries": [{"address": "other@example.net"}]}});
    stage.patch(&suppressions(&stage), "bounced", more).await;
    account_lists(&stage, &["other@example.net", "whispering.person@example.net"]).await;
    stage.delete(&suppressions(&stage), "bounced").await;
    stage.gone(&suppressions(&stage), "bounced").await;
    account_lists(&stage, &["whispering.person@example.net"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_vanishes_is_told_and_takes_nothing_off() {
    let stage = stage("vanishing").await;
    list_secret(&stage, "caller@example.net\n").await;
    let both = SUPPRESSION.replace("  scopes", "  fromSecret: {key: support}\n  scopes");
    stage.apply(&both).await;
    let all = ["caller@example.net", "whispering.person@example.net"];
    account_lists(&stage, &all).await;
    hashes_are(&stage, 3).await;
    let secrets: Api<Secret> = stage.namespaced();

    stage.delete(&secrets, "mail-suppression-list").await;

    let message = stage.suppression_says("bounced", "Accepted", "False SpecInvalid").await;
    assert!(
        message.contains("mail-suppression-list") && message.contains("support"),
        "{message}"
    );
    stage.suppression_says("bounced", "Ready", "False SpecInvalid").await;
    stage.suppression_says("bounced", "Stalled", "True SpecInvalid").await;
    let status = suppressions(&stage).get("bounced").await.unwrap().status.unwrap();
    assert_eq!((status.entries, status.applied), (Some(3), Some(2)));
    assert_eq!(hashes(&stage).await, 3);
    account_lists(&stage, &all).await;
    // It keeps no other from being refused.
    stage.apply(&another("another", "other.person@example.net")).await;
    stage.suppression_says("another", "Ready", "True InForce").await;
    assert_eq!(hashes(&stage).await, 4);
    // Once nobody knows any more whom it named, nothing may be sent.
    stage.delete(&secrets, "mail-suppressions").await;
    stage.config_holds("revision: unpublished").await;
    stage.suppression_says("another", "Accepted", "False SpecInvalid").await;
    assert_eq!(secrets.get_opt("mail-suppressions").await.unwrap(), None);

    list_secret(&stage, "caller@example.net\n").await;
    for name in ["bounced", "another"] {
        stage.suppression_says(name, "Ready", "True InForce").await;
    }
    assert_eq!(hashes(&stage).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ses_refuses_is_a_condition_and_mending_it_goes_on() {
    let stage = stage("sandboxed").await;
    stage
        .ses()
        .with_account(|account| account.settings.production_access = false);
    stage.apply(SUPPRESSION).await;

    let message = stage
        .suppression_says("bounced", "Programmed", "False BadRequest")
        .await;

    assert!(message.contains("sandbox"), "{message}");
    stage.suppression_says("bounced", "Ready", "False BadRequest").await;
    stage.suppression_says("bounced", "Stalled", "True BadRequest").await;
    // The sidecar does not wait for SES.
    hashes_are(&stage, 2).await;
    nothing_is_told(&stage).await;

    stage
        .ses()
        .with_account(|account| account.settings.production_access = true);
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&suppressions(&stage), "bounced", touched).await;
    stage.suppression_says("bounced", "Ready", "True InForce").await;
    account_lists(&stage, &["whispering.person@example.net"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_two_suppressions_want_stays_until_the_last_lets_go_of_it() {
    let stage = stage("shared-entry").await;
    stage.apply(SUPPRESSION).await;
    stage.apply(&SUPPRESSION.replace("name: bounced", "name: second")).await;
    for name in ["bounced", "second"] {
        stage.suppression_says(name, "Programmed", "True Programmed").await;
    }

    stage.delete(&suppressions(&stage), "bounced").await;
    stage.gone(&suppressions(&stage), "bounced").await;
    assert_eq!(on_account(&stage).len(), 1);

    stage.delete(&suppressions(&stage), "second").await;
    stage.gone(&suppressions(&stage), "second").await;
    assert_eq!(on_account(&stage), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_deleted_whole_takes_its_entries_off() {
    let stage = stage("whole-list").await;
    list_secret(&stage, "caller@example.net\n").await;
    let secret = SUPPRESSION.replace("  scopes", "  fromSecret: {key: support}\n  scopes");
    stage.apply(&secret).await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    assert_eq!(on_account(&stage).len(), 2);
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());

    stage.delete(&namespaces, &stage.name).await;

    stage.gone(&namespaces, &stage.name).await;
    assert_eq!(on_account(&stage), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_follow_their_namespace_to_another_account() {
    let stage = stage("list-moves").await;
    stage.apply(SUPPRESSION).await;
    account_lists(&stage, &["whispering.person@example.net"]).await;
    let target = Stage::empty(&Installation::shared().await.control_plane, "list-moves-to").await;
    target.apply(ACCOUNT).await;
    target.account_says("Ready", "True Reached").await;

    let moved = json!({"spec": {"accountRef": {"name": target.name}}});
    stage.patch(&stage.guardrails(), &stage.name, moved).await;

    account_lists(&target, &["whispering.person@example.net"]).await;
    account_lists(&stage, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_on_a_tenants_list_wait_for_the_tenant_and_are_put_there_again_when_it_was_made_anew() {
    let stage = Stage::empty(&Installation::shared().await.control_plane, "tenant-list").await;
    let account = ACCOUNT.replace("  identities:", "  isolation: Tenant\n  identities:");
    let guardrail = guardrail("{scopes: [Sidecar, Tenant]}");
    let suppression = SUPPRESSION.replace("[Sidecar, Account]", "[Sidecar, Tenant]");
    stage.apply(&[account, guardrail, suppression].concat()).await;
    stage
        .suppression_says("bounced", "Programmed", "False TenantMissing")
        .await;

    stage.apply(POLICY).await;

    let of_tenant = async || {
        let lists: Vec<_> = stage.ses().with_account(|account| {
            let tenants = account.tenants.values();
            tenants.map(|tenant| entries(&tenant.suppressed)).collect()
        });
        match &lists[..] {
            [list] if list.contains_key("whispering.person@example.net") => Ok(()),
            _ => Err(format!("{lists:?}")),
        }
    };
    stage.wait("the tenant's list has the entry", of_tenant).await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    assert_eq!(on_account(&stage), BTreeMap::new());

    // Somebody deletes the tenant in SES, and its list with it.
    let (tenant, resources): (String, Vec<String>) = stage.ses().with_account(|account| {
        let name = account.tenants.keys().next().unwrap().clone();
        let resources = account.associations.resources_of(&name).map(ToOwned::to_owned);
        (name.clone(), resources.collect())
    });
    for resource in resources {
        let body = json!({"TenantName": tenant, "ResourceArn": resource});
        stage.behind(Operation::DeleteTenantResourceAssociation, &[], &body);
    }
    stage.behind(Operation::DeleteTenant, &[], &json!({"TenantName": tenant}));

    stage.wait("the new tenant's list has the entry", of_tenant).await;

    let _deleted = suppressions(&stage)
        .delete("bounced", &DeleteParams::default())
        .await
        .unwrap();
    stage.gone(&suppressions(&stage), "bounced").await;
    of_tenant().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ses_or_a_person_listed_before_is_left_as_it_was() {
    let stage = stage("not-ours").await;
    let complaint = SuppressedAddress {
        reason: Reason::Complaint,
        updated: Timestamp::UNIX_EPOCH,
        message_id: Some("0100-a".to_owned()),
        feedback_id: Some("0100-b".to_owned()),
    };
    stage
        .ses()
        .with_account(|account| account.suppressed.insert("whispering.person@example.net", complaint));
    listed_by_a_person(&stage, "caller@example.net");
    stage.ses().reset_calls();
    let entries = SUPPRESSION.replace("entries: [", "entries: [{address: caller@example.net}, ");

    stage.apply(&entries).await;

    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    stage.delete(&suppressions(&stage), "bounced").await;
    stage.gone(&suppressions(&stage), "bounced").await;
    let as_before = [
        ("caller@example.net".to_owned(), Reason::Bounce),
        ("whispering.person@example.net".to_owned(), Reason::Complaint),
    ];
    assert_eq!(on_account(&stage), as_before.into());
    assert_eq!(stage.write_names(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_shared_by_two_namespaces_stays_until_the_last_lets_go_of_it() {
    let stage = stage("shared-one").await;
    let control_plane = &Installation::shared().await.control_plane;
    let other = control_plane.create_namespace("shared-two", &[]).await.unwrap();
    let either =
        format!("matchExpressions: [{{key: kubernetes.io/metadata.name, operator: In, values: [STAGE, {other}]}}]");
    let selecting =
        guardrail("{scopes: [Sidecar, Account]}").replace("matchLabels: {kubernetes.io/metadata.name: STAGE}", &either);
    let elsewhere = SUPPRESSION.replace("namespace: STAGE", &format!("namespace: {other}"));
    stage.apply(&[&selecting, SUPPRESSION].concat()).await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    stage.apply(&elsewhere).await;
    let others: Api<MailSuppression> = Api::namespaced(stage.client.clone(), &other);
    let stands = async || {
        let status = others.get("bounced").await.map_err(|error| error.to_string())?.status;
        match status {
            Some(status) if status.applied == Some(1) => Ok(()),
            status => Err(format!("{status:?}")),
        }
    };
    stage.wait("the other namespace's entry stands", stands).await;

    stage.delete(&suppressions(&stage), "bounced").await;
    stage.gone(&suppressions(&stage), "bounced").await;
    assert_eq!(on_account(&stage).len(), 1);

    // It did not make the entry, and is the last that wants it.
    stage.delete(&others, "bounced").await;
    stage.gone(&others, "bounced").await;
    assert_eq!(on_account(&stage), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_added_to_changes_nothing_until_it_is_mended() {
    let stage = stage("tampered").await;
    stage.apply(SUPPRESSION).await;
    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    listed_by_a_person(&stage, "victim@example.net");
    let secrets: Api<Secret> = stage.namespaced();
    let record = secrets.get("mail-suppression-record").await.unwrap().data.unwrap();
    let record = String::from_utf8(record["bounced"].0.clone()).unwrap();
    let write = async |text: &str| {
        let change = json!({"stringData": {"bounced": text}});
        stage.patch(&secrets, "mail-suppression-record", change).await;
    };
    let added = record.clone() + "{\"address\":\"victim@example.net\",\"done\":\"Bounce\"}\n";
    write(&added).await;
    stage.ses().reset_calls();

    let fewer = json!({"spec": {"entries": [{"domain": "closed.example.net"}]}});
    stage.patch(&suppressions(&stage), "bounced", fewer).await;

    for (kind, wanted) in [
        ("Programmed", "False RecordUnreadable"),
        ("Ready", "False RecordUnreadable"),
        ("Stalled", "True RecordUnreadable"),
    ] {
        stage.suppression_says("bounced", kind, wanted).await;
    }
    stage.delete(&suppressions(&stage), "bounced").await;
    stage.event(&stage.name, "MailSuppression", "RecordUnreadable").await;
    assert_eq!(entry_calls(&stage), []);
    assert_eq!(on_account(&stage).len(), 2);
    assert!(suppressions(&stage).get_opt("bounced").await.unwrap().is_some());
    nothing_is_told(&stage).await;

    write(&record).await;
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    stage.patch(&suppressions(&stage), "bounced", touched).await;
    stage.gone(&suppressions(&stage), "bounced").await;
    account_lists(&stage, &["victim@example.net"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_goes_on_the_list_and_off_it_in_batches_that_are_recorded() {
    const ENTRIES: usize = 120;
    const BATCH: usize = 50;
    let stage = stage("bulk").await;
    let lines: Vec<String> = (0..ENTRIES).map(|index| format!("a{index}@example.net\n")).collect();
    let lines = lines.concat();
    list_secret(&stage, &lines).await;
    stage.ses().reset_calls();
    let bulk = SUPPRESSION
        .replace("  scopes", "  fromSecret: {key: support}\n  scopes")
        .replace("{address: whispering.person@example.net}, ", "");

    stage.apply(&bulk).await;

    stage.suppression_says("bounced", "Programmed", "True Programmed").await;
    let status = suppressions(&stage).get("bounced").await.unwrap().status.unwrap();
    assert_eq!(status.applied, Some(120));
    assert_eq!(on_account(&stage).len(), ENTRIES);
    let (get, put) = (Operation::GetSuppressedDestination, Operation::PutSuppressedDestination);
    let batches = [BATCH, BATCH, ENTRIES - 2 * BATCH].map(|size| [vec![get; size], vec![put; size]].concat());
    // The rotating reader may have compared some of them since.
    assert_eq!(entry_calls(&stage)[..2 * ENTRIES], batches.concat());
    hashes_are(&stage, ENTRIES + 1).await;

    stage.delete(&suppressions(&stage), "bounced").await;
    stage.gone(&suppressions(&stage), "bounced").await;
    assert_eq!(on_account(&stage), BTreeMap::new());
    let secrets: Api<Secret> = stage.namespaced();
    let record = secrets.get_opt("mail-suppression-record").await.unwrap();
    assert_eq!(
        record.and_then(|record| record.data).unwrap_or_default(),
        BTreeMap::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_to_release_that_is_none_is_told_by_its_place() {
    let stage = stage("not-an-address").await;
    let wrong = SUPPRESSION.replace("  scopes", "  release: [\"whispering..person@example.net\"]\n  scopes");
    stage.apply(&wrong).await;
    let message = stage.suppression_says("bounced", "Accepted", "False SpecInvalid").await;
    assert!(message.contains("spec.release[0]"), "{message}");
    assert_eq!(on_account(&stage), BTreeMap::new());
    nothing_is_told(&stage).await;
}
