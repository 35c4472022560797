//! What is written, and how a sidecar obeys it.

use std::collections::BTreeMap;

use super::fleet::{SECOND, START, keys, limits, own, timestamp};
use crate::policy::{
    Limits,
    allotment::{
        Allotment, Allotted, CeilingKey, Closed, Counted, Farewell, Life, NotTaken, Outcome, Report, ShareOf, Usage,
        WireError, never_fits,
    },
    ceiling::{CeilingName, CeilingOf, Ceilings, Count, Mailed, Moment, NamespaceLimits},
};

fn recipients() -> CeilingKey {
    CeilingKey::namespace(Counted::Recipients)
}

fn allotment(revision: u64, texts: &[&str]) -> Allotment {
    let expires = timestamp(START + 6 * 3_600 * SECOND);
    let shares = [(recipients(), limits(texts))].into();
    Allotment::new("a".to_owned(), Life(7), revision, expires, shares)
}

fn sidecar() -> Allotted {
    Allotted::new("a".to_owned(), Life(7))
}

fn take(sidecar: &mut Allotted, allotment: Allotment) -> Result<bool, NotTaken> {
    sidecar.take(allotment, timestamp(START), std::iter::empty())
}

#[test]
fn an_allotment_is_short_and_read_as_it_is_written() {
    let allotment = Allotment {
        shares: [
            (recipients(), limits(&["5/s", "100/h"])),
            (keys()[1].clone(), limits(&["7/d"])),
        ]
        .into(),
        ..allotment(12, &[])
    };
    let text = allotment.text().unwrap();
    assert_eq!(
        text,
        r#"{"version":1,"pod":"a","life":"0000000000000007","revision":12,"expires":"2026-09-21T20:13:20Z","shares":{"recipients":["5/s","100/h"],"recipients/news":["7/d"]}}"#
    );
    assert_eq!(Allotment::parse(&text).unwrap(), allotment);
    assert_eq!(
        (
            allotment.share(&recipients(), 3_600),
            allotment.share(&recipients(), 60)
        ),
        (100, 0)
    );
}

#[test]
fn a_text_that_is_not_read_says_why() {
    let text = allotment(1, &["5/s"]).text().unwrap();
    let newer = text
        .replace("\"version\":1", "\"version\":2")
        .replace("shares", "parts");
    assert!(matches!(Allotment::parse(&newer), Err(WireError::Version(2))));
    for wrong in [
        text.replace("shares", "surprise"),
        text.replace("\"recipients\"", "\"perRecipient\""),
        text.replace("\"recipients\"", "\"recipients/\""),
        text.replace("0000000000000007", "7"),
        text.replace("0000000000000007", "+000000000000007"),
        text.replace("5/s", "0/s"),
    ] {
        assert_ne!(wrong, text);
        assert!(
            matches!(Allotment::parse(&wrong), Err(WireError::Malformed(_))),
            "{wrong}"
        );
    }
    let long = format!("{text}{}", " ".repeat(70_000));
    assert!(matches!(Allotment::parse(&long), Err(WireError::TooLarge { .. })));
}

