//! Conditions, built by pure functions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Types of conditions. `Reconciling` and `Stalled` are present only while they are true, as kstatus reads them.
pub mod kind {
    /// What the spec asks is in force, as far as it may be.
    pub const READY: &str = "Ready";
    /// The spec can be read and compiled.
    pub const ACCEPTED: &str = "Accepted";
    /// A bound made the spec's wish smaller.
    pub const CLAMPED: &str = "Clamped";
    /// SES stands as compiled.
    pub const PROGRAMMED: &str = "Programmed";
    /// SES accepts mail of this policy.
    pub const SENDING_ENABLED: &str = "SendingEnabled";
    /// The sum of ceilings is within the account's quota.
    pub const WITHIN_QUOTA: &str = "WithinQuota";
    /// The account is neither under review nor paused.
    pub const HEALTHY: &str = "Healthy";
    /// SES lets every identity of the account send.
    pub const IDENTITIES_VERIFIED: &str = "IdentitiesVerified";
    /// Mail of the identities that are to be sealed goes nowhere unless it names a configuration set. Present only where a
    /// seal is wanted, or could not be taken off.
    pub const IDENTITIES_SEALED: &str = "IdentitiesSealed";
    /// SES was found changed behind the operator's back.
    pub const DRIFTED: &str = "Drifted";
    /// The tenant sends although SES has open findings on it, which it ignores. Present only then.
    pub const REINSTATED: &str = "Reinstated";
    /// It is being deleted and stays because it is used. Present only then.
    pub const IN_USE: &str = "InUse";
    /// The operator is at work, or will be again without help.
    pub const RECONCILING: &str = "Reconciling";
    /// Only a person can mend it.
    pub const STALLED: &str = "Stalled";
}

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type, of [`kind`].
    pub kind: &'static str,
    /// `Some(true)` is True, `None` is Unknown.
    pub status: Option<bool>,
    /// A bounded `PascalCase` word for machines.
    pub reason: &'static str,
    /// A sentence for people: what, where, and how to mend it.
    pub message: String,
}

impl Finding {
    /// A condition that is true.
    pub fn yes(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: Some(true),
            reason,
            message: message.into(),
        }
    }

    /// A condition that is false.
    pub fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: Some(false),
            reason,
            message: message.into(),
        }
    }

    /// A condition of which nothing is known yet.
    pub fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            reason,
            message: message.into(),
        }
    }

    fn status_word(&self) -> &'static str {
        match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// The longest message: the API server refuses more.
const MESSAGE_MAX: usize = 1024;

/// The conditions after these findings. One whose status stays keeps its transition time.
#[must_use]
pub fn merge(before: &[Condition], findings: Vec<Finding>, generation: Option<i64>, now: &Time) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = findings
        .into_iter()
        .map(|finding| {
            let same = before
                .iter()
                .find(|old| old.type_ == finding.kind && old.status == finding.status_word());
            Condition {
                last_transition_time: same.map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
                status: finding.status_word().to_owned(),
                type_: finding.kind.to_owned(),
                reason: finding.reason.to_owned(),
                message: bounded(finding.message, MESSAGE_MAX),
                observed_generation: generation,
            }
        })
        .collect();
    conditions.sort_by(|one, two| one.type_.cmp(&two.type_));
    conditions
}

/// The conditions with these findings in the place of those of the same types; `before` is what they follow.
#[must_use]
pub fn put(
    mut conditions: Vec<Condition>,
    findings: Vec<Finding>,
    before: &[Condition],
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    let found = merge(before, findings, generation, now);
    conditions.retain(|condition| found.iter().all(|found| found.type_ != condition.type_));
    conditions.extend(found);
    conditions.sort_by(|one, two| one.type_.cmp(&two.type_));
    conditions
}

/// Cuts a text at a character's border so that it has at most `max` bytes.
#[must_use]
pub fn bounded(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max - '…'.len_utf8())
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether the condition of this type is true.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Whether the condition of this type is false.
#[must_use]
pub fn is_false(conditions: &[Condition], kind: &str) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "False")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(jiff::Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn a_condition_whose_status_stays_keeps_its_time_and_one_that_changes_gets_the_new_one() {
        let before = merge(
            &[],
            vec![
                Finding::yes(kind::READY, "A", "a"),
                Finding::yes(kind::ACCEPTED, "A", "a"),
            ],
            Some(1),
            &at(1),
        );
        let after = merge(
            &before,
            vec![
                Finding::yes(kind::READY, "B", "b"),
                Finding::no(kind::ACCEPTED, "B", "b"),
            ],
            Some(2),
            &at(2),
        );
        assert_eq!(after[0].type_, kind::ACCEPTED);
        assert_eq!(after[0].last_transition_time, at(2));
        assert_eq!(after[1].last_transition_time, at(1));
        assert_eq!(after[1].observed_generation, Some(2));
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        assert_eq!(bounded("ééé".to_owned(), 6), "ééé");
        assert_eq!(bounded("éééé".to_owned(), 6), "é…");
        let long = merge(
            &[],
            vec![Finding::unknown(kind::READY, "A", "é".repeat(2000))],
            None,
            &at(1),
        );
        assert!(long[0].message.len() <= MESSAGE_MAX);
    }

    #[test]
    fn a_finding_is_put_among_others_which_stay_as_they_are() {
        let ready = merge(
            &[],
            vec![Finding::yes(kind::READY, "Reached", "it is")],
            Some(1),
            &at(1),
        );
        let put = |before: &[Condition], message: &str, second| {
            let in_use = Finding::yes(kind::IN_USE, "StillNamed", message);
            put(ready.clone(), vec![in_use], before, Some(2), &at(second))
        };
        let once = put(&ready, "by a", 2);
        let twice = put(&once, "by b", 3);
        let shown: Vec<_> = twice
            .iter()
            .map(|it| (it.type_.as_str(), it.message.as_str(), &it.last_transition_time))
            .collect();
        assert_eq!(shown, [(kind::IN_USE, "by b", &at(2)), (kind::READY, "it is", &at(1))]);
    }
}
