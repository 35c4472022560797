//! What the ledger grants, and when.

use super::fleet::{Fleet, SECOND, START, Sidecar, keys, limits, own, timestamp};
use crate::policy::{
    allotment::{
        Allotment, CeilingKey, Counted, Farewell, Granted, Ledger, LedgerError, Life, Pod, RENEW_SECONDS, Report,
        Usage, Word,
    },
    ceiling::NamespaceLimits,
};

const HOUR: u64 = 3_600;

fn recipients() -> CeilingKey {
    CeilingKey::namespace(Counted::Recipients)
}

fn namespace(texts: &[&str]) -> NamespaceLimits {
    NamespaceLimits {
        recipients: limits(texts),
        ..NamespaceLimits::default()
    }
}

fn pod(uid: &str, word: Word) -> Pod {
    Pod {
        uid: uid.to_owned(),
        annotated: None,
        word,
    }
}

/// A report on the namespace's recipients over an hour.
fn report(uid: &str, revision: u64, used: u64, wanted: u64) -> Word {
    let usage = Usage {
        used,
        wanted,
        largest: 0,
    };
    let ceilings = [(recipients(), [(HOUR, usage)].into())].into();
    Word::Report(Report::new(uid.to_owned(), Life(7), revision, ceilings))
}

fn share(granted: &Granted, uid: &str) -> Option<u64> {
    let patch = granted.patches.iter().find(|(other, _)| other == uid);
    patch.map(|(_, allotment)| allotment.share(&recipients(), HOUR))
}

fn at(seconds: u64) -> jiff::Timestamp {
    timestamp(START + seconds * SECOND)
}

#[test]
fn where_there_is_nobody_there_is_nothing_to_do() {
    let Granted {
        ledger,
        store,
        patches,
        next,
        beyond,
    } = Ledger::default().grant(&namespace(&["100/h"]), &[], at(0));
    assert!(ledger.is_empty() && !store && patches.is_empty());
    assert_eq!((next, beyond), (jiff::Timestamp::MAX, 0));
}

#[test]
fn a_pod_is_granted_a_share_once_it_is_heard_of() {
    let limits = namespace(&["100/h"]);
    let silent = Ledger::default().grant(&limits, &[pod("a", Word::Silence)], at(0));
    assert!(silent.ledger.is_empty() && silent.patches.is_empty());
    assert_eq!(silent.next, at(1));
    let granted = silent.ledger.grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(1));
    assert!(granted.store);
    assert_eq!(share(&granted, "a"), Some(90), "a tenth stays for newcomers");
}

#[test]
fn a_patch_that_was_lost_is_sent_again_and_nothing_is_stored_for_it() {
    let limits = namespace(&["100/h"]);
    let pods = [pod("a", report("a", 0, 0, 0))];
    let granted = Ledger::default().grant(&limits, &pods, at(0));
    let stored = Ledger::parse(&granted.ledger.text().unwrap()).unwrap();
    let again = stored.grant(&limits, &pods, at(5));
    assert!(!again.store);
    assert_eq!(again.patches, granted.patches);
    assert_eq!(again.next, at(10), "until it is seen to be obeyed");
}

#[test]
fn others_grow_only_once_a_share_is_seen_to_have_shrunk() {
    let limits = namespace(&["100/h"]);
    let first = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let both = |a: u64, b: u64| [pod("a", report("a", a, 0, 0)), pod("b", report("b", b, 0, 40))];
    let second = first.ledger.grant(&limits, &both(1, 0), at(10));
    let (a, b) = (share(&second, "a").unwrap(), share(&second, "b").unwrap());
    assert!(a < 50 && b == 10, "{a}, {b}: the newcomer has what was kept for it");
    let unseen = second.ledger.grant(&limits, &both(1, 2), at(20));
    assert!(!unseen.store, "nothing is known of the patch");
    let seen = unseen.ledger.grant(&limits, &both(2, 2), at(30));
    assert!(share(&seen, "b").unwrap() > 40);
}

