//! Addresses and domains that must not be mailed: the entries of a namespace, and their keyed hashes.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::{keyed::mac, terms::SpecError};
use crate::api::{
    Address, MailSuppressionSpec, Pattern, address::AddressError, policy::SuppressionReason,
    suppression::SuppressionEntry,
};

/// The most entries of one namespace: their hashes must fit one Secret.
pub const ENTRIES_MAX: usize = 16_384;

/// Octets of a hash that the sidecar compares.
pub const HASH_BYTES: usize = 16;

/// What is suppressed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One address.
    Address(Address),
    /// A domain, or all below one. Stands in the sidecar only.
    Domain(Pattern),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Why.
    pub reason: SuppressionReason,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
}

/// The entries of one `MailSuppression` or of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(BTreeMap<Subject, Entry>);

impl Entries {
    /// Reads inline entries and the lines of the Secret's key.
    ///
    /// # Errors
    /// Every entry that cannot be read, by its place; never its text, which may be an address.
    pub fn read(spec: &MailSuppressionSpec, secret: Option<&str>) -> Result<Self, Vec<SpecError>> {
        let mut entries = Self::default();
        let mut errors = Vec::new();
        let mut keep = |field: String, read: Result<(Subject, Entry), String>| match read {
            Ok((subject, entry)) => entries.add(subject, entry),
            Err(message) => errors.push(SpecError { field, message }),
        };
        for (index, entry) in spec.entries.iter().enumerate() {
            keep(format!("spec.entries[{index}]"), read_inline(entry));
        }
        for (index, line) in secret.unwrap_or_default().lines().enumerate() {
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                keep(
                    format!("Secret mail-suppression-list, line {}", index + 1),
                    read_line(line),
                );
            }
        }
        if entries.0.len() > ENTRIES_MAX {
            let message = format!("{} entries; at most {ENTRIES_MAX} fit a namespace", entries.0.len());
            errors.push(SpecError {
                field: "spec.entries".to_owned(),
                message,
            });
        }
        if errors.is_empty() { Ok(entries) } else { Err(errors) }
    }

    /// Adds an entry: a complaint beats a bounce, the later expiry stands.
    pub fn add(&mut self, subject: Subject, entry: Entry) {
        self.0
            .entry(subject)
            .and_modify(|old| {
                old.reason = old.reason.max(entry.reason);
                old.expires = match (old.expires, entry.expires) {
                    (Some(one), Some(two)) => Some(one.max(two)),
                    (None, _) | (_, None) => None,
                };
            })
            .or_insert(entry);
    }

    /// Adds all entries of another.
    pub fn extend(&mut self, other: Self) {
        for (subject, entry) in other.0 {
            self.add(subject, entry);
        }
    }

    /// How many of these are not among the others.
    #[must_use]
    pub fn lacking_in(&self, others: &Self) -> usize {
        self.0.keys().filter(|subject| !others.0.contains_key(subject)).count()
    }

    /// Those in force at this moment.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let in_force = |entry: &Entry| entry.expires.is_none_or(|end| end > now);
        Self(
            self.0
                .iter()
                .filter(|(_, entry)| in_force(entry))
                .map(|(subject, entry)| (subject.clone(), *entry))
                .collect(),
        )
    }

    /// The next moment at which one ends.
    #[must_use]
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        self.0
            .values()
            .filter_map(|entry| entry.expires)
            .filter(|end| *end > now)
            .min()
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, &Entry)> {
        self.0.iter()
    }

    /// The addresses among them, with reasons.
    pub fn addresses(&self) -> impl Iterator<Item = (&Address, SuppressionReason)> {
        self.0.iter().filter_map(|(subject, entry)| match subject {
            Subject::Address(address) => Some((address, entry.reason)),
            Subject::Domain(_) => None,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read_inline(entry: &SuppressionEntry) -> Result<(Subject, Entry), String> {
    let SuppressionEntry {
        address,
        domain,
        reason,
        expires,
    } = entry;
    let subject = match (address, domain) {
        (Some(address), None) => read_address(address)?,
        (None, Some(domain)) => {
            Subject::Domain(Pattern::parse_domain(domain).map_err(|_| "not a domain, and not *.domain".to_owned())?)
        }
        (Some(_), Some(_)) | (None, None) => return Err("name an address or a domain, one of them".to_owned()),
    };
    Ok((
        subject,
        Entry {
            reason: *reason,
            expires: expires.as_ref().map(|time| time.0),
        },
    ))
}

/// An address, whose domain, too, is not repeated where it is wrong: it may hold what was meant as local part.
fn read_address(text: &str) -> Result<Subject, String> {
    Address::parse(text).map(Subject::Address).map_err(|error| match error {
        AddressError::Domain(_) => "the part after the @ is not a domain".to_owned(),
        error @ (AddressError::NoAt | AddressError::LocalPart | AddressError::EncodedWord | AddressError::TooLong) => {
            error.to_string()
        }
    })
}

/// `address-or-domain[,Bounce|Complaint[,expiry]]`
fn read_line(line: &str) -> Result<(Subject, Entry), String> {
    let mut fields = line.split(',').map(str::trim);
    let subject = fields.next().unwrap_or_default();
    let subject = if subject.contains('@') {
        read_address(subject)?
    } else {
        // The text may be an address with its @ mistyped: it is not repeated.
        Subject::Domain(Pattern::parse_domain(subject).map_err(|_| "not an address and not a domain".to_owned())?)
    };
    let reason = match fields.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "bounce") => SuppressionReason::Bounce,
        Some("complaint") => SuppressionReason::Complaint,
        Some(_) => return Err("the reason is Bounce or Complaint".to_owned()),
    };
    let expires = match fields.next() {
        None | Some("") => None,
        Some(time) => Some(
            time.parse()
                .map_err(|_| "the expiry is a time like 2027-01-31T00:00:00Z".to_owned())?,
        ),
    };
    match fields.next() {
        Some(_) => Err("a line has at most three fields: subject, reason, expiry".to_owned()),
        None => Ok((subject, Entry { reason, expires })),
    }
}

/// The key of a namespace's hashes. Whoever holds it can test addresses against the hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// The key of one namespace, derived from the installation's.
    #[must_use]
    pub fn for_namespace(master: &[u8], namespace: &str) -> Self {
        Self(mac(master, &[b"mail-suppressions", namespace.as_bytes()]))
    }

    /// The key as the namespace's sidecars get it; `None` where it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The key's octets, for the namespace's sidecars.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hash of a subject, in lower-case hexadecimal.
    #[must_use]
    pub fn hash(&self, subject: &Subject) -> String {
        data_encoding::HEXLOWER.encode(&self.digest(subject))
    }

    /// The hash of a subject.
    #[must_use]
    pub fn digest(&self, subject: &Subject) -> [u8; HASH_BYTES] {
        let (tag, text) = match subject {
            // Local parts are suppressed whatever their case: SES ignores it when it sends.
            Subject::Address(address) => (b"a".as_slice(), address.to_string().to_lowercase()),
            Subject::Domain(pattern) => (b"d".as_slice(), pattern.to_string()),
        };
        truncated(mac(&self.0, &[tag, text.as_bytes()]))
    }

    /// An address as ceilings know it: the first 64 bits of its hash.
    #[must_use]
    pub fn number(&self, address: &Address) -> u64 {
        let digest = self.digest(&Subject::Address(address.clone()));
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A name for an address that says nothing of it, in lower-case hexadecimal; for each purpose another.
    #[must_use]
    pub fn label(&self, purpose: &[u8], address: &str) -> String {
        let digest: [u8; HASH_BYTES] = truncated(mac(&self.0, &[purpose, address.as_bytes()]));
        data_encoding::HEXLOWER.encode(&digest)
    }
}

/// The first octets of a MAC.
fn truncated<const N: usize>(mac: [u8; 32]) -> [u8; N] {
    let mut first = [0; N];
    first.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    first
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(spec: serde_json::Value, secret: Option<&str>) -> Result<Entries, Vec<String>> {
        Entries::read(&serde_json::from_value(spec).unwrap(), secret)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn inline_entries_and_lines_of_the_secret_are_read_alike() {
        let spec =
            json!({"entries": [{"address": "a@example.com"}, {"domain": "*.example.net", "reason": "Complaint"}]});
        let lines = "# kept by support\na@example.com, complaint\n\nexample.org,Bounce,2027-01-31T00:00:00Z\n";
        let entries = read(spec, Some(lines)).unwrap();
        let shown: Vec<_> = entries
            .iter()
            .map(|(subject, entry)| (format!("{subject:?}"), entry.reason))
            .collect();
        assert_eq!(shown.len(), 3);
        assert_eq!(
            entries.addresses().next().unwrap().1,
            SuppressionReason::Complaint,
            "complaint beats bounce"
        );
    }

    #[test]
    fn a_wrong_entry_is_told_by_its_place_and_not_by_its_text() {
        let errors = read(
            json!({"entries": [
                {"address": "secret name@example.com"}, {}, {"domain": "secret@example.com"}, {"address": "a@secret"},
            ]}),
            Some("ok@example.com\nsecret.example.com,because\nsecret\na@secret"),
        )
        .unwrap_err();
        assert_eq!(errors.len(), 7);
        assert!(errors.iter().all(|error| !error.contains("secret")), "{errors:?}");
        assert!(
            errors[4].starts_with("Secret mail-suppression-list, line 2: "),
            "{errors:?}"
        );
    }

    #[test]
    fn an_entry_ends_to_the_second() {
        let spec = json!({"entries": [{"address": "a@example.com", "expires": "1970-01-01T00:00:10Z"}, {"address": "b@example.com"}]});
        let entries = read(spec, None).unwrap();
        assert_eq!((entries.at(at(9)).len(), entries.at(at(10)).len()), (2, 1));
        assert_eq!(
            (entries.next_expiry(at(9)), entries.next_expiry(at(10))),
            (Some(at(10)), None)
        );
    }

    #[test]
    fn hashes_differ_by_namespace_and_kind_and_not_by_case() {
        let (one, two) = (HashKey::for_namespace(b"k", "one"), HashKey::for_namespace(b"k", "two"));
        let address = |text| Subject::Address(Address::parse(text).unwrap());
        let domain = |text| Subject::Domain(Pattern::parse_domain(text).unwrap());
        assert_ne!(one.hash(&address("a@example.com")), two.hash(&address("a@example.com")));
        assert_eq!(
            one.hash(&address("Jo@example.com")),
            one.hash(&address("jo@example.com"))
        );
        assert_ne!(one.hash(&domain("example.com")), one.hash(&domain("*.example.com")));
        assert_eq!(format!("{one:?}"), "HashKey(…)");
    }
}
