//! The listeners: SES's API and the application's own pages on loopback; metrics and status on the pod's address.

use std::{convert::Infallible, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Limits,
    answer::{Answer, denied, json, plain, refusal, v1, v1_denied, v1_refusal},
    app, bulk, v1 as query, v2,
};
use crate::sidecar::{
    denial::Denial,
    desk::{Desk, Receipt, Way},
    submission::Submission,
};

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The application, on loopback.
    Application,
    /// Prometheus and the operator, on the pod's address.
    Cluster,
}

/// A listener that runs.
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Waits until it has ended.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            warn!(%error, "an HTTP listener ended badly");
        }
    }
}

struct Server {
    desk: Rc<Desk>,
    audience: Audience,
    limits: Limits,
    /// Octets of bodies that may yet be held, in KiB.
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Serves until the token is cancelled, and then until what has begun is done.
pub fn serve(
    listener: TcpListener,
    audience: Audience,
    desk: Rc<Desk>,
    limits: Limits,
    stop: CancellationToken,
) -> std::io::Result<Running> {
    let address = listener.local_addr()?;
    let server = Rc::new(Server {
        desk,
        audience,
        limits,
        room: Arc::new(Semaphore::new(limits.bodies / 1024)),
        stop,
    });
    Ok(Running {
        address,
        task: tokio::task::spawn_local(server.run(listener)),
    })
}

impl Server {
    async fn run(self: Rc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match (accepted, Arc::clone(&places).try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let server = Rc::clone(&self);
                    connections.spawn_local(async move {
                        server.connection(stream).await;
                        drop(place);
                    });
                }
                // More than the limit: closed at once, which a client tries again.
                (Ok(_), Err(_)) => debug!("a connection above the limit was closed"),
                (Err(error), _) => {
                    // Out of file descriptors, or the client went away before it was accepted.
                    warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self: Rc<Self>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection keeps its delay");
        }
        let service = service_fn(|request| {
            let server = Rc::clone(&self);
            async move { Ok::<_, Infallible>(server.respond(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
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
            debug!(%error, "a connection ended early");
        }
    }

    async fn respond(self: Rc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let method = head.method.as_str().to_owned();
        match (self.audience, method.as_str(), path.as_str()) {
            (_, "GET", "/livez") => plain(200, "text/plain", "ok\n"),
            (_, "GET", "/status") => app::status(&self.desk),
            (Audience::Cluster, "GET", "/metrics") => match self.desk.metrics.text() {
                Ok(text) => plain(200, "text/plain; version=0.0.4", text),
                Err(error) => plain(500, "text/plain", format!("metrics cannot be written: {error}\n")),
            },
            (Audience::Application, method, path) if path == "/captured" || path.starts_with("/captured/") => {
                app::captured(&self.desk, method, &path["/captured".len()..])
            }
            (Audience::Application, ..) => self.ses(&head.method, &path, body).await,
            (Audience::Cluster, ..) => plain(404, "text/plain", "/livez, /metrics or /status\n"),
        }
    }

    /// SES's API.
    async fn ses(&self, method: &Method, path: &str, body: Incoming) -> Answer {
        let address = path.strip_prefix("/v2/email/suppression/addresses/");
        match (method.as_str(), path, address) {
            ("GET", "/v2/email/account", _) => app::account(&self.desk).unwrap_or_else(|denial| denied(&denial)),
            ("GET", _, Some(address)) => app::suppressed(&self.desk, address).unwrap_or_else(|denial| denied(&denial)),
            ("POST", "/v2/email/outbound-emails", _) => match self.read(body).await {
                Err(denial) => denied(&denial),
                Ok((body, _room)) => {
                    let submission = v2::send_email(&body);
                    drop(body);
                    match self.submit(submission).await {
                        Ok(receipt) => json(200, &serde_json::json!({ "MessageId": receipt.id() })),
                        Err(denial) => denied(&denial),
                    }
                }
            },
            ("POST", "/v2/email/outbound-bulk-emails", _) => match self.bulk(body).await {
                Ok(results) => json(200, &serde_json::json!({ "BulkEmailEntryResults": results })),
                Err(denial) => denied(&denial),
            },
            ("POST", "/", _) => match self.read(body).await {
                Err(denial) => v1_denied(&denial),
                Ok((body, _room)) => self.query(body).await,
            },
            _ => {
                let operation = format!("{method} {}", beginning(path));
                let text = format!(
                    "The mail sidecar has no operation for {operation}: it takes SendEmail, SendBulkEmail, GetAccount and \
                     GetSuppressedDestination of SES v2, SendEmail, SendRawEmail and GetSendQuota of v1."
                );
                refusal(404, "UnknownOperationException", &text)
            }
        }
    }

    async fn query(&self, body: Bytes) -> Answer {
        let query = query::Query::parse(&body);
        drop(body);
        let action = query.get("Action").unwrap_or_default().to_owned();
        let submission = match action.as_str() {
            "SendEmail" => query::send_email(&query),
            "SendRawEmail" => query::send_raw_email(&query),
            "GetSendQuota" => {
                let rules = self.desk.rules();
                return match rules.gate() {
                    Ok(gate) => v1(&action, &app::Quota::of(gate, &self.desk).xml()),
                    Err(denial) => v1_denied(&denial),
                };
            }
            _ => {
                let action: String = action.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
                let text = format!(
                    "The mail sidecar has no action {action}: it takes SendEmail, SendRawEmail and GetSendQuota of SES v1."
                );
                return v1_refusal(400, "InvalidAction", &text);
            }
        };
        drop(query);
        match self.submit(submission).await {
            Ok(receipt) => v1(
                &action,
                &format!("<MessageId>{}</MessageId>", super::answer::escaped(receipt.id())),
            ),
            Err(denial) => v1_denied(&denial),
        }
    }

    async fn bulk(&self, body: Incoming) -> Result<Vec<bulk::EntryResult>, Denial> {
        let (body, _room) = self.read(body).await?;
        let mut results = Vec::new();
        for single in bulk::send_bulk_email(&body)? {
            results.push(self.submit(single).await.into());
        }
        Ok(results)
    }

    async fn submit(&self, submission: Result<Submission, Denial>) -> Result<Receipt, Denial> {
        self.desk.submit(Way::Http, submission?).await
    }

    /// A body, and the room that it takes.
    async fn read(&self, mut body: Incoming) -> Result<(Bytes, tokio::sync::OwnedSemaphorePermit), Denial> {
        use http_body::Body;
        let most = self.limits.body;
        let too_large = || Denial::Request(format!("the request has more than {most} octets"));
        let hint = body.size_hint();
        let size = hint
            .exact()
            .or(hint.upper())
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(most);
        if size > most {
            return Err(too_large());
        }
        // Twice: as JSON, and as the message in it.
        let room = u32::try_from((2 * size).div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(room);
        let room = room.map_err(|_| Denial::Busy)?;
        let read = async {
            let mut whole = BytesMut::with_capacity(size.min(1024 * 1024));
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Denial::Request(format!("the request ended early: {error}")))?;
                if let Ok(data) = frame.into_data() {
                    if whole.len() + data.len() > size {
                        return Err(too_large());
                    }
                    whole.extend_from_slice(&data);
                }
            }
            Ok(whole.freeze())
        };
        let late = |_| Denial::Request("the request did not come in time".to_owned());
        let whole = tokio::time::timeout(self.limits.body_time, read)
            .await
            .map_err(late)??;
        Ok((whole, room))
    }
}

/// The first four segments of a path: what follows may be an address.
fn beginning(path: &str) -> &str {
    path.match_indices('/').nth(4).map_or(path, |(end, _)| &path[..end])
}
