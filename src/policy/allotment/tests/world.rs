//! A namespace in which everything fails, by the real limiter: one history of it, by a number.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::fleet::{SECOND, START, Sidecar, keys, own, timestamp};
use crate::policy::{
    allotment::{Allotment, CeilingKey, Ledger, Pod, Word},
    ceiling::{NamespaceLimits, PolicyLimits},
};

/// `SplitMix64`: the same history for the same number, everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

struct SimPod {
    sidecar: Sidecar,
    /// By how many seconds its clock is ahead of `START - 5 s`'s.
    ahead: u64,
    /// Whether the API server has it.
    listed: bool,
    running: bool,
    /// Whether the operator can ask it.
    reachable: bool,
    annotated: Option<Allotment>,
    /// What it left, once it has ended.
    left: Option<Word>,
    /// Messages it tries at once.
    eager: u64,
}

/// What was let through of one ceiling over more than a second.
struct Window {
    key: CeilingKey,
    seconds: u64,
    sent: VecDeque<(u64, usize, u64)>,
    sum: u64,
}

/// What was let through of one ceiling a second.
struct Rapid {
    key: CeilingKey,
    sent: VecDeque<(u64, usize, u64)>,
    /// By pod: under which share its last message takes up time, and until when.
    taken_up: HashMap<usize, (u64, u64)>,
}

struct Leader {
    ahead: u64,
    /// The ledger it knows, and the version under which it was stored.
    ledger: Option<(Ledger, u64)>,
    /// What it has asked pods, and not decided on yet.
    asked: Option<Vec<Pod>>,
}

enum Delivery {
    /// A patch reaches the API server.
    Patch(usize, Allotment),
    /// Kubelet writes a pod's file anew.
    File(usize),
}

/// The most that was seen of what is allowed, in thousandths.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Worst {
    pub windows: u64,
    pub counted: u64,
    pub rapid: u64,
    pub sent: u64,
    pub patches: u64,
    pub pods: u64,
}

pub(super) struct World {
    dice: Dice,
    pub now: u64,
    own: NamespaceLimits,
    /// Each ceiling's count over time: when, and by key and seconds.
    caps: Vec<(u64, NamespaceLimits)>,
    pods: Vec<SimPod>,
    stored: (Ledger, u64),
    leaders: [Leader; 2],
    pending: Vec<(u64, Delivery)>,
    windows: Vec<Window>,
    rapid: Vec<Rapid>,
    changes: bool,
    pub worst: Worst,
}

/// The count of a ceiling.
fn count(own: &NamespaceLimits, key: &CeilingKey, seconds: u64) -> u64 {
    let rates = key.limits(own).unwrap().rates().find(|rate| rate.seconds == seconds);
    rates.map_or(0, |rate| rate.count.get())
}

impl World {
    pub fn new(seed: u64, most: u64) -> Self {
        let mut dice = Dice(seed);
        let own = match dice.below(5) {
            0 if most > 10 => own(&["60/s", "900/h"], &["2000/d"]),
            1 if most > 10 => own(&["2000/h"], &["300/20m"]),
            2 if most > 10 => own(&["100/10s", "9000/d"], &["50/s"]),
            0 => own(&["5/s", "100/h"], &["60/h"]),
            1 => own(&["40/h"], &["7/s", "200/d"]),
            2 => own(&["20/s", "30/20m"], &["500/d"]),
            3 => own(&["3/s", "12/10s", "300/d"], &["2/s"]),
            _ => own(&["200/h", "600/d"], &["90/h"]),
        };
        let mut windows = Vec::new();
        let mut rapid = Vec::new();
        for key in keys() {
            for rate in key.limits(&own).unwrap().rates() {
                let key = key.clone();
                if rate.seconds == 1 {
                    rapid.push(Rapid {
                        key,
                        sent: VecDeque::new(),
                        taken_up: HashMap::new(),
                    });
                } else {
                    let seconds = rate.seconds;
                    windows.push(Window {
                        key,
                        seconds,
                        sent: VecDeque::new(),
                        sum: 0,
                    });
                }
            }
        }
        let mut leader = || Leader {
            ahead: dice.below(11),
            ledger: None,
            asked: None,
        };
        let leaders = [leader(), leader()];
        let changes = dice.percent(20);
        Self {
            dice,
            now: START,
            caps: vec![(0, own.clone())],
            own,
            pods: Vec::new(),
            stored: (Ledger::default(), 0),
            leaders,
            pending: Vec::new(),
            windows,
            rapid,
            changes,
            worst: Worst::default(),
        }
    }

