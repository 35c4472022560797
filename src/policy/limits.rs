//! Several rates taken together.

use std::{collections::BTreeMap, fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

use super::Meet;
use crate::api::Rate;

/// Rates which must all be kept, one a period. None at all is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Rate>", into = "Vec<Rate>")]
pub struct Limits(BTreeMap<u64, NonZeroU64>);

impl Limits {
    /// The rates, shortest period first.
    pub fn rates(&self) -> impl Iterator<Item = Rate> {
        self.0.iter().map(|(&seconds, &count)| Rate { seconds, count })
    }

    /// Whether there is no limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The most that may happen in a day, as far as these rates say: each taken over the whole day.
    #[must_use]
    pub fn per_day(&self) -> Option<u64> {
        const DAY: u64 = 86_400;
        self.0
            .iter()
            .map(|(seconds, count)| count.get().saturating_mul(DAY.div_ceil(*seconds)))
            .min()
    }
}

impl Meet for Limits {
    fn meet(&self, other: &Self) -> Self {
        self.rates().chain(other.rates()).collect()
    }

    /// By each period of `other`: a limit over another period is not compared, since either may bind.
    fn is_within(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|(period, most)| self.0.get(period).is_some_and(|count| count <= most))
    }
}

impl FromIterator<Rate> for Limits {
    fn from_iter<I: IntoIterator<Item = Rate>>(rates: I) -> Self {
        let mut limits = BTreeMap::new();
        for Rate { seconds, count } in rates {
            let least = limits.entry(seconds).or_insert(count);
            *least = count.min(*least);
        }
        Self(limits)
    }
}

impl From<Vec<Rate>> for Limits {
    fn from(rates: Vec<Rate>) -> Self {
        rates.into_iter().collect()
    }
}

impl From<Limits> for Vec<Rate> {
    fn from(limits: Limits) -> Self {
        limits.rates().collect()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, rate) in self.rates().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{rate}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(texts: &[&str]) -> Limits {
        texts.iter().map(|text| text.parse::<Rate>().unwrap()).collect()
    }

    #[test]
    fn of_two_rates_over_one_period_the_lower_stands() {
        assert_eq!(limits(&["10/s", "5/s", "100/h"]), limits(&["5/s", "100/60m"]));
    }

    #[test]
    fn a_meet_keeps_every_period() {
        assert_eq!(
            limits(&["10/s"]).meet(&limits(&["100/h", "20/s"])),
            limits(&["10/s", "100/h"])
        );
        assert!(limits(&["10/s", "100/h"]).is_within(&limits(&["100/h"])));
        assert!(!limits(&["10/s"]).is_within(&limits(&["100/h"])));
        assert!(limits(&[]).is_within(&limits(&[])));
    }

    #[test]
    fn the_day_is_bounded_by_the_tightest_rate() {
        assert_eq!(limits(&[]).per_day(), None);
        assert_eq!(limits(&["1/s", "100/h", "5000/d"]).per_day(), Some(2400));
    }
}
