use super::*;

const FORM: Form = Form {
    keyword: "TO:",
    example: "Write RCPT TO:<name@example.com>",
    bad_address: (5, 1, 3),
};

fn parsed(arguments: &str) -> Result<String, Fault> {
    split(arguments, &FORM)
        .and_then(|path| address(path.address, &FORM))
        .map(|address| address.to_string())
}

#[test]
fn an_address_is_taken_as_it_will_be_sent() {
    for (arguments, sent) in [
        ("TO:<a@example.com>", "a@example.com"),
        ("to:<Jo.Do@EXAMPLE.Com>", "Jo.Do@example.com"),
        ("TO:<jo+tag@example.com>", "jo+tag@example.com"),
        ("TO:<a@b\u{fc}cher.example>", "a@xn--bcher-kva.example"),
        ("TO:<a@XN--BCHER-KVA.example>", "a@xn--bcher-kva.example"),
        // What other mailers once routed by is a name like any other: only the domain after the @ gets it.
        ("TO:<a%evil.example@example.com>", "a%evil.example@example.com"),
        ("TO:<evil.example!a@example.com>", "evil.example!a@example.com"),
        // A homograph is another domain, and looks like one once it is written in A-labels.
        ("TO:<a@ex\u{430}mple.com>", "a@xn--exmple-4nf.com"),
    ] {
        assert_eq!(parsed(arguments), Ok(sent.to_owned()), "{arguments}");
    }
}

#[test]
fn a_domain_that_only_ends_or_begins_like_another_stays_what_it_is() {
    for name in ["evil-example.com", "example.com.evil.net", "xexample.com"] {
        assert_eq!(parsed(&format!("TO:<a@{name}>")), Ok(format!("a@{name}")));
    }
}

#[test]
fn an_address_in_another_form_is_refused_as_such() {
    let long_local = format!("TO:<{}@example.com>", "a".repeat(65));
    let long_domain = format!("TO:<a@{}example.com>", "a23456789.".repeat(25));
    for arguments in [
        "TO:<>",
        "TO:<a>",
        "TO:<Postmaster>",
        "TO:<@>",
        "TO:<a@>",
        "TO:<@example.com>",
        "TO:<@relay.example,@other.example:a@example.com>",
        "TO:<\"a b\"@example.com>",
        "TO:<\"x@evil.example\"@example.com>",
        "TO:<\"a\\\"@evil.example\"@example.com>",
        "TO:<x@evil.example@example.com>",
        "TO:<a(comment)@example.com>",
        "TO:<a@example.com(comment)>",
        "TO:<a@(comment)example.com>",
        "TO:<a@example.com.>",
        "TO:<a.@example.com>",
        "TO:<.a@example.com>",
        "TO:<a..b@example.com>",
        "TO:<a@[127.0.0.1]>",
        "TO:<a@[IPv6:::1]>",
        "TO:<a@127.0.0.1>",
        "TO:<a@2130706433>",
        "TO:<a@localhost>",
        "TO:<a@exa_mple.com>",
        "TO:<a@-example.com>",
        "TO:<a@example..com>",
        "TO:<a@example.com, b@example.com>",
        "TO:<a@example.com,b@example.com>",
        "TO:<a@example.com;b@example.com>",
        "TO:<a b@example.com>",
        "TO:< a@example.com>",
        "TO:<a@example.com >",
        "TO:<a\t@example.com>",
        "TO:<<a@example.com>",
        "TO:<a@exam\u{ff20}ple.com>",
        "TO:<a@exam\u{ff1e}ple.com>",
        "TO:<a\u{ff20}evil.example@example.com>",
        "TO:<\u{fc}@example.com>",
        "TO:<=?utf-8?q?x=40evil.example=3e=00?=@example.com>",
        "TO:<=?utf-8?b?eEBldmlsLmV4YW1wbGU?=@example.com>",
        &long_local,
        &long_domain,
    ] {
        let Err(Fault::Refused(reply)) = parsed(arguments) else {
            panic!("{arguments}: {:?}", parsed(arguments));
        };
        assert_eq!((reply.code, reply.enhanced), (501, (5, 1, 3)), "{arguments}");
    }
}

#[test]
fn a_command_in_another_form_is_a_breach() {
    for arguments in [
        "",
        "TO",
        "TO:",
        "TO :<a@example.com>",
        "FROM:<a@example.com>",
        "TO: <a@example.com>",
        "TO:\t<a@example.com>",
        " TO:<a@example.com>",
        "TO:a@example.com",
        "TO:<a@example.com",
        "TO:Jo <a@example.com>",
        "TO:<a@example.com>NOTIFY=NEVER",
        "TO:<a@example.com>  NOTIFY=NEVER",
        "TO:<a@example.com> A=1  B=2",
        "TO:<a@example.com>\tNOTIFY=NEVER",
        "TO:<a@example.com><b@example.com>",
        "TO:<\"a>b\"@example.com>",
        "T\u{fc}:<a@example.com>",
    ] {
        let Err(Fault::Breach(reply)) = parsed(arguments) else {
            panic!("{arguments}: {:?}", parsed(arguments));
        };
        assert_eq!((reply.code, reply.enhanced), (501, (5, 5, 4)), "{arguments}");
    }
}

#[test]
fn a_quoted_bracket_does_not_hide_an_address_among_the_parameters() {
    let path = split("TO:<\"foo@psres.net> ORCPT=admin@admin.com\"@test.com>", &FORM).unwrap();
    assert_eq!(path.address, "\"foo@psres.net");
    assert!(address(path.address, &FORM).is_err());
}

#[test]
fn no_refusal_repeats_what_was_written() {
    for text in [
        "secret",
        "secret@",
        "secret@@x",
        "a@secret",
        "\"secret\"@x.y",
        "secret@x.y.",
        "@secret",
        "a@sec\u{ff20}ret.com",
    ] {
        let Err(Fault::Refused(reply)) = address(text, &FORM) else {
            panic!("{text}");
        };
        assert!(!reply.text.contains("sec"), "{}", reply.text);
    }
}

#[test]
fn parameters_are_what_stands_between_single_spaces() {
    let path = split("TO:<a@example.com> A=1 B", &FORM).unwrap();
    assert_eq!((path.address, path.parameters), ("a@example.com", vec!["A=1", "B"]));
}
