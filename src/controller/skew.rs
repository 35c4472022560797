//! The operator's clock against the API server's: a clock that is off must not open a window early.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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

/// Whether the clock can be trusted; it is not before the first comparison.
#[derive(Clone, Default)]
pub struct ClockTrust(Arc<AtomicBool>);

impl ClockTrust {
    /// The present verdict.
    #[must_use]
    pub fn get(&self) -> Clock {
        if self.0.load(Ordering::Relaxed) {
            Clock::Trusted
        } else {
            Clock::Doubted
        }
    }

    /// Notes a verdict; whether it is another than before.
    fn set(&self, trusted: bool) -> bool {
        self.0.swap(trusted, Ordering::Relaxed) != trusted
    }
}

/// Compares the clocks for ever. A change of the verdict concerns every window.
pub async fn watch(context: Arc<Context>) {
    loop {
        let wait = match compare(&context.client).await {
            Ok(skew) => {
                context.metrics.clock_skew_seconds.set(skew.as_secs_f64());
                let trusted = skew.unsigned_abs() <= CLOCK_TOLERANCE;
                if context.clock.set(trusted) {
                    if !trusted {
                        warn!(?skew, "the clocks differ: no window opens until they agree");
                    }
                    context.world.windows.keys().into_iter().for_each(|key| {
                        context
                            .queues
                            .policies
                            .push(super::policy::key_of_window(&context, &key));
                        context.queues.windows.push(key);
                    });
                }
                EVERY
            }
            Err(error) => {
                warn!(error, "the clocks could not be compared");
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// How far the operator's clock is ahead of the API server's, by the Date header, whose grain is a second.
async fn compare(client: &Client) -> Result<SignedDuration, String> {
    let request = Request::get("/version")
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let before = clock::now();
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let after = clock::now();
    let date = answer
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok())
        .ok_or("no Date header")?;
    skew(before, after, date)
}

fn skew(before: Timestamp, after: Timestamp, date: &str) -> Result<SignedDuration, String> {
    let server = rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .map_err(|error| error.to_string())?;
    let middle = before + (after.duration_since(before) / 2);
    Ok(middle.duration_since(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_taken_from_the_middle_of_the_request() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let date = "Thu, 01 Jan 1970 00:01:00 GMT";
        assert_eq!(skew(at(60), at(62), date).unwrap().as_secs(), 1);
        assert_eq!(skew(at(50), at(50), date).unwrap().as_secs(), -10);
        assert!(skew(at(0), at(0), "yesterday").is_err());
    }

    #[test]
    fn a_clock_is_doubted_before_the_first_comparison() {
        let trust = ClockTrust::default();
        assert_eq!(trust.get(), Clock::Doubted);
        assert!(trust.set(true) && !trust.set(true));
        assert_eq!(trust.get(), Clock::Trusted);
    }
}
