//! A submission, through the gate and up to what SES would be sent.

use data_encoding::BASE64;
use jiff::Timestamp;
use mail_parser::MessageParser;
use mail_policy_operator::{
    api::{Address, Mode},
    policy::{
        SidecarConfig,
        gate::{Gate, Message, Suppressed, is_simulator},
        suppressions::HashKey,
    },
    sidecar::{
        capture::Captured,
        content::{Content, Named},
        message::Mailbox,
        relay::{Envelope, Request},
        submission::{Plan, Submission, destination},
    },
};
use serde_json::Value;

use crate::message::{check_mailbox, check_sent, fields, must_not_leave};

const CONFIG: &str = r#"
version: 1
namespace: shop
account: {name: primary, region: eu-west-1}
unmatched: {mode: Paused, from: [default]}
ceilings: {recipients: [], newRecipients: [], from: {}}
policies:
- name: mail
  match: {type: Rest}
  mode: MODE
  enforcement: Enforce
  allowed: [example.com, "qa+*@example.org"]
  otherRecipients: OTHER
  senders: [example.com, example.org]
  ceilings: {recipients: [], newRecipients: [], perRecipient: [], maxWaitMillis: 0}
  configurationSet: prod-shop-mail
  from: {}
suppressions: {revision: r1}
"#;

const WORLDS: [(&str, &str); 7] = [
    ("Live", "{action: Reject}"),
    ("Simulate", "{action: Reject}"),
    ("Capture", "{action: Reject}"),
    ("Restricted", "{action: Reject}"),
    ("Restricted", "{action: Capture}"),
    ("Restricted", "{action: Simulate}"),
    (
        "Restricted",
        "{action: Redirect, to: \"qa+{local}.{domain}@example.org\"}",
    ),
];

thread_local! {
    static GATES: Vec<Gate> = WORLDS.iter().map(|(mode, other)| gate(mode, other)).collect();
}

fn gate(mode: &str, other: &str) -> Gate {
    let text = CONFIG.replace("MODE", mode).replace("OTHER", other);
    let config = SidecarConfig::parse(&text).expect("a configuration");
    let key = HashKey::for_namespace(b"master", "shop");
    Gate::new(config, Some(Suppressed::nobody(key, "r1")))
}

/// Whom the configuration above lets be mailed in Restricted, said in another way.
fn is_allowed(address: &Address) -> bool {
    let text = address.to_string();
    text.ends_with("@example.com")
        || (text.starts_with("qa+") && text.ends_with("@example.org"))
        || is_simulator(address)
}

/// What comes of a request: everyone in it is an address, and nobody is mailed but whom the policy lets be mailed; one of
/// seven policies is chosen. `said` is how many addresses the request can have named at most.
pub fn check(submission: &Submission, said: usize, choice: u8) {
    check_mailbox(&submission.from);
    let all = || submission.to.iter().chain(&submission.cc).chain(&submission.bcc);
    all().for_each(check_mailbox);
    assert!(all().count() <= said, "nobody is added");
    let recipients = submission.recipients();
    assert!(
        all().all(|mailbox| recipients.contains(&mailbox.address)),
        "nobody is lost"
    );
    check_shown(submission);
    if recipients.is_empty() {
        return;
    }
    GATES.with(|gates| check_gate(submission, &recipients, &gates[usize::from(choice) % gates.len()]));
}

fn check_gate(submission: &Submission, recipients: &[Address], gate: &Gate) {
    let message = Message {
        from: &submission.from.address,
        sender: None,
        headers: &submission.content,
        recipients,
    };
    let decision = gate.decide(message, Timestamp::UNIX_EPOCH);
    assert_eq!(decision.verdicts.len(), recipients.len());
    if decision.refusal().is_some() {
        return;
    }
    let plan = Plan::new(submission, recipients, &decision);
    assert_eq!(plan.outcomes.len(), recipients.len());
    assert!(plan.mailed.len() <= recipients.len());
    let mailed: Vec<&Address> = plan.mailed.iter().map(|mailing| &mailing.mailbox.address).collect();
    for (at, address) in mailed.iter().enumerate() {
        assert!(!mailed[..at].contains(address), "nobody is mailed twice");
        assert!(match decision.mode {
            Mode::Live => recipients.contains(address),
            Mode::Restricted => is_allowed(address),
            Mode::Simulate => is_simulator(address),
            Mode::Capture | Mode::Paused => false,
        });
    }
    if let Some(visible) = &plan.visible {
        assert!(
            visible
                .to
                .iter()
                .chain(&visible.cc)
                .all(|address| mailed.contains(&address))
        );
    } else {
        assert_eq!(
            recipients.iter().collect::<Vec<_>>(),
            mailed,
            "all are mailed as they are"
        );
    }
    check_request(submission, &plan);
}

