//! Windows: which are open, which never open, and why.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::terms::WindowTerms;
use crate::api::{Mode, window::WindowPhase};

/// How far the operator's clock may be from the API server's before no window opens.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What is known of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowFacts {
    /// The window's name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// The policy it is for.
    pub policy: String,
    /// The mode asked for.
    pub mode: Mode,
    /// When it opens.
    pub from: Timestamp,
    /// When it closes.
    pub until: Timestamp,
    /// Whether it has been seen open.
    pub opened: bool,
}

/// Whether the operator's clock can be trusted to open windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It agrees with the API server's.
    Trusted,
    /// It is further off than [`CLOCK_TOLERANCE`], or was never compared: no window opens; open ones end as planned.
    Doubted,
}

/// Where a window stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Scheduled, Open, Closed or Refused.
    pub phase: WindowPhase,
    /// A bounded word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Verdict {
    fn refused(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            phase: WindowPhase::Refused,
            reason,
            message: message.into(),
        }
    }
}

/// Judges the windows of one namespace.
///
/// `bounds` are the guardrails' opinions on windows; without one, every window is refused. Of windows that touch or
/// overlap, the earlier created stand (then by name), and one that makes the chain longer than allowed is refused.
/// Windows that are over stay in their chain, so that a row of short ones is not a long one.
#[must_use]
pub fn judge(
    windows: &[WindowFacts],
    bounds: &[WindowTerms],
    knows_policy: impl Fn(&str) -> bool,
    clock: Clock,
    now: Timestamp,
) -> BTreeMap<String, Verdict> {
    let longest = bounds.iter().map(|bound| bound.max_duration).min();
    let mut in_order: Vec<&WindowFacts> = windows.iter().collect();
    in_order.sort_by(|one, two| (one.created, &one.name).cmp(&(two.created, &two.name)));
    let mut standing: Vec<&WindowFacts> = Vec::new();
    let mut verdicts = BTreeMap::new();
    for window in in_order {
        let refusal = refusal(window, longest, &standing, &knows_policy);
        if refusal.is_none() {
            standing.push(window);
        }
        verdicts.insert(
            window.name.clone(),
            refusal.unwrap_or_else(|| phase(window, clock, now)),
        );
    }
    verdicts
}

fn refusal(
    window: &WindowFacts,
    longest: Option<Duration>,
    standing: &[&WindowFacts],
    knows_policy: &impl Fn(&str) -> bool,
) -> Option<Verdict> {
    let Some(longest) = longest else {
        return Some(Verdict::refused(
            "NotAllowed",
            "no guardrail of this namespace has `window`: ask the platform team to allow windows",
        ));
    };
    if window.until <= window.from {
        return Some(Verdict::refused("Empty", "until must be later than from"));
    }
    if window.until <= window.created && !window.opened {
        return Some(Verdict::refused(
            "InThePast",
            "it was over before it was created: make a new one",
        ));
    }
    if !knows_policy(&window.policy) {
        return Some(Verdict::refused(
            "NoSuchPolicy",
            format!("there is no MailPolicy `{}` in this namespace", window.policy),
        ));
    }
    let (from, until) = chain(window, standing);
    let length = Duration::try_from(until.duration_since(from)).unwrap_or(Duration::MAX);
    (length > longest).then(|| {
        let of = if (from, until) == (window.from, window.until) {
            "it lasts"
        } else {
            "with the windows it touches it lasts"
        };
        Verdict::refused(
            "TooLong",
            format!("{of} {length:?}, the guardrails allow {longest:?}: choose an earlier until"),
        )
    })
}

/// The span of the window and of all standing ones of its policy that touch or overlap it, directly or by others.
fn chain(window: &WindowFacts, standing: &[&WindowFacts]) -> (Timestamp, Timestamp) {
    let (mut from, mut until) = (window.from, window.until);
    loop {
        let joined = standing
            .iter()
            .filter(|other| other.policy == window.policy && other.from <= until && other.until >= from)
            .fold((from, until), |(from, until), other| {
                (from.min(other.from), until.max(other.until))
            });
        if joined == (from, until) {
            return joined;
        }
        (from, until) = joined;
    }
}

fn phase(window: &WindowFacts, clock: Clock, now: Timestamp) -> Verdict {
    let verdict = |phase, reason, message: &str| Verdict {
        phase,
        reason,
        message: message.to_owned(),
    };
    if now >= window.until {
        return verdict(WindowPhase::Closed, "Over", "it is over");
    }
    if now < window.from {
        return verdict(WindowPhase::Scheduled, "NotYet", "it has not begun");
    }
    match clock {
        Clock::Doubted if !window.opened => verdict(
            WindowPhase::Scheduled,
            "ClockDoubted",
            "the operator's clock and the API server's differ by more than 5 s, so no window opens: mend the clock",
        ),
        Clock::Trusted | Clock::Doubted => verdict(WindowPhase::Open, "Open", "it is open"),
    }
}

/// The next moment at which a verdict changes by itself.
#[must_use]
pub fn next_change(windows: &[WindowFacts], verdicts: &BTreeMap<String, Verdict>, now: Timestamp) -> Option<Timestamp> {
    windows
        .iter()
        .filter_map(|window| match verdicts.get(&window.name)?.phase {
            WindowPhase::Scheduled if window.from > now => Some(window.from),
            WindowPhase::Open => Some(window.until),
            WindowPhase::Scheduled | WindowPhase::Closed | WindowPhase::Refused => None,
        })
        .min()
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
