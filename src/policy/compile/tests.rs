// A scene is written down once and read as it stands.
#![allow(
    clippy::needless_pass_by_value,
    clippy::cloned_ref_to_slice_refs,
    clippy::too_many_lines
)]
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

mod properties;

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
    let nonsense = closed(scene(
        &[guardrail(capture), json!({"maxMode": "Everything"})],
        &[live.clone()],
    ));
    assert_eq!(nonsense.reason(), "GuardrailUnreadable");
    let nobody = json!({"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "In"}]}});
    let selector = closed(scene(&[guardrail(json!({"maxMode": "Live"})), nobody], &[live]));
    assert_eq!(selector.reason(), "GuardrailUnreadable");
    assert!(selector.to_string().contains("namespaceSelector"), "{selector}");
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
