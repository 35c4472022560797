use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn window(name: &str, created: i64, from: i64, until: i64) -> WindowFacts {
    WindowFacts {
        name: name.to_owned(),
        created: at(created),
        policy: "default".to_owned(),
        mode: Mode::Live,
        from: at(from),
        until: at(until),
        opened: false,
    }
}

fn bound(seconds: u64) -> WindowTerms {
    WindowTerms {
        max_mode: Mode::Live,
        max_duration: Duration::from_secs(seconds),
    }
}

fn reasons(windows: &[WindowFacts], bounds: &[WindowTerms], now: i64) -> Vec<&'static str> {
    judge(windows, bounds, |name| name == "default", Clock::Trusted, at(now))
        .into_values()
        .map(|verdict| verdict.reason)
        .collect()
}

#[test]
fn a_window_is_scheduled_then_open_then_closed_to_the_second() {
    let windows = [window("a", 0, 100, 200)];
    for (now, reason) in [(99, "NotYet"), (100, "Open"), (199, "Open"), (200, "Over")] {
        assert_eq!(reasons(&windows, &[bound(100)], now), [reason], "at {now}");
    }
}

#[test]
fn without_a_guardrail_that_allows_windows_each_is_refused() {
    assert_eq!(reasons(&[window("a", 0, 100, 200)], &[], 150), ["NotAllowed"]);
}

#[test]
fn a_window_longer_than_the_shortest_bound_is_refused() {
    assert_eq!(
        reasons(&[window("a", 0, 100, 201)], &[bound(1000), bound(100)], 150),
        ["TooLong"]
    );
}

#[test]
fn a_window_in_the_past_is_refused_unless_it_was_open() {
    let mut windows = [window("a", 300, 100, 200)];
    assert_eq!(reasons(&windows, &[bound(100)], 301), ["InThePast"]);
    windows[0].opened = true;
    assert_eq!(reasons(&windows, &[bound(100)], 301), ["Over"]);
}

#[test]
fn a_window_for_a_policy_that_is_not_there_is_refused() {
    let mut windows = [window("a", 0, 100, 200)];
    windows[0].policy = "other".to_owned();
    assert_eq!(reasons(&windows, &[bound(100)], 150), ["NoSuchPolicy"]);
}

#[test]
fn a_window_that_ends_before_it_begins_is_refused() {
    assert_eq!(reasons(&[window("a", 0, 200, 100)], &[bound(100)], 150), ["Empty"]);
}

#[test]
fn windows_that_touch_or_overlap_count_as_one_and_the_earlier_created_stand() {
    // c was created first; a touches it; b overlaps a and makes the chain too long.
    let windows = [
        window("a", 2, 200, 260),
        window("b", 3, 250, 310),
        window("c", 1, 140, 200),
    ];
    assert_eq!(reasons(&windows, &[bound(120)], 150), ["NotYet", "TooLong", "Open"]);
    // Created at the same moment, the name decides.
    let windows = [window("a", 1, 100, 200), window("b", 1, 150, 250)];
    assert_eq!(reasons(&windows, &[bound(100)], 120), ["Open", "TooLong"]);
}

#[test]
fn a_row_of_short_windows_is_not_a_long_one() {
    let mut windows = [window("a", 0, 0, 100), window("b", 0, 100, 200)];
    windows[0].opened = true;
    assert_eq!(reasons(&windows, &[bound(150)], 120), ["Over", "TooLong"]);
}

#[test]
fn windows_of_different_policies_do_not_count_together() {
    let mut windows = [window("a", 0, 100, 200), window("b", 0, 150, 250)];
    windows[1].policy = "second".to_owned();
    let verdicts = judge(&windows, &[bound(100)], |_| true, Clock::Trusted, at(160));
    assert!(verdicts.values().all(|verdict| verdict.phase == WindowPhase::Open));
}

#[test]
fn with_a_doubted_clock_no_window_opens_and_an_open_one_ends_as_planned() {
    let mut windows = [window("a", 0, 100, 200)];
    let judged =
        |windows: &[WindowFacts], now| judge(windows, &[bound(100)], |_| true, Clock::Doubted, at(now))["a"].reason;
    assert_eq!(judged(&windows, 150), "ClockDoubted");
    windows[0].opened = true;
    assert_eq!(judged(&windows, 150), "Open");
    assert_eq!(judged(&windows, 200), "Over");
}

#[test]
fn the_next_change_is_the_nearest_opening_or_closing() {
    let windows = [
        window("a", 0, 100, 200),
        window("b", 0, 300, 400),
        window("c", 0, 50, 9000),
    ];
    let next = |now| {
        let verdicts = judge(&windows, &[bound(100)], |_| true, Clock::Trusted, at(now));
        next_change(&windows, &verdicts, at(now)).map(Timestamp::as_second)
    };
    assert_eq!(
        [next(0), next(100), next(200), next(300), next(400)],
        [Some(100), Some(200), Some(300), Some(400), None]
    );
}
