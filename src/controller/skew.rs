//! The operator's clock against the API server's: a clock that is off must not open a window early.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::Request;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use kube::{Client, client::Body};
use tracing::warn;

use super::context::Context;
use crate::{
    clock,
    policy::windows::{CLOCK_TOLERANCE, Clock},
};

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_mins(1);
/// How soon again after a comparison that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long a comparison tells anything: where none succeeds for so long, the clock is doubted.
const TELLS_FOR: Duration = Duration::from_mins(5);

/// Whether the clock can be trusted: what it says now against what it should say by the last comparison and the time
/// gone by since, so that a clock that jumps is doubted at once. It is before the first comparison, too.
#[derive(Default)]
pub struct ClockTrust(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Comparison>,
    /// Whether a doubt was told since the last turn.
    told_doubt: bool,
}

/// What the API server's clock said at a moment.
#[derive(Clone, Copy)]
struct Comparison {
    server: Timestamp,
    at: Instant,
}

impl Comparison {
    /// How far a clock that says `now` is ahead of the API server's.
    fn skew(self, now: Timestamp, at: Instant) -> SignedDuration {
        let gone = SignedDuration::try_from(at.saturating_duration_since(self.at)).unwrap_or(SignedDuration::MAX);
        now.duration_since(self.server).saturating_sub(gone)
    }

    fn verdict(self, now: Timestamp, at: Instant) -> Clock {
        let tells = at.saturating_duration_since(self.at) <= TELLS_FOR;
        if tells && self.skew(now, at).unsigned_abs() <= CLOCK_TOLERANCE {
            Clock::Trusted
        } else {
            Clock::Doubted
        }
    }
}

impl ClockTrust {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The verdict on a clock that says `now`; `at` goes on steadily.
    #[must_use]
    pub fn verdict(&self, now: Timestamp, at: Instant) -> Clock {
        let mut state = self.state();
        let verdict = state.last.map_or(Clock::Doubted, |last| last.verdict(now, at));
        state.told_doubt |= verdict == Clock::Doubted;
        verdict
    }

    /// Notes a comparison.
    fn note(&self, comparison: Comparison) {
        self.state().last = Some(comparison);
    }

    /// Whether somebody was told of a doubt since this was asked last.
    fn take_doubt(&self) -> bool {
        std::mem::take(&mut self.state().told_doubt)
    }
}

/// Compares the clocks for ever. A change of the verdict concerns every window.
pub async fn watch(context: Arc<Context>) {
    let mut before = Clock::Doubted;
    loop {
        let compared = compare(&context.client).await;
        let (now, at) = (clock::now(), clock::monotonic());
        let wait = match compared {
            Ok(comparison) => {
                let skew = comparison.skew(now, at);
                context.metrics.clock_skew_seconds.set(skew.as_secs_f64());
                if comparison.verdict(now, at) == Clock::Doubted {
                    warn!(?skew, "the clocks differ: no window opens until they agree");
                }
                context.clock_trust.note(comparison);
                EVERY
            }
            Err(error) => {
                warn!(error, "the clocks could not be compared");
                AFTER_FAILURE
            }
        };
        let doubt_was_told = context.clock_trust.take_doubt();
        let verdict = context.clock_trust.verdict(now, at);
        if verdict != before || (verdict == Clock::Trusted && doubt_was_told) {
            queue_windows(&context);
        }
        before = verdict;
        tokio::time::sleep(wait).await;
    }
}

fn queue_windows(context: &Context) {
    for key in context.world.windows.keys() {
        let policy = super::policy::key_of_window(context, &key);
        context.queues.policies.push(policy);
        context.queues.windows.push(key);
    }
}

/// What the API server's clock says, by the Date header, whose grain is a second, in the middle of the request.
async fn compare(client: &Client) -> Result<Comparison, String> {
    let request = Request::get("/version")
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let before = clock::monotonic();
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let taken = clock::monotonic().saturating_duration_since(before);
    let date = answer
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok())
        .ok_or("no Date header")?;
    Ok(Comparison {
        server: parse(date)?,
        at: before + taken / 2,
    })
}

fn parse(date: &str) -> Result<Timestamp, String> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SERVER: &str = "Thu, 01 Jan 1970 00:01:00 GMT";

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Compared at second 60; the moment of that.
    fn compared() -> (ClockTrust, Instant) {
        let (trust, at) = (ClockTrust::default(), clock::monotonic());
        let server = parse(SERVER).unwrap();
        trust.note(Comparison { server, at });
        (trust, at)
    }

    #[test]
    fn a_clock_is_doubted_before_the_first_comparison_and_trusted_while_it_agrees() {
        let never = ClockTrust::default();
        assert_eq!(never.verdict(second(60), clock::monotonic()), Clock::Doubted);
        let (trust, at) = compared();
        assert_eq!(trust.verdict(second(60), at), Clock::Trusted);
        assert_eq!(trust.verdict(second(65), at), Clock::Trusted);
        assert_eq!(trust.verdict(second(66), at), Clock::Doubted);
        assert_eq!(trust.verdict(second(54), at), Clock::Doubted);
        assert!(parse("yesterday").is_err());
    }

    #[test]
    fn a_clock_that_jumps_is_doubted_at_once() {
        let (trust, at) = compared();
        let later = at + Duration::from_secs(30);
        assert_eq!(trust.verdict(second(90), later), Clock::Trusted);
        assert_eq!(trust.verdict(second(3690), later), Clock::Doubted);
        assert_eq!(trust.verdict(second(60), later), Clock::Doubted);
    }

    #[test]
    fn an_old_comparison_tells_nothing() {
        let (trust, at) = compared();
        let later = at + TELLS_FOR + Duration::from_secs(1);
        assert_eq!(trust.verdict(second(361), later), Clock::Doubted);
    }

    #[test]
    fn a_doubt_that_was_told_and_has_gone_is_remembered_once() {
        let (trust, at) = compared();
        assert_eq!(trust.verdict(second(70), at), Clock::Doubted);
        assert_eq!(trust.verdict(second(60), at), Clock::Trusted);
        assert!(trust.take_doubt());
        assert!(!trust.take_doubt());
    }
}
