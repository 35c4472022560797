//! Pods with a sidecar: what the API server says of them, and what they say of themselves.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::world::Key;
use crate::policy::allotment::{ANNOTATION, Report, STATUS_PORT, WireError};

/// The label of pods that have a sidecar: only those are watched.
pub const LABEL: &str = "mailpolicy.dev/sidecar=true";

/// The sidecar's container, an init container that runs on.
const CONTAINER: &str = "mail-sidecar";

/// The annotation by which kubelet learns that what it mounts has changed: it reads volumes anew when a pod changes.
pub const PUBLISHED: &str = "mailpolicy.dev/published";

/// Time to connect to a sidecar, and for its whole answer: it is one hop away and answers from memory.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer read.
const ANSWER_MAX: usize = 256 * 1024;

/// What is known of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarPod {
    /// Its UID.
    pub uid: String,
    /// Its address, once it has one.
    pub address: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The text of its allotment.
    pub allotment: Option<String>,
    /// What of the mounted objects kubelet was told last.
    pub published: Option<String>,
    /// Whether its sidecar has ended and will not start again.
    pub has_ended: bool,
    /// The message with which it ended.
    pub farewell: Option<String>,
}

impl SidecarPod {
    /// What is known of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let annotation = |name: &str| pod.metadata.annotations.as_ref()?.get(name).cloned();
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let terminated = status
            .and_then(sidecar)
            .and_then(|container| container.state.as_ref()?.terminated.as_ref());
        let is_over = matches!(phase, Some("Succeeded" | "Failed"));
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            address: status.and_then(|status| status.pod_ip.clone()),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            allotment: annotation(ANNOTATION),
            published: annotation(PUBLISHED),
            // One that is deleted is not started again.
            has_ended: is_over || (terminated.is_some() && pod.metadata.deletion_timestamp.is_some()),
            farewell: terminated.and_then(|terminated| terminated.message.clone()),
        }
    }
}

fn sidecar(status: &k8s_openapi::api::core::v1::PodStatus) -> Option<&ContainerStatus> {
    let init = status.init_container_statuses.iter().flatten();
    let all = init.chain(status.container_statuses.iter().flatten());
    all.into_iter().find(|container| container.name == CONTAINER)
}

/// How many pods of each namespace have a sidecar that has not ended.
#[derive(Default)]
pub struct Counts(Mutex<HashMap<String, usize>>);

impl Counts {
    /// Of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> usize {
        self.lock().get(namespace).copied().unwrap_or_default()
    }

    /// Counts the pods of a namespace; whether there were more or fewer before.
    pub fn changed(&self, namespace: &str, pods: &[(Key, SidecarPod)]) -> bool {
        let count = pods.iter().filter(|(_, pod)| !pod.has_ended).count();
        let before = match count {
            0 => self.lock().remove(namespace),
            _ => self.lock().insert(namespace.to_owned(), count),
        };
        before.unwrap_or_default() != count
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing was heard of a sidecar.
#[derive(Debug, Error)]
pub enum AskError {
    /// Its address is none.
    #[error("the pod's address cannot be asked: {0}")]
    Address(#[from] http::Error),
    /// It did not answer.
    #[error("{0}")]
    Silent(String),
    /// It did not answer in time.
    #[error("no answer within {ANSWER_TIMEOUT:?}")]
    Late,
    /// Its answer is none.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its report is none.
    #[error("the report cannot be read: {0}")]
    Report(#[from] WireError),
    /// It says nothing of an allotment: it runs alone.
    #[error("the sidecar is not allotted a share: it was started as the only one")]
    Alone,
}

/// Asks sidecars.
pub struct Asker(Client<HttpConnector, Full<Bytes>>);

impl Default for Asker {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_mins(1))
            .pool_max_idle_per_host(1)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self(client)
    }
}

impl Asker {
    /// What the sidecar at this address reports.
    ///
    /// # Errors
    /// [`AskError`]: nothing was heard of it.
    pub async fn ask(&self, address: &str) -> Result<Report, AskError> {
        /// The part of a sidecar's status that is for the operator.
        #[derive(Deserialize)]
        struct Status<'a> {
            #[serde(borrow)]
            allotment: Option<&'a RawValue>,
        }
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        };
        let request = http::Request::get(format!("http://{host}:{STATUS_PORT}/status")).body(Full::default())?;
        let answered = async {
            let silent = |error: &dyn std::fmt::Display| AskError::Silent(error.to_string());
            let answer = self.0.request(request).await.map_err(|error| silent(&error))?;
            let body = Limited::new(answer.into_body(), ANSWER_MAX);
            #[expect(clippy::disallowed_methods, reason = "limited")]
            let body = body.collect().await.map_err(|error| silent(&error))?.to_bytes();
            let Status { allotment } = serde_json::from_slice(&body)?;
            let report = allotment
                .filter(|report| report.get() != "null")
                .ok_or(AskError::Alone)?;
            Ok(Report::parse(report.get())?)
        };
        tokio::time::timeout(ANSWER_TIMEOUT, answered)
            .await
            .map_err(|_| AskError::Late)?
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(pod: serde_json::Value) -> SidecarPod {
        SidecarPod::of(&serde_json::from_value(pod).unwrap())
    }

    fn status(deleting: bool, state: &serde_json::Value, phase: &str) -> serde_json::Value {
        let deleted = deleting.then_some("2026-11-24T12:00:00Z");
        json!({
            "metadata": {"name": "a", "uid": "u", "annotations": {ANNOTATION: "x"}, "deletionTimestamp": deleted},
            "status": {
                "phase": phase, "podIP": "10.0.0.7",
                "initContainerStatuses": [
                    {"name": CONTAINER, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state},
                ],
            },
        })
    }

    #[test]
    fn a_pod_that_runs_has_an_address_and_an_allotment() {
        let pod = known(status(false, &json!({"running": {}}), "Running"));
        assert_eq!(
            (pod.address.as_deref(), pod.allotment.as_deref()),
            (Some("10.0.0.7"), Some("x"))
        );
        assert!(!pod.has_ended && pod.farewell.is_none());
    }

    #[test]
    fn pods_are_counted_until_their_sidecars_have_ended() {
        let key = Key {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        };
        let pods = |states: &[serde_json::Value]| {
            let known = states.iter().map(|state| known(status(true, state, "Running")));
            known.map(|pod| (key.clone(), pod)).collect::<Vec<_>>()
        };
        let (runs, ended) = (json!({"running": {}}), json!({"terminated": {"exitCode": 0}}));
        let counts = Counts::default();
        assert!(counts.changed("shop", &pods(&[runs.clone(), runs.clone()])));
        assert!(!counts.changed("shop", &pods(&[runs.clone(), ended.clone(), runs.clone()])));
        assert_eq!((counts.of("shop"), counts.of("billing")), (2, 0));
        assert!(counts.changed("shop", &pods(&[ended])));
        assert!(counts.lock().is_empty());
    }

    #[test]
    fn a_sidecar_has_ended_only_where_it_is_not_started_again() {
        let terminated = json!({"terminated": {"exitCode": 0, "message": "bye"}});
        assert!(
            !known(status(false, &terminated, "Running")).has_ended,
            "its container restarts"
        );
        let deleted = known(status(true, &terminated, "Running"));
        assert_eq!((deleted.has_ended, deleted.farewell.as_deref()), (true, Some("bye")));
        assert!(known(status(false, &terminated, "Succeeded")).has_ended);
        assert!(
            !known(status(true, &json!({"running": {}}), "Running")).has_ended,
            "it drains"
        );
    }
}
