//! Random histories of a namespace in which everything fails, over days, by the real limiter.
//!
//! Checked at every moment that matters: what is granted or used is within each ceiling, and what all sidecars together
//! let through in any stretch of a ceiling's period is too; of rates a second, as far as they promise.

use super::{
    fleet::{SECOND, START},
    world::{World, Worst},
};

/// Histories of few pods, and of up to fifty.
const SMALL: u64 = 1_500;
const LARGE: u64 = 20;

/// Plays histories; the most that was seen.
#[allow(clippy::print_stdout)] // what a person asks for with --nocapture
fn play(seeds: std::ops::Range<u64>, steps: u64, most: u64) {
    let histories = seeds.end - seeds.start;
    let mut worst = Worst::default();
    let mut nanos = 0_u128;
    for seed in seeds {
        let mut world = World::new(seed, most);
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.play(steps, most)));
        assert!(played.is_ok(), "history {seed}");
        let Worst {
            windows,
            counted,
            rapid,
            sent,
            patches,
            pods,
        } = world.worst;
        worst = Worst {
            windows: worst.windows.max(windows),
            counted: worst.counted.max(counted),
            rapid: worst.rapid.max(rapid),
            sent: worst.sent + sent,
            patches: worst.patches + patches,
            pods: worst.pods + pods,
        };
        nanos += u128::from(world.now - START);
    }
    let days = nanos / u128::from(86_400 * SECOND);
    let Worst {
        windows,
        counted,
        rapid,
        sent,
        patches,
        pods,
    } = worst;
    println!(
        "{histories} histories of {days} days, {pods} pods, {sent} messages, {patches} patches; at most, in thousandths \
         of a ceiling: let through in a period {windows}, granted or used {counted}, of a rate a second but each pod's \
         last message {rapid}"
    );
    assert!(windows > 800, "the histories send too little to say anything");
}

#[test]
fn in_no_history_of_a_few_pods_more_is_let_through_than_a_ceiling_allows() {
    play(0..SMALL, 60, 6);
}

#[test]
fn in_no_history_of_many_pods_more_is_let_through_than_a_ceiling_allows() {
    play(SMALL..SMALL + LARGE, 100, 50);
}
