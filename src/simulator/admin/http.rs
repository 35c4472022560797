//! The admin API: JSON under [`PREFIX`] on the simulator's own port. `docs/simulator.md` describes it.

use std::collections::BTreeSet;
use std::fmt::Display;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, mail, view};
use crate::simulator::faults::{Fault, FaultError};
use crate::simulator::operation::Operation;
use crate::simulator::state::shapes::{FindingStatus, Impact, SendingStatus};
use crate::simulator::state::{AccountSettings, Recommendation, SetOptions};
use crate::simulator::throttle::Limit;
use crate::simulator::wire::{ApiError, UnknownMembers};

/// Where the admin API begins.
pub(in crate::simulator) const PREFIX: &str = "/_admin/";

/// Calls, or messages, one answer has at most.
pub(super) const MAX_LISTED: usize = 10_000;

pub(in crate::simulator) fn router(admin: Admin) -> Router {
    let routes = Router::new()
        .route("/state", get(state))
        .route("/reset", post(reset))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/counts", get(counts))
        .route("/settings", get(settings).patch(patch_settings))
        .route("/limits", get(limits).put(put_limits))
        .route("/faults", get(faults).post(arm_fault).delete(clear_faults))
        .route("/denials", get(denials).put(put_denials))
        .route("/operations/{operation}", post(perform))
        .route("/sets/{name}", delete(remove_set))
        .route("/sets/{name}/options", patch(patch_options))
        .route("/identities/{name}", put(put_identity))
        .route("/tenants/{name}/aws-status", put(put_aws_status))
        .route("/recommendations", post(put_recommendation))
        .route("/received", get(mail::list).delete(mail::clear))
        .route("/received/{seq}", get(mail::one));
    Router::new()
        .nest(PREFIX.trim_end_matches('/'), routes)
        .with_state(admin)
}

/// A refusal of the admin API.
pub(super) struct Refused {
    status: StatusCode,
    message: String,
}

pub(super) type Reply<T = Value> = Result<Json<T>, Refused>;

impl Refused {
    fn bad_request(message: impl Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.to_string(),
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: message.into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"message": self.message}))).into_response()
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self {
            status,
            message: error.to_string(),
        }
    }
}

impl From<FaultError> for Refused {
    fn from(error: FaultError) -> Self {
        Self::bad_request(error)
    }
}

/// The answer of what has nothing to say.
pub(super) fn done() -> Json<Value> {
    Json(json!({}))
}

async fn state(State(admin): State<Admin>) -> Json<Value> {
    Json(admin.with_account(|account| view::account(account)))
}

async fn reset(State(admin): State<Admin>) -> Json<Value> {
    admin.reset();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    #[serde(default)]
    pub(super) after: u64,
    pub(super) limit: Option<usize>,
}

async fn calls(State(admin): State<Admin>, Query(Window { after, limit }): Query<Window>) -> Json<Value> {
    let calls = admin.calls_after(after, limit.unwrap_or(MAX_LISTED).min(MAX_LISTED));
    Json(json!({"calls": calls, "last": admin.last_call()}))
}

async fn reset_calls(State(admin): State<Admin>) -> Json<Value> {
    admin.reset_calls();
    done()
}

async fn counts(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({"counts": admin.counts()}))
}

async fn settings(State(admin): State<Admin>) -> Json<AccountSettings> {
    Json(admin.with_account(|account| account.settings.clone()))
}

async fn patch_settings(State(admin): State<Admin>, Json(patch): Json<Value>) -> Reply<AccountSettings> {
    admin.with_account(|account| {
        account.settings = patched(&account.settings, patch)?;
        Ok(Json(account.settings.clone()))
    })
}

/// The limit in force and the reading of unknown members; a rate of `null` lifts the limit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Limits {
    calls_per_second: Option<f64>,
    #[serde(default = "Limits::default_burst")]
    burst: u32,
    #[serde(default = "Limits::default_refuse")]
    refuse_unknown_members: bool,
}

impl Limits {
    const fn default_burst() -> u32 {
        1
    }

    const fn default_refuse() -> bool {
        true
    }
}

async fn limits(State(admin): State<Admin>) -> Json<Limits> {
    let (calls_per_second, burst) = match admin.limit() {
        Limit::None => (None, Limits::default_burst()),
        Limit::Bucket { per_second, burst } => (Some(per_second), burst),
    };
    let refuse_unknown_members = admin.unknown_members() == UnknownMembers::Refused;
    Json(Limits {
        calls_per_second,
        burst,
        refuse_unknown_members,
    })
}

