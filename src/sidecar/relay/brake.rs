//! SES throttles: then the sidecar sends more slowly for a while. Pure; the time comes in.

use std::time::Duration;

/// The first space between two messages once SES has throttled.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5);
/// So long without being throttled, and the space halves: AWS advises to wait up to ten minutes, and a rate a second is
/// over after one.
const RELIEF: Duration = Duration::from_secs(10);

/// Keeps messages apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brake {
    /// Time since the sidecar's start; absent, nothing is held back.
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    space: Duration,
    next: Duration,
    relief: Duration,
}

impl Brake {
    /// How long a message must wait; `now` is time since the start. The message that need not wait takes its turn.
    pub fn turn(&mut self, now: Duration) -> Duration {
        let Some(held) = &mut self.held else {
            return Duration::ZERO;
        };
        while held.relief <= now {
            held.space /= 2;
            held.relief += RELIEF;
            if held.space < FIRST {
                self.held = None;
                return Duration::ZERO;
            }
        }
        let wait = held.next.saturating_sub(now);
        if wait.is_zero() {
            held.next = now + held.space;
        }
        wait
    }

    /// SES throttled a message.
    pub fn throttled(&mut self, now: Duration) {
        let space = self.held.map_or(FIRST, |held| (held.space * 2).min(LONGEST));
        // Messages that were under way together are throttled together: they count once.
        if self.held.is_none_or(|held| now + held.space >= held.next) {
            self.held = Some(Held {
                space,
                next: now + space,
                relief: now + RELIEF,
            });
        }
    }

    /// Whether messages are held back.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.held.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_waits_before_ses_throttles() {
        assert_eq!(Brake::default().turn(at(5)), Duration::ZERO);
    }

    #[test]
    fn once_throttled_messages_keep_their_distance_and_more_of_it_the_next_time() {
        let mut brake = Brake::default();
        brake.throttled(at(1_000));
        assert_eq!(brake.turn(at(1_000)), at(100));
        assert_eq!(brake.turn(at(1_100)), Duration::ZERO);
        assert_eq!(brake.turn(at(1_150)), at(50));
        brake.throttled(at(1_200));
        assert_eq!(brake.turn(at(1_200)), at(200));
        for second in 2..60 {
            brake.throttled(at(second * 1_000 * 5));
        }
        assert_eq!(brake.turn(at(59 * 5_000)), LONGEST);
    }

    #[test]
    fn the_distance_shrinks_with_time_and_ends() {
        let mut brake = Brake::default();
        brake.throttled(at(0));
        brake.throttled(at(100));
        assert!(brake.is_on());
        assert_eq!(brake.turn(at(10_200)), Duration::ZERO);
        assert_eq!(brake.turn(at(10_250)), at(50), "200 ms have become 100");
        assert_eq!(brake.turn(at(20_300)), Duration::ZERO);
        assert!(!brake.is_on());
    }
}
