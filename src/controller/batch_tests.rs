#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::ses::{
    address::Address,
    call::SesCall,
    desired::SuppressionList,
    observed::{EntryOrigin, ObservedEntry},
};

const ACCOUNT: &str = "primary";

fn place(name: &str) -> Place {
    (SuppressionList::Account, Address::new(&format!("{name}@example.com")))
}

fn wanted(names: &[&str]) -> Wanted {
    Wanted {
        listed: names.iter().map(|name| (place(name), Reason::Bounce)).collect(),
        ..Wanted::default()
    }
}

fn standing(ours: bool) -> Standing {
    Standing {
        reason: Reason::Bounce,
        ours,
        under_way: false,
    }
}

fn record(entries: &[(&str, bool)]) -> Record {
    Record {
        account: Some(ACCOUNT.to_owned()),
        listed: entries
            .iter()
            .map(|(name, ours)| (place(name), standing(*ours)))
            .collect(),
        ..Record::default()
    }
}

fn observed(entries: &[(&str, EntryOrigin)]) -> ObservedEntries {
    let entry = |origin| ObservedEntry {
        reason: Reason::Bounce,
        origin,
    };
    entries
        .iter()
        .map(|(name, origin)| (place(name), entry(*origin)))
        .collect()
}

fn between(record: &Record, wanted: &Wanted) -> Batch {
    Batch::between(record, wanted, &BTreeSet::new())
}

fn listing(name: &str) -> SesCall {
    let (list, address) = place(name);
    SesCall::ListAddress {
        list,
        address,
        reason: Reason::Bounce,
    }
}

fn unlisting(name: &str) -> SesCall {
    let (list, address) = place(name);
    SesCall::UnlistAddress { list, address }
}

#[test]
fn what_stands_as_wanted_needs_nothing() {
    assert!(between(&record(&[("a", true)]), &wanted(&["a"])).is_empty());
    assert!(between(&Record::default(), &Wanted::default()).is_empty());
}

#[test]
fn only_what_a_call_of_ours_made_is_recorded_as_ours() {
    let wanted = wanted(&["absent", "automatic", "a-persons", "shared"]);
    let batch = between(&Record::default(), &wanted);
    let observed = observed(&[
        ("automatic", EntryOrigin::Automatic),
        ("a-persons", EntryOrigin::Manual),
        ("shared", EntryOrigin::Manual),
    ]);
    let claims = Claims {
        listed: [(place("shared"), true)].into(),
        unreadable: None,
    };
    assert_eq!(
        batch.shared(&Record::default(), &observed),
        [&place("a-persons"), &place("shared")].into()
    );

    let Step {
        before, plan, after, ..
    } = batch.step(ACCOUNT, &Record::default(), &observed, &claims);

    assert_eq!(plan.steps(), [listing("absent")]);
    let ours = ["absent", "automatic", "a-persons", "shared"].map(|name| after.is_ours(&place(name)));
    assert_eq!(ours, [true, false, false, true]);
    let before = before.unwrap();
    assert!(before.listed.values().all(|standing| standing.under_way), "{before:?}");
    assert_eq!((before.standing(), after.standing()), (0, 4));
}

#[test]
fn what_was_under_way_is_read_and_stays_ours() {
    let mut record = record(&[("a", true)]);
    record
        .listed
        .values_mut()
        .for_each(|standing| standing.under_way = true);
    let batch = between(&record, &wanted(&["a"]));
    let step = batch.step(
        ACCOUNT,
        &record,
        &observed(&[("a", EntryOrigin::Manual)]),
        &Claims::default(),
    );
    assert!(step.plan.is_empty() && step.before.is_none());
    assert_eq!(step.after.listed, [(place("a"), standing(true))].into());
}