/// The body of the call to SES names those who are mailed, and no others.
fn check_request(submission: &Submission, plan: &Plan) {
    let (to, cc) = submission.named();
    let named = Named {
        from: &submission.from.address,
        to: &to,
        cc: &cc,
    };
    let content = submission.content.sendable(named, plan.visible.as_ref()).expect("JSON");
    let envelope = Envelope {
        from_email_address: submission.from.to_string(),
        destination: destination(&plan.mailed),
        configuration_set_name: "prod-shop-mail".to_owned(),
        tenant_name: Some("shop".to_owned()),
        email_tags: submission.tags.clone(),
        options: submission.options.clone(),
    };
    let request = Request::new(&envelope, content).expect("JSON");
    let body: Vec<u8> = request.pieces().flatten().collect();
    assert_eq!(body.len(), request.len());
    let Ok(Value::Object(sent)) = serde_json::from_slice(&body) else {
        panic!("a request is an object")
    };
    for member in sent.keys() {
        assert!(
            [
                "FromEmailAddress",
                "Destination",
                "ConfigurationSetName",
                "TenantName",
                "EmailTags",
                "Content",
                "ReplyToAddresses",
                "FeedbackForwardingEmailAddress",
                "ListManagementOptions",
            ]
            .contains(&member.as_str()),
            "{member} steers SES"
        );
    }
    assert_eq!(sent["ConfigurationSetName"], "prod-shop-mail");
    let lists = sent["Destination"].as_object().expect("lists").values();
    let texts: Vec<&str> = lists
        .flat_map(|list| list.as_array().expect("a list"))
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(texts.len(), plan.mailed.len());

    let content = sent["Content"].as_object().expect("a content");
    assert_eq!(content.len(), 1);
    match &submission.content {
        Content::Raw(message) => {
            check_sent(message, plan.visible.as_ref());
            let data = BASE64.decode(content["Raw"]["Data"].as_str().expect("a text").as_bytes());
            let expected = [&message.head(plan.visible.as_ref())[..], &message.body()].concat();
            assert_eq!(data.expect("base64"), expected);
        }
        Content::Parts(parts) => {
            let headers = content[parts.kind.name()].get("Headers").and_then(Value::as_array);
            for header in headers.into_iter().flatten() {
                let [name, value] = ["Name", "Value"].map(|member| header[member].as_str().expect("a text"));
                assert!(!must_not_leave(name) && !name.contains([':', ' ', '\r', '\n']));
                assert!(value.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            }
        }
    }
}

/// What people look at names the sender and those who were named, and can be shown.
fn check_shown(submission: &Submission) {
    let raw = submission.shown();
    let captured = Captured {
        at: Timestamp::UNIX_EPOCH,
        policies: vec!["mail".to_owned()],
        mode: Mode::Capture,
        from: submission.from.address.clone(),
        recipients: Vec::new(),
        sent_as: Vec::new(),
        raw: raw.clone(),
    };
    serde_json::to_vec(&captured.listed(1)).expect("JSON");
    let shown = captured.shown(1);
    for part in &shown.parts {
        assert!(captured.part(part.number).is_some());
    }
    let Content::Parts(parts) = &submission.content else {
        return;
    };
    let (found, _) = fields(&raw);
    let own: Vec<String> = parts
        .members
        .get("Headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|header| Some(header["Name"].as_str()?.to_ascii_lowercase()))
        .collect();
    let ours = [
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    ];
    for field in &found {
        assert!(
            ours.contains(&field.name.as_str()) || own.contains(&field.name),
            "{found:?}"
        );
    }
    for name in ["from", "subject"] {
        let own = own.iter().filter(|held| *held == name).count();
        assert_eq!(
            found.iter().filter(|field| field.name == name).count(),
            1 + own,
            "{found:?}"
        );
    }
    assert!(MessageParser::default().parse(&raw[..]).is_some());
    let listed = |mailboxes: &[Mailbox]| -> Vec<String> { mailboxes.iter().map(|it| it.address.to_string()).collect() };
    for (name, mailboxes) in [("to", &submission.to), ("cc", &submission.cc)] {
        if !own.iter().any(|held| held == name) {
            let found: Vec<String> = found
                .iter()
                .filter(|field| field.name == name)
                .flat_map(|field| field.addresses.clone())
                .collect();
            assert_eq!(found, listed(mailboxes));
        }
    }
}
