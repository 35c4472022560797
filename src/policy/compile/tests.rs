// A scene is written down once and read as it stands.
#![allow(
    clippy::needless_pass_by_value,
    clippy::cloned_ref_to_slice_refs,
    clippy::too_many_lines
)]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{MailGuardrailSpec, MailPolicySpec, SendingAccountSpec},
    policy::{
        Hold, Meet,
        terms::GuardrailTerms,
        windows::{Clock, WindowFacts},
    },
};

/// A namespace written as JSON: what each test says is all there is.
#[derive(Clone, Debug)]
struct Scene {
    guardrails: Vec<(String, Result<MailGuardrailSpec, String>)>,
    accounts: Vec<(String, Option<SendingAccountSpec>)>,
    quota: Option<Quota>,
    policies: Vec<(String, Result<MailPolicySpec, String>)>,
    last_good: Option<MailPolicySpec>,
    /// What is stored of policies that cannot be read.
    stored: Value,
    deleting: bool,
    windows: Vec<WindowFacts>,
    holds: Vec<Hold>,
    clock: Clock,
    now: i64,
}

fn scene(guardrails: &[Value], policies: &[Value]) -> Scene {
    let named = |index: usize| char::from(b'a' + u8::try_from(index).unwrap()).to_string();
    let account = json!({
        "region": "eu-west-1", "clusterId": "c", "identities": [{"name": "example.com"}],
        "feedback": {"destination": {"eventBridge": {}}},
    });
    Scene {
        guardrails: guardrails
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                (
                    named(index),
                    serde_json::from_value(spec.clone()).map_err(|error| error.to_string()),
                )
            })
            .collect(),
        accounts: vec![("primary".to_owned(), serde_json::from_value(account).unwrap())],
        quota: Some(Quota {
            max24_hours: 50_000,
            max_per_second: 14.0,
            sent_last24_hours: 0,
        }),
        policies: policies
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                (
                    named(index),
                    serde_json::from_value(spec.clone()).map_err(|error| error.to_string()),
                )
            })
            .collect(),
        last_good: None,
        stored: Value::Null,
        deleting: false,
        windows: Vec::new(),
        holds: Vec::new(),
        clock: Clock::Trusted,
        now: 1000,
    }
}

impl Scene {
    fn compile(&self) -> CompiledNamespace {
        compile(&NamespaceFacts {
            guardrails: self
                .guardrails
                .iter()
                .map(|(name, spec)| GuardrailFacts {
                    name,
                    spec: spec.as_ref().map_err(String::as_str),
                })
                .collect(),
            accounts: self
                .accounts
                .iter()
                .map(|(name, spec)| {
                    let known = |spec| AccountFacts::Known {
                        spec,
                        quota: self.quota,
                    };
                    (
                        name.as_str(),
                        spec.as_ref().map_or(AccountFacts::Unreadable("no region"), known),
                    )
                })
                .collect(),
            policies: self
                .policies
                .iter()
                .map(|(name, spec)| PolicyFacts {
                    name,
                    spec: spec.as_ref().map_err(|error| UnreadSpec {
                        error,
                        stored: &self.stored,
                    }),
                    deleting: self.deleting,
                    last_good: self.last_good.as_ref(),
                })
                .collect(),
            windows: self.windows.clone(),
            holds: self.holds.clone(),
            clock: self.clock,
            now: Timestamp::from_second(self.now).unwrap(),
        })
    }

    fn first(&self) -> CompiledPolicy {
        self.compile().policies.swap_remove(0)
    }

    fn mode(&self) -> Mode {
        self.first().effective.mode.value
    }

    fn with_window(mut self, mode: Mode, from: i64, until: i64) -> Self {
        let at = |second| Timestamp::from_second(second).unwrap();
        let name = format!("w{}", self.windows.len());
        let (from, until) = (at(from), at(until));
        self.windows.push(WindowFacts {
            name,
            created: at(0),
            policy: "a".into(),
            mode,
            from,
            until,
            opened: false,
        });
        self
    }
}

/// What follows the mode of a policy.
fn then(policy: &CompiledPolicy) -> Vec<(Timestamp, Mode)> {
    policy
        .effective
        .then
        .iter()
        .map(|step| (step.from, step.mode))
        .collect()
}

fn from(sourced: &Sourced<impl Sized>) -> Vec<String> {
    sourced.from_words()
}

