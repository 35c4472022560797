//! A message, before and after its head is rewritten, as a parser reads it that is not ours.

use mail_parser::{HeaderName, HeaderValue, MessageParser};
use mail_policy_operator::{
    api::Address,
    policy::SubjectPrefix,
    sidecar::message::{LINE_MAX, Mailbox, Message, Visible, mailboxes},
};

/// A header field as mail-parser reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in lower case.
    pub name: String,
    /// Its value without any white space: folding does not count.
    pub value: Vec<u8>,
    /// The addresses, where it is a field of addresses.
    pub addresses: Vec<String>,
}

/// The fields of a message's head, and where the last of them ends.
///
/// # Panics
/// Where it has no head.
#[must_use]
pub fn fields(raw: &[u8]) -> (Vec<Field>, usize) {
    let message = MessageParser::default().parse_headers(raw).expect("a head");
    let fields = message.headers().iter().map(|header| {
        let value = &raw[header.offset_start as usize..header.offset_end as usize];
        Field {
            name: header.name.as_str().to_ascii_lowercase(),
            value: without_space(value),
            addresses: match &header.value {
                HeaderValue::Address(list) => {
                    let texts = list.iter().filter_map(|it| it.address.as_ref());
                    texts.map(|it| it.to_string()).collect()
                }
                _ => Vec::new(),
            },
        }
    });
    let end = message.headers().last().map_or(0, |last| last.offset_end as usize);
    (fields.collect(), end)
}

fn without_space(text: &[u8]) -> Vec<u8> {
    text.iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}

/// Whether a field must never leave.
#[must_use]
pub fn must_not_leave(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "bcc" || name == "resent-bcc" || name.starts_with("x-ses-")
}

/// What is sent of a message has the head that it should have, and the same body.
pub fn check_sent(message: &Message, visible: Option<&Visible>) {
    let head = message.head(visible);
    assert!(head.is_empty() || head.ends_with(b"\r\n"));
    let body = message.body();
    assert!(body.starts_with(b"\r\n") && (message.raw().ends_with(&body) || body == "\r\n"));
    let sent = [&head[..], &body[..]].concat();

    let (found, end) = fields(&sent);
    assert_eq!(end, head.len(), "the head ends where it should");
    assert!(!found.iter().any(|field| must_not_leave(&field.name)), "{found:?}");
    assert_eq!(plain(&found), expected(message, visible));
    if let Some(visible) = visible {
        let of_name = |name: &str| -> Vec<&Field> { found.iter().filter(|field| field.name == name).collect() };
        for (name, addresses) in [("to", &visible.to), ("cc", &visible.cc)] {
            let fields = of_name(name);
            assert!(fields.len() <= 1, "{found:?}");
            let named: Vec<&str> = fields
                .iter()
                .flat_map(|field| &field.addresses)
                .map(String::as_str)
                .collect();
            let wanted: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            assert_eq!(named, wanted);
        }
    }

    let again = Message::parse(sent).expect("what is sent can be read");
    assert_eq!(again.body(), body);
    assert_eq!(again.head(None), head, "nothing is left to be left out");
    assert_eq!(again.from(), message.from());
    for line in head.split(|byte| *byte == b'\n') {
        assert!(
            line.strip_suffix(b"\r").unwrap_or(line).len() <= LINE_MAX,
            "SES refuses a longer line"
        );
    }
}

fn plain(fields: &[Field]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|it| (it.name.clone(), it.value.clone())).collect()
}

