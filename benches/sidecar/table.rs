//! What was found, as Markdown, and the aims beside it.

use super::{
    calls::Cost,
    http::{self, Way},
    memory::{CONNECTIONS, Held, Memory, OCTETS},
    messages::Shape,
    micro::Step,
    smtp,
};

/// The HTTP path: microseconds added to the middle and to the slowest hundredth of small messages, one session.
const ADDED_P50: f64 = 150.0;
const ADDED_P99: f64 = 2_000.0;
/// Part of the bare server's throughput at ten sessions.
const PART_OF_BARE: f64 = 0.25;
/// Microseconds of a whole SMTP transaction of a small message on one session.
const TRANSACTION: f64 = 600.0;
/// Times Mailpit's and Postfix's throughput of small messages at ten sessions.
const TIMES_MAILPIT: f64 = 4.0;
const TIMES_POSTFIX: f64 = 8.0;
/// MiB.
const IDLE: f64 = 10.0;
const OPEN: f64 = 48.0;

/// Which side of an aim is good.
enum Aim {
    Below(f64),
    Above(f64),
}

pub(crate) fn http(rows: &[http::Row]) -> String {
    let mut text = header(&[
        "HTTP",
        "sessions",
        "way",
        "messages/s",
        "of the floor",
        "p50 µs",
        "p99 µs",
        "p50 added",
        "p99 added",
        "sidecar's CPU µs a message",
    ]);
    for row in rows {
        let floor = row.ways.first().map(|way| &way.load);
        for (place, Way { name, load }) in row.ways.iter().enumerate() {
            let over = |part| floor.map_or(f64::NAN, |floor| load.quantile(part) - floor.quantile(part));
            let is_floor = place == 0;
            text += &line(&[
                format!("{:?}, {}", row.shape, octets(row.octets)),
                row.sessions.to_string(),
                (*name).to_owned(),
                rate(load.per_second()),
                floor.map_or_else(String::new, |floor| {
                    format!("{:.2}", load.per_second() / floor.per_second())
                }),
                format!("{:.0}", load.quantile(0.5)),
                format!("{:.0}", load.quantile(0.99)),
                unless(is_floor, format!("{:+.0}", over(0.5))),
                unless(is_floor, format!("{:+.0}", over(0.99))),
                unless(is_floor, format!("{:.0}", load.cpu_micros())),
            ]);
        }
    }
    let mut aims = Vec::new();
    for row in rows.iter().filter(|row| row.octets <= 2_000) {
        let [floor, ours, ..] = row.ways.as_slice() else {
            continue;
        };
        let what = format!("{:?} 2 KB, {}", row.shape, ours.name);
        if row.sessions == 1 {
            let added = |part| ours.load.quantile(part) - floor.load.quantile(part);
            aims.push((format!("p50 added, µs ({what})"), Aim::Below(ADDED_P50), added(0.5)));
            aims.push((format!("p99 added, µs ({what})"), Aim::Below(ADDED_P99), added(0.99)));
        } else if floor.name.contains("bare") && row.shape == Shape::Simple {
            let part = ours.load.per_second() / floor.load.per_second();
            aims.push((
                format!("part of the bare server's throughput ({what})"),
                Aim::Above(PART_OF_BARE),
                part,
            ));
        }
    }
    text + &table_of(&aims)
}

pub(crate) fn smtp(rows: &[smtp::Row]) -> String {
    let mut text = header(&[
        "SMTP",
        "sessions",
        "server",
        "messages/s",
        "of the floor",
        "the sidecar's times it",
        "µs a transaction",
        "sidecar's CPU µs a message",
    ]);
    let per_second = |row: &smtp::Row, name: &str| {
        let way = row.ways.iter().find(|way| way.name.starts_with(name))?;
        way.run.as_ref().ok().map(|run| run.per_second())
    };
    for row in rows {
        for way in &row.ways {
            let begin = [octets(row.octets), row.sessions.to_string(), way.name.clone()];
            let run = match &way.run {
                Ok(run) => *run,
                Err(why) => {
                    let rest = [
                        format!("none: {why}"),
                        String::new(),
                        String::new(),
                        String::new(),
                        String::new(),
                    ];
                    text += &line(&[begin.as_slice(), &rest].concat());
                    continue;
                }
            };
            let of = |name, turn: fn(f64, f64) -> f64| {
                let other = per_second(row, name);
                other.map_or_else(String::new, |other| format!("{:.2}", turn(run.per_second(), other)))
            };
            let mut transaction = format!("{:.0}", run.transaction_micros(row.sessions));
            if run.took.as_secs_f64() > run.taken.as_secs_f64() * 1.05 {
                transaction += " until taken";
            }
            let rest = [
                rate(run.per_second()),
                of("smtp-sink", |run, floor| run / floor),
                of("sidecar", |run, ours| ours / run),
                transaction,
                run.cpu_micros().map_or_else(String::new, |cpu| format!("{cpu:.0}")),
            ];
            text += &line(&[begin.as_slice(), &rest].concat());
        }
    }
    let mut aims = Vec::new();
    for row in rows.iter().filter(|row| row.octets == 2_000) {
        for server in ["sidecar", "sidecar to the bare server"] {
            let ours = row.ways.iter().find(|way| way.name == server);
            let Some(Ok(ours)) = ours.map(|way| way.run.as_ref()) else {
                continue;
            };
            if row.sessions == 1 {
                let measured = ours.transaction_micros(1);
                let what = format!("SMTP transaction of 2 KB, one session, µs ({server})");
                aims.push((what, Aim::Below(TRANSACTION), measured));
                continue;
            }
            for (name, times) in [("Mailpit", TIMES_MAILPIT), ("Postfix", TIMES_POSTFIX)] {
                if let Some(peer) = per_second(row, name) {
                    let what = format!("times {name}, 2 KB, ten sessions ({server})");
                    aims.push((what, Aim::Above(times), ours.per_second() / peer));
                }
            }
        }
    }
    text + &table_of(&aims)
}