async fn put_limits(State(admin): State<Admin>, Json(limits): Json<Limits>) -> Reply {
    let Limits {
        calls_per_second,
        burst,
        refuse_unknown_members,
    } = limits;
    let limit = calls_per_second.map_or(Limit::None, |per_second| Limit::Bucket { per_second, burst });
    admin.set_limit(limit).map_err(Refused::bad_request)?;
    let unknown_members = if refuse_unknown_members {
        UnknownMembers::Refused
    } else {
        UnknownMembers::Ignored
    };
    admin.set_unknown_members(unknown_members);
    Ok(done())
}

async fn faults(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({"faults": admin.faults()}))
}

async fn arm_fault(State(admin): State<Admin>, Json(fault): Json<Fault>) -> Reply {
    admin.arm(fault)?;
    Ok(done())
}

async fn clear_faults(State(admin): State<Admin>) -> Json<Value> {
    admin.clear_faults();
    done()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denials {
    /// Names; `*` stands for all.
    operations: BTreeSet<String>,
}

async fn denials(State(admin): State<Admin>) -> Json<Denials> {
    let operations = admin.denied().into_iter().map(|operation| operation.name().to_owned());
    Json(Denials {
        operations: operations.collect(),
    })
}

async fn put_denials(State(admin): State<Admin>, Json(Denials { operations }): Json<Denials>) -> Reply {
    if operations.contains("*") {
        admin.deny(Operation::ALL.iter().copied());
    } else {
        let operations: Result<Vec<_>, _> = operations.iter().map(|name| named(name)).collect();
        admin.deny(operations?);
    }
    Ok(done())
}

fn named(operation: &str) -> Result<Operation, Refused> {
    Operation::by_name(operation).ok_or_else(|| Refused::not_found(format!("there is no operation {operation}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Perform {
    /// Path labels, in order, not encoded.
    #[serde(default)]
    labels: Vec<String>,
    /// The query string, encoded.
    #[serde(default)]
    query: String,
    #[serde(default)]
    body: Value,
}

async fn perform(
    State(admin): State<Admin>,
    Path(operation): Path<String>,
    Json(Perform { labels, query, body }): Json<Perform>,
) -> Result<Response, Refused> {
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let answer = admin.perform(named(&operation)?, labels, &query, &body)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

async fn remove_set(State(admin): State<Admin>, Path(name): Path<String>) -> Reply {
    if admin.with_account(|account| account.remove_set(&name)) {
        Ok(done())
    } else {
        Err(no_set(&name))
    }
}

async fn patch_options(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(patch): Json<Value>,
) -> Reply<SetOptions> {
    admin.with_account(|account| {
        let set = account.sets.get_mut(&name).ok_or_else(|| no_set(&name))?;
        set.options = patched(&set.options, patch)?;
        Ok(Json(set.options.clone()))
    })
}

fn no_set(name: &str) -> Refused {
    Refused::not_found(format!("there is no configuration set {name}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutIdentity {
    verified: bool,
}

async fn put_identity(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(PutIdentity { verified }): Json<PutIdentity>,
) -> Json<Value> {
    admin.with_account(|account| account.put_identity(&name, verified));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutAwsStatus {
    status: SendingStatus,
    #[serde(default = "PutAwsStatus::default_cause")]
    cause: String,
}

impl PutAwsStatus {
    fn default_cause() -> String {
        "Status updated by SES.".to_owned()
    }
}

async fn put_aws_status(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(PutAwsStatus { status, cause }): Json<PutAwsStatus>,
) -> Reply {
    admin.set_aws_status(&name, status, &cause)?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutRecommendation {
    resource_arn: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    status: FindingStatus,
    impact: Impact,
}

async fn put_recommendation(State(admin): State<Admin>, Json(finding): Json<PutRecommendation>) -> Json<Value> {
    let PutRecommendation {
        resource_arn,
        kind,
        description,
        status,
        impact,
    } = finding;
    let now = admin.engine.clock.now().as_second();
    admin.put_recommendation(Recommendation {
        resource_arn,
        kind,
        description,
        status,
        impact,
        created_timestamp: now,
        last_updated_timestamp: now,
    });
    done()
}

/// The value with the members of `patch` in place of its own; a member that is `null` is taken away.
fn patched<T: Serialize + DeserializeOwned>(value: &T, patch: Value) -> Result<T, Refused> {
    let mut merged = serde_json::to_value(value).map_err(Refused::bad_request)?;
    let (Value::Object(members), Value::Object(patch)) = (&mut merged, patch) else {
        return Err(Refused::bad_request("the body must be an object"));
    };
    for (key, member) in patch {
        if member.is_null() {
            members.remove(&key);
        } else {
            members.insert(key, member);
        }
    }
    serde_json::from_value(merged).map_err(Refused::bad_request)
}
