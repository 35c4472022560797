//! Single steps without IO but the journal's: what a decision, a ceiling, a line of the journal and a digest cost.

use std::{fmt::Write as _, hint::black_box, time::Duration};

use bytes::Bytes;
use mail_policy_operator::{
    api::Address,
    clock,
    policy::{
        SidecarConfig,
        ceiling::{self, Ceilings as Levels, Mailed, Moment},
        gate::{Gate, Headers, Message, Suppressed},
        suppressions::{HashKey, Subject},
    },
    sidecar::{
        past::{Event, Past},
        relay::{Envelope, Request, Sendable},
        rules::Rules,
    },
};

use crate::{
    Result,
    http::{count, quantile},
    messages::{SENDER, text},
    rig::Ceilings,
};

/// How long one sample takes.
const SAMPLE: Duration = Duration::from_millis(5);
/// How many are taken.
const SAMPLES: usize = 60;
/// Addresses that must not be mailed, in the larger gate.
const SUPPRESSED: usize = 100_000;
/// Policies of the larger gate.
const POLICIES: usize = 20;

/// What a step costs, in nanoseconds.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) median: f64,
    /// A quarter of the samples is below the first, a quarter above the second.
    pub(crate) quarters: (f64, f64),
}

struct NoHeaders;

impl Headers for NoHeaders {
    fn has_line(&self, _: &str, _: &str) -> bool {
        false
    }
}

pub(crate) fn all() -> Result<Vec<Step>> {
    eprintln!("  single steps");
    let mut steps = Vec::new();
    gate(&mut steps)?;
    ceilings(&mut steps)?;
    journal(&mut steps)?;
    digest(&mut steps)?;
    Ok(steps)
}

/// Samples a step, each of so many repetitions that the clock's own cost is nothing.
fn sample(name: impl Into<String>, mut step: impl FnMut()) -> Step {
    let mut times = 1_u32;
    let spent = |times: u32, step: &mut dyn FnMut()| {
        let began = clock::monotonic();
        (0..times).for_each(|_| step());
        clock::monotonic() - began
    };
    while spent(times, &mut step) < SAMPLE && times < 1 << 24 {
        times *= 2;
    }
    let each = |spent: Duration| spent.as_secs_f64() * 1e9 / f64::from(times);
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| each(spent(times, &mut step))).collect();
    samples.sort_by(f64::total_cmp);
    Step {
        name: name.into(),
        median: quantile(&samples, 0.5),
        quarters: (quantile(&samples, 0.25), quantile(&samples, 0.75)),
    }
}

fn addresses(number: usize) -> Result<Vec<Address>> {
    let all = (0..number).map(|number| Address::parse(&format!("jo{number}@example.com")));
    Ok(all.collect::<std::result::Result<_, _>>()?)
}

fn gate(steps: &mut Vec<Step>) -> Result<()> {
    let key = HashKey::for_namespace(b"master", "shop");
    let text = Ceilings::Wide.config("http://127.0.0.1:1");
    let small = Gate::new(SidecarConfig::parse(&text)?, Some(Suppressed::nobody(key, "r1")));
    let key = HashKey::for_namespace(b"master", "shop");
    let mut hashes = String::new();
    for number in 0..SUPPRESSED {
        let subject = Subject::Address(Address::parse(&format!("gone{number}@example.com"))?);
        writeln!(hashes, "{} Bounce", key.hash(&subject))?;
    }
    let suppressed = Suppressed::read(key.as_bytes(), "r1", &hashes)?;
    let large = Gate::new(SidecarConfig::parse(&many_policies(&text)?)?, Some(suppressed));
    let from = Address::parse(SENDER)?;
    let now = clock::now();
    let large_name = format!("{POLICIES} policies, {SUPPRESSED} suppressed");
    for (gate, what) in [(&small, "1 policy"), (&large, large_name.as_str())] {
        for recipients in [1, 50] {
            let recipients = addresses(recipients)?;
            let message = Message {
                from: &from,
                sender: Some(&from),
                headers: &NoHeaders,
                recipients: &recipients,
            };
            let decision = gate.decide(message, now);
            if let Some(refusal) = decision.refusal() {
                return Err(format!("the gate refuses: {refusal}").into());
            }
            let name = format!("Gate::decide, {} recipients, {what}", recipients.len());
            steps.push(sample(name, || {
                black_box(gate.decide(black_box(message), now));
            }));
        }
    }
    Ok(())
}

