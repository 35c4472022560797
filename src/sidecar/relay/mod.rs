//! To SES: a signed request over a kept connection, and what its answer means.

mod answer;
mod brake;
mod credentials;
mod outgoing;

use std::{convert::Infallible, pin::Pin, task, time::Duration};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::Timestamp;

pub use self::{
    answer::{Kind, SesError},
    brake::Brake,
    credentials::{CredentialsError, Source},
    outgoing::{Destination, Envelope, Request, Sendable, Tag},
};
use crate::policy::config::ConfigAccount;

/// Operation `SendEmail` of SES v2.
const PATH: &str = "/v2/email/outbound-emails";
/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for an answer to a small message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets for which a second more is given: SES takes messages above 10 MB at 40 MB/s, a pod's network less.
const OCTETS_A_SECOND: u64 = 1024 * 1024;
/// Idle connections are kept so long; SES closes them after about as long.
const IDLE: Duration = Duration::from_secs(45);
/// The largest answer read.
const ANSWER_MAX: usize = 64 * 1024;

/// The way to SES.
pub struct Relay {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    credentials: Source,
}

/// A request on its way.
pub struct Body {
    pieces: Box<dyn Iterator<Item = Vec<u8>> + Send + Sync>,
    left: u64,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next().map(Bytes::from);
        if let Some(piece) = &piece {
            self.left = self.left.saturating_sub(piece.len() as u64);
        }
        task::Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Relay {
    /// A way to SES with these credentials. Without any certificate of the machine's only a plain endpoint is reached.
    #[must_use]
    pub fn new(credentials: Source) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = HttpsConnectorBuilder::new();
        let builder = builder.with_native_roots().unwrap_or_else(|error| {
            tracing::warn!(%error, "no certificate authority is known: SES cannot be reached over TLS");
            let roots = rustls::RootCertStore::empty();
            let config = rustls::ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(config)
        });
        let https = builder
            // Plain only where the configuration names such an endpoint: an emulator.
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(https);
        Self { client, credentials }
    }

    /// Where its credentials come from.
    #[must_use]
    pub fn credentials(&self) -> &Source {
        &self.credentials
    }

    /// Sends one message to SES; its id.
    ///
    /// # Errors
    /// [`SesError`] says what is known of the message.
    pub async fn send(&self, account: &ConfigAccount, request: &Request, now: Timestamp) -> Result<String, SesError> {
        let size = request.len() as u64;
        let http_request = self.signed(account, request, now).await?;
        let answered = async {
            let answer = self.client.request(http_request).await.map_err(|error| {
                let kind = if error.is_connect() {
                    Kind::Unreached
                } else {
                    Kind::Unknown
                };
                SesError::new(kind, "NoAnswer", &causes(&error))
            })?;
            let (head, body) = answer.into_parts();
            let header = head
                .headers
                .get("x-amzn-errortype")
                .and_then(|value| value.to_str().ok());
            let error_type = header.map(str::to_owned);
            let body = Limited::new(body, ANSWER_MAX);
            #[expect(clippy::disallowed_methods, reason = "limited")]
            let body = body.collect().await;
            let body = body.map_err(|error| SesError::new(Kind::Unknown, "NoAnswer", &error.to_string()))?;
            answer::read(head.status.as_u16(), error_type.as_deref(), &body.to_bytes())
        };
        let limit = ANSWER_TIMEOUT + Duration::from_secs(size / OCTETS_A_SECOND);
        match tokio::time::timeout(limit, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(SesError::new(
                Kind::Unknown,
                "NoAnswer",
                &format!("no answer within {limit:?}"),
            )),
        }
    }

    async fn signed(
        &self,
        account: &ConfigAccount,
        request: &Request,
        now: Timestamp,
    ) -> Result<http::Request<Body>, SesError> {
        let credentials = self.credentials.get(now).await;
        let credentials =
            credentials.map_err(|error| SesError::new(Kind::Credentials, "NoCredentials", &error.to_string()))?;
        let ConfigAccount {
            name: _,
            region,
            endpoint_url,
        } = account;
        let base = endpoint_url
            .as_ref()
            .map_or_else(|| standard_endpoint(region), Clone::clone);
        let url = format!("{}{PATH}", base.trim_end_matches('/'));
        let mut http_request = http::Request::post(&url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::CONTENT_LENGTH, request.len())
            .body(Body {
                left: request.len() as u64,
                pieces: Box::new(request.pieces()),
            })
            .map_err(|error| unsendable(&error.to_string()))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("ses")
            .time(now.into())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsendable(&error.to_string()))?
            .into();
        let failed = |error: SigningError| unsendable(&error.to_string());
        let body = SignableBody::Precomputed(request.digest());
        let headers = [("content-type", "application/json")];
        let signable = SignableRequest::new("POST", url, headers.into_iter(), body).map_err(failed)?;
        let (instructions, _) = sign(signable, &params).map_err(failed)?.into_parts();
        instructions.apply_to_request_http1x(&mut http_request);
        Ok(http_request)
    }
}

/// AWS's endpoint of SES in a region; those in China have a domain of their own.
fn standard_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://email.{region}.{domain}")
}

fn unsendable(why: &str) -> SesError {
    SesError::new(Kind::Unreached, "NotSigned", why)
}

/// An error with its causes: what hyper's own text leaves out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