const PRIMARY: &str = "primary";

fn guardrail(more: Value) -> Value {
    let mut spec = json!({"namespaceSelector": {}, "accountRef": {"name": PRIMARY}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

// The table of absence, row by row.

#[test]
fn a_field_of_one_guardrail_that_is_absent_is_no_opinion() {
    let scene = scene(
        &[
            guardrail(json!({"maxMode": "Live"})),
            json!({"senders": ["*@example.com"]}),
        ],
        &[json!({"mode": "Live"})],
    );
    assert_eq!(scene.mode(), Mode::Live);
}

#[test]
fn no_max_mode_in_any_guardrail_is_paused() {
    let policy = scene(
        &[guardrail(json!({"ceilings": {"recipients": ["5/s"]}}))],
        &[json!({"mode": "Live"})],
    )
    .first();
    assert_eq!(policy.effective.mode.value, Mode::Paused);
    assert_eq!(from(&policy.effective.mode), ["default"]);
}

#[test]
fn no_guardrail_at_all_is_paused_and_says_so() {
    let compiled = scene(&[], &[json!({"mode": "Live"})]).compile();
    assert_eq!(compiled.closed, Some(Closed::NoGuardrail));
    assert_eq!(compiled.policies[0].effective.mode.value, Mode::Paused);
}

#[test]
fn mail_that_no_policy_speaks_of_has_the_default_mode_else_paused() {
    let unmatched = |spec| scene(&[guardrail(spec)], &[]).compile().default_mode.value;
    assert_eq!(
        unmatched(json!({"maxMode": "Live", "defaults": {"mode": "Capture"}})),
        Mode::Capture
    );
    assert_eq!(unmatched(json!({"maxMode": "Live"})), Mode::Paused);
    assert_eq!(unmatched(json!({"defaults": {"mode": "Capture"}})), Mode::Paused);
}

#[test]
fn no_allowed_recipients_anywhere_is_nobody_and_so_is_an_empty_list() {
    let allowed = |bound: Value, policy: Value| {
        scene(&[guardrail(bound)], &[policy])
            .first()
            .effective
            .allowed
            .value
            .summary()
    };
    assert_eq!(
        allowed(json!({"maxMode": "Live"}), json!({"mode": "Restricted"})),
        "nobody"
    );
    assert_eq!(
        allowed(
            json!({"maxMode": "Live"}),
            json!({"mode": "Restricted", "allowedDomains": []})
        ),
        "nobody"
    );
    let bound = json!({"allowedDomains": ["example.com"]});
    assert_eq!(allowed(bound.clone(), json!({"mode": "Restricted"})), "example.com");
    assert_eq!(
        allowed(bound.clone(), json!({"mode": "Restricted", "allowedDomains": []})),
        "nobody"
    );
    let both =
        json!({"mode": "Restricted", "allowedDomains": ["example.org"], "allowedRecipients": ["qa@example.com"]});
    assert_eq!(allowed(bound, both), "1 mailbox pattern at example.com");
}

#[test]
fn no_senders_anywhere_are_the_accounts_identities_and_an_empty_list_is_nobody() {
    let senders = |policy: Value| {
        scene(&[guardrail(json!({"maxMode": "Live"}))], &[policy])
            .first()
            .effective
            .senders
    };
    let silent = senders(json!({"mode": "Live"}));
    assert_eq!(silent.value.summary(), "example.com, *.example.com");
    assert_eq!(from(&silent), ["SendingAccount/primary"]);
    assert!(senders(json!({"mode": "Live", "senders": []})).value.is_empty());
    assert!(
        senders(json!({"mode": "Live", "senders": ["a@stranger.org"]}))
            .value
            .is_empty()
    );
}

#[test]
fn no_ceilings_anywhere_are_the_accounts_quota_and_an_unknown_quota_is_paused() {
    let mut scene = scene(&[guardrail(json!({"maxMode": "Live"}))], &[json!({"mode": "Live"})]);
    let recipients = scene.first().effective.recipients;
    assert_eq!(
        (recipients.value.to_string(), from(&recipients)),
        ("14/s, 50000/d".to_owned(), vec!["SendingAccount/primary".to_owned()])
    );
    scene.quota = None;
    assert_eq!(scene.mode(), Mode::Paused);
    scene.quota = Some(Quota {
        max24_hours: -1,
        max_per_second: 0.2,
        sent_last24_hours: 0,
    });
    assert_eq!(scene.first().effective.recipients.value.to_string(), "1/s");
    scene.quota = Some(Quota {
        max24_hours: 0,
        max_per_second: 1.0,
        sent_last24_hours: 0,
    });
    assert_eq!(scene.mode(), Mode::Paused);
}

#[test]
fn the_namespaces_ceilings_stand_beside_the_policys() {
    let bound = guardrail(json!({"maxMode": "Live", "ceilings": {"recipients": ["5/s"]}}));
    let compiled = scene(
        &[bound.clone()],
        &[json!({"mode": "Live", "ceilings": {"recipients": ["9/s", "100/h"]}})],
    )
    .compile();
    assert_eq!(compiled.bounds.recipients.unwrap().value.to_string(), "5/s");
    assert_eq!(
        compiled.policies[0].effective.recipients.value.to_string(),
        "9/s, 100/h"
    );
    assert_eq!(
        scene(&[bound], &[json!({"mode": "Live"})])
            .first()
            .effective
            .recipients
            .value
            .to_string(),
        "none"
    );
}

#[test]
fn what_else_a_policy_leaves_out_the_guardrails_defaults_say_else_capture_and_retain() {
    let policy = |bounds: &[Value]| scene(bounds, &[json!({"mode": "Live"})]).first();
    let silent = policy(&[guardrail(json!({"maxMode": "Live"}))]);
    assert_eq!(
        (silent.effective.other_recipients.value, silent.deletion.value),
        (Other::Capture, DeletionPolicy::Retain)
    );
    assert_eq!(silent.suppression, None);
    let said = policy(&[
        guardrail(
            json!({"maxMode": "Live", "defaults": {"otherRecipients": {"action": "Simulate"}, "deletionPolicy": "Delete"}}),
        ),
        json!({"defaults": {"otherRecipients": {"action": "Reject"}, "deletionPolicy": "Retain"}}),
    ]);
    assert_eq!(
        (said.effective.other_recipients.value, said.deletion.value),
        (Other::Reject, DeletionPolicy::Retain)
    );
    let own = scene(
        &[guardrail(
            json!({"maxMode": "Live", "defaults": {"otherRecipients": {"action": "Reject"}, "deletionPolicy": "Retain"}}),
        )],
        &[json!({"mode": "Live", "otherRecipients": {"action": "Simulate"}, "deletionPolicy": "Delete"})],
    );
    let own = own.first();
    assert_eq!(
        (own.effective.other_recipients.value, own.deletion.value),
        (Other::Simulate, DeletionPolicy::Delete)
    );
}

#[test]
fn each_way_of_having_no_account_closes_the_namespace_and_has_its_word() {
    let live = json!({"mode": "Live"});
    let closed = |scene: Scene| {
        let compiled = scene.compile();
        assert_eq!(compiled.policies[0].effective.mode.value, Mode::Paused, "{scene:?}");
        assert_eq!(compiled.default_mode.value, Mode::Paused);
        compiled.closed.unwrap()
    };
    let capture = json!({"maxMode": "Live", "defaults": {"mode": "Capture"}});
    assert_eq!(closed(scene(&[capture.clone()], &[live.clone()])).reason(), "NoAccount");
    let other = json!({"accountRef": {"name": "other"}, "maxMode": "Live"});
    let conflict = closed(scene(&[guardrail(capture.clone()), other.clone()], &[live.clone()]));
    assert_eq!(conflict.reason(), "AccountConflict");
    assert!(conflict.to_string().contains("other, primary"), "{conflict}");
    assert_eq!(closed(scene(&[other], &[live.clone()])).reason(), "AccountMissing");
    let mut unreadable = scene(&[guardrail(capture.clone())], &[live.clone()]);
    unreadable.accounts[0].1 = None;
    assert_eq!(closed(unreadable).reason(), "AccountUnreadable");
    let mut wrong = scene(&[guardrail(capture.clone())], &[live.clone()]);
    wrong.accounts[0].1.as_mut().unwrap().identities[0].name = "com".to_owned();
    assert_eq!(closed(wrong).reason(), "AccountUnreadable");
    let nonsense = closed(scene(&[guardrail(capture), json!({"maxMode": "Everything"})], &[live]));
    assert_eq!(nonsense.reason(), "GuardrailUnreadable");
}

/// A policy whose present spec cannot be compiled, and the one that was accepted last.
fn gone_bad(guardrails: &[Value], last_good: Value) -> Scene {
    let mut scene = scene(guardrails, &[json!({"mode": "Live", "allowedDomains": ["co.jp"]})]);
    scene.last_good = Some(serde_json::from_value(last_good).unwrap());
    scene
}

#[test]
fn a_policy_that_cannot_be_compiled_is_closed_or_its_last_good_one_within_the_bounds_of_now() {
    let wide = guardrail(json!({"maxMode": "Live", "ceilings": {"recipients": ["5/s"]}}));
    let mut bad = gone_bad(&[wide], json!({"mode": "Live", "senders": ["a@example.com"]}));
    let policy = bad.first();
    assert_eq!(policy.errors[0].field, "spec.allowedDomains[0]");
    assert_eq!(policy.effective.mode.value, Mode::Live);
    assert!(policy.set.is_some(), "SES stands as it did");
    assert_eq!(
        from(&policy.effective.mode),
        ["MailGuardrail/a", "last good MailPolicy/a"]
    );
    assert_eq!(
        policy.effective.senders.value.summary(),
        "1 mailbox pattern at example.com"
    );
    assert_eq!(policy.accepted, bad.last_good);

    bad.guardrails.push((
        "b".to_owned(),
        serde_json::from_value(json!({"maxMode": "Capture", "senders": []})).map_err(|_| unreachable!()),
    ));
    let policy = bad.first();
    assert_eq!(policy.effective.mode.value, Mode::Capture);
    assert!(policy.effective.senders.value.is_empty());

    bad.last_good = None;
    let policy = bad.first();
    assert_eq!(policy.effective.mode.value, Mode::Paused);
    assert_eq!((policy.accepted, policy.set), (None, None));
}

#[test]
fn a_last_good_policy_is_what_it_was_again_once_bounds_that_were_narrow_for_a_while_are_wide() {
    let wide = guardrail(json!({"maxMode": "Live"}));
    let mut bad = gone_bad(&[], json!({"mode": "Live"}));
    let while_unguarded = bad.first();
    assert_eq!(while_unguarded.effective.mode.value, Mode::Paused);
    // What is kept is what was accepted, not what was in force.
    bad.last_good = while_unguarded.accepted;
    bad.guardrails = scene(&[wide], &[]).guardrails;
    assert_eq!(bad.mode(), Mode::Live);
}

#[test]
fn a_last_good_policy_that_leant_on_ceilings_that_are_gone_gets_the_accounts_quota_and_without_one_is_paused() {
    let mut bad = gone_bad(&[guardrail(json!({"maxMode": "Live"}))], json!({"mode": "Live"}));
    assert_eq!(bad.first().effective.recipients.value.to_string(), "14/s, 50000/d");
    bad.quota = None;
    assert_eq!(bad.mode(), Mode::Paused);
}

#[test]
fn no_window_lifts_a_last_good_policy() {
    let bound = guardrail(json!({"maxMode": "Live", "window": {"maxMode": "Live", "maxDuration": "4h"}}));
    let bad = gone_bad(&[bound], json!({"mode": "Capture"})).with_window(Mode::Live, 900, 1100);
    assert_eq!((bad.mode(), then(&bad.first())), (Mode::Capture, vec![]));
}

#[test]
fn a_last_good_policy_that_cannot_be_read_any_more_is_none() {
    let bad = gone_bad(
        &[guardrail(json!({"maxMode": "Live"}))],
        json!({"mode": "Live", "senders": ["co.jp"]}),
    );
    assert_eq!(bad.mode(), Mode::Paused);
}

#[test]
fn a_policy_without_a_last_good_one_has_the_messages_of_its_match_or_none() {
    let bound = guardrail(json!({"maxMode": "Live"}));
    let matching = |spec: Value| scene(&[bound.clone()], &[spec]).first().matching;
    let bad = |match_: Value| json!({"mode": "Live", "allowedDomains": ["co.jp"], "match": match_});
    let readable = matching(bad(json!({"senders": ["a@example.com"]})));
    assert!(matches!(readable, Matching::Only(_)), "{readable:?}");
    let unreadable = matching(bad(json!({"senders": ["jo@co..jp"]})));
    assert!(
        matches!(&unreadable, Matching::Nothing(why) if why.contains("spec.match.senders[0]") && !why.contains("jo")),
        "{unreadable:?}"
    );
    assert_eq!(
        matching(json!({"mode": "Live", "allowedDomains": ["co.jp"]})),
        Matching::Rest
    );
}

#[test]
fn a_policy_that_its_kind_cannot_read_has_the_messages_of_its_match_or_none() {
    let mut scene = scene(
        &[guardrail(json!({"maxMode": "Live"}))],
        &[json!({"mode": "Everything"})],
    );
    scene.stored = json!({"match": {"senders": ["a@example.com"]}});
    assert!(matches!(scene.first().matching, Matching::Only(_)));
    scene.stored = json!({"match": {"senders": "jo@example.com"}});
    let matching = scene.first().matching;
    assert!(
        matches!(&matching, Matching::Nothing(why) if !why.contains("jo@")),
        "{matching:?}"
    );
    scene.stored = json!({});
    assert_eq!(scene.first().matching, Matching::Rest);
}

// Windows, holds, deletion, clock.

#[test]
fn a_window_lifts_the_mode_as_far_as_every_guardrail_lets_it() {
    let window = |mode: &str| json!({"maxMode": mode, "maxDuration": "4h"});
    let base = guardrail(json!({"maxMode": "Capture", "window": window("Live")}));
    let open = |bounds: &[Value], mode| {
        scene(bounds, &[json!({"mode": "Capture"})])
            .with_window(mode, 900, 1100)
            .mode()
    };
    assert_eq!(open(&[base.clone()], Mode::Live), Mode::Live);
    assert_eq!(open(&[base.clone()], Mode::Simulate), Mode::Simulate);
    assert_eq!(
        open(&[base.clone()], Mode::Paused),
        Mode::Capture,
        "a window below the base changes nothing"
    );
    assert_eq!(
        open(&[base.clone(), json!({"maxMode": "Restricted"})], Mode::Live),
        Mode::Restricted
    );
    assert_eq!(
        open(&[base.clone(), json!({"senders": []})], Mode::Live),
        Mode::Live,
        "no opinion on modes"
    );
    assert_eq!(
        open(&[guardrail(json!({"maxMode": "Capture"}))], Mode::Live),
        Mode::Capture,
        "no window anywhere"
    );
}

#[test]
fn an_open_window_foretells_its_end_and_a_scheduled_one_nothing() {
    let bound = guardrail(json!({"maxMode": "Live", "window": {"maxMode": "Live", "maxDuration": "4h"}}));
    let scene = scene(&[bound], &[json!({"mode": "Capture"})]);
    let at = |second| Timestamp::from_second(second).unwrap();
    let open = scene.clone().with_window(Mode::Live, 900, 1100).compile();
    assert_eq!(
        (then(&open.policies[0]), open.next_change),
        (vec![(at(1100), Mode::Capture)], Some(at(1100)))
    );
    let scheduled = scene.with_window(Mode::Live, 1050, 1100).compile();
    assert_eq!(
        (then(&scheduled.policies[0]), scheduled.next_change),
        (vec![], Some(at(1050)))
    );
}

#[test]
fn of_several_open_windows_every_end_is_foretold_down_to_the_base() {
    let bound = guardrail(json!({"maxMode": "Live", "window": {"maxMode": "Live", "maxDuration": "4h"}}));
    let policy = scene(&[bound], &[json!({"mode": "Paused"})])
        .with_window(Mode::Restricted, 900, 1300)
        .with_window(Mode::Live, 950, 1100)
        // Ends first, and lower: its end changes nothing.
        .with_window(Mode::Simulate, 950, 1050)
        .first();
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(policy.effective.mode.value, Mode::Live);
    assert_eq!(then(&policy), [(at(1100), Mode::Restricted), (at(1300), Mode::Paused)]);
    assert_eq!(
        policy.effective.values()[0].value,
        "Live until 1970-01-01T00:18:20Z, then Restricted until 1970-01-01T00:21:40Z, then Paused"
    );
}

#[test]
fn a_hold_and_a_deletion_beat_every_mode_and_every_window() {
    let bound = guardrail(json!({"maxMode": "Live", "window": {"maxMode": "Live", "maxDuration": "4h"}}));
    let mut held = scene(&[bound.clone()], &[json!({"mode": "Capture"})]).with_window(Mode::Live, 900, 1100);
    held.holds.push(Hold {
        name: "h".to_owned(),
        policy: "a".to_owned(),
    });
    let policy = held.first();
    assert_eq!((policy.effective.mode.value, then(&policy)), (Mode::Paused, vec![]));
    assert_eq!(from(&policy.effective.mode), ["MailHold/h"]);
    let mut deleted = scene(&[bound], &[json!({"mode": "Live"})]);
    deleted.deleting = true;
    assert_eq!(from(&deleted.first().effective.mode), ["deletion"]);
}

#[test]
fn with_a_doubted_clock_a_window_does_not_open() {
    let bound = guardrail(json!({"maxMode": "Capture", "window": {"maxMode": "Live", "maxDuration": "4h"}}));
    let mut scene = scene(&[bound], &[json!({"mode": "Capture"})]).with_window(Mode::Live, 900, 1100);
    scene.clock = Clock::Doubted;
    assert_eq!(scene.mode(), Mode::Capture);
}

// Clamps.

#[test]
fn a_clamp_says_what_was_asked_what_is_in_force_and_by_whose_word() {
    let policy = scene(
        &[guardrail(json!({"maxMode": "Restricted"}))],
        &[json!({"mode": "Live"})],
    )
    .first();
    assert_eq!(
        policy.clamps[0].message,
        "mode: asked Live, in force Restricted (MailGuardrail/a)"
    );
    assert_eq!(
        scene(&[guardrail(json!({"maxMode": "Live"}))], &[json!({"mode": "Live"})])
            .first()
            .clamps,
        []
    );
}

#[test]
fn pools_and_event_destinations_need_every_guardrail_that_speaks_of_them() {
    let arn = "arn:aws:sns:eu-west-1:123456789012:t";
    let asks = json!({"mode": "Live", "ses": {"pool": "p", "eventDestinations": [{"arn": arn, "events": ["Send"]}]}});
    let allows = json!({"maxMode": "Live", "ses": {"pools": ["p"], "eventDestinationArns": [arn]}});
    let set = |bounds: &[Value]| {
        let policy = scene(bounds, &[asks.clone()]).first();
        let set = policy.set.unwrap();
        (set.pool.is_some(), set.event_destinations.len(), policy.clamps.len())
    };
    assert_eq!(set(&[guardrail(json!({"maxMode": "Live"}))]), (false, 0, 2));
    assert_eq!(set(&[guardrail(allows.clone())]), (true, 1, 0));
    assert_eq!(
        set(&[guardrail(allows.clone()), json!({"ses": {"pools": []}})]),
        (false, 1, 1)
    );
}

// Properties.

fn any_mode() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("Paused"),
        Just("Capture"),
        Just("Simulate"),
        Just("Restricted"),
        Just("Live")
    ]
}

fn any_patterns() -> impl Strategy<Value = Vec<&'static str>> {
    let pattern = prop_oneof![
        Just("example.com"),
        Just("*.example.com"),
        Just("a.example.com"),
        Just("example.org")
    ];
    proptest::collection::btree_set(pattern, 0..3).prop_map(|set| set.into_iter().collect())
}

