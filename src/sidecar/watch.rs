//! What is mounted becomes the rules in force, within a second of every change.

use std::{path::Path, rc::Rc, time::Duration};

use tracing::{info, warn};

use super::{
    desk::Desk,
    metrics::Folder,
    mounts::{self, MountError, Mounts, Newness, Watched},
    rules::Rules,
};
use crate::policy::{
    SidecarConfig,
    gate::{Gate, Suppressed},
};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(200);

/// What was read last, and what is in force by it.
pub struct Watch {
    mounts: Mounts,
    config_files: Watched,
    suppression_files: Watched,
    credential_files: Option<Watched>,
    allotment_file: Option<Watched>,
    config: Option<SidecarConfig>,
    suppressed: Option<Suppressed>,
    newness: Newness,
}

impl Watch {
    /// Nothing read yet.
    #[must_use]
    pub fn new(mounts: Mounts) -> Self {
        let credentials = mounts.credentials.as_ref();
        let allotment = mounts.allotment.as_ref();
        Self {
            config_files: Watched::new(&mounts.config, &["sidecar.yaml"]),
            suppression_files: Watched::new(&mounts.suppressions, &["key", "revision", "hashes"]),
            credential_files: credentials.map(|folder| {
                Watched::new(
                    folder,
                    &["accessKeyId", "secretAccessKey", "sessionToken", "expiration"],
                )
            }),
            allotment_file: allotment.map(|file| Watched::file(file)),
            config: None,
            suppressed: None,
            newness: Newness::default(),
            mounts,
        }
    }

    /// Looks again and again.
    pub async fn run(mut self, desk: Rc<Desk>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(&desk);
        }
    }

    /// Reads what has changed.
    pub fn look(&mut self, desk: &Desk) {
        desk.keep_past();
        if let (Some(files), Some(folder)) = (&mut self.credential_files, &self.mounts.credentials) {
            files.if_changed(|| desk.relay().credentials().read(folder));
        }
        if let (Some(file), Some(path)) = (&mut self.allotment_file, &self.mounts.allotment) {
            file.if_changed(|| take_allotment(desk, path));
        }
        let config = self.config_files.if_changed(|| mounts::config(&self.mounts.config));
        let suppressed = self
            .suppression_files
            .if_changed(|| mounts::suppressions(&self.mounts.suppressions));
        if config.is_none() && suppressed.is_none() {
            return;
        }
        if let Some(read) = config.and_then(|read| readable(desk, "config", read)) {
            self.config = read;
        }
        if let Some(read) = suppressed.and_then(|read| readable(desk, "suppressions", read)) {
            self.suppressed = read;
        }
        let now = desk.pulse.now();
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
        desk.metrics.config_read.set(now.as_second() as f64);
        desk.set_rules(Rules::new(self.gate(), now));
        info!("what is mounted has changed and is in force");
    }

    fn gate(&mut self) -> Result<Gate, String> {
        let config = self
            .config
            .clone()
            .ok_or("the namespace has no mail configuration (ConfigMap mail-sidecar)")?;
        let at_hand = self.suppressed.as_ref().map(Suppressed::revision);
        let suffices = self.newness.suffices(&config.suppressions.revision, at_hand);
        Ok(Gate::new(config, self.suppressed.clone().filter(|_| suffices)))
    }
}

/// What was read; of what cannot be, the last stays.
fn readable<T>(desk: &Desk, folder: &'static str, read: Result<T, MountError>) -> Option<T> {
    let gauge = desk.metrics.readable.get_or_create(&Folder { folder }).clone();
    match read {
        Ok(read) => {
            gauge.set(1);
            Some(read)
        }
        Err(error) => {
            gauge.set(0);
            warn!(folder, %error, "what is mounted cannot be read: the last that could stays in force");
            None
        }
    }
}

/// Obeys what stands in the file. Before the first allotment there is none, or it is empty.
fn take_allotment(desk: &Desk, path: &Path) {
    let gauge = desk
        .metrics
        .readable
        .get_or_create(&Folder { folder: "allotment" })
        .clone();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            gauge.set(0);
            warn!(%error, "the pod's allotment cannot be read: the last that could stays in force");
            return;
        }
    };
    if text.is_empty() {
        return;
    }
    match desk.take_allotment(&text) {
        Ok(()) => {
            gauge.set(1);
        }
        Err(error) => {
            gauge.set(0);
            warn!(%error, "the pod's allotment is not taken: the last that was stays in force");
        }
    }
}
