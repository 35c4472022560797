//! The addresses that one MailSuppression put on SES's lists, so that an entry that is taken out of the spec is taken off
//! the list again. As a text it is authenticated: it lies in a namespace whose people may write Secrets, and decides what
//! is taken off lists that are not theirs.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::world::Key;
use crate::{
    policy::keyed::{is_mac, mac},
    ses::{
        address::Address,
        desired::{Reason, SuppressionList},
        name::TenantName,
    },
};

/// A list, and an address on it.
pub type Place = (SuppressionList, Address);

/// An entry that a MailSuppression wants and that stands, or may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Why it is wanted.
    pub reason: Reason,
    /// Whether a call of ours made it. What SES or a person put there before us stays when we let go of it.
    pub ours: bool,
    /// Whether a call for it may be under way: only reading tells whether it stands.
    pub under_way: bool,
}

/// What may stand on SES's lists by the word of one MailSuppression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The SendingAccount whose lists they are; `None` where there is nothing on any.
    pub account: Option<String>,
    /// What is listed.
    pub listed: BTreeMap<Place, Standing>,
    /// What was released.
    pub released: BTreeSet<Place>,
}

/// The key that authenticates the record of one MailSuppression. Never leaves the operator.
pub struct RecordKey([u8; 32]);

impl RecordKey {
    /// The key of one MailSuppression's record, derived from the installation's.
    #[must_use]
    pub fn new(master: &[u8], suppression: &Key) -> Self {
        let Key { namespace, name } = suppression;
        Self(mac(
            master,
            &[b"mail-suppression-record", namespace.as_bytes(), name.as_bytes()],
        ))
    }
}

/// A record that we did not write, or that was cut. Says nothing of the text, which holds addresses.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

impl From<serde_json::Error> for Unreadable {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// The line of a record that follows its code.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    account: String,
}

/// One line after it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    address: String,
    done: Done,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    found: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    under_way: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Done {
    Bounce,
    Complaint,
    Released,
}

impl Record {
    /// Whether nothing stands by it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.released.is_empty()
    }

    /// How many entries are known to stand.
    #[must_use]
    pub fn standing(&self) -> usize {
        self.listed.values().filter(|standing| !standing.under_way).count()
    }

    /// Whether a call of ours made the entry.
    #[must_use]
    pub fn is_ours(&self, place: &Place) -> bool {
        self.listed.get(place).is_some_and(|standing| standing.ours)
    }

    /// Nothing of it is trusted to stand any more.
    pub fn doubt(&mut self) {
        self.listed.values_mut().for_each(|standing| standing.under_way = true);
    }

    /// The text, with a code that only the key's holder can make before it; of an empty record nothing.
    ///
    /// # Errors
    /// Never, as far as is known: no value of a record is refused by JSON.
    pub fn to_text(&self, key: &RecordKey) -> Result<String, Unreadable> {
        let Some(account) = self.account.clone().filter(|_| !self.is_empty()) else {
            return Ok(String::new());
        };
        let mut body = serde_json::to_string(&Head { account })? + "\n";
        let listed = self.listed.iter().map(|(place, standing)| Line {
            found: !standing.ours,
            under_way: standing.under_way,
            ..line(
                place,
                match standing.reason {
                    Reason::Bounce => Done::Bounce,
                    Reason::Complaint => Done::Complaint,
                },
            )
        });
        let released = self.released.iter().map(|place| line(place, Done::Released));
        for line in listed.chain(released) {
            body += &serde_json::to_string(&line)?;
            body.push('\n');
        }
        let code = HEXLOWER.encode(&mac(&key.0, &[body.as_bytes()]));
        Ok(format!("{code}\n{body}"))
    }

    /// Reads what [`Self::to_text`] wrote with the same key; no text is an empty record.
    ///
    /// # Errors
    /// When the text is another: then nothing is known.
    pub fn parse(text: &str, key: &RecordKey) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (code, body) = text.split_once('\n').ok_or(Unreadable)?;
        let code = HEXLOWER.decode(code.as_bytes()).map_err(|_| Unreadable)?;
        if !is_mac(&key.0, &[body.as_bytes()], &code) {
            return Err(Unreadable);
        }
        let mut lines = body.lines();
        let Head { account } = serde_json::from_str(lines.next().ok_or(Unreadable)?)?;
        let mut record = Self {
            account: Some(account),
            ..Self::default()
        };
        for text in lines {
            record.take(serde_json::from_str(text)?)?;
        }
        Ok(record)
    }

    fn take(&mut self, line: Line) -> Result<(), Unreadable> {
        let Line {
            tenant,
            address,
            done,
            found,
            under_way,
        } = line;
        let list = match tenant.map(TenantName::parse) {
            Some(Ok(tenant)) => SuppressionList::Tenant(tenant),
            Some(Err(_)) => return Err(Unreadable),
            None => SuppressionList::Account,
        };
        let place = (list, Address::new(&address));
        let reason = match done {
            Done::Bounce => Reason::Bounce,
            Done::Complaint => Reason::Complaint,
            Done::Released => {
                self.released.insert(place);
                return Ok(());
            }
        };
        let standing = Standing {
            reason,
            ours: !found,
            under_way,
        };
        self.listed.insert(place, standing);
        Ok(())
    }
}