    /// A clock is up to 5 s behind or ahead of the true time.
    fn clock(&self, ahead: u64) -> u64 {
        self.now + ahead * SECOND - 5 * SECOND
    }

    /// The most that the ceiling was in the period before now, and as long before as a share of a larger one may be held
    /// that was not heard of.
    fn cap(&self, key: &CeilingKey, seconds: u64) -> u64 {
        let since = self.now - (2 * seconds + 8 * 3_600) * SECOND;
        let mut most = 0;
        for (index, (_, own)) in self.caps.iter().enumerate() {
            let ended = self.caps.get(index + 1).map_or(u64::MAX, |(at, _)| *at);
            if ended >= since {
                most = most.max(count(own, key, seconds));
            }
        }
        most
    }

    fn pass(&mut self, nanos: u64) {
        let end = self.now + nanos;
        loop {
            let first = self.pending.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let Some((index, at)) = first.map(|(index, (at, _))| (index, *at)).filter(|(_, at)| *at <= end) else {
                break;
            };
            self.now = at.max(self.now);
            match self.pending.swap_remove(index).1 {
                Delivery::Patch(pod, allotment) => {
                    if self.pods[pod].listed {
                        self.pods[pod].annotated = Some(allotment);
                        let after = match self.dice.below(20) {
                            0 => self.dice.below(90 * SECOND),
                            _ => self.dice.below(SECOND),
                        };
                        self.pending.push((self.now + after, Delivery::File(pod)));
                    }
                }
                Delivery::File(pod) => self.read(pod),
            }
        }
        self.now = end;
    }

    fn read(&mut self, pod: usize) {
        let now = self.clock(self.pods[pod].ahead);
        let SimPod {
            sidecar,
            running,
            annotated,
            ..
        } = &mut self.pods[pod];
        let Some(annotated) = annotated.as_ref().filter(|_| *running) else {
            return;
        };
        if sidecar
            .read(&self.own, annotated.clone(), now)
            .is_ok_and(|changed| changed)
        {
            self.check_granted();
        }
    }

    /// At this moment, what is granted or used is within every ceiling.
    fn check_granted(&mut self) {
        let pods = self.pods.iter().enumerate().filter(|(_, pod)| pod.running);
        let running: Vec<(usize, &SimPod, u64)> =
            pods.map(|(index, pod)| (index, pod, self.clock(pod.ahead))).collect();
        let mut worst = 0;
        for window in &self.windows {
            let since = self.now - window.seconds * SECOND;
            let mut counts: HashMap<usize, u64> = HashMap::new();
            for (_, pod, count) in window.sent.iter().filter(|(at, ..)| *at >= since) {
                *counts.entry(*pod).or_default() += count;
            }
            for (index, pod, now) in &running {
                let share = pod.sidecar.in_force(&self.own, &window.key, window.seconds, *now);
                let counts = counts.entry(*index).or_default();
                *counts = share.max(*counts);
            }
            let (sum, cap) = (counts.values().sum::<u64>(), self.cap(&window.key, window.seconds));
            assert!(
                sum <= cap,
                "{sum} of {cap} in {} s are granted or used: {counts:?}",
                window.seconds
            );
            worst = worst.max(sum * 1_000 / cap);
        }
        for rapid in &self.rapid {
            let shares = running.iter();
            let shares = shares.map(|(_, pod, now)| pod.sidecar.in_force(&self.own, &rapid.key, 1, *now));
            let (sum, cap) = (shares.sum::<u64>(), self.cap(&rapid.key, 1));
            assert!(sum <= cap, "{sum} of {cap} a second are granted");
        }
        self.worst.counted = self.worst.counted.max(worst);
    }