#[test]
fn a_busy_pod_is_given_most_of_the_ceiling() {
    for (texts, seconds) in [(&["1000/h"], HOUR), (&["100/s"], 1)] {
        let mut fleet = Fleet::new(own(texts, &[]), 5);
        for _ in 0..400 {
            fleet.round(10);
            let Fleet { now, own, pods, .. } = &mut fleet;
            let (sidecar, _) = pods.get_mut("pod-003").unwrap();
            for step in 0..20 {
                sidecar.send(own, 50, *now + step * SECOND / 4);
            }
        }
        let shares = fleet.shares(&recipients(), seconds);
        let all: u64 = shares.iter().sum();
        assert!(shares[3] * 10 >= all * 7, "{shares:?}");
        assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    }
}

#[test]
fn of_fifty_pods_that_start_at_once_all_get_something_where_there_is_enough() {
    for (texts, seconds) in [
        (&["50/h"], HOUR),
        (&["55/d"], 24 * HOUR),
        (&["1000/h"], HOUR),
        (&["60/s"], 1),
    ] {
        let mut fleet = Fleet::new(own(texts, &[]), 1);
        fleet.round(10);
        fleet.round(10);
        assert!(fleet.shares(&recipients(), seconds)[0] >= 45);
        (1..50).for_each(|number| fleet.start(number));
        (0..5).for_each(|_| drop(fleet.round(10)));
        let shares = fleet.shares(&recipients(), seconds);
        assert!(shares.iter().all(|share| *share > 0), "{texts:?}: {shares:?}");
        fleet.pods.retain(|uid, _| uid == "pod-000");
        (0..5).for_each(|_| drop(fleet.round(7 * HOUR)));
        (0..5).for_each(|_| drop(fleet.round(HOUR)));
        (0..30).for_each(|_| drop(fleet.round(HOUR)));
        assert!(fleet.shares(&recipients(), seconds)[0] >= 45, "and back");
    }
}

#[test]
fn once_all_is_quiet_only_renewals_are_sent() {
    let mut fleet = Fleet::new(own(&["10/s", "500/h", "3000/d"], &["300/h"]), 9);
    for round in 0..100 {
        fleet.round(7);
        let Fleet { now, own, pods, .. } = &mut fleet;
        for (index, (sidecar, _)) in pods.values_mut().enumerate() {
            if (round + index) % 4 < 2 {
                for _ in 0..index {
                    sidecar.send(own, 3, *now);
                }
            }
        }
    }
    // Until what was used is a day old.
    (0..28 * 6).for_each(|_| drop(fleet.round(600)));
    let before = fleet.patches;
    (0..12 * 6).for_each(|_| drop(fleet.round(600)));
    let renewals = usize::try_from(12 * HOUR).unwrap() / usize::try_from(RENEW_SECONDS).unwrap();
    assert!(
        fleet.patches - before <= 9 * renewals,
        "{} in twelve hours",
        fleet.patches - before
    );
    let shares = fleet.shares(&recipients(), HOUR);
    assert!(shares.iter().all(|share| (40..=60).contains(share)), "{shares:?}");
}

#[test]
fn an_allotment_is_renewed_at_half_its_life_of_a_pod_that_is_heard_of() {
    let limits = namespace(&["100/h"]);
    let granted = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let heard = |revision| {
        [Pod {
            annotated: Some(granted.patches[0].1.clone()),
            ..pod("a", report("a", revision, 0, 0))
        }]
    };
    let early = granted.ledger.grant(&limits, &heard(1), at(3 * HOUR - 1));
    assert!(!early.store && early.patches.is_empty());
    let silent = [Pod {
        word: Word::Silence,
        ..heard(1)[0].clone()
    }];
    assert!(!early.ledger.grant(&limits, &silent, at(3 * HOUR)).store);
    let renewed = early.ledger.grant(&limits, &heard(1), at(3 * HOUR));
    assert!(renewed.store);
    let allotment = &renewed.patches[0].1;
    assert_eq!((allotment.revision, allotment.expires), (2, at(9 * HOUR)));
    assert_eq!(allotment.share(&recipients(), HOUR), 90);
}

