//! What of a standing set differs from the wanted one, whether it was read in SES or is remembered.

use std::collections::BTreeSet;

use super::super::desired::{DesiredSet, SetOptions, Suppression};
use super::super::memory::SetMemory;
use super::super::name::{DestinationName, TenantName};
use super::super::observed::{ObservedDestination, ObservedSet};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The switch as it stands.
    pub(super) standing_sending: bool,
    /// The option groups.
    pub(super) options: OptionsDiffer,
    /// Destinations that nobody wants.
    pub(super) stale: BTreeSet<DestinationName>,
    /// Destinations that stand otherwise.
    pub(super) replaced: BTreeSet<DestinationName>,
    /// Destinations that do not stand.
    pub(super) missing: BTreeSet<DestinationName>,
    /// Tenants that the set should not belong to.
    pub(super) leave: Vec<TenantName>,
    /// Whether the set is not in its tenant yet.
    pub(super) join: bool,
}

/// Whether each option group differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // One a group, each a request of its own.
pub(super) struct OptionsDiffer {
    pub(super) delivery: bool,
    pub(super) reputation_metrics: bool,
    pub(super) tracking: bool,
    pub(super) suppression: bool,
    pub(super) vdm: bool,
    pub(super) archive: bool,
    pub(super) signing: bool,
}

impl Difference {
    /// From what was read.
    pub(super) fn read(desired: &DesiredSet, observed: &ObservedSet) -> Self {
        let DesiredSet {
            name: _,
            owner: _,
            sending: _,
            options,
            destinations,
            tenant,
        } = desired;
        let standing = &observed.record.options;
        let SetOptions {
            delivery,
            reputation_metrics,
            tracking,
            suppression,
            vdm,
            archive,
            signing,
        } = options;
        let (mut replaced, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for (name, wanted) in destinations {
            match observed.destinations.get(name) {
                None => _ = missing.insert(name.clone()),
                Some(ObservedDestination::Known(standing)) if standing == wanted => {}
                Some(ObservedDestination::Known(_) | ObservedDestination::Other) => _ = replaced.insert(name.clone()),
            }
        }
        Self {
            standing_sending: observed.record.sending,
            options: OptionsDiffer {
                delivery: standing.delivery != *delivery,
                reputation_metrics: standing.reputation_metrics != *reputation_metrics,
                tracking: standing.tracking != *tracking,
                suppression: standing.suppression != *suppression,
                vdm: standing.vdm != *vdm,
                archive: standing.archive != *archive,
                signing: standing.signing != *signing,
            },
            stale: observed
                .destinations
                .keys()
                .filter(|name| !destinations.contains_key(*name))
                .cloned()
                .collect(),
            replaced,
            missing,
            leave: observed
                .tenants
                .iter()
                .flatten()
                .filter(|one| Some(*one) != tenant.as_ref())
                .cloned()
                .collect(),
            // Where nobody asked for the set's tenants, nothing is known to differ.
            join: tenant
                .as_ref()
                .is_some_and(|wanted| observed.tenants.as_ref().is_some_and(|all| !all.contains(wanted))),
        }
    }

    /// From what is remembered. `None` where memory does not tell enough: the set has another owner or tenant than it
    /// had, or must perhaps be made anew.
    pub(super) fn remembered(desired: &DesiredSet, memory: &SetMemory) -> Option<Self> {
        let SetOptions {
            delivery,
            reputation_metrics,
            tracking,
            suppression,
            vdm,
            archive,
            signing,
        } = &desired.options;
        if !memory.is_of(desired) {
            return None;
        }
        let options = OptionsDiffer {
            delivery: !memory.has("delivery", delivery),
            reputation_metrics: !memory.has("reputationMetrics", reputation_metrics),
            tracking: !memory.has("tracking", tracking),
            suppression: !memory.has("suppression", suppression),
            vdm: !memory.has("vdm", vdm),
            archive: !memory.has("archive", archive),
            signing: !memory.has("signing", signing),
        };
        if options.suppression && *suppression == Suppression::Inherit {
            return None;
        }
        let standing = memory.destinations()?;
        let (there, missing) = desired
            .destinations
            .iter()
            .partition::<Vec<_>, _>(|(name, _)| standing.contains(*name));
        Some(Self {
            standing_sending: memory.sending()?,
            options,
            stale: standing
                .into_iter()
                .filter(|name| !desired.destinations.contains_key(name))
                .collect(),
            replaced: there
                .into_iter()
                .filter(|(name, wanted)| !memory.has_destination(name, wanted))
                .map(|(name, _)| name.clone())
                .collect(),
            missing: missing.into_iter().map(|(name, _)| name.clone()).collect(),
            leave: Vec::new(),
            join: false,
        })
    }
}