    fn send(&mut self, index: usize, recipients: u64) -> bool {
        let now = self.clock(self.pods[index].ahead);
        let shares: Vec<u64> = self
            .rapid
            .iter()
            .map(|rapid| self.pods[index].sidecar.in_force(&self.own, &rapid.key, 1, now))
            .collect();
        if !self.pods[index].sidecar.send(&self.own, recipients, now) {
            return false;
        }
        self.worst.sent += 1;
        let caps: Vec<u64> = self
            .windows
            .iter()
            .map(|window| self.cap(&window.key, window.seconds))
            .collect();
        for (window, cap) in self.windows.iter_mut().zip(caps) {
            window.sent.push_back((self.now, index, recipients));
            window.sum += recipients;
            while let Some((at, _, count)) = window.sent.front().copied() {
                if self.now - at <= window.seconds * SECOND {
                    break;
                }
                window.sum -= count;
                window.sent.pop_front();
            }
            assert!(
                window.sum <= cap,
                "{} of {cap} went in {} s",
                window.sum,
                window.seconds
            );
            self.worst.windows = self.worst.windows.max(window.sum * 1_000 / cap);
        }
        let caps: Vec<u64> = self.rapid.iter().map(|rapid| self.cap(&rapid.key, 1)).collect();
        for ((rapid, share), cap) in self.rapid.iter_mut().zip(shares).zip(caps) {
            let until = self.now + (recipients * SECOND).div_ceil(share);
            rapid.taken_up.insert(index, (share, until));
            let alive = rapid
                .taken_up
                .iter()
                .filter(|(pod, (_, until))| self.pods[**pod].running && *until > self.now);
            let taken_up: u64 = alive.map(|(_, (share, _))| share).sum();
            assert!(taken_up <= cap, "{taken_up} of {cap} a second are taken up");
            rapid.sent.push_back((self.now, index, recipients));
            while rapid.sent.front().is_some_and(|(at, ..)| self.now - at > 60 * SECOND) {
                rapid.sent.pop_front();
            }
            for stretch in [1, 10, 60] {
                let mut last = HashSet::new();
                let mut but_last = 0;
                for (at, pod, count) in rapid.sent.iter().rev() {
                    if self.now - at > stretch * SECOND {
                        break;
                    }
                    if !last.insert(*pod) {
                        but_last += count;
                    }
                }
                assert!(
                    but_last <= cap * stretch,
                    "{but_last} and each pod's last in {stretch} s of {cap} a second"
                );
                self.worst.rapid = self.worst.rapid.max(but_last * 1_000 / (cap * stretch));
            }
        }
        true
    }

    fn start(&mut self) {
        let number = self.pods.len();
        let uid = format!("pod-{number}");
        let life = self.dice.next();
        self.worst.pods += 1;
        self.pods.push(SimPod {
            sidecar: Sidecar::new(&uid, life),
            ahead: self.dice.below(11),
            listed: true,
            running: true,
            reachable: true,
            annotated: None,
            left: None,
            eager: 1 + self.dice.below(5) * self.dice.below(8),
        });
    }