#[test]
fn what_a_pod_used_that_has_ended_counts_until_its_period_has_passed() {
    let limits = namespace(&["100/h"]);
    let mut a = Sidecar::new("a", 7);
    let granted = Ledger::default().grant(&limits, &[pod("a", Word::Report(a.report(START)))], at(0));
    let _ = a.read(&own(&["100/h"], &[]), granted.patches[0].1.clone(), START);
    assert!(a.send(&own(&["100/h"], &[]), 30, START));
    let farewell = a.allotted.farewell(a.usage(START).into_iter());
    let farewell = Farewell::parse(&farewell.text().unwrap()).unwrap();
    let with = |word| [pod("a", word), pod("b", report("b", 0, 0, 100))];
    let ended = granted
        .ledger
        .grant(&limits, &with(Word::Farewell(farewell.clone())), at(10));
    assert!(ended.store);
    assert_eq!(share(&ended, "b"), Some(63), "of 100 30 are used, 7 kept");
    let later = ended
        .ledger
        .grant(&limits, &[pod("b", report("b", 2, 0, 100))], at(10 + HOUR + 60));
    assert_eq!(share(&later, "b"), Some(90));
    let without = granted.ledger.grant(&limits, &with(Word::Ended), at(10));
    assert_eq!(share(&without, "b"), Some(9), "of 100 90 may be used");

    let earlier = Farewell {
        revision: 0,
        ..farewell
    };
    let heard = granted.ledger.grant(&limits, &[pod("a", report("a", 1, 0, 0))], at(20));
    let not_last = heard.ledger.grant(&limits, &with(Word::Farewell(earlier)), at(30));
    assert_eq!(
        share(&not_last, "b"),
        Some(9),
        "an earlier run of the container left it"
    );
}

/// Two pods whose clocks differ from the operator's; the first is cut off when it holds all, and sends at its last moment.
/// The most that both send in a period.
fn most_of_two(seconds: u64, lags: u64, cut_off: bool) -> u64 {
    let text = format!("100/{seconds}s");
    let own = own(&[&text], &[]);
    let mut ledger = Ledger::default();
    let (mut a, mut b) = (Sidecar::new("a", 1), Sidecar::new("b", 2));
    let mut granted = ledger.grant(&own, &[pod("a", Word::Report(a.report(START)))], timestamp(START));
    let expires = START + 6 * HOUR * SECOND;
    ledger = granted.ledger.clone();
    a.read(&own, granted.patches[0].1.clone(), START).unwrap();
    let by_a = |now: u64| now - lags * SECOND;
    let mut sent: Vec<(u64, u64)> = Vec::new();
    // It ends with a farewell, or is not heard of again and sends until its own clock says that its share has expired.
    let last = if cut_off {
        expires + lags * SECOND - 1
    } else {
        expires - SECOND
    };
    (0..100).for_each(|_| sent.extend(a.send(&own, 1, by_a(last)).then_some((last, 1))));
    assert_eq!(sent.len(), 90);
    assert!(!a.send(&own, 1, by_a(expires + lags * SECOND)), "it has expired");
    let farewell = a.allotted.farewell(a.usage(by_a(last)).into_iter());
    let mut annotated = None;
    for step in 0..seconds + 4 * 60 {
        let now = last.max(expires - 2 * SECOND) + step * SECOND;
        // Another leader's clock from the second look on.
        let operator = if step == 0 { now - lags * SECOND } else { now };
        let mut pods = vec![Pod {
            annotated: annotated.clone(),
            ..pod("b", Word::Report(b.report(now)))
        }];
        if !cut_off {
            pods.push(pod("a", Word::Farewell(farewell.clone())));
        }
        granted = ledger.grant(&own, &pods, timestamp(operator));
        ledger = granted.ledger;
        for (_, allotment) in granted.patches.into_iter().filter(|(uid, _)| uid == "b") {
            b.read(&own, allotment.clone(), now).unwrap();
            annotated = Some(allotment);
        }
        while b.send(&own, 1, now) {
            sent.push((now, 1));
        }
    }
    let within = |from: u64| {
        sent.iter()
            .filter(move |(at, _)| (from..=from + seconds * SECOND).contains(at))
            .count() as u64
    };
    assert!(sent.len() > 170, "the second is given all in the end: {}", sent.len());
    sent.iter().map(|(from, _)| within(*from)).max().unwrap()
}

#[test]
fn a_share_counts_until_no_clock_within_the_skew_holds_it_for_valid_and_its_period_has_passed() {
    for seconds in [10, 600] {
        for lags in [0, 5, 29, 30] {
            for cut_off in [true, false] {
                let most = most_of_two(seconds, lags, cut_off);
                assert!(
                    most <= 100,
                    "{most} in {seconds} s, a clock lags {lags} s, cut off: {cut_off}"
                );
            }
        }
    }
}

