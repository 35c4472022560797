//! The only module that knows the AWS SDK: it turns our requests into SES's and SES's answers into our types.

mod convert;
mod read;
mod write;

use std::error::Error as StdError;
use std::fmt;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};

use super::client::{Connection, Role, Timeouts};
use super::error::{ErrorKind, SesError, classify};

/// The name of our sessions in `CloudTrail`.
const SESSION_NAME: &str = "mail-policy-operator";

/// The machine knows no certificate authority, so that nobody can be talked to over TLS.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "this image has no certificate authorities, without which SES cannot be reached: install ca-certificates in it, or name \
     a file of them in SSL_CERT_FILE"
)]
pub struct NoCertificateAuthorities;

/// Looks for certificate authorities, for want of which the SDK panics at its first use.
///
/// # Errors
/// There are none.
pub fn look_for_certificate_authorities() -> Result<(), NoCertificateAuthorities> {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(NoCertificateAuthorities);
    }
    Ok(())
}

/// Reads one account and region. Cannot write.
#[derive(Clone)]
pub struct AwsReader {
    client: Client,
    sts: aws_sdk_sts::Client,
}

/// Reads and writes one account and region.
#[derive(Clone)]
pub struct AwsWriter {
    reader: AwsReader,
}

impl AwsReader {
    /// Prepares the client; nothing is sent yet.
    ///
    /// Credentials come from the default chain (pod identity, web identity, environment), then the control role.
    pub async fn connect(connection: &Connection) -> Self {
        let shared = shared_config(connection).await;
        Self {
            client: Client::new(&shared),
            sts: aws_sdk_sts::Client::new(&shared),
        }
    }
}

impl AwsWriter {
    /// Prepares the client; nothing is sent yet.
    pub async fn connect(connection: &Connection) -> Self {
        Self {
            reader: AwsReader::connect(connection).await,
        }
    }
}

impl fmt::Debug for AwsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsReader")
    }
}

impl fmt::Debug for AwsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsWriter")
    }
}

async fn shared_config(connection: &Connection) -> SdkConfig {
    let Connection {
        region,
        endpoint_url,
        control_role,
        timeouts: Timeouts { connect, operation },
    } = connection;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(*connect)
        .operation_timeout(*operation)
        .build();
    let mut base = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.clone()))
        .timeout_config(timeouts)
        // The SDK would repeat in secret, past the budget, and even where a quota is reached.
        .retry_config(RetryConfig::disabled());
    // An emulator of SES must know the account, too: asking AWS's own STS there would mix two accounts.
    if let Some(url) = endpoint_url {
        base = base.endpoint_url(url);
    }
    let base = base.load().await;
    let Some(Role { arn, external_id }) = control_role else {
        return base;
    };
    let mut role = AssumeRoleProvider::builder(arn)
        .session_name(SESSION_NAME)
        .configure(&base);
    if let Some(external_id) = external_id {
        role = role.external_id(external_id);
    }
    let provider = aws_sdk_sesv2::config::SharedCredentialsProvider::new(role.build().await);
    base.into_builder().credentials_provider(provider).build()
}

/// What a failed request means.
fn failure<E, R>(operation: &'static str, error: &SdkError<E, R>) -> SesError
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: fmt::Debug + HttpStatus + 'static,
{
    let chain = || sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let (kind, detail) = match error {
        // The SDK counts an answer that it cannot parse among the errors of the service.
        SdkError::ServiceError(service) if service.raw().status() < 300 => (ErrorKind::Unintelligible, chain()),
        SdkError::ServiceError(service) => {
            let message = service.err().message().unwrap_or_default();
            let kind = classify(service.err().code(), service.raw().status(), message);
            (kind, message.to_owned())
        }
        SdkError::TimeoutError(_) => (ErrorKind::TimedOut, String::new()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (ErrorKind::TimedOut, String::new()),
        SdkError::DispatchFailure(_) if is_answer_lost(error) => (ErrorKind::AnswerLost, chain()),
        SdkError::DispatchFailure(_) if mentions_credentials(error) => (ErrorKind::Credentials, chain()),
        SdkError::DispatchFailure(_) => (ErrorKind::Unreachable, chain()),
        SdkError::ResponseError(response) if response.raw().status() >= 500 => (ErrorKind::Internal, chain()),
        SdkError::ResponseError(_) => (ErrorKind::Unintelligible, chain()),
        SdkError::ConstructionFailure(_) => (ErrorKind::BadRequest, chain()),
        _ => (ErrorKind::Unknown, chain()),
    };
    SesError::new(operation, kind, &detail)
}

/// The HTTP status of a raw answer.
trait HttpStatus {
    fn status(&self) -> u16;
}

impl HttpStatus for aws_sdk_sesv2::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let source = |error: &&'a (dyn StdError + 'static)| -> Option<&'a (dyn StdError + 'static)> { (*error).source() };
    std::iter::successors(Some(error), source)
}

/// The connection stood and ended without a whole answer: the request may have been carried out.
fn is_answer_lost(error: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind as Io;
    let is_cut = |kind| {
        matches!(
            kind,
            Io::ConnectionReset | Io::BrokenPipe | Io::UnexpectedEof | Io::ConnectionAborted
        )
    };
    sources(error).any(|source| {
        source
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| is_cut(io.kind()))
            || source
                .to_string()
                .contains("connection closed before message completed")
    })
}

/// The SDK's error for credentials is of a crate that we do not use directly: told by its text.
fn mentions_credentials(error: &(dyn StdError + 'static)) -> bool {
    sources(error).any(|source| source.to_string().to_lowercase().contains("credential"))
}

#[cfg(test)]
mod tests;
