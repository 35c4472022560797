//! Faults on request: which calls they hit, and what happens to those. Deterministic: no chance is involved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// Faults that may be armed at once.
const MAX_FAULTS: usize = 100;
/// The longest a call is made to wait.
pub const MAX_WAIT: Duration = Duration::from_mins(1);

/// A fault and the calls it hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// Only calls of this operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Only calls about this target, as the call log writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How many of those calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many are hit; without it, all until the fault is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For how long after it was armed; without it, until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_millis: Option<u64>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// Answered with `TooManyRequestsException`; nothing changes.
    Throttle,
    /// Answered with 500 `InternalServiceErrorException` or 503 `ServiceUnavailable`; nothing changes.
    Error {
        /// 500 or 503.
        status: u16,
    },
    /// No answer for this long, then the connection is cut; nothing changes.
    Hang {
        /// At most a minute.
        millis: u64,
    },
    /// The connection is cut at once; nothing changes.
    CutBefore,
    /// The change takes effect, then the connection is cut instead of an answer.
    LoseAnswer,
    /// The change takes effect, then no answer for this long, then the connection is cut.
    Withhold {
        /// At most a minute.
        millis: u64,
    },
    /// The call is done this much later.
    Latency {
        /// At most a minute.
        millis: u64,
    },
}

impl Effect {
    /// The word for the call log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error { .. } => "error",
            Self::Hang { .. } => "hang",
            Self::CutBefore => "cut-before",
            Self::LoseAnswer => "lose-answer",
            Self::Withhold { .. } => "withhold",
            Self::Latency { .. } => "latency",
        }
    }
}

/// Why a fault cannot be armed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// An error the simulator cannot make.
    #[error("an error's status must be 500 or 503, it is {0}")]
    Status(u16),
    /// A wait that would keep a connection too long.
    #[error("a wait must be at most {limit} milliseconds, it is {0}", limit = MAX_WAIT.as_millis())]
    Wait(u64),
    /// It would hit nothing.
    #[error("times must be at least 1")]
    Never,
    /// Too many.
    #[error("{MAX_FAULTS} faults are armed already: clear them first")]
    TooMany,
}

impl Fault {
    /// A fault that hits every call until it is cleared; narrow it with the fields.
    #[must_use]
    pub const fn every_call(effect: Effect) -> Self {
        Self {
            effect,
            operation: None,
            target: None,
            skip: 0,
            times: None,
            for_millis: None,
        }
    }

    /// A fault that hits the next `times` calls.
    #[must_use]
    pub fn next_calls(effect: Effect, times: u32) -> Self {
        Self {
            times: Some(times),
            ..Self::every_call(effect)
        }
    }

    fn check(&self) -> Result<(), FaultError> {
        match self.effect {
            Effect::Error { status } if status != 500 && status != 503 => Err(FaultError::Status(status)),
            Effect::Hang { millis } | Effect::Withhold { millis } | Effect::Latency { millis }
                if Duration::from_millis(millis) > MAX_WAIT =>
            {
                Err(FaultError::Wait(millis))
            }
            _ if self.times == Some(0) => Err(FaultError::Never),
            _ => Ok(()),
        }
    }

    fn concerns(&self, operation: Operation, target: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.target.as_ref().is_none_or(|wanted| wanted == target)
    }
}

/// The armed faults, in the order they were armed.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    armed: Vec<Armed>,
}

#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    until: Option<Duration>,
}

impl Faults {
    /// Arms a fault. `now` is elapsed time of the same clock as [`Faults::take`]'s.
    pub(super) fn arm(&mut self, fault: Fault, now: Duration) -> Result<(), FaultError> {
        fault.check()?;
        self.forget_finished(now);
        if self.armed.len() >= MAX_FAULTS {
            return Err(FaultError::TooMany);
        }
        let until = fault
            .for_millis
            .map(|millis| now.saturating_add(Duration::from_millis(millis)));
        self.armed.push(Armed { fault, until });
        Ok(())
    }

    /// Clears all of them.
    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// What is still armed, with what is left of it.
    pub(super) fn armed(&self) -> impl Iterator<Item = &Fault> {
        self.armed.iter().map(|armed| &armed.fault)
    }

    /// What happens to this call: the effect of the first fault that hits it. Every fault that concerns it and is
    /// still skipping counts it as passed.
    pub(super) fn take(&mut self, operation: Operation, target: &str, now: Duration) -> Option<Effect> {
        if self.armed.is_empty() {
            return None;
        }
        self.forget_finished(now);
        for Armed { fault, .. } in &mut self.armed {
            if !fault.concerns(operation, target) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            return Some(fault.effect);
        }
        None
    }

