//! How long a client may take.

use tokio::time::Instant;

use super::limits::Limits;
use super::session::Phase;

/// When patience with a client ends.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    progress: u64,
    phase: Phase,
    /// When a whole command, or the whole text, must have come.
    deadline: Instant,
    /// When, and how much of, the text must have come next.
    step_deadline: Instant,
    missing: usize,
}

impl Pace {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            progress: 0,
            phase: Phase::Commands,
            deadline: now + limits.idle,
            step_deadline: now,
            missing: 0,
        }
    }

    /// The present deadline.
    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Commands => self.deadline,
            Phase::Text => self.deadline.min(self.step_deadline),
        }
    }

    /// Notes that so many octets came, after which a session is in a phase with a [`progress`].
    ///
    /// A command that comes octet by octet gets no more time than one that comes at once.
    ///
    /// [`progress`]: super::session::Session::progress
    pub(super) fn note(&mut self, octets: usize, phase: Phase, progress: u64, now: Instant) {
        if progress != self.progress || phase != self.phase {
            self.progress = progress;
            self.phase = phase;
            let patience = match phase {
                Phase::Commands => self.limits.idle,
                Phase::Text => self.limits.message_time,
            };
            self.deadline = now + patience;
            self.step(now);
        } else if octets >= self.missing {
            self.step(now);
        } else {
            self.missing -= octets;
        }
    }

    fn step(&mut self, now: Instant) {
        self.missing = self.limits.progress;
        self.step_deadline = now + self.limits.progress_time;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_command_has_five_minutes_however_it_comes() {
        let start = crate::clock::runtime();
        let mut pace = Pace::new(Limits::default(), start);
        pace.note(1, Phase::Commands, 0, start + secs(200));
        assert_eq!(pace.deadline(), start + secs(300));
        pace.note(1, Phase::Commands, 1, start + secs(250));
        assert_eq!(pace.deadline(), start + secs(550));
    }

    #[test]
    fn a_text_must_grow_by_a_kib_a_minute_and_end_in_ten_minutes() {
        let start = crate::clock::runtime();
        let mut pace = Pace::new(Limits::default(), start);
        pace.note(6, Phase::Text, 3, start);
        assert_eq!(pace.deadline(), start + secs(60));
        pace.note(1023, Phase::Text, 3, start + secs(50));
        assert_eq!(pace.deadline(), start + secs(60));
        pace.note(1, Phase::Text, 3, start + secs(55));
        assert_eq!(pace.deadline(), start + secs(115));
        pace.note(5000, Phase::Text, 3, start + secs(590));
        assert_eq!(pace.deadline(), start + secs(600));
    }

    #[test]
    fn after_a_text_commands_have_their_time_again() {
        let start = crate::clock::runtime();
        let mut pace = Pace::new(Limits::default(), start);
        pace.note(6, Phase::Text, 3, start);
        pace.note(6, Phase::Commands, 4, start + secs(10));
        assert_eq!(pace.deadline(), start + secs(310));
    }
}
