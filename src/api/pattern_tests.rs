use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn set(texts: &[&str]) -> AddressSet {
    texts.iter().map(|text| pattern(text)).collect()
}

#[test]
fn each_form_of_pattern_is_read_and_written_alike() {
    for text in [
        "example.com",
        "*.example.com",
        "qa+*@example.com",
        "jo.do@example.com",
        "jo.*@example.com",
    ] {
        assert_eq!(pattern(text).to_string(), text);
    }
}

#[test]
fn a_wildcard_elsewhere_is_refused() {
    for text in [
        "*",
        "ex*mple.com",
        "*example.com",
        "*.*.example.com",
        "a.*.example.com",
        "a*b@example.com",
        "**@example.com",
        "*a@example.com",
    ] {
        assert_eq!(Pattern::parse(text), Err(PatternError::Wildcard), "{text}");
    }
    assert_eq!(Pattern::parse("a@*.example.com"), Err(PatternError::Wildcard));
}

#[test]
fn a_public_suffix_is_refused_in_every_form() {
    for text in ["co.jp", "*.co.jp", "*.com.example"] {
        let refused = matches!(Pattern::parse(text), Err(PatternError::Domain(_)));
        assert_eq!(refused, text != "*.com.example", "{text}");
    }
    assert!(matches!(
        Pattern::parse("*@co.jp"),
        Err(PatternError::Domain(DomainError::PublicSuffix(_)))
    ));
}

#[test]
fn a_wrong_local_part_is_refused() {
    assert_eq!(
        Pattern::parse("a..*@example.com"),
        Err(PatternError::Address(AddressError::LocalPart))
    );
    assert_eq!(
        Pattern::parse("a b@example.com"),
        Err(PatternError::Address(AddressError::LocalPart))
    );
    let long = format!("{}*@example.com", "a".repeat(65));
    assert_eq!(Pattern::parse(&long), Err(PatternError::Address(AddressError::TooLong)));
}

#[test]
fn a_domain_does_not_hold_its_sub_domains_and_a_star_does_not_hold_its_domain() {
    let at = |text: &str| Address::parse(text).unwrap();
    assert!(pattern("example.com").matches(&at("a@example.com")));
    assert!(!pattern("example.com").matches(&at("a@x.example.com")));
    assert!(pattern("*.example.com").matches(&at("a@x.y.example.com")));
    assert!(!pattern("*.example.com").matches(&at("a@example.com")));
    assert!(!pattern("*.example.com").matches(&at("a@badexample.com")));
    assert!(pattern("qa+*@example.com").matches(&at("qa+1@example.com")));
    assert!(!pattern("qa+*@example.com").matches(&at("QA+1@example.com")));
}

#[test]
fn a_set_is_kept_in_its_shortest_form() {
    assert_eq!(
        set(&["example.com", "jo@example.com", "*@example.com"]),
        set(&["example.com"])
    );
    assert_eq!(
        set(&["*.example.com", "*.a.example.com", "b@c.example.com"])
            .iter()
            .count(),
        1
    );
}

#[test]
fn a_summary_names_domains_and_counts_mailboxes() {
    assert_eq!(set(&[]).summary(), "nobody");
    assert_eq!(
        set(&[
            "example.com",
            "*.test.example.com",
            "qa+*@example.org",
            "jo@example.org",
            "*@example.net"
        ])
        .summary(),
        "example.com, example.net, *.test.example.com, 2 mailbox patterns at example.org"
    );
}

fn any_address() -> impl Strategy<Value = Address> {
    ("(a|ab|b)", "((x|y)\\.){0,2}(example|other)\\.com")
        .prop_map(|(local, domain)| Address::parse(&format!("{local}@{domain}")).unwrap())
}

fn any_set() -> impl Strategy<Value = AddressSet> {
    let one = prop_oneof![
        "((x|y)\\.){0,2}(example|other)\\.com",
        "\\*\\.((x|y)\\.){0,2}(example|other)\\.com",
        "(a|ab|b|)\\*@((x|y)\\.){0,1}(example|other)\\.com",
        "(a|ab|b)@((x|y)\\.){0,1}(example|other)\\.com",
    ];
    proptest::collection::vec(one.prop_map(|text| pattern(&text)), 0..6).prop_map(|all| all.into_iter().collect())
}

proptest! {
    #[test]
    fn an_intersection_holds_exactly_what_both_hold(one in any_set(), two in any_set(), address in any_address()) {
        let both = one.intersection(&two);
        prop_assert_eq!(both.contains(&address), one.contains(&address) && two.contains(&address));
        prop_assert!(both.is_subset(&one) && both.is_subset(&two));
    }

    #[test]
    fn the_order_of_an_intersection_does_not_matter(one in any_set(), two in any_set(), three in any_set()) {
        prop_assert_eq!(one.intersection(&two), two.intersection(&one));
        prop_assert_eq!(one.intersection(&two).intersection(&three), one.intersection(&two.intersection(&three)));
        prop_assert_eq!(one.intersection(&one), one.clone());
    }
}