#[test]
fn a_sidecar_that_lost_its_past_is_another_and_the_former_counts_for_a_period() {
    let limits = namespace(&["100/h"]);
    let granted = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let Word::Report(report) = report("a", 0, 0, 50) else {
        unreachable!()
    };
    let lost = Word::Report(Report {
        life: Life(8),
        ..report
    });
    let again = granted.ledger.grant(&limits, &[pod("a", lost.clone())], at(10));
    assert!(again.store);
    assert_eq!((again.patches[0].1.life, share(&again, "a")), (Life(8), Some(9)));
    let later = again.ledger.grant(&limits, &[pod("a", lost)], at(10 + HOUR + 60));
    assert_eq!(share(&later, "a"), Some(90));
}

#[test]
fn a_report_of_less_lowers_nothing_inside_the_period() {
    let limits = namespace(&["100/h"]);
    let granted = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let used = granted
        .ledger
        .grant(&limits, &[pod("a", report("a", 1, 80, 0))], at(10));
    let both = |a: u64, used: u64, b: u64| [pod("a", report("a", a, used, 0)), pod("b", report("b", b, 0, 100))];
    let less = used.ledger.grant(&limits, &both(1, 3, 0), at(20));
    assert_eq!(share(&less, "b"), Some(10));
    let still = less.ledger.grant(&limits, &both(2, 3, 2), at(HOUR + 60));
    assert!(
        share(&still, "b").is_none_or(|share| share <= 20),
        "{:?}",
        share(&still, "b")
    );
    let shrunk = still.ledger.grant(&limits, &both(2, 3, 2), at(HOUR + 71));
    let seen = shrunk.ledger.grant(&limits, &both(3, 3, 3), at(HOUR + 81));
    assert!(
        share(&seen, "b").is_some_and(|share| share > 60),
        "{:?}",
        share(&seen, "b")
    );
}

#[test]
fn a_lowered_ceiling_is_lowered_for_all_however_little_and_a_raised_one_is_given_out() {
    let mut fleet = Fleet::new(own(&["100/h"], &[]), 4);
    (0..5).for_each(|_| drop(fleet.round(10)));
    assert_eq!(fleet.shares(&recipients(), HOUR).iter().sum::<u64>(), 90);
    for (ceiling, least) in [(85, 76), (20, 18), (400, 350)] {
        fleet.own = own(&[&format!("{ceiling}/h")], &[]);
        (0..5).for_each(|_| drop(fleet.round(10)));
        let shares = fleet.shares(&recipients(), HOUR);
        let sum: u64 = shares.iter().sum();
        assert!((least..=ceiling).contains(&sum), "{ceiling}: {shares:?}");
    }
}

#[test]
fn a_ceiling_that_is_gone_costs_no_patch_and_leaves_with_the_next_renewal() {
    let mut fleet = Fleet::new(own(&["100/h"], &["50/h"]), 2);
    (0..5).for_each(|_| drop(fleet.round(10)));
    fleet.own = own(&["100/h"], &[]);
    let before = fleet.patches;
    (0..5).for_each(|_| drop(fleet.round(10)));
    assert_eq!(fleet.patches, before);
    assert!(fleet.ledger.text().unwrap().contains("recipients/news"));
    (0..6).for_each(|_| drop(fleet.round(HOUR)));
    assert!(!fleet.ledger.text().unwrap().contains("recipients/news"));
}

#[test]
fn of_another_period_a_pod_is_given_its_share_at_once_and_what_it_sent_counts() {
    let mut fleet = Fleet::new(own(&["100/h"], &[]), 2);
    (0..5).for_each(|_| drop(fleet.round(10)));
    let now = fleet.now;
    let (sidecar, _) = fleet.pods.get_mut("pod-000").unwrap();
    assert!(sidecar.send(&fleet.own, 40, now));
    fleet.own = own(&["300/2h"], &[]);
    (0..5).for_each(|_| drop(fleet.round(10)));
    let shares = fleet.shares(&recipients(), 2 * HOUR);
    assert!(shares.iter().sum::<u64>() >= 260, "{shares:?}");
    let (sidecar, _) = &fleet.pods["pod-000"];
    let report = sidecar.report(fleet.now);
    assert_eq!(report.ceilings[&recipients()][&(2 * HOUR)].used, 40);
}

