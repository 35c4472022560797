//! How much the account may send: recipients a second and in any 24 hours.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::AccountSettings;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the account has sent, as far as its limits depend on it.
///
/// Guarantees: at most one entry a second is kept, so a day of any load is at most 86,401 of them.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Recipients by second, oldest first.
    sent: VecDeque<(i64, u64)>,
    /// Their sum.
    recipients: u64,
    /// Recipients above the rate that are not worked off yet.
    debt: f64,
    /// When the debt was reckoned.
    reckoned: Timestamp,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Recipients a second.
    Rate,
    /// Recipients in 24 hours.
    Quota,
}

impl Usage {
    /// Takes a message of so many recipients, of which `simulated` are in the mailbox simulator: those count for the rate
    /// and not for the quota. A limit below 0 is none, as in the API.
    ///
    /// A message is taken whole where any allowance is left; what is above it is a debt that later ones wait for.
    pub fn take(
        &mut self,
        settings: &AccountSettings,
        recipients: u32,
        simulated: u32,
        now: Timestamp,
    ) -> Result<(), Exceeded> {
        self.forget(now);
        let counted = u64::from(recipients.saturating_sub(simulated));
        let quota = settings.max_24_hour_send;
        if counted > 0 && quota >= 0.0 && self.sent_last_24_hours(settings, now) >= quota {
            return Err(Exceeded::Quota);
        }
        let rate = settings.max_send_rate;
        if rate >= 0.0 {
            // A second's worth at once, and always one message, as short bursts are allowed.
            let allowance = rate.max(1.0);
            let worked_off = now.duration_since(self.reckoned).as_secs_f64().max(0.0) * rate;
            self.debt = (self.debt - worked_off).max(0.0);
            self.reckoned = self.reckoned.max(now);
            if rate == 0.0 || allowance - self.debt < 1.0 {
                return Err(Exceeded::Rate);
            }
            self.debt += f64::from(recipients);
        }
        if counted > 0 {
            let second = now.as_second();
            match self.sent.back_mut() {
                Some((last, count)) if *last >= second => *count += counted,
                _ => self.sent.push_back((second, counted)),
            }
            self.recipients += counted;
        }
        Ok(())
    }

    /// Recipients of the last 24 hours, with those the settings say were sent before.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53 recipients, and the API has a double here"
    )]
    pub fn sent_last_24_hours(&self, settings: &AccountSettings, now: Timestamp) -> f64 {
        let gone: u64 = self.over(now).map(|(_, count)| count).sum();
        settings.sent_last_24_hours + (self.recipients - gone) as f64
    }

    /// Entries that are more than 24 hours old.
    fn over(&self, now: Timestamp) -> impl Iterator<Item = &(i64, u64)> {
        let oldest = now.saturating_sub(DAY).unwrap_or(Timestamp::MIN).as_second();
        self.sent.iter().take_while(move |(second, _)| *second <= oldest)
    }

    fn forget(&mut self, now: Timestamp) {
        let over = self.over(now).count();
        for (_, count) in self.sent.drain(..over) {
            self.recipients -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::float_cmp)]
    use super::*;

    fn settings(rate: f64, quota: f64) -> AccountSettings {
        AccountSettings {
            max_send_rate: rate,
            max_24_hour_send: quota,
            ..AccountSettings::production()
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_second_s_worth_goes_at_once_and_the_next_waits() {
        let (mut usage, settings) = (Usage::default(), settings(2.0, 1000.0));
        let taken: Vec<bool> = [0, 0, 0, 499, 500, 1000]
            .map(|millis| usage.take(&settings, 1, 0, at(millis)).is_ok())
            .to_vec();
        assert_eq!(taken, [true, true, false, false, true, true]);
    }

    #[test]
    fn five_recipients_at_one_a_second_are_taken_and_then_nothing_for_five_seconds() {
        let (mut usage, settings) = (Usage::default(), settings(1.0, 1000.0));
        assert_eq!(usage.take(&settings, 5, 0, at(0)), Ok(()));
        for millis in [1, 1000, 4999] {
            assert_eq!(usage.take(&settings, 1, 0, at(millis)), Err(Exceeded::Rate), "{millis}");
        }
        assert_eq!(usage.take(&settings, 1, 0, at(5000)), Ok(()));
    }

    #[test]
    fn the_quota_counts_recipients_and_a_message_that_passes_it_is_taken_whole() {
        let (mut usage, settings) = (Usage::default(), settings(-1.0, 10.0));
        assert_eq!(usage.take(&settings, 9, 0, at(0)), Ok(()));
        assert_eq!(usage.take(&settings, 5, 0, at(0)), Ok(()));
        assert_eq!(usage.take(&settings, 1, 0, at(0)), Err(Exceeded::Quota));
        assert_eq!(usage.sent_last_24_hours(&settings, at(0)), 14.0);
    }

    #[test]
    fn recipients_of_the_mailbox_simulator_count_for_the_rate_alone() {
        let (mut usage, settings) = (Usage::default(), settings(1.0, 1.0));
        assert_eq!(usage.take(&settings, 1, 0, at(0)), Ok(()));
        assert_eq!(usage.take(&settings, 1, 0, at(1000)), Err(Exceeded::Quota));
        assert_eq!(usage.take(&settings, 1, 1, at(1000)), Ok(()));
        assert_eq!(usage.take(&settings, 1, 1, at(1001)), Err(Exceeded::Rate));
        assert_eq!(usage.sent_last_24_hours(&settings, at(1000)), 1.0);
    }

    #[test]
    fn what_was_sent_is_forgotten_after_24_hours_and_not_before() {
        let (mut usage, settings) = (Usage::default(), settings(-1.0, -1.0));
        let hour = 3_600_000;
        usage.take(&settings, 1, 0, at(0)).unwrap();
        usage.take(&settings, 2, 0, at(hour)).unwrap();
        let sent = |usage: &Usage, millis| usage.sent_last_24_hours(&settings, at(millis));
        assert_eq!(sent(&usage, 24 * hour - 1000), 3.0);
        assert_eq!(sent(&usage, 24 * hour), 2.0);
        usage.take(&settings, 4, 0, at(25 * hour)).unwrap();
        assert_eq!((sent(&usage, 25 * hour), usage.sent.len()), (4.0, 1));
    }

    #[test]
    fn a_day_of_load_is_kept_by_the_second() {
        let (mut usage, settings) = (Usage::default(), settings(-1.0, -1.0));
        for millis in 0..3000 {
            usage.take(&settings, 1, 0, at(millis)).unwrap();
        }
        assert_eq!(usage.sent.len(), 3);
    }
}
