//! The certificate for STARTTLS.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// Whom the certificate names: what an application in the same pod calls the sidecar.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// No certificate could be made.
    #[error("no certificate could be made for STARTTLS")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be used.
    #[error("the certificate for STARTTLS cannot be used")]
    Config(#[from] rustls::Error),
}

/// A certificate of our own for `localhost` and 127.0.0.1, with a key that exists in this process only.
///
/// It proves nothing to a client, and need not: both ends are in one pod. It serves those that insist on STARTTLS and
/// do not check, or are told to trust it.
///
/// # Errors
/// [`TlsError`]: randomness or the key's algorithm is missing.
pub fn self_signed() -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = generate()?;
    configure(certificate, key)
}

pub(super) fn generate() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), TlsError> {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(NAMES.map(str::to_owned).to_vec())?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    Ok((cert.der().clone(), PrivateKeyDer::Pkcs8(key)))
}

pub(super) fn configure(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    // The provider is named: another crate's feature must not choose it.
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}
