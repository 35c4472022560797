//! What is remembered of a configuration set between two reconciliations, and over a restart: a hash for each option
//! group and destination, so that a change costs exactly what differs and an unchanged set costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use super::desired::{DesiredSet, Destination, SetOptions, fingerprint_text};
use super::name::DestinationName;

const SENDING: &str = "sending";
const UNDER_WAY: &str = "underWay";
const OWNER: &str = "owner";
const TENANT: &str = "tenant";
const DESTINATION: &str = "destination/";

/// What stands in SES as far as we left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SetMemory(BTreeMap<String, String>);

impl SetMemory {
    /// What is to be remembered once all of this stands.
    #[must_use]
    pub fn of(desired: &DesiredSet) -> Self {
        let DesiredSet {
            name: _,
            owner,
            sending,
            options,
            destinations,
            tenant,
        } = desired;
        let SetOptions {
            delivery,
            reputation_metrics,
            tracking,
            suppression,
            vdm,
            archive,
            signing,
        } = options;
        let groups = [
            (SENDING, switch(*sending).to_owned()),
            (OWNER, fingerprint_text(owner)),
            (TENANT, fingerprint_text(tenant)),
            ("delivery", fingerprint_text(delivery)),
            ("reputationMetrics", fingerprint_text(reputation_metrics)),
            ("tracking", fingerprint_text(tracking)),
            ("suppression", fingerprint_text(suppression)),
            ("vdm", fingerprint_text(vdm)),
            ("archive", fingerprint_text(archive)),
            ("signing", fingerprint_text(signing)),
        ];
        let destinations = destinations
            .iter()
            .map(|(name, destination)| (format!("{DESTINATION}{name}"), fingerprint_text(destination)));
        Self(
            groups
                .into_iter()
                .map(|(group, hash)| (group.to_owned(), hash))
                .chain(destinations)
                .collect(),
        )
    }

    /// The same, with the switch found otherwise in SES.
    #[must_use]
    pub fn with_sending(mut self, sending: bool) -> Self {
        self.0.insert(SENDING.to_owned(), switch(sending).to_owned());
        self
    }

    /// The same, while the switch is being thrown: nobody knows how it stands until the call is over.
    #[must_use]
    pub fn with_switch_under_way(mut self) -> Self {
        self.0.insert(SENDING.to_owned(), UNDER_WAY.to_owned());
        self
    }

    /// The same, without an option group that does not stand as wanted.
    #[must_use]
    pub fn without(mut self, group: &str) -> Self {
        self.0.remove(group);
        self
    }

    /// The same, without the event destinations, none of which was touched.
    #[must_use]
    pub fn without_destinations(mut self) -> Self {
        self.0.retain(|key, _| !key.starts_with(DESTINATION));
        self
    }

    /// Of a change that was cut somewhere: the switch alone, everything else must be read.
    #[must_use]
    pub fn only_switch(mut self) -> Self {
        self.0.retain(|key, _| key == SENDING);
        self
    }

    /// As a status keeps it.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The switch as it stands; `None` where nothing is remembered, or it was left half-way.
    #[must_use]
    pub fn sending(&self) -> Option<bool> {
        let word = self.0.get(SENDING)?;
        [true, false].into_iter().find(|on| word == switch(*on))
    }

    /// Whether what is remembered is of this owner, in this tenant.
    pub(super) fn is_of(&self, desired: &DesiredSet) -> bool {
        self.has(OWNER, &desired.owner) && self.has(TENANT, &desired.tenant)
    }

    pub(super) fn has(&self, group: &str, value: &impl Hash) -> bool {
        self.0.get(group).is_some_and(|hash| *hash == fingerprint_text(value))
    }

    pub(super) fn has_destination(&self, name: &DestinationName, destination: &Destination) -> bool {
        self.has(&format!("{DESTINATION}{name}"), destination)
    }

    /// The destinations that stand; `None` where a name cannot be one.
    pub(super) fn destinations(&self) -> Option<BTreeSet<DestinationName>> {
        self.0
            .keys()
            .filter_map(|key| key.strip_prefix(DESTINATION))
            .map(|name| DestinationName::parse(name).ok())
            .collect()
    }
}

impl From<BTreeMap<String, String>> for SetMemory {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_known_unless_it_was_left_half_way() {
        let memory = SetMemory::default();
        assert_eq!(memory.sending(), None);
        for on in [true, false] {
            let settled = memory.clone().with_sending(on);
            assert_eq!(settled.sending(), Some(on));
            assert_eq!(settled.with_switch_under_way().sending(), None);
        }
    }
}