fn any_senders() -> impl Strategy<Value = Vec<&'static str>> {
    let pattern = prop_oneof![
        Just("example.com"),
        Just("a@example.com"),
        Just("a*@example.com"),
        Just("*.example.com")
    ];
    proptest::collection::btree_set(pattern, 0..3).prop_map(|set| set.into_iter().collect())
}

fn any_rates() -> impl Strategy<Value = Vec<String>> {
    let rate = (1_u32..20, prop_oneof![Just("s"), Just("h"), Just("d")]).prop_map(|(n, unit)| format!("{n}/{unit}"));
    proptest::collection::vec(rate, 1..3)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        other => other,
    }
}

fn any_guardrail() -> impl Strategy<Value = Value> {
    let account = prop_oneof![8 => Just(Some(PRIMARY)), 2 => Just(None), 1 => Just(Some("other"))];
    let window =
        (any_mode(), prop_oneof![Just("1h"), Just("3m")]).prop_map(|(m, d)| json!({"maxMode": m, "maxDuration": d}));
    let maybe = |strategy| proptest::option::of(strategy);
    let enforcement = proptest::option::of(prop_oneof![Just("Enforce"), Just("Audit")]);
    let other = prop_oneof![
        Just(json!({"action": "Reject"})),
        Just(json!({"action": "Simulate"})),
        Just(json!({"action": "Redirect", "to": "a@example.com"})),
        Just(json!({"action": "Redirect", "to": "b@example.com"})),
    ];
    let limits = (
        proptest::option::of(any_rates()),
        proptest::option::of(any_senders()),
        enforcement,
        proptest::option::of(other),
    );
    (account, maybe(any_mode().boxed()), proptest::option::of(window), proptest::option::of(any_patterns()), limits).prop_map(
        |(account, mode, window, allowed, (rates, senders, enforcement, other))| {
            without_nulls(json!({
                "namespaceSelector": {},
                "accountRef": account.map(|name| json!({"name": name})),
                "maxMode": mode, "window": window, "allowedDomains": allowed, "senders": senders, "enforcement": enforcement,
                "ceilings": rates.map(|rates| json!({"recipients": rates})),
                "defaults": other.map(|other| json!({"otherRecipients": other})),
            }))
        },
    )
}

