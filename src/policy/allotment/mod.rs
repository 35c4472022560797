//! Allotments: one ceiling over many replicas. Pure; the time comes in.
//!
//! The operator keeps a [`Ledger`] for each namespace, and writes each pod's part of every ceiling (its *share*) into the
//! pod's annotation [`ANNOTATION`]. The sidecar there keeps to it with its own limiter ([`Allotted`]). No annotation is
//! nothing. Pods share the ceilings of the namespace and of its policies over recipients and over new recipients; those
//! over a single recipient are each pod's own.
//!
//! # What holds
//!
//! In every stretch of an hour's or day's (or any other longer) ceiling's period, wherever it begins, all sidecars of the
//! namespace together let through no more than the ceiling. Of a ceiling of `r` a second they let through, in any stretch
//! `T`, no more than `r × T`, and one message a pod.
//!
//! # Why, for a period `P` longer than a second
//!
//! Let `share(t)` be what a pod's limiter holds it to at `t`. The limiter is true over any stretch of `P`, so that
//!
//! > (1) what a pod sends in a stretch of `P` that ends with a message sent at `t` is at most `share(t)`.
//!
//! At a moment `g` a pod *counts* as `C(g) = max(S, U)`: `S` is the largest share that it may obey at `g` or later without
//! being given more, `U` what it sent in the `P` before `g`. As long as it is given no more, every stretch of `P` that
//! ends at `g` or later holds at most `C(g)` of it: if the pod's last message in the stretch is after `g`, by (1) at most
//! `S`; if it is not, the whole is within the `P` before `g`, which is `U`. So
//!
//! > (2) where, each time anyone is given more, the sum of `C` over all pods, those that are gone too, is within the
//! > ceiling, no stretch of `P` ever holds more than the ceiling:
//!
//! of a stretch that ends at `b`, look at the last time before `b` that anyone was given more.
//!
//! `S` is bounded by the largest share written since the one that the sidecar was last *seen* to obey: it takes no
//! revision lower than one it has obeyed, and takes them as whole allotments. What was seen is a [`Report`] with the
//! latest revision: then, and not when the patch was sent, a share has shrunk. `U` is bounded by the report too. Let it
//! say `u` at `τ`. If the pod's last message before `g` was after `τ`, by (1) `U` is at most a share that it may have
//! obeyed since `τ`, which is in `S`; if not, `U ≤ u`, and from `τ + P` on it is nothing. Hence `C = max(held, used)`,
//! and what is unknown for being stale is covered by `held`.
//!
//! A pod that is gone counts as before: by its farewell (which says `u`) for `P`; without one until its last allotment has
//! expired, and then, as (1) holds until that moment, for `P` more.
//!
//! # Why, for a second
//!
//! A message of `n` recipients taken at `t` under a share of `s` a second takes up the time until `t + n/s`; the pod's next
//! message comes later. Of a pod's messages in a stretch, all but the last take up time within it. So, where the shares
//! under which time is taken up at one moment never sum to more than `r`, all but each pod's last message are within
//! `r × T`. For that a share counts until the debt made under it is paid, although a smaller one is obeyed by then: a
//! sidecar reports as *used* of a rate a second the largest share whose time it still takes up, and `C = max(held, used)`
//! once more. Who has ended sends no second message: its debt is nobody's.
//!
//! # A past that was lost
//!
//! (1) needs the limiter's past. It is kept where a restarted container finds it. A sidecar that cannot be sure to have
//! all of it begins a new [`Life`]; an allotment names the life that it is for, and a new one obeys nothing before the
//! operator has heard of it. The former life then counts as a pod that is gone, for `P` from that moment.
//! Beyond that, a report of the same life which says less than one before lowers nothing inside the period: the highest
//! that was reported counts until it is a period old.
//!
//! # Clocks
//!
//! Two clocks of the operator's replicas and of pods differ by at most 30 s ([`SKEW_MAX_SECONDS`]). An allotment that
//! expires at `E` by a clock that lags so much is obeyed until `E` + 30 s by the operator's; a period that began by one
//! replica's clock and is over by another's may be 30 s short. Both are taken to be later by [`GUARD_SECONDS`].
//!
//! # Order, and two leaders
//!
//! A ledger is stored before the allotments written from it are sent, under its `resourceVersion`: of two that decide from
//! one ledger only one is stored, the other sends nothing. A patch that was lost is in the ledger, counts, and is sent
//! again. A patch that arrives late, from a former leader, has a lower revision: a sidecar that has obeyed a higher one
//! does not take it, and one that has not is not yet seen to, so that what is in it still counts.

mod demand;
mod holder;
mod key;
mod ledger;
mod obeyed;
mod pods;
mod spent;
mod split;
mod wire;

pub use key::{CeilingKey, Counted};
pub use ledger::{Granted, Ledger, LedgerError};
pub use obeyed::{Allotted, Closed, InForce, NotTaken, Outcome, ShareOf, never_fits};
pub use pods::{Pod, Word};
pub use wire::{Allotment, Farewell, Life, Report, Usage, WireError};

use jiff::{SignedDuration, Timestamp};

/// The annotation that holds a pod's [`Allotment`].
pub const ANNOTATION: &str = "mailpolicy.dev/allotment";

/// The port at a pod's address where its sidecar answers the operator and Prometheus.
pub const STATUS_PORT: u16 = 9250;

/// How long an allotment holds: twice [`RENEW_SECONDS`], so that sidecars go on for three hours at least without an
/// operator.
pub const LIFETIME_SECONDS: i64 = 6 * 3_600;

/// When an allotment is renewed.
pub const RENEW_SECONDS: i64 = 3 * 3_600;

/// The most that two clocks of the operator's replicas and of pods may differ: six times what the operator accepts of its
/// own against the API server's.
pub const SKEW_MAX_SECONDS: i64 = 30;

/// How much later than it should be something is taken to be over: the skew, and as much again for whole seconds and
/// clocks that run unevenly.
pub const GUARD_SECONDS: i64 = 2 * SKEW_MAX_SECONDS;

/// How long a debt on a rate a second is remembered of a sidecar that fell silent or lost its past: a message of the 50
/// recipients that SES takes at most owes 50 s at the lowest rate.
const DEBT_SECONDS: u64 = 300;

/// How long what was sent counts on a ceiling over so many seconds.
fn lookback(seconds: u64) -> i64 {
    let seconds = if seconds == 1 { DEBT_SECONDS } else { seconds };
    i64::try_from(seconds).unwrap_or(i64::MAX / 2)
}

/// So many seconds later.
fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
