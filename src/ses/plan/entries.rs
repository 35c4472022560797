//! Entries of suppression lists.

use super::super::call::SesCall;
use super::super::desired::{DesiredEntries, Reason};
use super::super::observed::{EntryOrigin, ObservedEntries, ObservedEntry};
use super::{Finding, Plan};

/// What brings the lists to what is wanted: additions, which suppress, before removals.
///
/// `observed` holds what is known of the entries named in `desired`; an entry it lacks is not listed. What SES listed by
/// itself is evidence, which a call would overwrite; and no complaint is made a bounce of.
#[must_use]
pub fn plan_entries(desired: &DesiredEntries, observed: &ObservedEntries) -> Plan {
    let DesiredEntries {
        listed,
        released,
        retired,
    } = desired;
    let mut plan = Plan::default();
    for (key, reason) in listed.iter().filter(|(key, _)| !released.contains(*key)) {
        if observed.get(key).is_none_or(|&entry| may_be_raised(entry, *reason)) {
            let (list, address) = key.clone();
            plan.step(SesCall::ListAddress {
                list,
                address,
                reason: *reason,
            });
        }
    }
    for (list, address) in released.iter().filter(|key| observed.contains_key(*key)) {
        plan.step(SesCall::UnlistAddress {
            list: list.clone(),
            address: address.clone(),
        });
    }
    let mut kept = 0;
    let wanted = |key: &&_| !released.contains(*key) && !listed.contains_key(*key);
    for key in retired.iter().filter(wanted) {
        match observed.get(key).map(|entry| entry.origin) {
            Some(EntryOrigin::Manual) => {
                let (list, address) = key.clone();
                plan.step(SesCall::UnlistAddress { list, address });
            }
            // SES's own evidence: only a release takes it off.
            Some(EntryOrigin::Automatic) | None => {}
            Some(EntryOrigin::Unknown) => kept += 1,
        }
    }
    if kept > 0 {
        plan.find(Finding::EntriesKept { count: kept });
    }
    plan
}

/// Whether an entry that a call made shall stand for a graver reason.
fn may_be_raised(entry: ObservedEntry, wanted: Reason) -> bool {
    entry.origin == EntryOrigin::Manual && entry.reason == Reason::Bounce && wanted == Reason::Complaint
}

#[cfg(test)]
mod tests {
    use super::super::super::address::Address;
    use super::super::super::desired::SuppressionList;
    use super::*;

    fn key(name: &str) -> (SuppressionList, Address) {
        (SuppressionList::Account, Address::new(&format!("{name}@example.com")))
    }

    fn entry(reason: Reason, origin: EntryOrigin) -> ObservedEntry {
        ObservedEntry { reason, origin }
    }

    #[test]
    fn what_is_listed_for_the_wanted_reason_needs_nothing() {
        let desired = DesiredEntries {
            listed: [(key("a"), Reason::Bounce)].into(),
            ..DesiredEntries::default()
        };
        let observed = [(key("a"), entry(Reason::Bounce, EntryOrigin::Automatic))].into();
        assert_eq!(plan_entries(&desired, &observed).to_string(), "nothing to do\n");
    }

    #[test]
    fn what_is_missing_or_stands_for_a_lesser_reason_is_listed() {
        let listed = [(key("a"), Reason::Bounce), (key("b"), Reason::Complaint)].into();
        let observed = [(key("b"), entry(Reason::Bounce, EntryOrigin::Manual))].into();
        let plan = plan_entries(
            &DesiredEntries {
                listed,
                ..DesiredEntries::default()
            },
            &observed,
        );
        let calls = [("a", Reason::Bounce), ("b", Reason::Complaint)].map(|(name, reason)| {
            let (list, address) = key(name);
            SesCall::ListAddress { list, address, reason }
        });
        assert_eq!(plan.steps(), calls);
    }

    #[test]
    fn neither_the_evidence_of_ses_nor_a_complaint_is_overwritten() {
        let wanted = |reason| DesiredEntries {
            listed: [(key("a"), reason)].into(),
            ..DesiredEntries::default()
        };
        for (standing, wanted_reason) in [
            (entry(Reason::Complaint, EntryOrigin::Automatic), Reason::Bounce),
            (entry(Reason::Bounce, EntryOrigin::Automatic), Reason::Complaint),
            (entry(Reason::Complaint, EntryOrigin::Manual), Reason::Bounce),
            (entry(Reason::Bounce, EntryOrigin::Unknown), Reason::Complaint),
        ] {
            let plan = plan_entries(&wanted(wanted_reason), &[(key("a"), standing)].into());
            assert!(plan.is_empty(), "{standing:?}: {plan}");
        }
    }

    #[test]
    fn a_release_takes_off_what_ses_added_and_wins_over_a_listing() {
        let desired = DesiredEntries {
            listed: [(key("a"), Reason::Bounce)].into(),
            released: [key("a"), key("gone")].into(),
            retired: [key("a")].into(),
        };
        let observed = [(key("a"), entry(Reason::Bounce, EntryOrigin::Automatic))].into();
        let (list, address) = key("a");
        assert_eq!(
            plan_entries(&desired, &observed).steps(),
            [SesCall::UnlistAddress { list, address }]
        );
    }

    #[test]
    fn what_we_retire_goes_only_where_a_call_had_put_it_there() {
        let desired = DesiredEntries {
            retired: [key("manual"), key("automatic"), key("unknown"), key("gone")].into(),
            ..DesiredEntries::default()
        };
        let observed = [
            (key("manual"), entry(Reason::Bounce, EntryOrigin::Manual)),
            (key("automatic"), entry(Reason::Bounce, EntryOrigin::Automatic)),
            (key("unknown"), entry(Reason::Bounce, EntryOrigin::Unknown)),
        ]
        .into();
        let plan = plan_entries(&desired, &observed);
        let (list, address) = key("manual");
        assert_eq!(plan.steps(), [SesCall::UnlistAddress { list, address }]);
        assert_eq!(plan.findings(), [Finding::EntriesKept { count: 1 }]);
    }
}