#[test]
fn a_ledger_that_was_lost_is_made_again_from_what_pods_hold() {
    let mut fleet = Fleet::new(own(&["100/h"], &[]), 2);
    (0..5).for_each(|_| drop(fleet.round(10)));
    let shares = fleet.shares(&recipients(), HOUR);
    fleet.ledger = Ledger::default();
    fleet.start(2);
    let mut pods = fleet.heard();
    pods[1].word = Word::Silence;
    let granted = Ledger::default().grant(&fleet.own, &pods, timestamp(fleet.now));
    let newcomer = granted.patches.iter().find(|(uid, _)| uid == "pod-002").unwrap();
    assert!(newcomer.1.share(&recipients(), HOUR) <= 100 - shares.iter().sum::<u64>());
    (0..5).for_each(|_| drop(fleet.round(10)));
    let shares = fleet.shares(&recipients(), HOUR);
    assert!(
        shares.iter().all(|share| *share >= 25),
        "later revisions are obeyed: {shares:?}"
    );
}

#[test]
fn messages_that_are_larger_than_an_equal_part_go_one_pod_after_the_other() {
    let mut fleet = Fleet::new(own(&["100/h"], &[]), 10);
    let mut went = [0_u64; 10];
    for _ in 0..6 * 360 {
        fleet.round(10);
        let Fleet { now, own, pods, .. } = &mut fleet;
        for ((sidecar, _), went) in pods.values_mut().zip(&mut went) {
            if *went < 2 && sidecar.send(own, 50, *now) {
                *went += 1;
            }
        }
    }
    assert!(went.iter().sum::<u64>() >= 6, "{went:?} in six hours");
}

#[test]
fn of_a_rate_a_second_nobody_is_given_what_still_owes_time() {
    let own = own(&["10/s"], &[]);
    let mut a = Sidecar::new("a", 1);
    let granted = Ledger::default().grant(&own, &[pod("a", Word::Report(a.report(START)))], at(0));
    a.read(&own, granted.patches[0].1.clone(), START).unwrap();
    assert!(a.send(&own, 90, START), "ten seconds at nine a second");
    let b = |revision| {
        pod(
            "b",
            Word::Report(Report::new(
                "b".to_owned(),
                Life(2),
                revision,
                [(
                    recipients(),
                    [(
                        1,
                        Usage {
                            used: 0,
                            wanted: 10,
                            largest: 0,
                        },
                    )]
                    .into(),
                )]
                .into(),
            )),
        )
    };
    let grant = |ledger: &Ledger, a: &Sidecar, seconds: u64, revision: u64| {
        let report = a.report(START + seconds * SECOND);
        ledger.grant(&own, &[pod("a", Word::Report(report)), b(revision)], at(seconds))
    };
    let first = grant(&granted.ledger, &a, 1, 0);
    for (uid, allotment) in &first.patches {
        let share = allotment.share(&recipients(), 1);
        if uid == "a" {
            assert!(share < 9, "{share}");
            a.read(&own, allotment.clone(), START + SECOND).unwrap();
        } else {
            assert_eq!(share, 1);
        }
    }
    let owing = grant(&first.ledger, &a, 5, 2);
    assert!(!owing.store, "although the smaller share is obeyed");
    let paid = grant(&owing.ledger, &a, 11, 2);
    let given = paid.patches.iter().find(|(uid, _)| uid == "b").unwrap();
    assert!(given.1.share(&recipients(), 1) > 1);
}

#[test]
fn the_ledger_of_many_jobs_stays_small_and_forgets_them() {
    let limits = namespace(&["100000/h"]);
    let mut ledger = Ledger::default();
    for job in 0..2_000_u64 {
        let uid = format!("job-{job}");
        ledger = ledger
            .grant(&limits, &[pod(&uid, report(&uid, 0, 0, 3))], at(job * 2))
            .ledger;
        let farewell = Farewell::fitting(uid.clone(), Life(7), 1_000_000, vec![(recipients(), HOUR, 9, 3)]);
        ledger = ledger
            .grant(&limits, &[pod(&uid, Word::Farewell(farewell))], at(job * 2 + 1))
            .ledger;
    }
    let text = ledger.text().unwrap();
    assert!(text.len() < 4_096, "{} bytes", text.len());
    let granted = ledger.grant(&limits, &[], at(3 * HOUR));
    assert!(granted.ledger.is_empty(), "{:?}", granted.ledger);
}