pub(crate) fn memory(memory: &Memory) -> String {
    let Memory { held, steps } = memory;
    let open = format!("{CONNECTIONS} messages of {} half sent", octets(OCTETS));
    let mut text = header(&[
        "memory, MiB",
        "idle",
        &open,
        "the most, all ended at once",
        "afterwards",
    ]);
    for held in held {
        text += &match held {
            Ok(Held {
                name,
                idle,
                idle_anonymous,
                open,
                peak,
                after,
            }) => line(&[
                name.clone(),
                format!("{} ({} of no file)", mebi(*idle), mebi(*idle_anonymous)),
                mebi(*open),
                mebi(*peak),
                mebi(*after),
            ]),
            Err(why) => line(&[why.clone(), String::new(), String::new(), String::new(), String::new()]),
        };
    }
    text.push('\n');
    if !steps.is_empty() {
        text += &header(&[
            "messages through one sidecar",
            "MiB",
            "the most",
            "messages/s",
            "p50 µs",
            "p99 µs",
            "slowest µs",
        ]);
        for step in steps {
            text += &line(&[
                step.messages.to_string(),
                mebi(step.usage.resident),
                mebi(step.usage.peak),
                rate(step.load.per_second()),
                format!("{:.0}", step.load.quantile(0.5)),
                format!("{:.0}", step.load.quantile(0.99)),
                format!("{:.0}", step.load.quantile(1.0)),
            ]);
        }
    }
    let mut aims = Vec::new();
    if let Some(Ok(held)) = held.first() {
        aims.push(("MiB idle".to_owned(), Aim::Below(IDLE), held.idle));
        aims.push((format!("MiB with {open}"), Aim::Below(OPEN), held.open));
        aims.push((
            "MiB when all of them end at once".to_owned(),
            Aim::Below(OPEN),
            held.peak,
        ));
    }
    text + &table_of(&aims)
}

pub(crate) fn calls(costs: &[Cost]) -> String {
    let mut text = header(&[
        "a call to SES",
        "by",
        "calls",
        "p50 µs",
        "CPU µs a call",
        "of the SDK's CPU",
    ]);
    for pair in costs.chunks(2) {
        for cost in pair {
            text += &line(&[
                octets(cost.octets),
                cost.name.to_owned(),
                cost.calls().to_string(),
                format!("{:.0}", cost.median_micros()),
                format!("{:.0}", cost.cpu_micros()),
                pair.first().map_or_else(String::new, |sdk| {
                    format!("{:.2}", cost.cpu_micros() / sdk.cpu_micros())
                }),
            ]);
        }
    }
    text
}

pub(crate) fn micro(steps: &[Step]) -> String {
    let mut text = header(&["step", "median", "middle half of the samples"]);
    for Step { name, median, quarters } in steps {
        let quarters = format!("{} to {}", nanos(quarters.0), nanos(quarters.1));
        text += &line(&[name.clone(), nanos(*median), quarters]);
    }
    text
}

/// What else the machine did: absolute numbers mean little on one that is busy, ratios more.
pub(crate) fn machine(before: &str, after: &str) -> String {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load: f64 = before
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0);
    let beside = if load > 0.5 {
        " Other load ran beside the bench."
    } else {
        ""
    };
    format!("{processors} processors; load average {before} before, {after} after.{beside}")
}

fn table_of(aims: &[(String, Aim, f64)]) -> String {
    if aims.is_empty() {
        return String::new();
    }
    let mut text = "\n".to_owned() + &header(&["aim", "wanted", "measured", ""]);
    for (what, aim, measured) in aims {
        let (wanted, is_met) = match aim {
            Aim::Below(most) => (format!("below {most}"), measured < most),
            Aim::Above(least) => (format!("at least {least}"), measured >= least),
        };
        let measured = format!("{measured:.*}", usize::from(measured.abs() < 100.0) * 2);
        let verdict = if is_met { "met" } else { "MISSED" };
        text += &line(&[what.clone(), wanted, measured, verdict.to_owned()]);
    }
    text
}

fn unless(is_floor: bool, text: String) -> String {
    if is_floor { String::new() } else { text }
}

fn octets(number: usize) -> String {
    match number {
        1_000_000.. => format!("{} MB", number / 1_000_000),
        _ => format!("{} KB", number / 1_000),
    }
}

fn rate(per_second: f64) -> String {
    format!("{per_second:.*}", usize::from(per_second < 100.0))
}

fn mebi(number: f64) -> String {
    format!("{number:.1}")
}

fn nanos(number: f64) -> String {
    if number < 10_000.0 {
        format!("{number:.0} ns")
    } else {
        format!("{:.1} µs", number / 1_000.0)
    }
}

fn header(cells: &[&str]) -> String {
    let names: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = cells.iter().map(|_| "---".to_owned()).collect();
    line(&names) + &line(&rule)
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
