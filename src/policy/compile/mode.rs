//! The mode now, and what follows it.

use jiff::Timestamp;

use super::Namespace;
use crate::{
    api::{Mode, window::WindowPhase},
    policy::{Meet, Source, Sourced, Step, Steps},
};

/// An open window: until when it lifts the mode, and to what, as far as the guardrails let it.
pub(super) struct Lift {
    until: Timestamp,
    mode: Sourced<Mode>,
}

impl Namespace<'_> {
    /// What the open windows of a policy lift its mode to.
    pub(super) fn lifts(&self, policy: &str) -> Vec<Lift> {
        let Some(most) = &self.bounds.window_mode else {
            return Vec::new();
        };
        let is_open = |name: &str| {
            self.verdicts
                .get(name)
                .is_some_and(|verdict| verdict.phase == WindowPhase::Open)
        };
        self.facts
            .windows
            .iter()
            .filter(|window| window.policy == policy && is_open(&window.name))
            .map(|window| {
                let from = [Source::MailWindow(window.name.clone())].into();
                Lift {
                    until: window.until,
                    mode: Sourced {
                        value: window.mode.meet(&most.value),
                        from: &from | &most.from,
                    },
                }
            })
            .collect()
    }

    /// The mode now, and every step down to the one that stays when the last window has ended.
    pub(super) fn mode(&self, asked: Sourced<Mode>, lifts: &[Lift]) -> (Sourced<Mode>, Steps) {
        let silent = || Sourced::new(Mode::Paused, Source::Default);
        let base = asked.and(self.bounds.max_mode.clone().unwrap_or_else(silent));
        let after = |moment: Timestamp| {
            lifts
                .iter()
                // A window below the base changes nothing.
                .filter(|lift| lift.until > moment && lift.mode.value > base.value)
                .map(|lift| &lift.mode)
                .max_by_key(|mode| mode.value)
                .unwrap_or(&base)
        };
        let mode = after(self.facts.now).clone();
        let mut ends: Vec<Timestamp> = lifts.iter().map(|lift| lift.until).collect();
        ends.sort_unstable();
        let then = ends.into_iter().map(|from| Step {
            from,
            mode: after(from).value,
        });
        let then = Steps::falling(mode.value, then);
        (mode, then)
    }
}
