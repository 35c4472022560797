use serde_json::json;

use super::*;
use crate::policy::{Effective, Source, Sourced, terms::Matching};

fn policy(name: &str, accepted: Option<serde_json::Value>) -> CompiledPolicy {
    CompiledPolicy {
        name: name.to_owned(),
        errors: Vec::new(),
        accepted: accepted.map(|spec| serde_json::from_value(spec).unwrap()),
        matching: Matching::Rest,
        effective: Effective::closed(&Source::Closed),
        subject_prefix: None,
        clamps: Vec::new(),
        set: None,
        suppression: None,
        deletion: Sourced::new(crate::api::policy::DeletionPolicy::Retain, Source::Default),
    }
}

fn key(namespace: &str) -> SealKey {
    SealKey::for_namespace(b"master", namespace)
}

#[test]
fn without_an_accepted_policy_nothing_is_kept() {
    assert_eq!(text(&[policy("a", None)], &key("shop")).unwrap(), None);
}

#[test]
fn what_is_kept_is_read_as_it_was_accepted() {
    let spec = json!({"mode": "Live", "allowedDomains": ["example.com"], "match": {"senders": ["a@example.com"]}});
    let policies = [policy("a", Some(spec.clone())), policy("b", None)];
    let kept = text(&policies, &key("shop")).unwrap().unwrap();
    let read = read(&kept, &key("shop")).unwrap();
    assert_eq!(
        read.into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), serde_json::from_value(spec).unwrap())]
    );
}

#[test]
fn what_somebody_else_wrote_is_not_taken() {
    let kept = text(&[policy("a", Some(json!({"mode": "Capture"})))], &key("shop"))
        .unwrap()
        .unwrap();
    let edited = kept.replace("mode: Capture", "mode: Live");
    assert_ne!(edited, kept);
    let unsealed = kept.split_once('\n').unwrap().1;
    for (text, namespace) in [
        (edited.as_str(), "shop"),
        (unsealed, "shop"),
        (&kept.replacen("seal: ", "seal: zz", 1), "shop"),
        // Carried over from another namespace.
        (&kept, "other"),
        ("", "shop"),
    ] {
        let error = read(text, &key(namespace)).unwrap_err();
        assert!(matches!(error, LastAcceptedError::Seal), "{text}");
    }
}

#[test]
fn what_another_version_wrote_is_not_taken_and_not_shown() {
    let kept = "policies:\n  a: {mode: jo@example.com}\n";
    let seal = HEXLOWER.encode(&mac(&key("shop").0, &[kept.as_bytes()]));
    let error = read(&format!("{SEAL}{seal}\n{kept}"), &key("shop")).unwrap_err();
    assert!(matches!(error, LastAcceptedError::Unreadable));
    assert!(!error.to_string().contains('@'), "{error}");
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", key("shop")), "SealKey(…)");
}