fn any_policy() -> impl Strategy<Value = Value> {
    let rates = proptest::option::of(any_rates());
    (
        any_mode(),
        proptest::option::of(any_patterns()),
        proptest::option::of(any_senders()),
        rates,
    )
        .prop_map(|(mode, allowed, senders, rates)| {
            without_nulls(json!({
                "mode": mode, "allowedDomains": allowed, "senders": senders,
                "ceilings": rates.map(|rates| json!({"recipients": rates})),
            }))
        })
}

fn any_scene(windows: usize) -> impl Strategy<Value = Scene> {
    let window = (any_mode(), 0_i64..2000, 1_i64..2000);
    let guardrails = proptest::collection::vec(any_guardrail(), 0..4);
    (
        guardrails,
        any_policy(),
        proptest::collection::vec(window, 0..=windows),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(guardrails, policy, windows, doubted, quota)| {
            let mut scene = windows
                .into_iter()
                .fold(scene(&guardrails, &[policy]), |scene, (mode, from, length)| {
                    scene.with_window(serde_json::from_value(json!(mode)).unwrap(), from, from + length)
                });
            scene.clock = if doubted { Clock::Doubted } else { Clock::Trusted };
            scene.quota = scene.quota.filter(|_| quota);
            scene
        })
}

/// Whether `one` permits nothing that `two` forbids, in every field that is enforced.
fn is_within(one: &CompiledNamespace, two: &CompiledNamespace) -> bool {
    let fields = |a: &Effective, b: &Effective| {
        // Where nothing leaves, nothing else is permitted.
        a.mode.value == Mode::Paused
            || a.mode.value.is_within(&b.mode.value)
                && (a.mode.value != Mode::Restricted || a.allowed.value.is_within(&b.allowed.value))
                && a.senders.value.is_within(&b.senders.value)
                && a.enforcement.value.is_within(&b.enforcement.value)
                && a.recipients.value.is_within(&b.recipients.value)
    };
    let limits = |bounds: &Bounds| bounds.recipients.as_ref().map(|l| l.value.clone()).unwrap_or_default();
    one.policies
        .iter()
        .zip(&two.policies)
        .all(|(a, b)| fields(&a.effective, &b.effective))
        && limits(&one.bounds).is_within(&limits(&two.bounds))
        && one.default_mode.value.is_within(&two.default_mode.value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn windows_aside_nothing_is_more_permissive_than_any_input_with_an_opinion(scene in any_scene(0)) {
        let compiled = scene.compile();
        let effective = &compiled.policies[0].effective;
        let policy = PolicyTerms::read(scene.policies[0].1.as_ref().unwrap()).unwrap();
        let guardrails: Vec<GuardrailTerms> = scene.guardrails.iter().map(|(_, spec)| GuardrailTerms::read(spec.as_ref().unwrap()).unwrap()).collect();
        prop_assert!(effective.mode.value <= policy.mode);
        for allowed in guardrails.iter().filter_map(|g| g.allowed.as_ref()).chain(&policy.allowed) {
            prop_assert!(effective.allowed.value.is_subset(allowed));
        }
        for senders in guardrails.iter().filter_map(|g| g.senders.as_ref()).chain(&policy.senders) {
            prop_assert!(effective.senders.value.is_subset(senders));
        }
        for mode in guardrails.iter().filter_map(|g| g.max_mode) {
            prop_assert!(effective.mode.value <= mode);
        }
        for enforcement in guardrails.iter().filter_map(|g| g.enforcement) {
            prop_assert!(effective.enforcement.value <= enforcement);
        }
        for limits in guardrails.iter().filter_map(|g| g.recipients.as_ref()) {
            prop_assert!(compiled.bounds.recipients.as_ref().unwrap().value.is_within(limits));
        }
        if let Some(limits) = &policy.recipients {
            prop_assert!(effective.recipients.value.is_within(limits));
        }
        if guardrails.iter().all(|g| g.max_mode.is_none()) || compiled.closed.is_some() {
            prop_assert_eq!(effective.mode.value, Mode::Paused);
        }
    }

    #[test]
    fn with_windows_the_mode_stays_within_every_guardrails_own_bound(scene in any_scene(3)) {
        let mode = scene.mode();
        for (_, spec) in &scene.guardrails {
            let terms = GuardrailTerms::read(spec.as_ref().unwrap()).unwrap();
            if let Some(most) = terms.max_mode.into_iter().chain(terms.window.map(|w| w.max_mode)).max() {
                prop_assert!(mode <= most || terms.max_mode.is_none());
            }
        }
        // What follows goes down, and ends where the policy would be without windows.
        let then: Vec<Mode> = then(&scene.first()).into_iter().map(|(_, mode)| mode).collect();
        let stair: Vec<Mode> = std::iter::once(mode).chain(then).collect();
        prop_assert!(stair.is_sorted_by(|one, two| one > two), "{stair:?}");
        let without = Scene { windows: Vec::new(), ..scene.clone() };
        prop_assert_eq!(stair.last(), Some(&without.mode()));
    }

    #[test]
    fn the_order_of_guardrails_does_not_matter(scene in any_scene(2)) {
        let mut turned = scene.clone();
        turned.guardrails.reverse();
        let (one, two) = (scene.compile(), turned.compile());
        prop_assert_eq!(&one.policies, &two.policies);
        prop_assert_eq!((one.default_mode, one.account, one.closed), (two.default_mode, two.account, two.closed));
    }

    #[test]
    fn adding_a_guardrail_whose_every_field_another_already_sets_never_opens_anything(scene in any_scene(0), more in any_guardrail()) {
        let before = scene.compile();
        // Keep of the new guardrail only what some other already speaks of.
        let said = |field: &str| scene.guardrails.iter().any(|(_, spec)| !serde_json::to_value(spec.as_ref().unwrap()).unwrap()[field].is_null());
        // Recipients without a mode are an opinion on the mode, too.
        let has_mode = said("maxMode") || said("allowedDomains");
        let fields = more.as_object().unwrap().iter().filter(|(field, _)| {
            field.as_str() == "namespaceSelector" || (said(field) && (field.as_str() != "maxMode" || has_mode))
        });
        let more: Value = fields.map(|(k, v)| (k.clone(), v.clone())).collect::<serde_json::Map<_, _>>().into();
        let mut wider = scene.clone();
        wider.guardrails.push(("z".to_owned(), serde_json::from_value(more).map_err(|_| unreachable!())));
        if scene.guardrails.is_empty() {
            prop_assert_eq!(wider.mode(), Mode::Paused);
        } else {
            prop_assert!(is_within(&wider.compile(), &before));
        }
    }

    #[test]
    fn an_unreadable_guardrail_closes_everything(scene in any_scene(2), at in 0_usize..4) {
        let mut scene = scene;
        let at = at.min(scene.guardrails.len());
        scene.guardrails.insert(at, ("z".to_owned(), Err("unknown field".to_owned())));
        let compiled = scene.compile();
        prop_assert_eq!(compiled.policies[0].effective.mode.value, Mode::Paused);
        prop_assert_eq!(compiled.default_mode.value, Mode::Paused);
    }

    #[test]
    fn the_meet_of_two_policies_is_within_both(one in any_scene(2), two in any_scene(2)) {
        let (a, b) = (one.first().effective, two.first().effective);
        let met = a.clone().meet(b.clone());
        for side in [&a, &b] {
            prop_assert!(met.mode.value <= side.mode.value);
            prop_assert!(met.allowed.value.is_subset(&side.allowed.value));
            prop_assert!(met.senders.value.is_subset(&side.senders.value));
            prop_assert!(met.recipients.value.is_within(&side.recipients.value));
            prop_assert!(met.other_recipients.value.is_within(&side.other_recipients.value));
        }
        prop_assert_eq!(a.clone().meet(a.clone()), a);
    }
}
