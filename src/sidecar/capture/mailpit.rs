//! Captured mail handed to the namespace's Mailpit, where people look at mail.

use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, address::Envelope};
use thiserror::Error;

use super::Captured;
use crate::api::{Address, address::redact, condition::bounded};

/// Time for the whole hand-over.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest text of Mailpit's that is handed on.
const TEXT_MAX: usize = 300;

/// Mailpit, by SMTP.
pub struct Mailpit {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// Why Mailpit did not take a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Mailpit did not take the message: {message}")]
pub struct MailpitError {
    /// What it said, without addresses.
    pub message: String,
    /// Whether it is for good.
    pub is_permanent: bool,
}

impl Mailpit {
    /// Mailpit at this host and port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        // Within the cluster, to a server that sends nothing on: there is nothing to be had by TLS.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .timeout(Some(TIMEOUT))
            .build();
        Self { transport }
    }

    /// Hands over a message. It is captured only once Mailpit has it.
    ///
    /// # Errors
    /// [`MailpitError`] as Mailpit answered.
    pub async fn hand_over(&self, captured: &Captured) -> Result<(), MailpitError> {
        let address = |address: &Address| lettre::Address::new(address.local(), address.domain().as_str());
        let recipients = captured
            .recipients
            .iter()
            .map(|(to, _)| address(to))
            .collect::<Result<Vec<_>, _>>();
        let envelope = address(&captured.from)
            .and_then(|from| Ok((from, recipients?)))
            .map_err(|error| failed(&error.to_string(), true))?;
        let (from, recipients) = envelope;
        let envelope = Envelope::new(Some(from), recipients).map_err(|error| failed(&error.to_string(), true))?;
        let sent = self.transport.send_raw(&envelope, &captured.raw).await;
        sent.map(|_| ())
            .map_err(|error| failed(&error.to_string(), error.is_permanent()))
    }
}

fn failed(message: &str, is_permanent: bool) -> MailpitError {
    MailpitError {
        message: bounded(redact(message), TEXT_MAX),
        is_permanent,
    }
}
