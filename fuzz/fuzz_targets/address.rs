//! Any text, as an address, between the brackets of RCPT and as a header's list: what is judged is one mailbox that every
//! parser reads alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_policy_operator::{
    api::{
        Domain,
        address::{Address, redact},
    },
    sidecar::{
        message::mailboxes,
        smtp::{Limits, Memory, Question, Session, Step, Tls},
    },
};
use mail_policy_operator_fuzz::message::{check_address, check_list};

/// What the desk would be asked about.
fn recipient(text: &str) -> Option<Address> {
    let limits = Limits {
        command_line: 4096,
        ..Limits::default()
    };
    let mut session = Session::new(limits, Tls::Absent, Memory::new(limits.buffered));
    let (_, step) = session.feed(b"EHLO app\r\nMAIL FROM:<>\r\n");
    assert!(matches!(step, Step::Ask(Question::Sender(None))));
    session.judged(Ok(()));
    match session.feed(format!("RCPT TO:<{text}>\r\n").as_bytes()) {
        (_, Step::Ask(Question::Recipient(recipient))) => Some(recipient),
        (_, Step::Ask(question)) => panic!("{question:?}"),
        (_, Step::Read | Step::Close | Step::Secure) => None,
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = Address::parse(text).ok();
    if let Some(address) = &parsed {
        check_address(address);
        let local = address.local();
        assert!(
            text.starts_with(&format!("{local}@")),
            "the local part is what was written"
        );
        assert_eq!(
            Domain::parse_host(address.domain().as_str()).as_ref(),
            Ok(address.domain())
        );
        let json = serde_json::to_string(address).expect("a text");
        assert_eq!(serde_json::from_str::<Address>(&json).ok().as_ref(), Some(address));
        let alone = mailboxes(text).map(|found| found.into_iter().map(|it| it.address).collect());
        assert_eq!(alone, Ok(vec![address.clone()]), "a header names whom the API names");
    }
    // A CR might end the command, and begin another that is well formed.
    if !text.contains('\r') {
        assert_eq!(recipient(text), parsed, "SMTP takes the addresses that the API takes");
    }
    check_list(text);
    for (at, _) in redact(text).match_indices('@') {
        assert!(redact(text)[..at].ends_with("***"), "no local part is shown");
    }
});
