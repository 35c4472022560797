//! What the gate lets through, mode by mode, and what it never does.

use proptest::prelude::*;

use super::*;
use crate::{
    api::{Pattern, policy::SuppressionReason},
    policy::suppressions::{HashKey, Subject},
};

const CONFIG: &str = r#"
version: 1
namespace: shop
account: {name: primary, region: eu-west-1}
unmatched: {mode: Paused, from: [default]}
ceilings: {recipients: [], newRecipients: [], from: {}}
policies:
- name: mail
  match: {type: Rest}
  mode: Restricted
  enforcement: Enforce
  allowed: [example.com, "*.test.example.com", "qa+*@example.org"]
  otherRecipients: {action: Reject}
  senders: [example.com]
  ceilings: {recipients: [], newRecipients: [], perRecipient: [], maxWaitMillis: 0}
  configurationSet: prod-shop-mail
  from: {mode: [MailGuardrail/staging], allowed: [MailPolicy/mail], senders: [MailGuardrail/company]}
suppressions: {revision: r1}
"#;

struct Lines(Vec<(&'static str, &'static str)>);

impl Headers for Lines {
    fn has_line(&self, name: &str, value: &str) -> bool {
        self.0
            .iter()
            .any(|(line, held)| line.eq_ignore_ascii_case(name) && *held == value)
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn key() -> HashKey {
    HashKey::for_namespace(b"master", "shop")
}

fn suppressed(subjects: &[Subject]) -> Suppressed {
    let hashes: Vec<String> = subjects
        .iter()
        .map(|it| format!("{} Bounce\n", key().hash(it)))
        .collect();
    Suppressed::read(key().as_bytes(), "r1", &hashes.concat()).unwrap()
}

/// The configuration with these texts in place of others.
fn gate(changes: &[(&str, &str)]) -> Gate {
    let text = changes.iter().fold(CONFIG.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    Gate::new(SidecarConfig::parse(&text).unwrap(), Some(suppressed(&[])))
}

fn mode(mode: &'static str) -> (&'static str, &'static str) {
    ("mode: Restricted", mode)
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn fates_from(gate: &Gate, from: &str, lines: &Lines, recipients: &[&str]) -> Vec<Fate> {
    let (from, recipients): (_, Vec<Address>) = (address(from), recipients.iter().map(|it| address(it)).collect());
    let message = Message {
        from: &from,
        sender: None,
        headers: lines,
        recipients: &recipients,
    };
    gate.decide(message, now())
        .verdicts
        .into_iter()
        .map(|it| it.fate)
        .collect()
}

fn fates(gate: &Gate, recipients: &[&str]) -> Vec<Fate> {
    fates_from(gate, "shop@example.com", &Lines(vec![]), recipients)
}

fn refused(gate: &Gate, recipient: &str) -> Reason {
    match fates(gate, &[recipient]).remove(0) {
        Fate::Refuse(refusal) => refusal.reason,
        fate => panic!("{fate:?}"),
    }
}

#[test]
fn paused_refuses_everyone_for_a_while_and_says_by_whose_word() {
    let gate = gate(&[mode("mode: Paused")]);
    let Fate::Refuse(refusal) = fates(&gate, &["jo@example.com"]).remove(0) else {
        panic!("it passes")
    };
    assert_eq!(refusal.to_string(), "mail is paused (mode: MailGuardrail/staging)");
    assert!(refusal.is_temporary());
}

#[test]
fn capture_keeps_everything_and_sends_nothing_whoever_sends() {
    let gate = gate(&[mode("mode: Capture")]);
    assert_eq!(
        fates(&gate, &["jo@example.com", "stranger@example.net"]),
        [Fate::Capture, Fate::Capture]
    );
    assert_eq!(
        fates_from(&gate, "a@example.net", &Lines(vec![]), &["jo@example.com"]),
        [Fate::Capture]
    );
}

#[test]
fn simulate_replaces_every_recipient_by_one_of_the_simulator_that_names_nobody() {
    let gate = gate(&[mode("mode: Simulate")]);
    let found = fates(
        &gate,
        &[
            "jo@example.com",
            "stranger@example.net",
            "bounce+x@simulator.amazonses.com",
        ],
    );
    let [Fate::Replace(one), Fate::Replace(two), Fate::Send] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(is_simulator(one) && is_simulator(two) && one != two);
    assert!(!one.local().contains("jo"));
    assert_eq!(
        fates(&gate, &["jo@example.com"]),
        [Fate::Replace(one.clone())],
        "always the same"
    );
}

#[test]
fn restricted_sends_to_the_allowed_and_refuses_the_rest_for_good() {
    let gate = gate(&[]);
    for allowed in [
        "jo@example.com",
        "a@x.test.example.com",
        "qa+7@example.org",
        "bounce@simulator.amazonses.com",
    ] {
        assert_eq!(fates(&gate, &[allowed]), [Fate::Send], "{allowed}");
    }
    for stranger in [
        "jo@evil-example.com",
        "jo@example.com.evil.net",
        "jo@test.example.com",
        "jo@sub.example.com",
        "qa@example.org",
        "QA+7@example.org",
        "jo@xn--exmple-cua.com",
    ] {
        assert_eq!(refused(&gate, stranger), Reason::NotAllowed, "{stranger}");
    }
    let Fate::Refuse(refusal) = fates(&gate, &["jo@example.net"]).remove(0) else {
        panic!("it passes")
    };
    assert!(!refusal.is_temporary());
    assert!(refusal.to_string().ends_with("(allowed: MailPolicy/mail)"), "{refusal}");
}

#[test]
fn other_recipients_are_captured_or_simulated_or_redirected() {
    let other = |action: &'static str| gate(&[("{action: Reject}", action)]);
    assert_eq!(fates(&other("{action: Capture}"), &["a@example.net"]), [Fate::Capture]);
    let simulated = fates(&other("{action: Simulate}"), &["a@example.net"]);
    assert!(
        matches!(&simulated[..], [Fate::Replace(address)] if is_simulator(address)),
        "{simulated:?}"
    );
    let redirect = other(r#"{action: Redirect, to: "qa+{local}.{domain}@example.org"}"#);
    assert_eq!(
        fates(&redirect, &["jo+news@example.net"]),
        [Fate::Replace(address("qa+jo+news.example.net@example.org"))]
    );
}

#[test]
fn a_redirect_whose_target_is_too_long_is_cut_and_stays_distinct() {
    let gate = gate(&[(
        "{action: Reject}",
        r#"{action: Redirect, to: "qa+{local}@example.org"}"#,
    )]);
    let (one, two) = (
        format!("{}1@example.net", "a".repeat(63)),
        format!("{}2@example.net", "a".repeat(63)),
    );
    let found = fates(&gate, &[&one, &two]);
    let [Fate::Replace(first), Fate::Replace(second)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(first.local().len(), 64);
    assert_ne!(first, second);
}

#[test]
fn a_redirect_whose_target_is_not_allowed_or_suppressed_is_a_capture() {
    let gate = gate(&[("{action: Reject}", r#"{action: Redirect, to: "{local}@example.org"}"#)]);
    assert_eq!(
        fates(&gate, &["jo@example.net"]),
        [Fate::Capture],
        "only qa+… is allowed there"
    );
    let hidden = Gate::new(
        gate.config().clone(),
        Some(suppressed(&[Subject::Address(address("qa+7@example.org"))])),
    );
    assert_eq!(fates(&hidden, &["qa+7@example.net"]), [Fate::Capture]);
}

#[test]
fn live_sends_to_everyone_but_the_suppressed() {
    let subjects = [
        Subject::Address(address("gone@example.net")),
        Subject::Domain(Pattern::parse_domain("example.org").unwrap()),
        Subject::Domain(Pattern::parse_domain("*.closed.example").unwrap()),
    ];
    let gate = Gate::new(
        gate(&[mode("mode: Live")]).config().clone(),
        Some(suppressed(&subjects)),
    );
    assert_eq!(
        fates(&gate, &["a@example.net", "a@sub.example.org"]),
        [Fate::Send, Fate::Send]
    );
    for address in [
        "gone@example.net",
        "GONE@example.net",
        "a@example.org",
        "a@x.y.closed.example",
    ] {
        assert_eq!(
            refused(&gate, address),
            Reason::Suppressed(SuppressionReason::Bounce),
            "{address}"
        );
    }
}

#[test]
fn without_the_suppressions_nothing_is_sent() {
    let config = gate(&[mode("mode: Live")]).config().clone();
    assert_eq!(
        refused(&Gate::new(config, None), "a@example.net"),
        Reason::NoSuppressions
    );
}

#[test]
fn a_sender_who_may_not_send_is_refused_in_header_and_envelope() {
    let gate = gate(&[]);
    let fates = fates_from(&gate, "a@example.net", &Lines(vec![]), &["jo@example.com"]);
    assert!(
        matches!(&fates[0], Fate::Refuse(it) if it.reason == Reason::Sender),
        "{fates:?}"
    );
    let (from, sender, to) = (
        address("a@example.com"),
        address("a@example.net"),
        [address("jo@example.com")],
    );
    let message = Message {
        from: &from,
        sender: Some(&sender),
        headers: &Lines(vec![]),
        recipients: &to,
    };
    assert_eq!(gate.decide(message, now()).refusal().unwrap().reason, Reason::Sender);
    assert_eq!(gate.refuses_sender(&sender, now()).unwrap().reason, Reason::Sender);
    assert_eq!(gate.refuses_sender(&from, now()), None);
}

#[test]
fn an_audit_lets_pass_in_restricted_and_says_what_it_would_have_done() {
    let audit = ("enforcement: Enforce", "enforcement: Audit");
    let (from, to) = (
        address("a@example.com"),
        [address("jo@example.net"), address("jo@example.com")],
    );
    let message = Message {
        from: &from,
        sender: None,
        headers: &Lines(vec![]),
        recipients: &to,
    };
    let audited = gate(&[audit]);
    let verdicts = audited.decide(message, now()).verdicts;
    assert_eq!(verdicts[0].fate, Fate::Send);
    assert!(matches!(&verdicts[0].audited, Some(Fate::Refuse(it)) if it.reason == Reason::NotAllowed));
    assert_eq!((&verdicts[1].fate, &verdicts[1].audited), (&Fate::Send, &None));
    assert_eq!(
        refused(&gate(&[audit, mode("mode: Paused")]), "jo@example.com"),
        Reason::Paused
    );
    assert_eq!(
        fates(&gate(&[audit, mode("mode: Capture")]), &["jo@example.com"]),
        [Fate::Capture]
    );
}

#[test]
fn the_mode_falls_when_its_time_has_come() {
    let step = "mode: Live\n  then: [{from: 2026-11-24T12:00:00Z, mode: Capture}]";
    let gate = gate(&[mode(step)]);
    let (from, to) = (address("a@example.com"), [address("jo@example.net")]);
    let message = Message {
        from: &from,
        sender: None,
        headers: &Lines(vec![]),
        recipients: &to,
    };
    let at = |time: &str| gate.decide(message, time.parse().unwrap()).mode;
    assert_eq!(at("2026-11-24T11:59:59Z"), Mode::Live);
    assert_eq!(at("2026-11-24T12:00:00Z"), Mode::Capture);
}

#[test]
fn without_an_account_nothing_is_sent() {
    let gate = gate(&[
        mode("mode: Live"),
        ("account: {name: primary, region: eu-west-1}\n", ""),
    ]);
    assert_eq!(refused(&gate, "a@example.net"), Reason::Paused);
}

#[test]
fn a_namespace_that_is_closed_says_why() {
    let gate = gate(&[
        ("match: {type: Rest}", "match: {type: Nothing, because: unreadable}"),
        (
            "from: [default]",
            "from: [closed], closed: \"no guardrail selects the namespace\"",
        ),
    ]);
    let reason = refused(&gate, "a@example.com");
    assert_eq!(reason.to_string(), "mail is paused: no guardrail selects the namespace");
}

/// Two policies beside that of the rest: receipts by header, news by sender.
fn several() -> Gate {
    let policy = CONFIG
        .split("policies:\n")
        .nth(1)
        .unwrap()
        .split("suppressions:")
        .next()
        .unwrap();
    let receipts = policy
        .replace("name: mail", "name: receipts")
        .replace("mode: Restricted", "mode: Live")
        .replace(
            "match: {type: Rest}",
            "match: {type: Only, header: {name: X-Stream, value: receipts}}",
        );
    let news = policy
        .replace("name: mail", "name: news")
        .replace("mode: Restricted", "mode: Capture")
        .replace(
            "match: {type: Rest}",
            "match: {type: Only, senders: [news@example.com]}",
        );
    let text = CONFIG.replace("suppressions:", &format!("{receipts}{news}suppressions:"));
    Gate::new(SidecarConfig::parse(&text).unwrap(), Some(suppressed(&[])))
}

#[test]
fn a_message_belongs_to_the_policies_it_matches_and_else_to_the_rest() {
    let gate = several();
    let stream = Lines(vec![("x-stream", "receipts")]);
    let other = Lines(vec![("X-Stream", "receipts ")]);
    let to = ["a@example.net"];
    assert_eq!(fates_from(&gate, "a@example.com", &stream, &to), [Fate::Send]);
    assert_eq!(fates_from(&gate, "news@example.com", &other, &to), [Fate::Capture]);
    assert!(matches!(
        fates_from(&gate, "a@example.com", &other, &to)[0],
        Fate::Refuse(_)
    ));
    // Both: their meet, under the first by name.
    let (from, to) = (address("news@example.com"), [address("a@example.net")]);
    let message = Message {
        from: &from,
        sender: None,
        headers: &stream,
        recipients: &to,
    };
    let decision = gate.decide(message, now());
    let names: Vec<&str> = decision.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!((decision.mode, names), (Mode::Capture, vec!["news", "receipts"]));
}

#[test]
fn before_the_message_is_known_only_what_every_policy_refuses_is_refused() {
    let stranger = address("a@example.net");
    assert_eq!(
        several().refuses_recipient(&stranger, now()),
        None,
        "receipts may go to anyone"
    );
    assert_eq!(
        gate(&[]).refuses_recipient(&stranger, now()).unwrap().reason,
        Reason::NotAllowed
    );
    assert_eq!(gate(&[]).refuses_recipient(&address("a@example.com"), now()), None);
}

/// Addresses that mailers have taken for others.
fn hostile() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        Just("jo"),
        Just("qa+1"),
        Just("a%example.com"),
        Just("a!b"),
        Just("\"x@evil.com\""),
        Just("x@example.com"),
        Just("=?utf-8?q?x=40evil?="),
        Just("qa+x(comment)"),
        Just(""),
        Just("a..b"),
        Just("jo\r\nRCPT TO:<x"),
    ];
    let domain = prop_oneof![
        Just("example.com"),
        Just("EXAMPLE.com"),
        Just("evil-example.com"),
        Just("example.com.evil.net"),
        Just("test.example.com"),
        Just("a.test.example.com"),
        Just("example.org"),
        Just("example.com."),
        Just("[127.0.0.1]"),
        Just("exаmple.com"),
        Just("simulator.amazonses.com"),
        Just("x.simulator.amazonses.com"),
        Just("example.com>"),
        Just("example.com\0.evil.net"),
        Just("bücher.example"),
    ];
    (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_outside_the_policy_is_ever_handed_on(
        texts in prop::collection::vec(hostile(), 1..8),
        mode_text in prop_oneof![Just("Paused"), Just("Capture"), Just("Simulate"), Just("Restricted")],
        other in prop_oneof![
            Just("{action: Reject}"), Just("{action: Capture}"), Just("{action: Simulate}"),
            Just(r#"{action: Redirect, to: "qa+{local}.{domain}@example.org"}"#),
            Just(r#"{action: Redirect, to: "{local}@example.com"}"#),
            Just(r#"{action: Redirect, to: "all@evil.net"}"#),
        ],
    ) {
        let text = CONFIG.replace("mode: Restricted", &format!("mode: {mode_text}")).replace("{action: Reject}", other);
        let gate = Gate::new(SidecarConfig::parse(&text).unwrap(), Some(suppressed(&[])));
        let allowed = &gate.config().policies[0].allowed;
        let recipients: Vec<Address> = texts.iter().filter_map(|text| Address::parse(text).ok()).collect();
        let from = address("shop@example.com");
        let message = Message { from: &from, sender: None, headers: &Lines(vec![]), recipients: &recipients };
        let decision = gate.decide(message, now());
        prop_assert_eq!(decision.verdicts.len(), recipients.len());
        for (recipient, verdict) in recipients.iter().zip(&decision.verdicts) {
            let mailed = match &verdict.fate {
                Fate::Send => recipient,
                Fate::Replace(address) => address,
                Fate::Capture | Fate::Refuse(_) => continue,
            };
            // What is handed on is what is judged: another reading of its text is the same address.
            let text = mailed.to_string();
            prop_assert_eq!(&Address::parse(&text).unwrap(), mailed);
            prop_assert_eq!(text.matches('@').count(), 1);
            let domain = text.rsplit('@').next().unwrap();
            let within = domain == "simulator.amazonses.com"
                || decision.mode == Mode::Restricted
                    && (domain == "example.com" || domain.ends_with(".test.example.com")
                        || domain == "example.org" && text.starts_with("qa+"));
            prop_assert!(within, "{text} in {mode_text}");
            prop_assert!(is_simulator(mailed) || allowed.contains(mailed));
        }
    }
}
