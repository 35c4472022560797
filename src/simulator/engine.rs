//! What becomes of one request: who calls, which fault hits it, whether it is throttled, what it changes, what is
//! logged. Knows no socket.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::answer::{Answer, Form};
use super::api::{self, Call};
use super::auth::{Caller, Claim, Credentials, Service};
use super::clock::Clock;
use super::config::Config;
use super::delivery::{Outgoing, Version, deliver};
use super::faults::{Effect, Faults};
use super::log::{CallLog, CallRecord, NO_ANSWER, OK};
use super::operation::{Operation, Routed, route};
use super::received::Received;
use super::state::Account;
use super::sts::Sts;
use super::throttle::Throttle;
use super::v1;
use super::wire::{ApiError, Code, Pairs, UnknownMembers};

/// How much of an unknown operation's method and path is repeated.
const MAX_UNKNOWN: usize = 200;

/// One request, read whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) raw_path: &'a str,
    pub(super) query: &'a str,
    pub(super) claim: Claim<'a>,
    pub(super) body: &'a [u8],
}

/// The connection is to be cut without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut, as a fault asks for")]
pub(super) struct Cut;

/// Everything that calls change. One lock guards all of it: a call takes microseconds.
#[derive(Debug)]
pub(super) struct World {
    pub(super) account: Account,
    pub(super) faults: Faults,
    pub(super) throttle: Throttle,
    pub(super) unknown_members: UnknownMembers,
    /// Operations refused with `AccessDeniedException`.
    pub(super) denied: BTreeSet<Operation>,
    pub(super) log: CallLog,
    pub(super) received: Received,
    credentials: Credentials,
}

/// The simulator without its sockets.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: Config,
    pub(super) clock: Clock,
    world: Mutex<World>,
}

/// A request that is understood: what it is and what it is about.
struct Understood<'a> {
    operation: Operation,
    target: String,
    protocol: Protocol<'a>,
}

enum Protocol<'a> {
    Rest(Call<'a>),
    /// What sends, in either version of SES: read once, as it may be long and comes often.
    Send(Outgoing),
    Sts(Pairs),
    /// Method and path of what no operation answers.
    Unknown(String),
}

impl Protocol<'_> {
    const fn form(&self) -> Form {
        match self {
            Self::Sts(_) => Form::Sts,
            Self::Send(Outgoing {
                version: Version::V1, ..
            }) => Form::V1,
            Self::Rest(_) | Self::Send(_) | Self::Unknown(_) => Form::Json,
        }
    }
}

impl Understood<'_> {
    fn sending(operation: Operation, mut outgoing: Outgoing) -> Self {
        Self {
            operation,
            target: std::mem::take(&mut outgoing.target),
            protocol: Protocol::Send(outgoing),
        }
    }
}

/// How a call ended, for the log.
#[derive(Clone, Copy)]
struct Ending {
    outcome: &'static str,
    status: Option<u16>,
    applied: bool,
    fault: Option<Effect>,
}

impl Engine {
    pub(super) fn new(config: Config, clock: Clock) -> Self {
        let world = World {
            account: config.account(),
            faults: Faults::default(),
            throttle: Throttle::new(config.limit, clock.elapsed()),
            unknown_members: config.unknown_members,
            denied: BTreeSet::new(),
            log: CallLog::new(config.call_log),
            received: Received::new(config.received),
            credentials: Credentials::new(
                &config.owner.account_id,
                &config.owner.region,
                config.access_keys.clone(),
            ),
        };
        Self {
            config,
            clock,
            world: Mutex::new(world),
        }
    }

