//! The mode now, and what follows it.

use jiff::Timestamp;

use super::Namespace;
use crate::{
    api::{Mode, window::WindowPhase},
    policy::{Meet, Source, Sourced},
};

impl Namespace<'_> {
    /// The mode, and what follows it when an open window ends.
    pub(super) fn mode(&self, name: &str, asked: Mode, source: &Source) -> (Sourced<Mode>, Option<(Timestamp, Mode)>) {
        let silent = || Sourced::new(Mode::Paused, Source::Default);
        let base = Sourced::new(asked, source.clone()).and(self.bounds.max_mode.clone().unwrap_or_else(silent));
        let open: Vec<(Timestamp, Sourced<Mode>)> = self
            .facts
            .windows
            .iter()
            .filter(|window| window.policy == name)
            .filter(|window| {
                self.verdicts
                    .get(&window.name)
                    .is_some_and(|v| v.phase == WindowPhase::Open)
            })
            .filter_map(|window| {
                let most = self.bounds.window_mode.clone()?;
                let mode = Sourced::new(window.mode, Source::MailWindow(window.name.clone()));
                let raised = Sourced {
                    value: mode.value.meet(&most.value),
                    from: &mode.from | &most.from,
                };
                // A window below the base changes nothing.
                (raised.value > base.value).then_some((window.until, raised))
            })
            .collect();
        let raised_after = |moment: Timestamp| {
            open.iter()
                .filter(|(until, _)| *until > moment)
                .map(|(_, mode)| mode)
                .max_by_key(|mode| mode.value)
                .unwrap_or(&base)
        };
        let mode = raised_after(self.facts.now).clone();
        let mut ends: Vec<Timestamp> = open.iter().map(|(until, _)| *until).collect();
        ends.sort_unstable();
        let then = ends
            .into_iter()
            .map(|end| (end, raised_after(end).value))
            .find(|(_, then)| *then < mode.value);
        (mode, then)
    }
}
