//! What an application may read: its quota as SES tells it, whether an address is suppressed, whether it may send now, and
//! what was captured.

use serde_json::{Value, json};

use super::answer::{Answer, json, plain, refusal};
use crate::{
    api::{Address, Mode, Rate},
    policy::{config::ConfigMatch, gate::Gate},
    sidecar::{
        denial::Denial,
        desk::{CaptureTo, Desk},
    },
};

/// Seconds of SES's quota.
const DAY: u64 = 86_400;

/// A quota of a day that is none: SES says so for an account without one.
const UNLIMITED: f64 = -1.0;

/// A rate a second where there is no ceiling: SES always has one, and clients divide by it. So many nobody sends.
const FASTEST: u64 = 100_000;

/// What clients set their pace by: the policy's own ceilings in place of the account's.
pub struct Quota {
    max_day: Option<u64>,
    max_second: Option<u64>,
    sent_day: u64,
}

impl Quota {
    /// That of mail which no `match` speaks of: the namespace's ceilings, and those of the policies for the rest.
    pub fn of(gate: &Gate, desk: &Desk) -> Self {
        let config = gate.config();
        let rest = config
            .policies
            .iter()
            .filter(|policy| matches!(policy.match_, ConfigMatch::Rest {}));
        let limits = std::iter::once(&config.ceilings.recipients);
        let limits = limits.chain(rest.map(|policy| &policy.ceilings.recipients));
        let rates: Vec<Rate> = limits.flat_map(crate::policy::Limits::rates).collect();
        let least = |seconds: u64| {
            let of_period = rates.iter().filter(|rate| rate.seconds == seconds);
            of_period.map(|rate| rate.count.get()).min()
        };
        let used = desk
            .usage()
            .into_iter()
            .filter(|(name, rate, _)| name.policy.is_none() && rate.seconds == DAY);
        Self {
            max_day: least(DAY),
            max_second: least(1),
            sent_day: used.map(|(_, _, used)| used).max().unwrap_or(0),
        }
    }

    fn values(&self) -> [f64; 3] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let number = |count: Option<u64>| count.map_or(UNLIMITED, |count| count as f64);
        [
            number(self.max_day),
            number(self.max_second.or(Some(FASTEST))),
            number(Some(self.sent_day)),
        ]
    }

    /// As v1 writes it.
    pub fn xml(&self) -> String {
        let [day, second, sent] = self.values();
        format!(
            "<Max24HourSend>{day:.1}</Max24HourSend><MaxSendRate>{second:.1}</MaxSendRate>\
             <SentLast24Hours>{sent:.1}</SentLast24Hours>"
        )
    }

    /// As v2 writes it.
    pub fn json(&self) -> Value {
        let [day, second, sent] = self.values();
        json!({ "Max24HourSend": day, "MaxSendRate": second, "SentLast24Hours": sent })
    }
}

/// `GetAccount`.
pub fn account(desk: &Desk) -> Result<Answer, Denial> {
    let rules = desk.rules();
    let gate = rules.gate()?;
    Ok(json(
        200,
        &json!({
            "DedicatedIpAutoWarmupEnabled": false,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": true,
            "SendQuota": Quota::of(gate, desk).json(),
            // Captured mail is accepted, too: who asks first must be able to see it.
            "SendingEnabled": may_send(gate, desk).1 != Mode::Paused && !desk.is_ending(),
        }),
    ))
}

/// `GetSuppressedDestination`: whether the namespace's sidecars refuse the address.
pub fn suppressed(desk: &Desk, label: &str) -> Result<Answer, Denial> {
    let rules = desk.rules();
    let gate = rules.gate()?;
    let text = percent_encoding::percent_decode_str(label)
        .decode_utf8_lossy()
        .into_owned();
    let address = Address::parse(&text).map_err(|error| Denial::Request(format!("EmailAddress: {error}")))?;
    let reason = gate.suppressed().and_then(|suppressed| suppressed.reason(&address));
    Ok(match reason {
        None => refusal(
            404,
            "NotFoundException",
            "The email address does not exist on your suppression list.",
        ),
        Some(reason) => {
            let reason = format!("{reason:?}").to_uppercase();
            let entry = json!({ "EmailAddress": address, "Reason": reason, "LastUpdateTime": 0 });
            json(200, &json!({ "SuppressedDestination": entry }))
        }
    })
}