#[test]
fn a_report_is_read_as_it_is_written() {
    let usage = Usage {
        used: 3,
        wanted: 5,
        largest: 2,
    };
    let report = Report::new(
        "a".to_owned(),
        Life(u64::MAX),
        3,
        [(recipients(), [(3_600, usage)].into())].into(),
    );
    let text = report.text().unwrap();
    assert!(
        text.contains(r#""recipients":{"3600":{"used":3,"wanted":5,"largest":2}}"#),
        "{text}"
    );
    assert_eq!(Report::parse(&text).unwrap(), report);
}

#[test]
fn a_farewell_fits_a_termination_message_and_releases_what_is_largest() {
    let key = |number: usize| CeilingKey::policy(&format!("{}-{number:03}", "policy".repeat(30)), Counted::Recipients);
    let mut left: Vec<_> = (0..100)
        .map(|number| (key(number), 3_600, 100, number as u64))
        .collect();
    left.push((recipients(), 3_600, 0, 0));
    let farewell = Farewell::fitting("a".to_owned(), Life(7), 9, left);
    let text = farewell.text().unwrap();
    assert!(text.len() <= 4_096);
    assert_eq!(Farewell::parse(&text).unwrap(), farewell);
    assert!((10..100).contains(&farewell.used.len()), "{}", farewell.used.len());
    assert_eq!(farewell.used[&key(0)][&3_600], 0);
    assert!(!farewell.used.contains_key(&key(99)), "little of it is left");
    assert!(!farewell.used.contains_key(&recipients()), "there is nothing of it");
}

#[test]
fn only_this_pods_life_is_obeyed_and_no_revision_lower_than_before() {
    let mut it = sidecar();
    assert_eq!(take(&mut it, allotment(2, &["5/h"])), Ok(true));
    assert_eq!(take(&mut it, allotment(2, &["9/h"])), Ok(false), "known already");
    assert_eq!(take(&mut it, allotment(1, &["9/h"])), Err(NotTaken::Older));
    let other = Allotment {
        pod: "b".to_owned(),
        ..allotment(3, &["9/h"])
    };
    assert_eq!(take(&mut it, other), Err(NotTaken::OtherPod));
    let other = Allotment {
        life: Life(8),
        ..allotment(3, &["9/h"])
    };
    assert_eq!(take(&mut it, other), Err(NotTaken::OtherLife));
    let other = Allotment {
        expires: timestamp(START + 7 * 3_600 * SECOND),
        ..allotment(3, &["9/h"])
    };
    assert_eq!(take(&mut it, other), Err(NotTaken::TooLong));
    let kept: Allotted = serde_json::from_str(&serde_json::to_string(&it).unwrap()).unwrap();
    assert_eq!(
        kept.share(&recipients(), &limits(&["9/h"]), timestamp(START)),
        ShareOf::Limits(limits(&["5/h"]))
    );
}

#[test]
fn a_share_is_never_more_than_the_ceiling_and_nothing_before_the_first_or_after_its_end() {
    let mut it = sidecar();
    let share = |it: &Allotted, own: &[&str], seconds: u64| {
        it.share(&recipients(), &limits(own), timestamp(START + seconds * SECOND))
    };
    assert_eq!(
        share(&it, &[], 0),
        ShareOf::Limits(Limits::default()),
        "there is no ceiling"
    );
    assert_eq!(share(&it, &["9/h"], 0), ShareOf::Nothing(Closed::NotYet));
    take(&mut it, allotment(1, &["3/s", "5/h"])).unwrap();
    assert_eq!(share(&it, &["9/h"], 0), ShareOf::Limits(limits(&["5/h"])));
    assert_eq!(share(&it, &["2/s", "4/h"], 0), ShareOf::Limits(limits(&["2/s", "4/h"])));
    let day = "9/d".parse().unwrap();
    assert_eq!(share(&it, &["9/h", "9/d"], 0), ShareOf::Nothing(Closed::NoShare(day)));
    let end = timestamp(START + 6 * 3_600 * SECOND);
    assert_eq!(share(&it, &["9/h"], 6 * 3_600 - 1), ShareOf::Limits(limits(&["5/h"])));
    assert_eq!(share(&it, &["9/h"], 6 * 3_600), ShareOf::Nothing(Closed::Expired(end)));
}

#[test]
fn what_is_in_force_keeps_the_past_of_what_is_closed() {
    let own = own(&["9/h"], &["9/h"]);
    let mut it = sidecar();
    take(
        &mut it,
        Allotment {
            shares: keys().into_iter().map(|key| (key, limits(&["4/h"]))).collect(),
            ..allotment(1, &[])
        },
    )
    .unwrap();
    let open = it.in_force(&own, timestamp(START));
    assert_eq!(open.closed, BTreeMap::new());
    let now = Moment(START);
    let mut ceilings = Ceilings::new(&open.limits);
    let to = |hash| Mailed { hash, simulated: false };
    assert!(ceilings.take(&["news"], &[to(1), to(2), to(3)], now).is_ok());
    take(&mut it, allotment(2, &["4/h"])).unwrap();
    let closed = it.in_force(&own, timestamp(START));
    let rate = "9/h".parse().unwrap();
    assert_eq!(
        closed.closed_to(&["news"], false),
        Some((&keys()[1], Closed::NoShare(rate)))
    );
    assert_eq!(closed.closed_to(&["other"], true), None);
    ceilings = ceilings.under(&closed.limits, now).under(&open.limits, now);
    assert!(ceilings.take(&["news"], &[to(4), to(5)], now).is_err());
    assert!(ceilings.take(&["news"], &[to(4)], now).is_ok());

    let none = sidecar().in_force(
        &NamespaceLimits {
            new_recipients: limits(&["1/h"]),
            ..NamespaceLimits::default()
        },
        timestamp(START),
    );
    assert!(none.closed_to(&[], false).is_none() && none.closed_to(&[], true).is_some());
}

#[test]
fn a_message_larger_than_an_hours_or_days_ceiling_never_fits_and_one_larger_than_a_seconds_does() {
    let own = limits(&["2/s", "10/h", "20/d"]);
    assert_eq!(never_fits(&own, 10), None);
    assert_eq!(never_fits(&own, 11), Some("10/h".parse().unwrap()));
}

#[test]
fn what_is_wanted_is_what_was_asked_for_in_the_last_minutes_refused_or_not() {
    let mut it = sidecar();
    let ask = |it: &mut Allotted, count: u64, outcome, seconds: u64| {
        it.asked(
            &recipients(),
            Count::from(count),
            outcome,
            Moment(START + seconds * SECOND),
        );
    };
    ask(&mut it, 4, Outcome::Went, 0);
    ask(&mut it, 30, Outcome::PutOff, 1);
    let usage = |it: &Allotted, seconds: u64| {
        let name = CeilingName {
            policy: None,
            of: CeilingOf::Recipients,
        };
        let rates = ["9/s", "9/h"].map(|text| (name.clone(), text.parse().unwrap(), 0));
        let report = it.report(rates.into_iter(), Moment(START + seconds * SECOND));
        let of = &report.ceilings[&recipients()];
        (of[&1].wanted, of[&3_600].wanted, of[&3_600].largest)
    };
    assert_eq!(usage(&it, 2), (4, 34, 30));
    assert_eq!(usage(&it, 300), (4, 34, 30));
    assert_eq!(usage(&it, 600), (0, 0, 0));
    ask(&mut it, 1, Outcome::Went, 601);
    assert_eq!(usage(&it, 601), (1, 1, 0));
    it.keep(&NamespaceLimits::default());
    assert_eq!(usage(&it, 601), (1, 1, 0), "the namespace's stays");
}
