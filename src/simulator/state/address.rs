//! Addresses as SES reads them: `local@domain`, with or without a display name. Seven bits only: SES has no SMTPUTF8.

/// Characters of an address with its display name (probed against SES).
const MAX_ADDRESS: usize = 320;
/// What a local part has in quotes only (RFC 5322, 3.2.3).
const SPECIALS: &str = "()<>[]:;,\\";
/// The domain of SES's mailbox simulator.
const SIMULATOR_DOMAIN: &str = "simulator.amazonses.com";

/// What SES says of an address it cannot read: texts that people have had from it. For characters outside ASCII both of a
/// domain's two texts were seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A control, a space or a character outside ASCII before the `@`.
    #[error("Local address contains control or whitespace")]
    LocalCharacter,
    /// The same after it.
    #[error("Domain contains control or whitespace")]
    DomainCharacter,
    /// A character that must be quoted there.
    #[error("Local address contains illegal character")]
    LocalIllegal,
    /// Anything but letters, digits, hyphens and dots.
    #[error("Domain contains illegal character")]
    DomainIllegal,
    /// No `@`.
    #[error("Missing final '@domain'")]
    NoDomain,
    /// Nothing after the `@`.
    #[error("Missing domain")]
    EmptyDomain,
    /// Nothing before it.
    #[error("Missing local name")]
    EmptyLocal,
    /// Longer than 320 characters.
    #[error("Address length is more than {MAX_ADDRESS} characters long: '{0}'.")]
    TooLong(String),
    /// Not one address.
    #[error("Illegal address")]
    Illegal,
}

/// One address with what stood around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// As it was given.
    pub text: String,
    /// `local@domain`, the domain in lower case.
    pub address: String,
}

impl Mailbox {
    /// Reads one address.
    pub fn parse(text: String) -> Result<Self, AddressError> {
        let (spec, alone) = addr_spec(&text);
        let address = checked(spec.trim())?;
        if !alone {
            return Err(AddressError::Illegal);
        }
        if text.chars().count() > MAX_ADDRESS {
            return Err(AddressError::TooLong(text));
        }
        Ok(Self { text, address })
    }

    /// Reads every address of a header's value; groups are opened, empty places skipped.
    pub fn parse_list(value: &str) -> Result<Vec<Self>, AddressError> {
        split(value)
            .into_iter()
            .map(|text| Self::parse(text.to_owned()))
            .collect()
    }

    /// The domain, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        domain(&self.address)
    }

    /// The local part's name in the mailbox simulator, without its label; `None` for any other domain.
    #[must_use]
    pub fn simulator(&self) -> Option<&str> {
        let (local, domain) = self.address.rsplit_once('@')?;
        (domain == SIMULATOR_DOMAIN).then(|| local.split('+').next().unwrap_or(local))
    }
}

/// The domain of an address, or nothing.
pub(in crate::simulator) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Where a character stands.
#[derive(Default)]
struct Place {
    quoted: bool,
    escaped: bool,
    comment: u32,
    angle: bool,
}

impl Place {
    /// Takes the next character; whether it is written outside quotes, comments and escapes.
    fn step(&mut self, c: char) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match c {
            '\\' if self.quoted || self.comment > 0 => self.escaped = true,
            '"' if self.comment == 0 => self.quoted = !self.quoted,
            _ if self.quoted => {}
            '(' => self.comment += 1,
            ')' if self.comment > 0 => self.comment -= 1,
            _ if self.comment > 0 => {}
            '<' => {
                self.angle = true;
                return true;
            }
            '>' => {
                self.angle = false;
                return true;
            }
            _ => return true,
        }
        false
    }
}

/// What is between the last angles, or the whole without its comments; and whether it is one address.
fn addr_spec(text: &str) -> (String, bool) {
    if !text.contains(['<', '(', '"', ',']) {
        return (text.to_owned(), true);
    }
    let mut place = Place::default();
    let mut out = String::with_capacity(text.len());
    let mut open = None;
    let mut alone = true;
    for c in text.chars() {
        let in_comment = place.comment > 0;
        let bare = place.step(c);
        if in_comment || place.comment > 0 {
            continue;
        }
        if bare && c == '<' {
            open = Some(out.len());
        }
        alone &= !(bare && c == ',');
        out.push(c);
    }
    match (open, out.trim_end().strip_suffix('>')) {
        (Some(open), Some(inner)) => (inner.get(open + 1..).unwrap_or_default().to_owned(), alone),
        _ => (out, alone),
    }
}

