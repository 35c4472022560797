//! What follows a mode when open windows end: a stair that only goes down.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Meet;
use crate::api::Mode;

/// A mode, and from when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// From when it holds, until the next step.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: Timestamp,
    /// The mode.
    pub mode: Mode,
}

/// Steps, each later and lower than the one before: at most one for each mode but the highest. The last one stays.
///
/// Whoever follows them needs nobody to tell that a window is over, and never goes up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Step>", into = "Vec<Step>")]
pub struct Steps(Vec<Step>);

/// A step that is not later and lower than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("each step must be later and lower than the one before")]
pub struct NotFalling;

impl Steps {
    /// Of these changes of a mode, in the order of time, those that lower it.
    #[must_use]
    pub fn falling(mode: Mode, changes: impl IntoIterator<Item = Step>) -> Self {
        let mut lowest = mode;
        let lowers = |step: &Step| {
            let lowers = step.mode < lowest;
            lowest = lowest.min(step.mode);
            lowers
        };
        Self(changes.into_iter().filter(lowers).collect())
    }

    /// The steps, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.0.iter()
    }

    /// Whether the mode stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a mode that these steps follow is at a moment.
    #[must_use]
    pub fn at(&self, mode: Mode, moment: Timestamp) -> Mode {
        let reached = self.0.iter().take_while(|step| step.from <= moment).last();
        // Steps that were read need not be lower than the mode that they stand beside.
        reached.map_or(mode, |step| step.mode.min(mode))
    }

    /// The steps of the meet of two modes with their steps.
    #[must_use]
    pub fn meet((one, ones): (Mode, &Self), (two, twos): (Mode, &Self)) -> Self {
        let mut moments: Vec<Timestamp> = ones.iter().chain(twos.iter()).map(|step| step.from).collect();
        moments.sort_unstable();
        let met = |from| Step {
            from,
            mode: ones.at(one, from).meet(&twos.at(two, from)),
        };
        Self::falling(one.meet(&two), moments.into_iter().map(met))
    }
}

impl TryFrom<Vec<Step>> for Steps {
    type Error = NotFalling;

    fn try_from(steps: Vec<Step>) -> Result<Self, NotFalling> {
        let falls = |pair: &[Step]| match pair {
            [one, two] => one.from < two.from && one.mode > two.mode,
            _ => true,
        };
        if steps.windows(2).all(falls) {
            Ok(Self(steps))
        } else {
            Err(NotFalling)
        }
    }
}

impl From<Steps> for Vec<Step> {
    fn from(steps: Steps) -> Self {
        steps.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn step(second: i64, mode: Mode) -> Step {
        Step {
            from: Timestamp::from_second(second).unwrap(),
            mode,
        }
    }

    fn steps(steps: &[Step]) -> Steps {
        Steps::try_from(steps.to_vec()).unwrap()
    }

    #[test]
    fn a_mode_that_nothing_follows_stays() {
        assert_eq!(Steps::falling(Mode::Live, []), Steps::default());
        assert_eq!(Steps::default().at(Mode::Live, Timestamp::MAX), Mode::Live);
    }

    #[test]
    fn only_what_lowers_the_mode_is_a_step() {
        let changes = [
            step(1, Mode::Live),
            step(2, Mode::Simulate),
            step(3, Mode::Restricted),
            step(4, Mode::Paused),
        ];
        let expected = steps(&[step(2, Mode::Simulate), step(4, Mode::Paused)]);
        assert_eq!(Steps::falling(Mode::Live, changes), expected);
    }

    #[test]
    fn a_step_holds_from_its_very_second() {
        let stair = steps(&[step(10, Mode::Restricted), step(20, Mode::Paused)]);
        let at = |second| stair.at(Mode::Live, Timestamp::from_second(second).unwrap());
        assert_eq!(
            [9, 10, 19, 20].map(at),
            [Mode::Live, Mode::Restricted, Mode::Restricted, Mode::Paused]
        );
    }

    #[test]
    fn no_step_lifts_the_mode_that_it_follows() {
        let stair = steps(&[step(10, Mode::Live), step(20, Mode::Capture)]);
        assert_eq!(
            stair.at(Mode::Simulate, Timestamp::from_second(15).unwrap()),
            Mode::Simulate
        );
    }

    #[test]
    fn the_meet_is_at_every_moment_the_lower_of_both() {
        let (ones, twos) = (
            steps(&[step(10, Mode::Paused)]),
            steps(&[step(5, Mode::Capture), step(20, Mode::Paused)]),
        );
        let met = Steps::meet((Mode::Live, &ones), (Mode::Simulate, &twos));
        assert_eq!(met, steps(&[step(5, Mode::Capture), step(10, Mode::Paused)]));
    }

    #[test]
    fn steps_that_rise_or_go_back_in_time_are_not_read() {
        for wrong in [
            [step(1, Mode::Paused), step(2, Mode::Live)],
            [step(2, Mode::Live), step(1, Mode::Paused)],
        ] {
            let text = serde_json::to_string(&wrong).unwrap();
            let error = serde_json::from_str::<Steps>(&text).unwrap_err();
            assert!(error.to_string().contains(&NotFalling.to_string()), "{error}");
        }
    }
}