    fn forget_finished(&mut self, now: Duration) {
        self.armed
            .retain(|Armed { fault, until }| fault.times != Some(0) && until.is_none_or(|until| now < until));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn armed(fault: Fault) -> Faults {
        let mut faults = Faults::default();
        faults.arm(fault, NOW).unwrap();
        faults
    }

    fn take(faults: &mut Faults, operation: Operation, target: &str) -> Option<Effect> {
        faults.take(operation, target, NOW)
    }

    #[test]
    fn the_next_two_calls_are_hit_and_the_third_is_not() {
        let mut faults = armed(Fault::next_calls(Effect::Throttle, 2));
        let hit = [(); 3].map(|()| take(&mut faults, Operation::GetAccount, "").is_some());
        assert_eq!(hit, [true, true, false]);
    }

    #[test]
    fn a_fault_can_wait_for_the_nth_call_of_one_operation() {
        let fault = Fault {
            operation: Some(Operation::CreateTenant),
            skip: 1,
            ..Fault::next_calls(Effect::LoseAnswer, 1)
        };
        let mut faults = armed(fault);
        assert_eq!(take(&mut faults, Operation::GetTenant, "a"), None);
        assert_eq!(take(&mut faults, Operation::CreateTenant, "a"), None);
        assert_eq!(
            take(&mut faults, Operation::CreateTenant, "b"),
            Some(Effect::LoseAnswer)
        );
        assert_eq!(take(&mut faults, Operation::CreateTenant, "c"), None);
    }

    #[test]
    fn a_fault_can_be_about_one_target() {
        let mut faults = armed(Fault {
            target: Some("b".to_owned()),
            ..Fault::every_call(Effect::CutBefore)
        });
        assert_eq!(take(&mut faults, Operation::DeleteConfigurationSet, "a"), None);
        assert_eq!(
            take(&mut faults, Operation::DeleteConfigurationSet, "b"),
            Some(Effect::CutBefore)
        );
    }

    #[test]
    fn a_fault_for_a_time_ends_with_it() {
        let mut faults = armed(Fault {
            for_millis: Some(100),
            ..Fault::every_call(Effect::Throttle)
        });
        let mut at = |millis| {
            faults
                .take(Operation::GetAccount, "", Duration::from_millis(millis))
                .is_some()
        };
        assert_eq!([at(0), at(99), at(100)], [true, true, false]);
    }

    #[test]
    fn a_fault_without_an_end_hits_until_it_is_cleared() {
        let mut faults = armed(Fault::every_call(Effect::Throttle));
        assert!((0..1000).all(|_| take(&mut faults, Operation::GetAccount, "").is_some()));
        faults.clear();
        assert_eq!(take(&mut faults, Operation::GetAccount, ""), None);
    }

    #[test]
    fn what_cannot_be_armed() {
        let arm = |fault| Faults::default().arm(fault, NOW).unwrap_err();
        assert_eq!(
            arm(Fault::every_call(Effect::Error { status: 404 })),
            FaultError::Status(404)
        );
        assert_eq!(
            arm(Fault::every_call(Effect::Hang { millis: 60_001 })),
            FaultError::Wait(60_001)
        );
        assert_eq!(
            arm(Fault::every_call(Effect::Latency { millis: 60_001 })),
            FaultError::Wait(60_001)
        );
        assert_eq!(
            arm(Fault::every_call(Effect::Withhold { millis: 60_001 })),
            FaultError::Wait(60_001)
        );
        assert_eq!(arm(Fault::next_calls(Effect::Throttle, 0)), FaultError::Never);
    }

    #[test]
    fn there_are_at_most_a_hundred() {
        let mut faults = Faults::default();
        for _ in 0..MAX_FAULTS {
            faults.arm(Fault::every_call(Effect::Throttle), NOW).unwrap();
        }
        assert_eq!(
            faults.arm(Fault::every_call(Effect::Throttle), NOW),
            Err(FaultError::TooMany)
        );
    }

    #[test]
    fn a_fault_reads_as_the_documentation_writes_it() {
        let json = r#"{"effect":{"error":{"status":503}},"operation":"GetAccount","times":3}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        let expected = Fault {
            operation: Some(Operation::GetAccount),
            ..Fault::next_calls(Effect::Error { status: 503 }, 3)
        };
        assert_eq!(fault, expected);
        let unknown = serde_json::from_str::<Fault>(r#"{"effect":"throttle","operation":"GetNothing"}"#).unwrap_err();
        assert!(unknown.to_string().contains("GetNothing"), "{unknown}");
    }
}
