//! Rates such as `1_000/h`.

use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::address::redact;

/// The longest period: SES's own accounts are per rolling day.
const LONGEST_SECONDS: u64 = 86_400;

/// At most `count` in any `seconds` long window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// The window's length in seconds, from 1 to a day.
    pub seconds: u64,
    /// How many may happen in the window.
    pub count: NonZeroU64,
}

/// Why a text is not a [`Rate`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// Not `<count>/<period>`.
    #[error("`{0}` is not a rate: write a count, a slash and a period, like 5/s, 1_000/h, 20/30m or 5000/d")]
    Malformed(String),
    /// A count or a period of zero.
    #[error("`{0}` is a rate of zero: to send nothing, say mode Paused")]
    Zero(String),
    /// A period longer than a day.
    #[error("`{0}` counts over more than a day: the longest period is 1d")]
    TooLong(String),
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let malformed = || RateError::Malformed(redact(text));
        let (count, period) = text.split_once('/').ok_or_else(malformed)?;
        let number = |digits: &str| -> Result<u64, RateError> {
            let plain = digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_');
            if plain {
                digits.replace('_', "").parse().map_err(|_| malformed())
            } else {
                Err(malformed())
            }
        };
        let unit = match period.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            _ => return Err(malformed()),
        };
        // The unit is one ASCII byte.
        let multiple = &period[..period.len() - 1];
        let multiple = if multiple.is_empty() { 1 } else { number(multiple)? };
        let seconds = multiple.checked_mul(unit).ok_or_else(malformed)?;
        let count = NonZeroU64::new(number(count)?).ok_or_else(|| RateError::Zero(text.to_owned()))?;
        match seconds {
            0 => Err(RateError::Zero(text.to_owned())),
            1..=LONGEST_SECONDS => Ok(Self { seconds, count }),
            _ => Err(RateError::TooLong(text.to_owned())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (multiple, unit) = [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(length, _)| self.seconds.is_multiple_of(*length))
            .map_or((self.seconds, 's'), |(length, unit)| (self.seconds / length, unit));
        match multiple {
            1 => write!(f, "{}/{unit}", self.count),
            multiple => write!(f, "{}/{multiple}{unit}", self.count),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = RateError;

    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rate, RateError> {
        text.parse()
    }

    #[test]
    fn a_rate_is_a_count_and_a_period_with_an_optional_multiple() {
        for (text, count, seconds) in [
            ("5/s", 5, 1),
            ("1_000/h", 1000, 3600),
            ("20/30m", 20, 1800),
            ("5000/d", 5000, 86_400),
            ("7/24h", 7, 86_400),
        ] {
            let rate = parse(text).unwrap();
            assert_eq!((rate.count.get(), rate.seconds), (count, seconds), "{text}");
        }
    }

    #[test]
    fn a_rate_is_written_in_its_largest_unit() {
        for (text, written) in [
            ("60/60s", "60/m"),
            ("20/30m", "20/30m"),
            ("7/24h", "7/d"),
            ("9/90s", "9/90s"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn a_text_that_is_not_a_rate_is_refused() {
        for text in [
            "",
            "5",
            "5/",
            "/s",
            "5/w",
            "-5/s",
            "5/1.5h",
            "_5/s",
            "5 /s",
            "5/s,max_burst=3",
            "five/s",
            "99999999999999999999/s",
            "5/é",
        ] {
            assert_eq!(parse(text), Err(RateError::Malformed(text.to_owned())), "{text}");
        }
        let address = parse("jo@example.com").unwrap_err();
        assert_eq!(address, RateError::Malformed("***@example.com".to_owned()));
    }

    #[test]
    fn a_rate_of_zero_is_refused() {
        for text in ["0/s", "0_0/d", "5/0h"] {
            assert_eq!(parse(text), Err(RateError::Zero(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_period_longer_than_a_day_is_refused() {
        assert_eq!(parse("5/2d"), Err(RateError::TooLong("5/2d".to_owned())));
    }
}