/// The configuration with policies for other senders before its own.
fn many_policies(text: &str) -> Result<String> {
    let (before, policy) = text
        .split_once("- name: mail\n")
        .ok_or("the configuration has changed")?;
    let (policy, after) = policy
        .split_once("suppressions:")
        .ok_or("the configuration has changed")?;
    let mut many = before.to_owned();
    for number in 1..POLICIES {
        let match_ = format!("match: {{type: Only, senders: [\"news{number}@example.com\"]}}");
        let other = policy.replace("match: {type: Rest}", &match_);
        write!(many, "- name: a{number:02}\n{other}")?;
    }
    write!(many, "- name: mail\n{policy}suppressions:{after}")?;
    Ok(many)
}

fn ceilings(steps: &mut Vec<Step>) -> Result<()> {
    for (ceilings, what) in [(Ceilings::Wide, "five ceilings"), (Ceilings::None, "no ceiling")] {
        for recipients in [1, 50] {
            let mut levels = levels(ceilings)?;
            let mailed: Vec<Mailed> = mailed(recipients);
            let mut now = Moment(1_800_000_000_000_000_000);
            let mut hindered = 0_usize;
            let name = format!("Ceilings::take, {recipients} recipients, {what}");
            steps.push(sample(name, || {
                now = now.after(1_000_000);
                hindered += usize::from(black_box(levels.take(&["mail"], black_box(&mailed), now)).is_err());
            }));
            if hindered > 0 {
                return Err("a ceiling was reached that is not to be".into());
            }
        }
    }
    Ok(())
}

fn levels(ceilings: Ceilings) -> Result<Levels> {
    let gate = Gate::new(SidecarConfig::parse(&ceilings.config("http://127.0.0.1:1"))?, None);
    let limits = Rules::new(Ok(gate), clock::now()).limits().ok_or("a gate has limits")?;
    Ok(Levels::new(&limits))
}

fn mailed(number: u64) -> Vec<Mailed> {
    let mailed = |hash| Mailed { hash, simulated: false };
    // Hashes are spread over all numbers.
    (1..=number)
        .map(|number| mailed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect()
}

fn journal(steps: &mut Vec<Step>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let now = Moment(1_800_000_000_000_000_000);
    let (mut past, _) = Past::open(folder.path(), now)?;
    let ticket = ceiling::Ticket {
        at: now,
        policies: vec!["mail".to_owned()],
        recipients: mailed(1),
        new: Vec::new(),
    };
    let event = Event::Taken(ticket);
    let mut failed = 0_usize;
    steps.push(sample("Past::note, a message to one recipient", || {
        failed += usize::from(past.note(black_box(&event)).is_err());
    }));
    if failed > 0 {
        return Err("the journal cannot be written".into());
    }
    Ok(())
}

fn digest(steps: &mut Vec<Step>) -> Result<()> {
    for octets in [2_000, 100_000] {
        let content = Sendable::Raw {
            head: Bytes::new(),
            body: text(octets).into(),
        };
        let request = Request::new(&Envelope::default(), content)?;
        let step = sample(format!("Request::digest, {octets} octets"), || {
            black_box(black_box(&request).digest());
        });
        let rate = count(octets) * 1e9 / step.median / 1e6;
        let name = format!("{} ({rate:.0} MB/s)", step.name);
        steps.push(Step { name, ..step });
    }
    Ok(())
}