#[test]
fn pods_for_which_the_ledger_has_no_room_are_told_and_get_nothing() {
    let policies: Vec<String> = (0..100).map(|number| format!("policy-{number:03}")).collect();
    let policy = own(&[], &["1000/s", "1000/h", "1000/d"]).policies["news"].clone();
    let mut limits = namespace(&["1000/h"]);
    limits.policies = policies.iter().map(|name| (name.clone(), policy.clone())).collect();
    let pods: Vec<Pod> = (0..40)
        .map(|number| format!("9d1c0f0e-5d1b-4c7e-8b1a-{number:012}"))
        .map(|uid| pod(&uid, report(&uid, 0, 0, 0)))
        .collect();
    let granted = Ledger::default().grant(&limits, &pods, at(0));
    assert_eq!((granted.beyond, granted.patches.len()), (7, 33));
    assert!(granted.ledger.text().unwrap().len() < 900_000);
    assert!(granted.patches.iter().all(|(_, allotment)| allotment.text().is_ok()));
}

#[test]
fn a_report_or_farewell_of_another_pod_is_none() {
    let limits = namespace(&["100/h"]);
    let granted = Ledger::default().grant(&limits, &[pod("a", report("b", 0, 0, 0))], at(0));
    assert!(granted.ledger.is_empty());
    let granted = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let farewell = Farewell::fitting("b".to_owned(), Life(7), 1, vec![(recipients(), HOUR, 90, 0)]);
    let pods = [pod("a", Word::Farewell(farewell)), pod("b", report("b", 0, 0, 100))];
    assert_eq!(share(&granted.ledger.grant(&limits, &pods, at(5)), "b"), Some(9));
}

#[test]
fn an_annotation_of_a_later_ledger_is_left_alone_and_what_it_gives_counts() {
    let limits = namespace(&["100/h"]);
    let granted = Ledger::default().grant(&limits, &[pod("a", report("a", 0, 0, 0))], at(0));
    let later = Allotment::new(
        "a".to_owned(),
        Life(7),
        5,
        at(6 * HOUR),
        [(
            recipients(),
            crate::policy::Limits::from_iter(["95/h".parse().unwrap()]),
        )]
        .into(),
    );
    let stale = Pod {
        annotated: Some(later),
        ..pod("a", report("a", 1, 0, 0))
    };
    let found = granted
        .ledger
        .grant(&limits, &[stale, pod("b", report("b", 0, 0, 50))], at(5));
    assert_eq!(share(&found, "b"), Some(5));
    assert!(found.patches.iter().all(|(_, allotment)| allotment.revision == 6));
}

#[test]
fn a_ledger_that_cannot_be_read_says_why() {
    let text = Ledger::default().text().unwrap();
    assert!(matches!(
        Ledger::parse(&text.replace("\"version\":1", "\"version\":2")),
        Err(LedgerError::Version(2))
    ));
    assert!(matches!(
        Ledger::parse(&text.replace("\"revision\"", "\"surprise\"")),
        Err(LedgerError::Malformed(_))
    ));
    // A namespace without ceilings has room for any number.
    let large = Ledger::default()
        .grant(&NamespaceLimits::default(), &many(), at(0))
        .ledger;
    assert!(matches!(large.text(), Err(LedgerError::TooLarge(_))));
}

fn many() -> Vec<Pod> {
    let uids = (0..10_000).map(|number| format!("9d1c0f0e-5d1b-4c7e-8b1a-{number:012}"));
    uids.map(|uid| pod(&uid, report(&uid, 0, 0, 0))).collect()
}

#[test]
fn the_two_ceilings_of_a_message_are_granted_apart() {
    let mut fleet = Fleet::new(own(&["100/h"], &["20/h"]), 2);
    (0..5).for_each(|_| drop(fleet.round(10)));
    let [namespace, policy] = keys();
    assert_eq!(fleet.shares(&namespace, HOUR).iter().sum::<u64>(), 90);
    assert_eq!(fleet.shares(&policy, HOUR).iter().sum::<u64>(), 18);
}