    /// The lock. A panic while it was held leaves whatever state there was: the next call shows it.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one request.
    pub(super) async fn serve(&self, request: Request<'_>) -> Result<Answer, Cut> {
        let understood = self.understand(request);
        let caller = self.authenticate(&understood, request.claim);
        // An unauthenticated or unknown call never reaches the service that the faults are about.
        let fault = caller
            .as_ref()
            .ok()
            .filter(|_| understood.operation != Operation::Unknown)
            .and_then(|_| {
                self.world()
                    .faults
                    .take(understood.operation, &understood.target, self.clock.elapsed())
            });
        match fault {
            Some(Effect::Latency { millis }) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Some(Effect::Hang { millis }) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                return self.cut(understood, caller.ok(), fault);
            }
            Some(Effect::Withhold { millis }) => {
                let done = self.finish(understood, caller, fault);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                return done;
            }
            Some(Effect::CutBefore) => return self.cut(understood, caller.ok(), fault),
            Some(Effect::Throttle | Effect::Error { .. } | Effect::LoseAnswer) | None => {}
        }
        self.finish(understood, caller, fault)
    }

    fn understand<'a>(&self, request: Request<'a>) -> Understood<'a> {
        let Request {
            method,
            raw_path,
            query,
            claim: _,
            body,
        } = request;
        if let Some(Routed { operation, labels }) = route(method, raw_path) {
            let unknown_members = self.world().unknown_members;
            if operation.sends() {
                return Understood::sending(operation, api::outgoing(operation, body, unknown_members));
            }
            let call = Call {
                operation,
                labels,
                query: Pairs::parse(query),
                body,
                unknown_members,
            };
            return Understood {
                operation,
                target: call.target(),
                protocol: Protocol::Rest(call),
            };
        }
        if method == "POST" && raw_path == "/" {
            let parameters = Pairs::parse(&String::from_utf8_lossy(body));
            if let Some(operation) = parameters.first("Action").and_then(Operation::by_action) {
                if operation.sends() {
                    let unknown_members = self.world().unknown_members;
                    return Understood::sending(operation, v1::outgoing(operation, &parameters, unknown_members));
                }
                let target = parameters.first("RoleArn").unwrap_or_default().to_owned();
                return Understood {
                    operation,
                    target,
                    protocol: Protocol::Sts(parameters),
                };
            }
        }
        let request: String = format!("{method} {raw_path}").chars().take(MAX_UNKNOWN).collect();
        let target = format!("{method} {}", beginning(raw_path))
            .chars()
            .take(MAX_UNKNOWN)
            .collect();
        tracing::warn!(target, "a request that no operation answers");
        Understood {
            operation: Operation::Unknown,
            target,
            protocol: Protocol::Unknown(request),
        }
    }

    fn authenticate(&self, understood: &Understood<'_>, claim: Claim<'_>) -> Result<Caller, ApiError> {
        let service = if understood.operation.is_sts() {
            Service::Sts
        } else {
            Service::Ses
        };
        self.world().credentials.authenticate(claim, service, self.clock.now())
    }

    fn finish(
        &self,
        understood: Understood<'_>,
        caller: Result<Caller, ApiError>,
        fault: Option<Effect>,
    ) -> Result<Answer, Cut> {
        let Understood {
            operation,
            target,
            protocol,
        } = understood;
        let form = protocol.form();
        let mut guard = self.world();
        let world = &mut *guard;
        let result = match (protocol, &caller) {
            // What is no operation is no operation, whoever asks: the client has the wrong path.
            (Protocol::Unknown(request), _) => Err(unknown(&request)),
            (_, Err(refusal)) => Err(refusal.clone()),
            (Protocol::Rest(call), Ok(caller)) => world
                .admit(operation, caller, fault, self.clock.elapsed())
                .and_then(|()| api::answer(&mut world.account, &call, self.clock.now())),
            (Protocol::Send(outgoing), Ok(caller)) => world
                .admit(operation, caller, fault, self.clock.elapsed())
                .and_then(|()| world.check_raw(&outgoing, caller))
                .and_then(|()| world.send(operation, outgoing, &caller.access_key, self.clock.now())),
            (Protocol::Sts(parameters), Ok(caller)) => {
                let sts = Sts {
                    account_id: &self.config.owner.account_id,
                    roles: &self.config.roles,
                    unknown_members: world.unknown_members,
                };
                world
                    .admit(operation, caller, fault, self.clock.elapsed())
                    .and_then(|()| sts.answer(operation, &parameters, caller, &mut world.credentials, self.clock.now()))
                    .map(String::into_bytes)
            }
        };
        let result = result.map_err(|error| form.named(error));
        if matches!(fault, Some(Effect::LoseAnswer | Effect::Withhold { .. })) {
            let ending = Ending {
                outcome: NO_ANSWER,
                status: None,
                applied: result.is_ok(),
                fault,
            };
            world.record(operation, target, caller.ok(), ending, self.clock.now());
            return Err(Cut);
        }
        let error = result.as_ref().err().map(|error| error.code);
        let status = error.map_or(200, Code::status);
        let outcome = error.map_or(OK, Code::name);
        let ending = Ending {
            outcome,
            status: Some(status),
            applied: error.is_none(),
            fault,
        };
        let seq = world.record(operation, target, caller.ok(), ending, self.clock.now());
        drop(guard);
        Ok(form.answer(operation, seq, result))
    }

    /// Ends a call that changed nothing without an answer.
    fn cut(&self, understood: Understood<'_>, caller: Option<Caller>, fault: Option<Effect>) -> Result<Answer, Cut> {
        let ending = Ending {
            outcome: NO_ANSWER,
            status: None,
            applied: false,
            fault,
        };
        let now = self.clock.now();
        self.world()
            .record(understood.operation, understood.target, caller, ending, now);
        Err(Cut)
    }
}

