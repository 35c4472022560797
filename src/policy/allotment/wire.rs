//! What operator and sidecars write to each other.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::CeilingKey;
use crate::policy::Limits;

/// The version of these formats. A program reads its own only: who reads another has nothing, which is safe.
const VERSION: u32 = 1;

/// The largest allotment or report: an object's annotations have 256 KiB together, and 64 KiB hold a thousand ceilings.
const TEXT_MAX: usize = 65_536;

/// The largest farewell: what kubelet keeps of a container's termination message.
const FAREWELL_MAX: usize = 4_096;

/// A sidecar's past, from where it began with none. Kept with it, and never used again once a part of it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Life(
    /// Random.
    pub u64,
);

/// Why a text cannot be used.
#[derive(Debug, Error)]
pub enum WireError {
    /// It is not JSON of this format.
    #[error("it cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version.
    #[error("it has version {0}, this program reads {VERSION}")]
    Version(u32),
    /// Too large.
    #[error("it has {found} bytes, more than {most}")]
    TooLarge {
        /// Its size in bytes.
        found: usize,
        /// The most there may be.
        most: usize,
    },
}

/// A pod's shares, the text of its annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allotment {
    /// The version of this format.
    pub version: u32,
    /// The pod's UID.
    pub pod: String,
    /// Which of its sidecar's lives.
    pub life: Life,
    /// Rises with every allotment in the namespace; a sidecar takes none that is lower than one it has obeyed.
    pub revision: u64,
    /// Until when it holds, by the sidecar's clock.
    pub expires: Timestamp,
    /// The shares. A ceiling, or a period of one, that is not among them is a share of nothing.
    pub shares: BTreeMap<CeilingKey, Limits>,
}

/// What a sidecar says of itself, in answer to the operator's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// The pod's UID.
    pub pod: String,
    /// Its life.
    pub life: Life,
    /// The revision that it obeys, expired or not; 0 before the first.
    pub revision: u64,
    /// By ceiling and period in seconds.
    pub ceilings: BTreeMap<CeilingKey, BTreeMap<u64, Usage>>,
}

/// What became of a ceiling in one sidecar, in recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// What counts on it now; of a rate a second, the largest share whose time is still taken up.
    pub used: u64,
    /// What was asked of it in the last ten minutes, refused or not; of a rate a second, the most in a second, over ten.
    pub wanted: u64,
    /// The largest message that was put off in the last ten minutes.
    pub largest: u64,
}

/// What an ending sidecar leaves as its termination message. It sends nothing after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Farewell {
    /// The version of this format.
    pub version: u32,
    /// The pod's UID.
    pub pod: String,
    /// Its life.
    pub life: Life,
    /// The revision that it obeyed last.
    pub revision: u64,
    /// What counts, in recipients, by ceiling and period in seconds. Where there is nothing, the share counts on.
    pub used: BTreeMap<CeilingKey, BTreeMap<u64, u64>>,
}

/// Reads a text of this version.
fn read<T: DeserializeOwned>(text: &str, most: usize) -> Result<T, WireError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    if text.len() > most {
        let found = text.len();
        return Err(WireError::TooLarge { found, most });
    }
    // The version first: a newer format's fields are unknown, and that is not the error to tell.
    match serde_json::from_str(text)? {
        Versioned { version: VERSION } => Ok(serde_json::from_str(text)?),
        Versioned { version } => Err(WireError::Version(version)),
    }
}

/// Writes a text.
fn write<T: Serialize>(value: &T, most: usize) -> Result<String, WireError> {
    let text = serde_json::to_string(value)?;
    match text.len() {
        found if found > most => Err(WireError::TooLarge { found, most }),
        _ => Ok(text),
    }
}

impl Allotment {
    /// An allotment of this version.
    #[must_use]
    pub fn new(
        pod: String,
        life: Life,
        revision: u64,
        expires: Timestamp,
        shares: BTreeMap<CeilingKey, Limits>,
    ) -> Self {
        Self {
            version: VERSION,
            pod,
            life,
            revision,
            expires,
            shares,
        }
    }