fn line((list, address): &Place, done: Done) -> Line {
    let tenant = match list {
        SuppressionList::Account => None,
        SuppressionList::Tenant(tenant) => Some(tenant.to_string()),
    };
    Line {
        tenant,
        address: address.expose().to_owned(),
        done,
        found: false,
        under_way: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn key(name: &str) -> RecordKey {
        let key = Key {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        };
        RecordKey::new(b"master", &key)
    }

    fn on_account(address: &str) -> Place {
        (SuppressionList::Account, Address::new(address))
    }

    fn record() -> Record {
        let tenant = SuppressionList::Tenant(TenantName::of_namespace("prod", "shop"));
        let standing = |reason, ours, under_way| Standing {
            reason,
            ours,
            under_way,
        };
        Record {
            account: Some("primary".to_owned()),
            listed: [
                (on_account("a@example.com"), standing(Reason::Bounce, true, false)),
                (on_account("c@example.com"), standing(Reason::Complaint, false, false)),
                (on_account("d@example.com"), standing(Reason::Bounce, true, true)),
            ]
            .into(),
            released: [(tenant, Address::new("B@example.com"))].into(),
        }
    }

    #[test]
    fn a_record_is_read_and_written_alike() {
        let text = record().to_text(&key("bounced")).unwrap();
        assert_eq!(Record::parse(&text, &key("bounced")), Ok(record()));
        assert_eq!(record().standing(), 2);
        assert_eq!(Record::default().to_text(&key("bounced")), Ok(String::new()));
        assert_eq!(Record::parse("", &key("bounced")), Ok(Record::default()));
    }

    #[test]
    fn a_record_that_was_changed_or_is_anothers_cannot_be_read() {
        let text = record().to_text(&key("bounced")).unwrap();
        let added = text.clone() + "{\"address\":\"victim@example.com\",\"done\":\"Bounce\"}\n";
        let first_taken = text.split_once('\n').unwrap().1;
        let last_taken = text.trim_end().rsplit_once('\n').unwrap().0;
        for changed in [&added, first_taken, last_taken, "\n", "of no kind"] {
            assert_eq!(Record::parse(changed, &key("bounced")), Err(Unreadable));
        }
        assert_eq!(Record::parse(&text, &key("another")), Err(Unreadable));
    }

    #[test]
    fn a_record_of_another_form_cannot_be_read_although_it_is_ours() {
        let key = key("bounced");
        for body in [
            "{\"address\":\"a@example.com\",\"done\":\"Bounce\"}\n",
            "{\"account\":\"primary\"}\n{\"address\":\"a@example.com\",\"done\":\"Perhaps\"}\n",
        ] {
            let code = HEXLOWER.encode(&mac(&key.0, &[body.as_bytes()]));
            assert_eq!(Record::parse(&format!("{code}\n{body}"), &key), Err(Unreadable));
        }
    }
}
