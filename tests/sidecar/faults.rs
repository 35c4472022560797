//! SES that fails, and a sidecar that is ended or killed under load.

use std::collections::BTreeMap;

use mail_policy_operator::simulator::{Effect, Fault};

use crate::{
    http::{send, simple},
    stage::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_no_success_and_its_room_stays_taken() {
    let ceilings = (
        "ceilings: {recipients: [], newRecipients: [], perRecipient",
        "ceilings: {recipients: [1/h], newRecipients: [], perRecipient",
    );
    let (stage, at) = Stage::set(&[ceilings]).await;
    stage.ses.admin().arm(Fault::next_calls(Effect::LoseAnswer, 1)).unwrap();
    let (status, name, _) = send(at.http, &simple(&["jo@example.com"])).await;
    assert_eq!((status, name.as_str()), (500, "InternalServiceErrorException"));
    assert_eq!(stage.mailed(), ["jo@example.com"], "SES had it all the same");
    assert!(stage.log().contains("is unknown"), "{}", stage.log());
    assert_eq!(
        send(at.http, &simple(&["jo@example.com"])).await.1,
        "LimitExceededException"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ses_that_fails_or_throttles_for_a_while_is_told_apart_and_comes_back() {
    let (stage, at) = Stage::set(&[]).await;
    for (effect, expected) in [
        (Effect::Error { status: 503 }, (503, "ServiceUnavailable")),
        (Effect::Error { status: 500 }, (500, "InternalServiceErrorException")),
        (Effect::Throttle, (429, "TooManyRequestsException")),
    ] {
        stage.ses.admin().arm(Fault::next_calls(effect, 1)).unwrap();
        let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
        assert_eq!((status, name.as_str()), expected, "{body}");
    }
    // The sidecar itself keeps its distance now.
    let sent = async || {
        let (status, _, body) = send(at.http, &simple(&["jo@example.com"])).await;
        if status == 200 { Ok(()) } else { Err(body.to_string()) }
    };
    stage.wait("mail leaves again", sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_ses_is_down_mail_is_put_off_and_its_room_is_given_back() {
    let ceilings = (
        "ceilings: {recipients: [], newRecipients: [], perRecipient",
        "ceilings: {recipients: [10/h], newRecipients: [], perRecipient",
    );
    let (mut stage, at) = Stage::set(&[ceilings]).await;
    assert_eq!(send(at.http, &simple(&["jo@example.com"])).await.0, 200);
    let address = stage.lose_ses().await;
    for _ in 0..50 {
        let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
        assert_eq!((status, name.as_str()), (503, "ServiceUnavailable"), "{body}");
    }

    stage.find_ses(address).await;
    for _ in 0..9 {
        let (status, _, body) = send(at.http, &simple(&["jo@example.com"])).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(
        send(at.http, &simple(&["jo@example.com"])).await.1,
        "LimitExceededException"
    );
    assert_eq!(stage.mailed().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_killed_under_load_has_acknowledged_nothing_that_ses_has_not_and_sent_nothing_twice() {
    let (mut stage, at) = Stage::set(&[]).await;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        senders.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..2_000 {
                let to = format!("s{sender}-{number}@example.com");
                let body = simple(&[&to]);
                let request = reqwest::Client::new().post(format!("http://{}/v2/email/outbound-emails", at.http));
                match request.json(&body).send().await {
                    Ok(answer) if answer.status() == 200 => acknowledged.push(to),
                    Ok(answer) => panic!("{answer:?}"),
                    // The sidecar is gone.
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    let some = async || {
        let total = stage.ses.admin().received_total();
        if total > 200 { Ok(()) } else { Err(total.to_string()) }
    };
    stage.wait("some mail has left", some).await;
    stage.kill().await;
    let acknowledged: Vec<String> = senders.join_all().await.into_iter().flatten().collect();
    let mut times = BTreeMap::<String, u32>::new();
    for address in stage.mailed() {
        *times.entry(address).or_default() += 1;
    }
    let missing: Vec<&String> = acknowledged
        .iter()
        .filter(|address| !times.contains_key(*address))
        .collect();
    assert!(missing.is_empty(), "acknowledged and not sent: {missing:?}");
    assert!(times.values().all(|count| *count == 1), "sent twice");
    assert!(acknowledged.len() > 150, "{}", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_ended_finishes_what_has_begun() {
    let (mut stage, at) = Stage::set(&[]).await;
    stage
        .ses
        .admin()
        .arm(Fault::next_calls(Effect::Latency { millis: 1_500 }, 1))
        .unwrap();
    let begun = tokio::spawn(async move { send(at.http, &simple(&["jo@example.com"])).await });
    let under_way = async || {
        let (_, status) = crate::http::get(at.status, "/status").await;
        if status.contains("\"underWay\":1") {
            Ok(())
        } else {
            Err(status)
        }
    };
    stage.wait("the message is under way", under_way).await;
    stage.process().signal("TERM").unwrap();
    let (status, _, body) = begun.await.unwrap();
    assert_eq!(status, 200, "{body}");
    let process = stage.process();
    let ended = async || process.ended().unwrap().ok_or_else(|| "it runs".to_owned());
    let status = crate::support::eventually(crate::stage::SOON, "the sidecar has ended", ended)
        .await
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(stage.mailed(), ["jo@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_what_the_ceilings_let_through_nothing_is_sent_until_there_is_one() {
    let mut stage = Stage::without_sidecar().await;
    stage.hand_out_credentials();
    stage.suppress(&[]);
    stage.configure(&[]);
    let state = stage.path("state");
    std::fs::remove_dir(&state).unwrap();
    let at = stage.start().await;
    let (status, name, body) = send(at.http, &simple(&["jo@example.com"])).await;
    assert_eq!((status, name.as_str()), (503, "ServiceUnavailable"), "{body}");
    std::fs::create_dir(&state).unwrap();
    let sent = async || {
        let (status, _, body) = send(at.http, &simple(&["jo@example.com"])).await;
        if status == 200 { Ok(()) } else { Err(body.to_string()) }
    };
    stage.wait("mail leaves", sent).await;
}
