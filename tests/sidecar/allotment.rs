//! The pod's share of the ceilings, as it comes in an annotation.

use std::{collections::BTreeMap, fs, time::Duration};

use jiff::{SignedDuration, Timestamp};
use mail_policy_operator::{
    clock,
    policy::allotment::{Allotment, CeilingKey, Counted, Farewell, Report},
};
use serde_json::Value;

use crate::{
    http::{get, send, simple},
    stage::{Addresses, SOON, Stage},
    support::eventually,
};

const CEILINGS: (&str, &str) = (
    "ceilings: {recipients: [], newRecipients: [], from",
    "ceilings: {recipients: [10/h], newRecipients: [], from",
);

/// A sidecar of pod `pod-1` under a ceiling of 10/h, whose annotation a test writes.
async fn set() -> (Stage, Addresses) {
    let folder = tempfile::tempdir().unwrap().keep();
    let file = folder.join("allotment");
    let (mut stage, at) = Stage::set_with(
        &[CEILINGS],
        &[
            "--allotment",
            file.to_str().unwrap(),
            "--pod-uid",
            "pod-1",
            "--farewell",
            folder.join("farewell").to_str().unwrap(),
        ],
    )
    .await;
    stage.other = folder;
    (stage, at)
}

async fn report(at: Addresses) -> Report {
    let (_, status) = get(at.status, "/status").await;
    let status: Value = serde_json::from_str(&status).unwrap();
    Report::parse(&status["allotment"].to_string()).unwrap()
}

/// An allotment of the whole namespace's recipients.
fn allotment(report: &Report, pod: &str, revision: u64, share: &str, expires: Timestamp) -> String {
    let shares = [share.parse().unwrap()].into_iter().collect();
    let shares = BTreeMap::from([(CeilingKey::namespace(Counted::Recipients), shares)]);
    Allotment::new(pod.to_owned(), report.life, revision, expires, shares)
        .text()
        .unwrap()
}

fn in_an_hour() -> Timestamp {
    clock::now() + SignedDuration::from_hours(1)
}

async fn answer(at: Addresses) -> String {
    let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
    if status == 200 {
        "sent".to_owned()
    } else {
        format!("{name}: {}", body["message"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_share_nothing_is_sent_and_the_first_message_waits_for_one() {
    let (stage, at) = set().await;
    let began = clock::monotonic();
    assert!(answer(at).await.contains("no share"));
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    let waiting = tokio::spawn(answer(at));
    let report = report(at).await;
    fs::write(
        stage.other.join("allotment"),
        allotment(&report, "pod-1", 1, "2/h", in_an_hour()),
    )
    .unwrap();
    assert_eq!(waiting.await.unwrap(), "sent");
    assert_eq!(answer(at).await, "sent");
    assert!(answer(at).await.starts_with("LimitExceeded"), "its share is two");
    assert_eq!(stage.mailed().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_another_pod_or_one_that_has_expired_is_none() {
    let (stage, at) = set().await;
    let report = report(at).await;
    for text in [
        allotment(&report, "pod-2", 1, "2/h", in_an_hour()),
        allotment(&report, "pod-1", 1, "2/h", clock::now() - SignedDuration::from_secs(1)),
    ] {
        fs::write(stage.other.join("allotment"), text).unwrap();
        assert!(answer(at).await.contains("no share"));
    }
    assert!(stage.mailed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_container_keeps_its_life_and_an_ended_one_says_what_it_used() {
    let (mut stage, at) = set().await;
    let first = report(at).await;
    fs::write(
        stage.other.join("allotment"),
        allotment(&first, "pod-1", 1, "5/h", in_an_hour()),
    )
    .unwrap();
    assert_eq!(answer(at).await, "sent");
    stage.kill().await;
    let at = stage.start().await;
    let second = report(at).await;
    assert_eq!((first.life, second.revision), (second.life, 1));
    assert_eq!(answer(at).await, "sent");
    stage.process().signal("TERM").unwrap();
    let left = stage.other.join("farewell");
    let look = async || fs::read_to_string(&left).map_err(|error| error.to_string());
    let text = eventually(SOON, "a farewell is left", look).await.unwrap();
    let farewell = Farewell::parse(&text).unwrap();
    let used = &farewell.used[&CeilingKey::namespace(Counted::Recipients)];
    assert_eq!(used[&3_600], 2, "{text}");
}
