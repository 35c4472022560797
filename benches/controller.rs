//! `make bench-controller`: what thousands of policies cost, on a real API server and the simulator, all on loopback.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_POLICIES` | how many policies, a run each | `1000,5000,10000` |
//! | `BENCH_IDLE_SECONDS` | how long nothing happens after each run | `60` |
//! | `BENCH_SLOW_POLICIES` | how many policies at one call a second; `0` leaves that run out | `30` |
//!
//! The table goes to standard output, progress to standard error. Operator and simulator are processes of their own.
#![allow(clippy::print_stdout, clippy::print_stderr)] // the table and the progress are what this program is for

#[path = "controller/objects.rs"]
mod objects;
#[path = "controller/rig.rs"]
mod rig;
#[path = "controller/runs.rs"]
mod runs;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "controller/table.rs"]
mod table;
#[path = "controller/usage.rs"]
mod usage;

use std::{str::FromStr, time::Duration};

/// Any failure ends the bench with its sentence.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let sizes = list("BENCH_POLICIES", "1000,5000,10000")?;
    let idle = Duration::from_secs(number("BENCH_IDLE_SECONDS", 60)?);
    let slow = number("BENCH_SLOW_POLICIES", 30)?;
    let mut costs = Vec::new();
    for size in sizes {
        costs.push(runs::unlimited(size, idle).await?);
        // What is known already is shown: a later run may be interrupted.
        eprintln!("{}", table::costs(&costs));
    }
    let pace = if slow > 0 { Some(runs::slow(slow).await?) } else { None };
    println!("{}", table::costs(&costs));
    if let Some(pace) = pace {
        println!("{}", table::pace(&pace));
    }
    Ok(())
}

/// A variable with numbers, separated by commas.
fn list(variable: &str, default: &str) -> Result<Vec<u32>> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    text.split(',').map(|word| read(variable, word)).collect()
}

fn number<T: FromStr>(variable: &str, default: T) -> Result<T> {
    match std::env::var(variable) {
        Ok(text) => read(variable, &text),
        Err(_) => Ok(default),
    }
}

fn read<T: FromStr>(variable: &str, word: &str) -> Result<T> {
    let refused = |_| format!("{variable}: `{word}` is not a whole number").into();
    word.trim().parse().map_err(refused)
}