/// The fields that are sent, made of those that mail-parser finds in what came.
fn expected(message: &Message, visible: Option<&Visible>) -> Vec<(String, Vec<u8>)> {
    // mail-parser takes nothing for a head that no empty line ends.
    let (came, _) = fields(&[message.raw(), &b"\r\n\r\n"[..]].concat());
    let mut came = plain(&came);
    came.retain(|(name, _)| !must_not_leave(name));
    let Some(visible) = visible else {
        return came;
    };
    let prefix = visible
        .subject_prefix
        .as_ref()
        .map(SubjectPrefix::as_str)
        .unwrap_or_default();
    let listed = |name: &str, addresses: &[Address]| {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        (!texts.is_empty()).then(|| (name.to_owned(), texts.join(",").into_bytes()))
    };
    let mut fields: Vec<_> = [listed("to", &visible.to), listed("cc", &visible.cc)]
        .into_iter()
        .flatten()
        .collect();
    if fields.is_empty() {
        fields.push(("to".to_owned(), b"undisclosed-recipients:;".to_vec()));
    }
    if !prefix.is_empty() && !came.iter().any(|(name, _)| name == "subject") {
        fields.push(("subject".to_owned(), without_space(prefix.as_bytes())));
    }
    fields.extend(came.into_iter().filter_map(|(name, mut value)| match name.as_str() {
        "x-original-to" | "x-original-cc" => None,
        "to" | "cc" => Some((format!("x-original-{name}"), value)),
        "subject" => {
            value.splice(..0, without_space(prefix.as_bytes()));
            Some((name, value))
        }
        _ => Some((name, value)),
    }));
    fields
}

/// Whom we read in an address field is whom mail-parser reads there.
pub fn check_addresses(message: &Message, name: &'static str) {
    let Ok(ours) = message.addresses(name) else { return };
    let (found, _) = fields(&[message.raw(), &b"\r\n\r\n"[..]].concat());
    let texts = found.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let theirs: Vec<String> = texts.flat_map(|field| field.addresses.clone()).collect();
    check_same(&ours, &theirs);
}

/// Whom we read in a text is whom mail-parser reads there.
pub fn check_list(text: &str) {
    let Ok(found) = mailboxes(text) else { return };
    let ours: Vec<Address> = found.iter().map(|mailbox| mailbox.address.clone()).collect();
    check_same(&ours, &read(text));
    found.iter().for_each(check_mailbox);
}

fn check_same(ours: &[Address], theirs: &[String]) {
    let theirs: Vec<_> = theirs
        .iter()
        .map(|text| Address::parse(text).map_err(|_| text))
        .collect();
    let ours: Vec<_> = ours.iter().cloned().map(Ok).collect();
    assert_eq!(ours, theirs, "two parsers read the same addresses");
}

/// The addresses that mail-parser reads in a text.
fn read(text: &str) -> Vec<String> {
    let head = format!("To: {text}\r\n\r\n");
    let (found, _) = fields(head.as_bytes());
    let [field] = &found[..] else { panic!("{found:?}") };
    assert_eq!(field.name, HeaderName::To.as_str().to_ascii_lowercase());
    field.addresses.clone()
}

/// A mailbox is written so that everyone reads the same address, on one line.
pub fn check_mailbox(mailbox: &Mailbox) {
    check_address(&mailbox.address);
    let text = mailbox.to_string();
    assert!(
        !text.contains(|char: char| char.is_control() && char != '\t'),
        "{text:?}"
    );
    assert_eq!(
        mailboxes(&text).as_deref(),
        Ok(std::slice::from_ref(mailbox)),
        "{text:?}"
    );
    check_same(std::slice::from_ref(&mailbox.address), &read(&text));
}

/// An address has one form.
pub fn check_address(address: &Address) {
    let text = address.to_string();
    assert_eq!(
        Address::parse(&text).as_ref(),
        Ok(address),
        "what is sent means what was judged"
    );
    assert!(text.is_ascii() && text.len() <= mail_policy_operator::api::address::ADDRESS_MAX);
    assert_eq!(text.matches('@').count(), 1);
    assert!(!text.contains([' ', '"', '(', ')', '<', '>', '[', ']', ',', ':', ';', '\\']));
    assert!(!text.contains(|char: char| char.is_ascii_control()));
    let decodable = text.split_once("=?").is_some_and(|(_, inner)| inner.contains("?="));
    assert!(!decodable, "nobody reads another address: {text}");
    let (local, domain) = text.split_once('@').expect("one @");
    assert!((1..=mail_policy_operator::api::address::LOCAL_MAX).contains(&local.len()));
    assert!(local.split('.').chain(domain.split('.')).all(|part| !part.is_empty()));
    assert_eq!(domain, domain.to_ascii_lowercase());
    assert!(
        domain.contains('.')
            && domain
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    );
}