/// Whether anything may be sent, and in which mode mail is that no `match` speaks of.
fn may_send(gate: &Gate, desk: &Desk) -> (bool, Mode) {
    let now = desk.pulse.now();
    let modes = gate.config().policies.iter();
    let modes: Vec<(bool, Mode)> = modes
        .map(|policy| {
            let is_rest = matches!(policy.match_, ConfigMatch::Rest {});
            (is_rest, policy.then.at(policy.mode, now))
        })
        .collect();
    let sends = modes.iter().any(|(_, mode)| mode.needs_sending());
    let rest = modes
        .iter()
        .filter(|(is_rest, _)| *is_rest)
        .map(|(_, mode)| *mode)
        .min();
    (sends && !desk.is_ending(), rest.unwrap_or(gate.config().unmatched.mode))
}

/// `/status`: whether the application may send, why not, and by whose word. No address is in it.
pub fn status(desk: &Desk) -> Answer {
    let rules = desk.rules();
    let gate = match rules.gate() {
        Ok(gate) => gate,
        Err(denial) => {
            return json(
                200,
                &json!({ "maySend": false, "mode": "Paused", "why": denial.to_string() }),
            );
        }
    };
    let now = desk.pulse.now();
    let (sends, mode) = may_send(gate, desk);
    let policies: Vec<Value> = gate
        .config()
        .policies
        .iter()
        .map(|policy| {
            json!({
                "name": policy.name,
                "mode": policy.then.at(policy.mode, now),
                "then": policy.then,
                "enforcement": policy.enforcement,
                "from": policy.from.get("mode"),
            })
        })
        .collect();
    let ceilings: Vec<Value> = desk
        .usage()
        .into_iter()
        .map(|(name, rate, used)| json!({ "policy": name.policy, "of": name.of.field(), "limit": rate, "used": used }))
        .collect();
    let why = gate.config().unmatched.closed.clone();
    json(
        200,
        &json!({
            "namespace": gate.config().namespace,
            "maySend": sends,
            "mode": mode,
            "why": why,
            "underWay": desk.under_way(),
            "allotment": desk.report(),
            "readAt": rules.read_at(),
            "suppressions": gate.config().suppressions.revision,
            "suppressionsAtHand": gate.suppressed().is_some(),
            "policies": policies,
            "ceilings": ceilings,
        }),
    )
}

/// `/captured` and what is below it.
pub fn captured(desk: &Desk, method: &str, rest: &str) -> Answer {
    let CaptureTo::Store(store) = desk.capture() else {
        return refusal(
            404,
            "NotFoundException",
            "captured mail goes to the namespace's Mailpit: look there",
        );
    };
    let mut segments = rest.split('/').filter(|segment| !segment.is_empty());
    let id = segments.next();
    let not_found = || refusal(404, "NotFoundException", "there is no such captured message or part");
    let Some(id) = id else {
        return match method {
            "GET" => {
                let store = store.borrow();
                let listed: Vec<_> = store.iter().rev().map(|(id, captured)| captured.listed(id)).collect();
                json(200, &json!({ "messages": listed }))
            }
            "DELETE" => {
                store.borrow_mut().clear();
                desk.metrics.captured.set(0);
                plain(204, "application/json", "")
            }
            _ => refusal(405, "MethodNotAllowed", "GET or DELETE"),
        };
    };
    let Ok(id) = id.parse::<u64>() else { return not_found() };
    if method == "DELETE" {
        return if store.borrow_mut().remove(id) {
            plain(204, "application/json", "")
        } else {
            not_found()
        };
    }
    let store = store.borrow();
    let Some(captured) = store.get(id) else {
        return not_found();
    };
    match (segments.next(), segments.next(), segments.next()) {
        (None, None, None) => json(200, &captured.shown(id)),
        (Some("raw"), None, None) => plain(200, "message/rfc822", captured.raw.clone()),
        (Some("parts"), Some(number), None) => {
            let part = number.parse().ok().and_then(|number| captured.part(number));
            part.map_or_else(not_found, |part| plain(200, "application/octet-stream", part.0))
        }
        _ => not_found(),
    }
}
