//! The sockets. Connections are accepted here, not by a framework, because a fault may cut one without an answer.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::admin::{self, Admin};
use super::answer::Answer;
use super::auth::Claim;
use super::clock::Clock;
use super::config::Config;
use super::engine::{Cut, Engine, Request};
use super::operation::may_send;
use super::wire::{ApiError, Code, MAX_BODY_BYTES, MAX_SEND_BYTES};

/// Connections at once; the next one waits in the system's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Bodies of more than [`MAX_BODY_BYTES`] in memory at once; the next one waits. With what is decoded of them, at most
/// about 700 MB.
const MAX_LARGE_BODIES: usize = 4;
/// The longest a client may take for its head. Longer than SDKs keep idle connections, so that none is cut in use.
const HEAD_TIMEOUT: Duration = Duration::from_mins(2);
/// The longest a client may take for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits for calls under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Starts simulators.
#[derive(Clone, Copy, Debug)]
pub struct Simulator;

/// A simulator that runs until this is dropped or stopped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin: Admin,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Listens and serves on the present Tokio runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(config: Config) -> std::io::Result<Running> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let engine = Arc::new(Engine::new(config, Clock::system()));
        let admin = Admin::new(Arc::clone(&engine));
        let stop = CancellationToken::new();
        let server = Server {
            engine,
            admin_routes: admin::router(admin.clone()),
            stop: stop.clone(),
            large: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
        };
        let task = tokio::spawn(server.run(listener));
        Ok(Running {
            address,
            admin,
            stop,
            task,
        })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for an SDK's endpoint setting.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens behind the API's back, without HTTP.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Stops accepting and waits for calls under way, at most five seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the simulator ended badly");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        // Connections are tasks of a set that the server's task owns: they end with it.
        self.task.abort();
    }
}

#[derive(Clone)]
struct Server {
    engine: Arc<Engine>,
    admin_routes: Router,
    stop: CancellationToken,
    /// Room for large bodies.
    large: Arc<Semaphore>,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &places) => accepted,
            };
            match accepted {
                Some((stream, place)) => {
                    let server = self.clone();
                    connections.spawn(async move {
                        server.connection(stream).await;
                        drop(place);
                    });
                }
                None => break,
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::warn!("calls were still under way when the simulator stopped");
        }
    }

    async fn connection(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let service = service_fn(|request| self.respond(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A fault cut it, or the client went away: both are ordinary here.
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn respond(&self, request: HttpRequest<Incoming>) -> Result<Response<Body>, Cut> {
        if request.uri().path().starts_with(admin::PREFIX) {
            let answer: Result<_, Infallible> = TowerToHyperService::new(self.admin_routes.clone()).call(request).await;
            return answer.map_err(|never| match never {});
        }
        let (parts, body) = request.into_parts();
        let limit = if may_send(parts.method.as_str(), parts.uri.path()) {
            MAX_SEND_BYTES
        } else {
            MAX_BODY_BYTES
        };
        // Held until the answer is made, as the body is.
        let Ok((body, _room)) = self.read(body, limit).await else {
            let error = ApiError::new(
                Code::RequestEntityTooLarge,
                format!("The body must arrive within {BODY_TIMEOUT:?} and have at most {limit} bytes."),
            );
            return Ok(refusal(&error));
        };
        let header = |name: HeaderName| text(&parts.headers, &name);
        let request = Request {
            method: parts.method.as_str(),
            raw_path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            claim: Claim {
                authorization: header(header::AUTHORIZATION),
                security_token: header(SECURITY_TOKEN),
            },
            body: &body,
        };
        self.engine.serve(request).await.map(response)
    }

    /// Reads a body. One that is larger than what every operation may have, or does not say so, waits for room.
    async fn read(&self, body: Incoming, limit: usize) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ()> {
        let said = body.size_hint().exact();
        let small = said.is_some_and(|bytes| bytes <= MAX_BODY_BYTES as u64);
        if said.is_some_and(|bytes| bytes > limit as u64) {
            return Err(());
        }
        let room = if small || limit <= MAX_BODY_BYTES {
            None
        } else {
            // Closed only by dropping the semaphore, which outlives this.
            Some(Arc::clone(&self.large).acquire_owned().await.map_err(|_| ())?)
        };
        match tokio::time::timeout(BODY_TIMEOUT, to_bytes(Body::new(body), limit)).await {
            Ok(Ok(bytes)) => Ok((bytes, room)),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // Closed only by dropping the semaphore, which outlives this.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                // Out of file descriptors, or the client went away before it was accepted: the listener is still good.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn response(answer: Answer) -> Response<Body> {
    let Answer {
        status,
        error,
        content_type,
        request_id,
        body,
    } = answer;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, request_id);
    }
    if let Some(error) = error {
        headers.insert(ERROR_TYPE, HeaderValue::from_static(error));
    }
    response
}

/// The answer to what never became a call.
fn refusal(error: &ApiError) -> Response<Body> {
    response(Answer {
        status: error.code.status(),
        error: Some(error.code.name()),
        content_type: "application/json",
        request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        body: error.json_body(),
    })
}

/// Runs a started simulator until `shutdown`, then stops it.
pub(super) async fn run_until(running: Running, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    running.stop().await;
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
