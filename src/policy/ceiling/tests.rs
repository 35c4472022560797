//! What ceilings promise, over random histories.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{api::Rate, policy::Limits};

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn limits(texts: &[&str]) -> Limits {
    texts.iter().map(|text| rate(text)).collect()
}

fn at(seconds: f64) -> Moment {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
    Moment((seconds * 1e9) as u64)
}

/// What happens at one moment of a history.
#[derive(Clone, Debug)]
enum Step {
    /// So long nothing happens.
    Pass(u64),
    /// A message of so many recipients wants to go.
    Send(u64),
    /// The message before was refused by SES.
    GiveBack,
    /// The sidecar starts anew from what it kept, by a clock that was set back by so much.
    Restart(u64),
    /// The configuration is read again.
    Reload,
}

fn steps(period: u64) -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![Just(0), 1..=period / 50, period / 200..=period, Just(period)];
    let step = prop_oneof![
        4 => pass.prop_map(Step::Pass),
        6 => (1..=20_u64).prop_map(Step::Send),
        1 => Just(Step::GiveBack),
        1 => (0..=period).prop_map(Step::Restart),
        1 => Just(Step::Reload),
    ];
    prop::collection::vec(step, 1..200)
}

/// Plays a history; what went and was not given back, by the true time.
fn play(rate: Rate, history: &[Step]) -> Vec<(u64, u64)> {
    let limits = Limits::from_iter([rate]);
    let mut levels = Levels::new(&limits);
    // The sidecar's clock, and how much the true time is ahead of it.
    let (mut now, mut ahead) = (at(1e6), 0);
    let mut sent: Vec<(u64, u64)> = Vec::new();
    let mut last: Option<(Moment, u64)> = None;
    for step in history {
        match *step {
            Step::Pass(nanos) => now = now.after(nanos),
            Step::Send(count) => {
                if levels.turn(now, count) == Turn::Now {
                    levels.take(now, count);
                    sent.push((now.0 + ahead, count));
                    last = Some((now, count));
                }
            }
            Step::GiveBack => {
                if let Some((taken, count)) = last.take() {
                    levels.give_back(taken, now, count);
                    sent.pop();
                }
            }
            Step::Restart(set_back) => {
                let kept = serde_json::to_string(&levels).unwrap();
                now = Moment(now.0 - set_back);
                ahead += set_back;
                levels = serde_json::from_str::<Levels>(&kept).unwrap().not_after(now);
                // What was under way ended with the process; its outcome is not known.
                last = None;
            }
            Step::Reload => levels = levels.under(&limits),
        }
    }
    sent
}

/// The most that went in any stretch of this length, both ends counted.
fn most_in(sent: &[(u64, u64)], length: u64) -> u64 {
    let sums = sent.iter().enumerate().map(|(first, (from, _))| {
        let within = sent[first..].iter().take_while(|(time, _)| time - from <= length);
        within.map(|(_, count)| count).sum()
    });
    sums.max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_stretch_of_a_period_holds_more_than_its_rate(
        (text, history) in prop_oneof![Just("30/h"), Just("30/d"), Just("30/20m"), Just("7/10s"), Just("25/7s")]
            .prop_flat_map(|text| (Just(text), steps(text.parse::<Rate>().unwrap().seconds * SECOND)))
    ) {
        let rate = rate(text);
        let sent = play(rate, &history);
        let most = most_in(&sent, rate.seconds * SECOND);
        prop_assert!(most <= rate.count.get(), "{most} of {rate} in {sent:?}");
    }

    #[test]
    fn no_stretch_of_time_holds_more_than_a_rate_a_second_and_one_message(
        (text, history) in prop_oneof![Just("1/s"), Just("7/s"), Just("50/s")]
            .prop_flat_map(|text| (Just(text), steps(SECOND))),
        length in 0..=10 * SECOND,
    ) {
        let rate = rate(text);
        // A restart by a clock that was set back makes nothing wait longer than a second.
        let history: Vec<Step> = history.into_iter().filter(|step| !matches!(step, Step::Restart(_))).collect();
        let sent = play(rate, &history);
        let largest = sent.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let most = most_in(&sent, length);
        let allowed = u128::from(rate.count.get()) * u128::from(length) / u128::from(SECOND) + u128::from(largest);
        prop_assert!(u128::from(most) <= allowed, "{most} in {length} ns, {allowed} allowed");
    }
}

#[test]
fn under_constant_load_little_is_given_up() {
    for (text, least) in [("6000/h", 0.975), ("100000/d", 0.98)] {
        let rate = rate(text);
        let mut levels = Levels::new(&Limits::from_iter([rate]));
        let (period, periods) = (rate.seconds * SECOND, 20);
        let pace = period / rate.count.get() / 2;
        let mut sent = 0_u64;
        let mut now = at(1e6);
        let end = now.after(period * periods);
        while now < end {
            if levels.turn(now, 1) == Turn::Now {
                levels.take(now, 1);
                sent += 1;
            }
            now = now.after(pace);
        }
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let share = sent as f64 / (rate.count.get() * periods) as f64;
        assert!(share >= least, "{text}: {share}");
    }
}

