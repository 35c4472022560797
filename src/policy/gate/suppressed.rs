//! The published hashes of who must not be mailed.

use std::collections::HashMap;

use thiserror::Error;

use crate::{
    api::{Address, Domain, Pattern, policy::SuppressionReason},
    policy::suppressions::{HASH_BYTES, HashKey, Subject},
};

/// Hashes of suppressed addresses and domains, and the key that they were made with.
#[derive(Clone, Debug)]
pub struct Suppressed {
    key: HashKey,
    revision: String,
    hashes: HashMap<[u8; HASH_BYTES], SuppressionReason>,
}

/// Why Secret `mail-suppressions` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuppressedError {
    /// The key has another length.
    #[error("key `key` of Secret mail-suppressions has {0} octets, not 32")]
    Key(usize),
    /// A line of hashes is none.
    #[error("key `hashes` of Secret mail-suppressions, line {0}: not a hash and a reason")]
    Line(usize),
}

impl Suppressed {
    /// Reads the keys of Secret `mail-suppressions`.
    ///
    /// # Errors
    /// [`SuppressedError`] says what cannot be read: who gets one keeps what it has.
    pub fn read(key: &[u8], revision: &str, hashes: &str) -> Result<Self, SuppressedError> {
        let key = HashKey::from_bytes(key).ok_or(SuppressedError::Key(key.len()))?;
        let lines = hashes.lines().enumerate();
        let hashes: HashMap<_, _> = lines
            .map(|(index, line)| read_line(line).ok_or(SuppressedError::Line(index + 1)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            key,
            revision: revision.trim().to_owned(),
            hashes,
        })
    }

    /// Nobody, by this key.
    #[must_use]
    pub fn nobody(key: HashKey, revision: &str) -> Self {
        Self {
            key,
            revision: revision.to_owned(),
            hashes: HashMap::new(),
        }
    }

    /// The revision of the list.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The namespace's key.
    #[must_use]
    pub fn key(&self) -> &HashKey {
        &self.key
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nobody is suppressed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Why the address must not be mailed: itself, its domain, or a domain above that.
    #[must_use]
    pub fn reason(&self, address: &Address) -> Option<SuppressionReason> {
        if self.hashes.is_empty() {
            return None;
        }
        let of = |subject: &Subject| self.hashes.get(&self.key.digest(subject)).copied();
        let domain = address.domain();
        of(&Subject::Address(address.clone()))
            .or_else(|| of(&Subject::Domain(Pattern::Domain(domain.clone()))))
            .or_else(|| parents(domain).find_map(|parent| of(&Subject::Domain(Pattern::Below(parent)))))
    }
}

/// The domains above one, down to two labels.
fn parents(domain: &Domain) -> impl Iterator<Item = Domain> {
    let text = domain.as_str();
    text.match_indices('.')
        .filter_map(|(dot, _)| Domain::parse_host(&text[dot + 1..]).ok())
}

fn read_line(line: &str) -> Option<([u8; HASH_BYTES], SuppressionReason)> {
    let (hash, reason) = line.split_once(' ')?;
    let hash = data_encoding::HEXLOWER.decode(hash.as_bytes()).ok()?;
    let reason = match reason {
        "Bounce" => SuppressionReason::Bounce,
        "Complaint" => SuppressionReason::Complaint,
        _ => return None,
    };
    Some((hash.try_into().ok()?, reason))
}
