//! Any message, its head rewritten for any recipients: an independent parser finds in it what should be there, and nothing
//! else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_policy_operator::{
    api::Address,
    policy::SubjectPrefix,
    sidecar::{
        message::{Message, Visible},
        smtp::fixed_line_endings,
    },
};
use mail_policy_operator_fuzz::message::{check_addresses, check_mailbox, check_sent};

/// The first octet chooses the recipients: two bits each for To and Cc, then a subject's prefix, then none at all.
fn visible(choice: u8) -> Option<Visible> {
    let some = |from: u8, count: u8| -> Vec<Address> {
        let names = (from..from + count % 4).map(|number| format!("qa+{number}@example.com"));
        names.map(|name| Address::parse(&name).expect("an address")).collect()
    };
    (choice & 0x80 == 0).then(|| Visible {
        to: some(0, choice),
        cc: some(10, choice >> 2),
        subject_prefix: (choice & 0x10 != 0)
            .then(|| SubjectPrefix::parse("[staging]").ok())
            .flatten(),
    })
}

fn check(raw: Vec<u8>, visible: Option<&Visible>) {
    let Ok(message) = Message::parse(raw) else { return };
    // Without one sender nothing is sent.
    let Ok(from) = message.from() else { return };
    check_mailbox(&from);
    for name in ["From", "To", "Cc", "Bcc"] {
        check_addresses(&message, name);
    }
    check_sent(&message, visible);
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, raw)) = input.split_first() else {
        return;
    };
    let visible = visible(*choice);
    check(raw.to_vec(), visible.as_ref());
    let fixed = fixed_line_endings(raw.to_vec());
    if fixed != raw {
        check(fixed, visible.as_ref());
    }
});