#[test]
fn messages_of_a_rate_a_second_are_spaced_and_a_large_one_is_debt() {
    let mut levels = Levels::new(&limits(&["10/s"]));
    assert_eq!(levels.turn(at(1.0), 1), Turn::Now);
    levels.take(at(1.0), 1);
    assert_eq!(
        levels.turn(at(1.0), 1),
        Turn::After(Duration::from_millis(100), rate("10/s"))
    );
    assert_eq!(levels.turn(at(1.1), 30), Turn::Now);
    levels.take(at(1.1), 30);
    assert_eq!(
        levels.turn(at(1.1), 1),
        Turn::After(Duration::from_secs(3), rate("10/s"))
    );
}

#[test]
fn several_limits_are_taken_together_and_the_one_that_waits_longest_is_told() {
    let mut levels = Levels::new(&limits(&["10/s", "20/h"]));
    assert_eq!(levels.turn(at(0.0), 21), Turn::Never(rate("20/h")));
    levels.take(at(0.0), 20);
    let Turn::After(wait, by) = levels.turn(at(0.0), 1) else {
        panic!("it goes")
    };
    assert_eq!(by, rate("20/h"));
    // An hour, and what the present minute counts whole.
    assert_eq!(wait, Duration::from_mins(61));
    assert_eq!(levels.turn(at(3_660.0), 20), Turn::Now);
}

#[test]
fn what_was_given_back_can_be_taken_again_unless_its_time_has_passed() {
    let mut hour = Levels::new(&limits(&["20/h"]));
    hour.take(at(0.0), 20);
    hour.give_back(at(0.0), at(30.0), 5);
    assert_eq!(hour.turn(at(30.0), 5), Turn::Now);
    assert!(matches!(hour.turn(at(30.0), 6), Turn::After(..)));

    let mut second = Levels::new(&limits(&["10/s"]));
    second.take(at(0.0), 20);
    second.give_back(at(0.0), at(1.5), 20);
    assert_eq!(second.turn(at(1.5), 1), Turn::Now);
    second.take(at(1.5), 10);
    assert_eq!(
        second.turn(at(1.5), 1),
        Turn::After(Duration::from_secs(1), rate("10/s"))
    );
}

#[test]
fn another_limit_knows_what_went_before() {
    let mut levels = Levels::new(&limits(&["100/h"]));
    levels.take(at(0.0), 60);
    let tightened = levels.under(&limits(&["60/h", "70/d"]));
    assert!(matches!(tightened.turn(at(0.0), 1), Turn::After(_, by) if by == rate("60/h")));
    assert!(matches!(tightened.turn(at(7_200.0), 11), Turn::After(_, by) if by == rate("70/d")));
    assert_eq!(tightened.turn(at(7_200.0), 10), Turn::Now);
    assert!(
        levels.under(&limits(&["5/s"])).is_idle(at(0.0)),
        "an hour's past says nothing of a second"
    );
}

#[test]
fn a_recipient_is_mailed_no_more_often_than_the_limits_of_one_allow() {
    let mut each = PerRecipient::new(limits(&["2/h"]));
    for _ in 0..2 {
        assert_eq!(each.turn(at(0.0), 1), Turn::Now);
        each.take(at(0.0), 1);
    }
    assert!(matches!(each.turn(at(0.0), 1), Turn::After(..)));
    assert_eq!(each.turn(at(0.0), 2), Turn::Now);
    each.give_back(at(0.0), at(0.0), 1);
    assert_eq!(each.turn(at(0.0), 1), Turn::Now);
    let each = each.under(limits(&["1/h"]));
    let mut each = each;
    assert!(matches!(each.turn(at(0.0), 1), Turn::After(..)));
    let mut none = each.under(limits(&[]));
    assert_eq!(none.turn(at(0.0), 1), Turn::Now);
}

#[test]
fn a_recipient_is_known_once_something_was_delivered() {
    let mut known = Known::new(vec![3, 1]);
    assert_eq!([1, 2, 3].map(|it| known.contains(it)), [true, false, true]);
    known.learn(2);
    let known = known.republished(vec![2]);
    assert_eq!([1, 2, 3].map(|it| known.contains(it)), [false, true, false]);
}

#[test]
#[allow(clippy::print_stdout)] // The worst case is worth seeing.
fn arrivals_around_every_border_fill_no_stretch_beyond_the_rate() {
    // What finds out a fixed window (2.0 times the rate) and a bucket that refills (up to 2.0): a burst before a border,
    // one after it, then more than the rate for many periods.
    let mut worst = Vec::new();
    for text in ["400/1000s", "100/h", "500/d", "20/30m"] {
        let rate = rate(text);
        let period = rate.seconds * SECOND;
        for offset in [0, 1, period / 200, period / 2, period - 1] {
            let mut levels = Levels::new(&Limits::from_iter([rate]));
            let mut sent = Vec::new();
            let mut arrive = |at: u64, count: u64| {
                for _ in 0..count {
                    if levels.turn(Moment(at), 1) == Turn::Now {
                        levels.take(Moment(at), 1);
                        sent.push((at, 1));
                    }
                }
            };
            let border = 1_000 * period;
            arrive(border - 1 - offset, rate.count.get());
            arrive(border, rate.count.get());
            for step in 0..200 {
                arrive(border + step * period / 20, rate.count.get() / 10);
            }
            worst.push((most_in(&sent, period), rate));
        }
    }
    for (most, rate) in worst {
        println!("the most in any stretch of {rate}: {most}");
        assert!(most <= rate.count.get(), "{most} of {rate}");
    }
}