    /// Reads an annotation.
    ///
    /// # Errors
    /// [`WireError`]: a sidecar keeps what it has, the operator writes it anew.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        read(text, TEXT_MAX)
    }

    /// The annotation's text. The same allotment is always the same text.
    ///
    /// # Errors
    /// [`WireError::TooLarge`].
    pub fn text(&self) -> Result<String, WireError> {
        write(self, TEXT_MAX)
    }

    /// The share of a ceiling over so many seconds, in recipients.
    #[must_use]
    pub fn share(&self, key: &CeilingKey, seconds: u64) -> u64 {
        let rates = self.shares.get(key).into_iter().flat_map(Limits::rates);
        let mut same = rates.filter(|rate| rate.seconds == seconds);
        same.next().map_or(0, |rate| rate.count.get())
    }
}

impl Report {
    /// A report of this version.
    #[must_use]
    pub fn new(pod: String, life: Life, revision: u64, ceilings: BTreeMap<CeilingKey, BTreeMap<u64, Usage>>) -> Self {
        Self {
            version: VERSION,
            pod,
            life,
            revision,
            ceilings,
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// [`WireError`]: nothing was heard of the pod.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        read(text, TEXT_MAX)
    }

    /// The report's text.
    ///
    /// # Errors
    /// [`WireError::TooLarge`].
    pub fn text(&self) -> Result<String, WireError> {
        write(self, TEXT_MAX)
    }

    /// What it says of a ceiling over so many seconds.
    pub(super) fn usage(&self, key: &CeilingKey, seconds: u64) -> Option<Usage> {
        self.ceilings.get(key)?.get(&seconds).copied()
    }
}

impl Farewell {
    /// The farewell that releases most of what is left of the shares and fits a termination message.
    ///
    /// `left`: by ceiling and period, the share and what counts of it. What does not fit is left out: its share counts on,
    /// which is never too little, and longer.
    #[must_use]
    pub(super) fn fitting(pod: String, life: Life, revision: u64, mut left: Vec<(CeilingKey, u64, u64, u64)>) -> Self {
        let mut farewell = Self {
            version: VERSION,
            pod,
            life,
            revision,
            used: BTreeMap::new(),
        };
        left.retain(|(_, _, share, used)| *share > 0 || *used > 0);
        // Most first, as a part of the share: one recipient of a second is as much as thousands of a day.
        left.sort_by(|(.., one_share, one), (.., two_share, two)| {
            let (one, two) = (
                u128::from(*one) * u128::from(*two_share),
                u128::from(*two) * u128::from(*one_share),
            );
            one.cmp(&two)
        });
        for (key, seconds, _, used) in left {
            let mut more = farewell.clone();
            more.used.entry(key).or_default().insert(seconds, used);
            if more.text().is_ok() {
                farewell = more;
            }
        }
        farewell
    }

    /// Reads a termination message.
    ///
    /// # Errors
    /// [`WireError`]: there was no farewell.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        read(text, FAREWELL_MAX)
    }

    /// The termination message.
    ///
    /// # Errors
    /// [`WireError::TooLarge`], which none is that [`super::Allotted::farewell`] makes.
    pub fn text(&self) -> Result<String, WireError> {
        write(self, FAREWELL_MAX)
    }
}

/// A text that is no [`Life`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a life is 16 hexadecimal digits")]
pub struct NotALife;

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Life {
    type Err = NotALife;

    fn from_str(text: &str) -> Result<Self, NotALife> {
        if text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            u64::from_str_radix(text, 16).map(Self).map_err(|_| NotALife)
        } else {
            Err(NotALife)
        }
    }
}

impl TryFrom<String> for Life {
    type Error = NotALife;

    fn try_from(text: String) -> Result<Self, NotALife> {
        text.parse()
    }
}

impl From<Life> for String {
    fn from(life: Life) -> Self {
        life.to_string()
    }
}