#[test]
fn what_is_wanted_no_more_goes_unless_others_want_it_or_it_was_never_ours() {
    let record = record(&[("ours", true), ("shared", true), ("found", false)]);
    let batch = between(&record, &Wanted::default());
    let observed = observed(&[
        ("ours", EntryOrigin::Manual),
        ("shared", EntryOrigin::Manual),
        ("found", EntryOrigin::Manual),
    ]);
    let claims = Claims {
        listed: [(place("shared"), true)].into(),
        unreadable: None,
    };

    let step = batch.step(ACCOUNT, &record, &observed, &claims);

    assert_eq!(step.plan.steps(), [unlisting("ours")]);
    assert_eq!(step.after, Record::default());
    assert!(!batch.places().contains(&place("found")), "reading it tells nothing");
}

#[test]
fn while_it_is_not_known_who_else_wants_an_entry_it_stays_and_additions_go_on() {
    let record = record(&[("old", true)]);
    let batch = between(&record, &wanted(&["new"]));
    let claims = Claims {
        unreadable: Some(super::super::world::Key {
            namespace: "shop".to_owned(),
            name: "other".to_owned(),
        }),
        ..Claims::default()
    };

    let step = batch.step(ACCOUNT, &record, &observed(&[("old", EntryOrigin::Manual)]), &claims);

    assert_eq!(step.plan.steps(), [listing("new")]);
    assert!(step.withheld && step.after.is_ours(&place("old")));
}

#[test]
fn a_release_is_done_once_and_forgotten_when_it_is_asked_for_no_more() {
    let released = Wanted {
        released: [place("a")].into(),
        ..Wanted::default()
    };
    let evidence = observed(&[("a", EntryOrigin::Automatic)]);
    let first = between(&Record::default(), &released);
    let step = first.step(ACCOUNT, &Record::default(), &evidence, &Claims::default());
    assert_eq!(step.plan.steps(), [unlisting("a")]);
    assert!(between(&step.after, &released).is_empty());

    let last = between(&step.after, &Wanted::default());
    let step = last.step(ACCOUNT, &step.after, &ObservedEntries::new(), &Claims::default());
    assert!(step.plan.is_empty());
    assert_eq!(step.after, Record::default());
}

#[test]
fn a_bulk_goes_in_batches_of_which_removals_have_their_half() {
    let many = |prefix: &str| (0..BATCH).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>();
    let (old, new) = (many("old"), many("new"));
    let old: Vec<_> = old.iter().map(|name| (name.as_str(), true)).collect();
    let new: Vec<_> = new.iter().map(String::as_str).collect();
    let mut record = record(&old);
    let mut sizes = Vec::new();
    loop {
        let batch = between(&record, &wanted(&new));
        let manual: Vec<_> = old.iter().map(|(name, _)| (*name, EntryOrigin::Manual)).collect();
        record = batch
            .step(ACCOUNT, &record, &observed(&manual), &Claims::default())
            .after;
        sizes.push((batch.list.len(), batch.retire.len()));
        if !batch.more {
            break;
        }
    }
    assert_eq!(sizes, [(BATCH / 2, BATCH / 2); 2]);
    assert!(between(&record, &wanted(&new)).is_empty());
}

#[test]
fn one_kind_of_change_alone_has_the_whole_batch() {
    assert_eq!(shares(BATCH * 2, 0), (BATCH, 0));
    assert_eq!(shares(0, BATCH * 2), (0, BATCH));
    assert_eq!(shares(BATCH * 2, 1), (BATCH - 1, 1));
    assert_eq!(shares(1, BATCH * 2), (1, BATCH - 1));
}

#[test]
fn what_is_compared_is_read_and_put_back_where_it_is_gone() {
    let record = record(&[("a", true), ("b", true)]);
    let batch = Batch::between(&record, &wanted(&["a", "b"]), &[place("a")].into());
    assert_eq!(batch.places(), [place("a")].into());
    assert!(batch.only_compares);
    let step = batch.step(ACCOUNT, &record, &ObservedEntries::new(), &Claims::default());
    assert_eq!(step.plan.steps(), [listing("a")]);
}
