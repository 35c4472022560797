//! The guardrail controller: says whether a guardrail can be read, and how many namespaces it selects.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt, runtime::controller::Action};

use super::{
    context::Context,
    error::Error,
    status_write::write_status,
    world::{Key, Selects, selects},
};
use crate::{
    api::{
        MailGuardrail, MailGuardrailStatus, Parsed,
        condition::{Finding, kind, merge},
    },
    clock,
    policy::terms::GuardrailTerms,
};

/// Reconciles one guardrail.
pub fn reconcile(
    guardrail: Arc<Parsed<MailGuardrail>>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Error>> {
    async move {
        // An unreadable one closes its namespaces, whose conditions name it.
        let Parsed::Readable(object) = &*guardrail else {
            return Ok(Action::await_change());
        };
        let namespaces = context.world.namespaces.names("").into_iter().filter(|name| {
            let key = Key {
                namespace: String::new(),
                name: name.clone(),
            };
            let namespace = context.world.namespaces.get(&key);
            namespace.is_some_and(|namespace| selects(&guardrail, namespace.labels()) == Selects::Yes)
        });
        let before = object.status.clone().unwrap_or_default();
        let now = Time(clock::now());
        let status = MailGuardrailStatus {
            observed_generation: object.metadata.generation,
            conditions: merge(&before.conditions, findings(object), object.metadata.generation, &now),
            namespaces: u32::try_from(namespaces.count()).ok(),
        };
        let api: Api<MailGuardrail> = Api::all(context.client.clone());
        write_status(&context, &api, &object.name_any(), object.status.as_ref(), &status).await?;
        Ok(Action::await_change())
    }
    .boxed()
}

fn findings(object: &MailGuardrail) -> Vec<Finding> {
    match GuardrailTerms::read(&object.spec) {
        Ok(_) => vec![Finding::yes(kind::READY, "Accepted", "the spec is understood")],
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let message = format!("its namespaces are Paused: {}", errors.join("; "));
            [(kind::READY, false), (kind::STALLED, true)]
                .map(|(kind, status)| Finding {
                    kind,
                    status: Some(status),
                    reason: "SpecInvalid",
                    message: message.clone(),
                })
                .into()
        }
    }
}