    fn pick(&mut self, which: impl Fn(&SimPod) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.pods.len()).filter(|&index| which(&self.pods[index])).collect();
        (!all.is_empty()).then(|| all[usize::try_from(self.dice.below(all.len() as u64)).unwrap()])
    }

    fn end(&mut self, index: usize, with_farewell: bool) {
        let now = self.clock(self.pods[index].ahead);
        let pod = &mut self.pods[index];
        pod.running = false;
        let farewell = pod.sidecar.allotted.farewell(pod.sidecar.usage(now).into_iter());
        pod.left = Some(if with_farewell {
            Word::Farewell(farewell)
        } else {
            Word::Ended
        });
    }

    /// The operator asks every pod, decides, stores and sends; in any of these steps it may end.
    fn round(&mut self, leader: usize) {
        let Leader { ahead, ledger, asked } = &mut self.leaders[leader];
        let (ahead, ledger, asked) = (*ahead, ledger.take(), asked.take());
        let (ledger, version) = ledger.unwrap_or_else(|| self.stored.clone());
        let pods = asked.unwrap_or_else(|| self.ask());
        if self.dice.percent(10) {
            // Decided later: the answers are old by then.
            self.leaders[leader].ledger = Some((ledger, version));
            self.leaders[leader].asked = Some(pods);
            return;
        }
        let now = self.clock(ahead);
        let granted = ledger.grant(&self.own, &pods, timestamp(now));
        let mut version = version;
        if granted.store {
            if self.stored.1 != version {
                return;
            }
            version += 1;
            self.stored = (granted.ledger.clone(), version);
            if self.dice.percent(5) {
                if self.dice.percent(10) {
                    let read = Ledger::parse(&self.stored.0.text().unwrap()).unwrap();
                    assert_eq!(read, self.stored.0);
                }
                // Killed between the ledger and the patches; or the answer was lost, which is the same.
                self.leaders[leader].ahead = self.dice.below(11);
                return;
            }
        }
        self.leaders[leader].ledger = Some((granted.ledger, version));
        self.worst.patches += granted.patches.len() as u64;
        for (uid, allotment) in granted.patches {
            let index: usize = uid.trim_start_matches("pod-").parse().unwrap();
            let after = match self.dice.below(20) {
                0 => continue,
                1 => self.dice.below(600 * SECOND),
                _ => self.dice.below(SECOND),
            };
            let allotment = match self.dice.below(20) {
                0 => Allotment::parse(&allotment.text().unwrap()).unwrap(),
                _ => allotment,
            };
            self.pending.push((self.now + after, Delivery::Patch(index, allotment)));
        }
    }

    fn ask(&mut self) -> Vec<Pod> {
        let mut asked = Vec::new();
        for (index, pod) in self.pods.iter().enumerate().filter(|(_, pod)| pod.listed) {
            let word = match &pod.left {
                Some(word) => word.clone(),
                None if pod.running && pod.reachable => Word::Report(pod.sidecar.report(self.clock(pod.ahead))),
                None => Word::Silence,
            };
            let annotated = pod.annotated.clone();
            asked.push(Pod {
                uid: format!("pod-{index}"),
                annotated,
                word,
            });
        }
        asked
    }

    fn change_ceilings(&mut self) {
        let percent = 20 + self.dice.below(200);
        let first = self.caps[0].1.clone();
        let scaled = |limits: &crate::policy::Limits| {
            let rates = limits.rates().map(|rate| crate::api::Rate {
                count: std::num::NonZeroU64::new((rate.count.get() * percent / 100).max(1)).unwrap(),
                ..rate
            });
            rates.collect()
        };
        self.own.recipients = scaled(&first.recipients);
        let policies = first.policies.iter().map(|(name, limits)| {
            let limits = PolicyLimits {
                recipients: scaled(&limits.recipients),
                ..limits.clone()
            };
            (name.clone(), limits)
        });
        self.own.policies = policies.collect::<BTreeMap<_, _>>();
        self.caps.push((self.now, self.own.clone()));
        for index in 0..self.pods.len() {
            let now = self.clock(self.pods[index].ahead);
            self.pods[index].sidecar.configure(&self.own, now);
        }
    }

    fn happen(&mut self, most: u64) {
        let running = self.pods.iter().filter(|pod| pod.running).count() as u64;
        match self.dice.below(100) {
            0..=9 if running < most => self.start(),
            10..=11 if most > 10 => (running..most).for_each(|_| self.start()),
            12..=13 if most > 10 => {
                while let Some(index) = self.pick(|pod| pod.running).filter(|_| self.dice.percent(95)) {
                    let with_farewell = self.dice.percent(80);
                    self.end(index, with_farewell);
                }
            }
            14..=19 => {
                if let Some(index) = self.pick(|pod| pod.running) {
                    let with_farewell = self.dice.percent(70);
                    self.end(index, with_farewell);
                }
            }
            20..=24 => {
                if let Some(index) = self.pick(|pod| pod.listed && !pod.running) {
                    self.pods[index].listed = false;
                }
            }
            25 => {
                // Its node is cut off, and its object deleted: it goes on until its share expires.
                if let Some(index) = self.pick(|pod| pod.running) {
                    (self.pods[index].listed, self.pods[index].reachable) = (false, false);
                }
            }
            26..=29 => {
                // Its container starts again from what it kept.
                if let Some(index) = self.pick(|pod| pod.running) {
                    if self.dice.percent(10) {
                        let kept = serde_json::to_string(&self.pods[index].sidecar.allotted).unwrap();
                        self.pods[index].sidecar.allotted = serde_json::from_str(&kept).unwrap();
                    }
                    self.read(index);
                }
            }
            30..=32 => {
                // And from nothing.
                if let Some(index) = self.pick(|pod| pod.running) {
                    let life = self.dice.next();
                    self.pods[index].sidecar = Sidecar::new(&format!("pod-{index}"), life);
                    self.read(index);
                }
            }
            33..=37 => {
                if let Some(index) = self.pick(|pod| pod.running && pod.listed) {
                    self.pods[index].reachable ^= true;
                }
            }
            38..=39 => self.leaders[0].ledger = None,
            40..=41 => self.leaders.swap(0, 1),
            42..=49 => self.round(1),
            50 if self.changes => self.change_ceilings(),
            _ => {}
        }
        if self.dice.percent(45) {
            self.round(0);
        }
    }

    /// Until shortly before or after an allotment expires, or what was sent last, or under it, is a period old.
    fn until_something_ends(&mut self) -> u64 {
        let window = usize::try_from(self.dice.below(self.windows.len() as u64)).unwrap();
        let window = &self.windows[window];
        let period = window.seconds * SECOND;
        let last = window.sent.back().map_or(0, |(at, ..)| at + period);
        let pod = self.pick(|pod| pod.annotated.is_some());
        let expires = pod
            .and_then(|pod| self.pods[pod].annotated.as_ref())
            .map(|annotated| annotated.expires);
        let expires = expires.map_or(0, |at| u64::try_from(at.as_nanosecond()).unwrap());
        let end = match self.dice.below(4) {
            0 => last,
            1 => expires,
            _ => expires + period,
        };
        let around = end.saturating_sub(10 * SECOND) + self.dice.below(15 * SECOND);
        around.saturating_sub(self.now)
    }

    pub fn play(&mut self, steps: u64, most: u64) {
        self.start();
        // For so many steps little time passes.
        let mut close = 0;
        for _ in 0..steps {
            let pause = match self.dice.below(100) {
                _ if close > 0 => self.dice.below(4 * SECOND),
                0..=39 => self.dice.below(2 * SECOND),
                40..=69 => self.dice.below(30 * SECOND),
                70..=84 => self.dice.below(600 * SECOND),
                85..=94 => {
                    close = 7;
                    self.until_something_ends()
                }
                95..=98 => self.dice.below(3_600 * SECOND),
                _ => self.dice.below(8 * 3_600 * SECOND),
            };
            close = u64::saturating_sub(close, 1);
            self.pass(pause);
            self.happen(most);
            for index in 0..self.pods.len() {
                if self.pods[index].running && self.dice.percent(50) {
                    for _ in 0..self.pods[index].eager {
                        let recipients = match self.dice.below(10) {
                            0 => 1 + self.dice.below(50),
                            1..=4 => 1 + self.dice.below(6),
                            _ => 1,
                        };
                        if !self.send(index, recipients) && self.dice.percent(50) {
                            break;
                        }
                        if self.dice.percent(30) {
                            let pause = self.dice.below(SECOND / 2);
                            self.pass(pause);
                        }
                    }
                }
            }
        }
    }
}
