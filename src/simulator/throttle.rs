//! SES's limit on control calls: one token bucket shared by every operation that does not send.

use std::time::Duration;

/// How many control calls the account allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// No limit: for benches and for tests that are about something else.
    None,
    /// A bucket of `burst` calls that refills at `per_second`.
    Bucket {
        /// Calls a second; above 0.
        per_second: f64,
        /// The most calls at once; at least 1.
        burst: u32,
    },
}

impl Limit {
    /// SES's own: one request a second, not adjustable, shared (quotas page of the Developer Guide; assumed shared).
    pub const SES: Self = Self::Bucket {
        per_second: 1.0,
        burst: 1,
    };

    /// Checks the figures.
    ///
    /// # Errors
    /// A text that says which figure is out of range.
    pub fn validated(self) -> Result<Self, String> {
        match self {
            Self::Bucket { per_second, .. } if !per_second.is_finite() || per_second <= 0.0 => Err(format!(
                "calls per second must be above 0, not {per_second}; `none` lifts the limit"
            )),
            Self::Bucket { burst: 0, .. } => Err("burst must be at least 1".to_owned()),
            limit => Ok(limit),
        }
    }
}

/// The bucket. Time is an argument: elapsed time of one monotonic clock.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    limit: Limit,
    tokens: f64,
    refilled: Duration,
}

impl Throttle {
    /// A full bucket.
    #[must_use]
    pub(super) fn new(limit: Limit, now: Duration) -> Self {
        let tokens = match limit {
            Limit::None => 0.0,
            Limit::Bucket { burst, .. } => f64::from(burst),
        };
        Self {
            limit,
            tokens,
            refilled: now,
        }
    }

    /// The limit in force.
    #[must_use]
    pub(super) const fn limit(&self) -> Limit {
        self.limit
    }

    /// Takes one call; `false` is a throttled one, which costs nothing.
    pub(super) fn admit(&mut self, now: Duration) -> bool {
        let Limit::Bucket { per_second, burst } = self.limit else {
            return true;
        };
        let gained = now.saturating_sub(self.refilled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(burst));
        self.refilled = self.refilled.max(now);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn ses_allows_one_call_a_second_and_a_refused_call_costs_nothing() {
        let mut throttle = Throttle::new(Limit::SES, at(0));
        let admitted: Vec<bool> = [0, 500, 900, 1000, 1001, 2000]
            .map(|ms| throttle.admit(at(ms)))
            .to_vec();
        assert_eq!(admitted, [true, false, false, true, false, true]);
    }

    #[test]
    fn an_idle_bucket_fills_to_its_burst_and_no_further() {
        let mut throttle = Throttle::new(
            Limit::Bucket {
                per_second: 1.0,
                burst: 2,
            },
            at(0),
        );
        let admitted = (0..4).filter(|_| throttle.admit(at(60_000))).count();
        assert_eq!(admitted, 2);
    }

    #[test]
    fn without_a_limit_everything_is_admitted() {
        let mut throttle = Throttle::new(Limit::None, at(0));
        assert!((0..10_000).all(|_| throttle.admit(at(0))));
    }

    #[test]
    fn a_rate_of_zero_or_a_burst_of_zero_is_refused() {
        assert!(
            Limit::Bucket {
                per_second: 0.0,
                burst: 1
            }
            .validated()
            .unwrap_err()
            .contains("above 0")
        );
        assert!(
            Limit::Bucket {
                per_second: 1.0,
                burst: 0
            }
            .validated()
            .unwrap_err()
            .contains("at least 1")
        );
        assert_eq!(Limit::SES.validated(), Ok(Limit::SES));
    }
}
