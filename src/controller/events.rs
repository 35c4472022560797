//! The one place where Kubernetes Events are made.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use crate::api::{MANAGER, condition::bounded};

/// The longest note: the API server refuses more.
const NOTE_MAX: usize = 1000;

/// Tells people, through Events, what happened to an object. A repeated Event is counted, not made anew.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events of this replica.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Something that a person should know and need not mend.
    pub async fn normal<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: String) {
        self.publish(EventType::Normal, object.object_ref(&()), reason, note)
            .await;
    }

    /// Something that a person should look at.
    pub async fn warning<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: String) {
        self.publish(EventType::Warning, object.object_ref(&()), reason, note)
            .await;
    }

    async fn publish(&self, type_: EventType, object: ObjectReference, reason: &str, note: String) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(bounded(note, NOTE_MAX)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // An Event that is lost changes nothing: the condition says the same.
        if let Err(error) = self.recorder.publish(&event, &object).await {
            warn!(reason, %error, "an Event could not be made");
        }
    }
}