/// Splits a header's value at its commas and the ends of its groups.
fn split(value: &str) -> Vec<&str> {
    let mut place = Place::default();
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in value.char_indices() {
        if !place.step(c) || place.angle {
            continue;
        }
        match c {
            ',' | ';' => {
                found.push(&value[start..at]);
                start = at + 1;
            }
            // The name of a group.
            ':' => start = at + 1,
            _ => {}
        }
    }
    found.push(&value[start..]);
    found.retain(|part| !part.trim().is_empty());
    found
}

fn checked(spec: &str) -> Result<String, AddressError> {
    let unprintable = |c: char| c <= ' ' || c >= '\u{7f}';
    let mut place = Place::default();
    let mut at = None;
    for (position, c) in spec.char_indices() {
        let bare = place.step(c);
        if bare && c == '@' {
            at = Some(position);
            break;
        }
        if (bare && unprintable(c)) || c == '\r' || c == '\n' || c >= '\u{7f}' {
            return Err(AddressError::LocalCharacter);
        }
        if bare && SPECIALS.contains(c) {
            return Err(AddressError::LocalIllegal);
        }
    }
    let at = at.ok_or(AddressError::NoDomain)?;
    let (local, domain) = (&spec[..at], &spec[at + 1..]);
    if local.is_empty() {
        Err(AddressError::EmptyLocal)
    } else if domain.is_empty() {
        Err(AddressError::EmptyDomain)
    } else if domain.contains(unprintable) {
        Err(AddressError::DomainCharacter)
    } else if domain.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.') {
        Err(AddressError::DomainIllegal)
    } else {
        Ok(format!("{local}@{}", domain.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn address(text: &str) -> Result<String, AddressError> {
        Mailbox::parse(text.to_owned()).map(|mailbox| mailbox.address)
    }

    #[test]
    fn an_address_is_found_with_and_without_a_name() {
        for text in [
            "Some.One@Example.COM",
            "Someone <Some.One@example.com>",
            "\"One, Some <x>\" <Some.One@example.com>",
            "Some.One@example.com (Someone, somewhere)",
            "Jürgen <Some.One@example.com>",
        ] {
            assert_eq!(address(text), Ok("Some.One@example.com".to_owned()), "{text}");
        }
        assert_eq!(address("\"a@b\"@example.com"), Ok("\"a@b\"@example.com".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_ses_s_words() {
        for (text, error) in [
            ("someone", AddressError::NoDomain),
            ("someone@", AddressError::EmptyDomain),
            ("@example.com", AddressError::EmptyLocal),
            ("some one@example.com", AddressError::LocalCharacter),
            ("jürgen@example.com", AddressError::LocalCharacter),
            ("someone@exämple.com", AddressError::DomainCharacter),
            ("someone@example .com", AddressError::DomainCharacter),
            ("some<one@example.com", AddressError::LocalIllegal),
            ("someone@example.com>", AddressError::DomainIllegal),
            ("someone@exam@ple.com", AddressError::DomainIllegal),
            ("One, Some <someone@example.com>", AddressError::Illegal),
        ] {
            assert_eq!(address(text), Err(error), "{text}");
        }
        let long = format!("{}@example.com", "a".repeat(320));
        assert_eq!(address(&long), Err(AddressError::TooLong(long)));
    }

    #[test]
    fn a_header_s_list_is_split_outside_quotes_comments_and_groups() {
        let list = |value: &str| {
            let found = Mailbox::parse_list(value).unwrap();
            found.into_iter().map(|mailbox| mailbox.address).collect::<Vec<_>>()
        };
        assert_eq!(
            list("\"One, Some\" <a@example.com>, b@example.com (b, c) ,, c@example.com"),
            ["a@example.com", "b@example.com", "c@example.com"]
        );
        assert_eq!(
            list("team: a@example.com, b@example.com;"),
            ["a@example.com", "b@example.com"]
        );
        assert!(list("undisclosed-recipients:;").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_given_is_read_or_refused(text in "[a-z@<>()\\\\\",;: ü\r\n]{0,40}") {
            if let Ok(mailboxes) = Mailbox::parse_list(&text) {
                for mailbox in mailboxes {
                    proptest::prop_assert!(mailbox.address.is_ascii());
                    proptest::prop_assert!(!mailbox.domain().is_empty());
                }
            }
        }
    }

    #[test]
    fn the_mailbox_simulator_is_known_by_its_domain_and_labels_are_cut_off() {
        let name = |text: &str| {
            let mailbox = Mailbox::parse(text.to_owned()).unwrap();
            mailbox.simulator().map(str::to_owned)
        };
        assert_eq!(
            name("bounce+order-17@simulator.amazonses.com"),
            Some("bounce".to_owned())
        );
        assert_eq!(name("bounce@example.com"), None);
    }
}