impl World {
    /// What may stop a call before the account sees it.
    fn admit(
        &mut self,
        operation: Operation,
        caller: &Caller,
        fault: Option<Effect>,
        elapsed: Duration,
    ) -> Result<(), ApiError> {
        match fault {
            Some(Effect::Throttle) => return Err(throttled()),
            Some(Effect::Error { status: 503 }) => {
                return Err(ApiError::new(
                    Code::ServiceUnavailable,
                    "Service is temporarily unavailable.",
                ));
            }
            Some(Effect::Error { .. }) => {
                return Err(ApiError::new(Code::InternalServiceError, "Internal service error."));
            }
            Some(
                Effect::Hang { .. }
                | Effect::CutBefore
                | Effect::LoseAnswer
                | Effect::Withhold { .. }
                | Effect::Latency { .. },
            )
            | None => {}
        }
        self.check_allowed(operation, caller)?;
        if !operation.is_throttled() || self.throttle.admit(elapsed) {
            Ok(())
        } else {
            Err(throttled())
        }
    }

    fn check_allowed(&self, operation: Operation, caller: &Caller) -> Result<(), ApiError> {
        if !self.denied.contains(&operation) {
            return Ok(());
        }
        let service = if operation.is_sts() { "sts" } else { "ses" };
        let action = format!("{service}:{}", operation.name());
        let text = format!(
            "User: {} is not authorized to perform: {action} because no identity-based policy allows the {action} action",
            caller.arn
        );
        Err(ApiError::new(Code::AccessDenied, text))
    }

    /// A raw message asks for the permission of `SendRawEmail` as well, by whichever operation it comes.
    fn check_raw(&self, outgoing: &Outgoing, caller: &Caller) -> Result<(), ApiError> {
        if outgoing.is_raw() {
            self.check_allowed(Operation::SendRawEmail, caller)
        } else {
            Ok(())
        }
    }

    /// Sends what a request asks for.
    pub(super) fn send(
        &mut self,
        operation: Operation,
        outgoing: Outgoing,
        access_key: &str,
        now: Timestamp,
    ) -> Result<Vec<u8>, ApiError> {
        deliver(
            &mut self.account,
            &mut self.received,
            operation,
            outgoing,
            access_key,
            now,
        )
    }

    /// Logs a call; its sequence number.
    fn record(
        &mut self,
        operation: Operation,
        target: String,
        caller: Option<Caller>,
        ending: Ending,
        time: Timestamp,
    ) -> u64 {
        let Ending {
            outcome,
            status,
            applied,
            fault,
        } = ending;
        let (access_key, role) = caller.map_or((None, None), |caller| (Some(caller.access_key), caller.role));
        let fault = fault.map(Effect::name);
        let record = CallRecord {
            seq: 0,
            time,
            operation,
            target,
            outcome,
            status,
            applied,
            fault,
            access_key,
            role,
        };
        self.log.push(record);
        self.log.last_seq()
    }
}

/// The first four segments of a path: what follows may be an address, which no log may have.
fn beginning(raw_path: &str) -> &str {
    raw_path
        .match_indices('/')
        .nth(4)
        .map_or(raw_path, |(end, _)| &raw_path[..end])
}

fn throttled() -> ApiError {
    ApiError::new(Code::TooManyRequests, "Maximum sending rate exceeded.")
}

fn unknown(request: &str) -> ApiError {
    let text = format!("The simulator has no operation for {request}.");
    ApiError::new(Code::UnknownOperation, text)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sending_tests.rs"]
mod sending_tests;
