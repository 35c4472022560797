//! `/livez`, `/readyz` which names what it waits for, and `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::metrics::Metrics;

/// What the replica waits for; `None` once it works or stands by.
#[derive(Clone)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Readiness {
    /// Waits for this.
    #[must_use]
    pub fn waiting_for(what: &str) -> Self {
        Self(Arc::new(Mutex::new(Some(what.to_owned()))))
    }

    /// Now waits for something else, or for nothing.
    pub fn set(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .merge(Router::new().route("/metrics", get(text)).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.get() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("waits for {what}\n")),
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> (StatusCode, String) {
    match metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("metrics cannot be written: {error}\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, readiness: Readiness) -> (StatusCode, String) {
        let router = router(Arc::new(Metrics::default()), readiness);
        let answer = router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_it_waits_for() {
        let readiness = Readiness::waiting_for("MailPolicies");
        let waiting = (StatusCode::SERVICE_UNAVAILABLE, "waits for MailPolicies\n".to_owned());
        assert_eq!(ask("/readyz", readiness.clone()).await, waiting);
        readiness.set(None);
        assert_eq!(ask("/readyz", readiness.clone()).await.0, StatusCode::OK);
        assert_eq!(ask("/livez", readiness).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_in_prometheus_text() {
        let (status, text) = ask("/metrics", Readiness::waiting_for("nothing")).await;
        assert_eq!(
            (status, text.contains("# TYPE mail_policy_ses_calls counter")),
            (StatusCode::OK, true),
            "{text}"
        );
    }
}
