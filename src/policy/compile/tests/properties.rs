//! What holds of every scene.

use proptest::prelude::*;

use super::*;

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
