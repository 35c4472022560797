//! `make bench-sidecar`: what a message costs in the sidecar, beside the same load without it and beside Postfix and
//! Mailpit, all on loopback.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BENCH_SECONDS` | how long a row is measured | `2` |
//! | `BENCH_MANY` | messages for the flatness of memory; `0` leaves them out | `200000` |
//! | `BENCH_PARTS` | which parts, separated by commas | `http,smtp,memory,calls,micro` |
//!
//! The tables go to standard output, progress to standard error. Sidecar, simulator and peers are processes of their own;
//! the clients of the HTTP rows and the bare server are two threads of this one.
#![allow(clippy::print_stdout, clippy::print_stderr)] // the tables and the progress are what this program is for

#[path = "sidecar/calls.rs"]
mod calls;
#[path = "sidecar/http.rs"]
mod http;
#[path = "sidecar/memory.rs"]
mod memory;
#[path = "sidecar/messages.rs"]
mod messages;
#[path = "sidecar/micro.rs"]
mod micro;
#[path = "sidecar/peers.rs"]
mod peers;
#[path = "sidecar/rig.rs"]
mod rig;
#[path = "sidecar/sink.rs"]
mod sink;
#[path = "sidecar/smtp.rs"]
mod smtp;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "sidecar/table.rs"]
mod table;
#[path = "controller/usage.rs"]
mod usage;

use std::{str::FromStr, time::Duration};

use rig::Rig;

/// Any failure ends the bench with its sentence.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let seconds = Duration::from_secs_f64(number("BENCH_SECONDS", 2.0)?);
    let many: u64 = number("BENCH_MANY", 200_000)?;
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| "http,smtp,memory,calls,micro".to_owned());
    let has = |part: &str| parts.split(',').any(|it| it.trim() == part);
    let before = load_average()?;
    let rig = Rig::start().await?;
    // What is known is shown at once: a later part may be interrupted.
    if has("http") {
        println!("{}", table::http(&http::rows(&rig, seconds).await?));
    }
    if has("smtp") {
        println!("{}", table::smtp(&smtp::rows(&rig, seconds).await?));
    }
    if has("memory") {
        println!("{}", table::memory(&memory::measure(&rig, many).await?));
    }
    if has("calls") {
        println!("{}", table::calls(&calls::compare(&rig, seconds).await?));
    }
    if has("micro") {
        println!("{}", table::micro(&micro::all()?));
    }
    println!("{}", table::machine(&before, &load_average()?));
    Ok(())
}

/// The machine's load of the last one, five and fifteen minutes.
fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

fn number<T: FromStr>(variable: &str, default: T) -> Result<T> {
    match std::env::var(variable) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{variable}: `{text}` is not such a number").into()),
        Err(_) => Ok(default),
    }
}
