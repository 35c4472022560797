//! What was found, as Markdown.

use std::fmt::Write as _;

use super::{
    runs::{Cost, Pace, Phase},
    usage::Usage,
};

/// Sets that the comparable peer (AWS's own ses-controller for Kubernetes, 16 workers) created on such a machine: a name
/// each and nothing else, three calls to SES for each.
const PEER_SETS: f64 = 6000.0;
/// How long it took, in seconds.
const PEER_SECONDS: f64 = 34.0;
/// Its CPU seconds.
const PEER_CPU: f64 = 13.0;
/// Its peak memory in MiB.
const PEER_PEAK: f64 = 98.0;
/// Its calls to SES for each set.
const PEER_CALLS: f64 = 3.0;

/// A run each row, with the budget lifted.
pub(crate) fn costs(costs: &[Cost]) -> String {
    let header = [
        "policies",
        "all Ready",
        "CPU",
        "per CPU second",
        "peak memory",
        "SES calls each",
        "API writes each",
        "a change meanwhile",
        "idle",
        "restart",
    ];
    let mut text = row(&header.map(ToOwned::to_owned)) + &row(&header.map(|_| "---".to_owned()));
    text += &row(&[
        format!("peer, {PEER_SETS}"),
        format!("{PEER_SECONDS} s"),
        format!("{PEER_CPU} s"),
        format!("{:.0}", PEER_SETS / PEER_CPU),
        format!("{PEER_PEAK} MiB"),
        format!("{PEER_CALLS}"),
        "unknown".to_owned(),
        "unknown".to_owned(),
        "unknown".to_owned(),
        "unknown".to_owned(),
    ]);
    for cost in costs {
        text += &row(&cells(cost));
    }
    text
}

fn cells(cost: &Cost) -> [String; 10] {
    let Cost {
        policies,
        creation,
        change,
        idle,
        restart,
    } = cost;
    let number = f64::from(*policies);
    let Usage { cpu, peak, resident: _ } = creation.usage;
    let rate = number / cpu;
    [
        policies.to_string(),
        format!("{:.1} s", creation.took.as_secs_f64()),
        format!("{cpu:.2} s"),
        format!("{rate:.0} ({:.2} × peer)", rate / (PEER_SETS / PEER_CPU)),
        format!("{peak:.0} MiB ({:.2} × peer)", peak / PEER_PEAK),
        format!("{:.2}", total(creation) / number),
        format!("{:.2}", count(creation.writes) / number),
        format!("{:.2} s", change.as_secs_f64()),
        format!(
            "{} s: {} calls, {} writes, {:.2} CPU s, {:.0} MiB",
            idle.took.as_secs(),
            total(idle),
            idle.writes,
            idle.usage.cpu,
            idle.usage.resident
        ),
        format!(
            "{:.1} s: {} calls ({}), {} writes, {:.2} CPU s, {:.0} MiB",
            restart.took.as_secs_f64(),
            total(restart),
            names(restart),
            restart.writes,
            restart.usage.cpu,
            restart.usage.peak
        ),
    ]
}

fn total(phase: &Phase) -> f64 {
    count(phase.calls.values().sum())
}

#[allow(clippy::cast_precision_loss)] // Counts of calls and writes are far below 2^53.
fn count(number: u64) -> f64 {
    number as f64
}

fn names(phase: &Phase) -> String {
    let names: Vec<String> = phase
        .calls
        .iter()
        .map(|(operation, calls)| format!("{calls} {operation}"))
        .collect();
    names.join(", ")
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// At one call a second: measured, and what follows for more.
pub(crate) fn pace(pace: &Pace) -> String {
    let Pace {
        policies,
        took,
        stop,
        waiting,
    } = pace;
    let each = took.as_secs_f64() / f64::from(*policies);
    let mut text = format!(
        "At one call a second, {policies} policies took {:.0} s, {each:.2} s each",
        took.as_secs_f64()
    );
    for more in [300_u32, 1000, 5000, 10_000].into_iter().filter(|more| more > policies) {
        let hours = each * f64::from(more) / 3600.0;
        // Writing to a String cannot fail.
        let _written = write!(text, "; {more} would take {hours:.1} h");
    }
    let _written = write!(
        text,
        ".\nA stop reached SES in {:.2} s, past {waiting} creations that waited.",
        stop.as_secs_f64()
    );
    text
}
