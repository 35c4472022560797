//! Whose word SES takes the sidecar's mail on: the operator's, from the mounted folder, or the pod's own.

use std::{cell::RefCell, path::Path, time::Duration};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use jiff::Timestamp;
use thiserror::Error;

/// Credentials that end sooner than this are asked for again.
const MARGIN: Duration = Duration::from_mins(5);

/// Why there are none.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The folder has none: mail is not meant to leave now.
    #[error("the operator has handed out no credentials for this namespace")]
    NotHandedOut,
    /// What the folder has cannot be read.
    #[error("Secret mail-credentials cannot be read: {0}")]
    Unreadable(String),
    /// They have ended.
    #[error("the credentials that the operator handed out ended at {0}")]
    Ended(Timestamp),
    /// The pod has none.
    #[error("the pod has no credentials for SES: {0}")]
    Chain(String),
}

/// Where credentials come from.
pub enum Source {
    /// Secret `mail-credentials`, mounted; what was read of it last.
    Mounted(RefCell<Result<Credentials, CredentialsError>>),
    /// The default chain of AWS's SDKs: a role of the pod's service account, for example.
    Pod {
        /// The chain.
        chain: Box<DefaultCredentialsChain>,
        /// What it gave last.
        last: RefCell<Option<Credentials>>,
    },
}

impl Source {
    /// The pod's own.
    pub async fn pod() -> Self {
        Self::Pod {
            chain: Box::new(DefaultCredentialsChain::builder().build().await),
            last: RefCell::new(None),
        }
    }

    /// The mounted folder, not read yet.
    #[must_use]
    pub fn mounted() -> Self {
        Self::Mounted(RefCell::new(Err(CredentialsError::NotHandedOut)))
    }

    /// The folder was read anew.
    pub fn read(&self, folder: &Path) {
        if let Self::Mounted(read) = self {
            *read.borrow_mut() = read_folder(folder);
        }
    }

    /// Credentials that hold now.
    ///
    /// # Errors
    /// [`CredentialsError`]: then nothing is sent.
    pub async fn get(&self, now: Timestamp) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Mounted(read) => match &*read.borrow() {
                Ok(credentials) => match ends(credentials) {
                    Some(end) if end <= now => Err(CredentialsError::Ended(end)),
                    Some(_) | None => Ok(credentials.clone()),
                },
                Err(CredentialsError::Unreadable(why)) => Err(CredentialsError::Unreadable(why.clone())),
                Err(_) => Err(CredentialsError::NotHandedOut),
            },
            Self::Pod { chain, last } => {
                let lasting = last.borrow().clone().filter(|held| {
                    let left = |end: Timestamp| crate::clock::until(end, now);
                    ends(held).is_none_or(|end| left(end) > MARGIN)
                });
                if let Some(held) = lasting {
                    return Ok(held);
                }
                let fresh = chain.provide_credentials().await;
                let fresh = fresh.map_err(|error| CredentialsError::Chain(super::causes(&error)))?;
                *last.borrow_mut() = Some(fresh.clone());
                Ok(fresh)
            }
        }
    }
}

fn ends(credentials: &Credentials) -> Option<Timestamp> {
    credentials.expiry().and_then(|end| Timestamp::try_from(end).ok())
}

fn read_folder(folder: &Path) -> Result<Credentials, CredentialsError> {
    let read = |name: &str| match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CredentialsError::Unreadable(format!("key {name}: {error}"))),
    };
    let Some(access_key) = read("accessKeyId")? else {
        return Err(CredentialsError::NotHandedOut);
    };
    let needed = |name: &str, value: Option<String>| {
        value.ok_or_else(|| CredentialsError::Unreadable(format!("key {name} is missing")))
    };
    let secret = needed("secretAccessKey", read("secretAccessKey")?)?;
    let token = read("sessionToken")?;
    let end = match read("expiration")? {
        None => None,
        Some(text) => {
            let end = text.parse::<Timestamp>();
            Some(end.map_err(|_| CredentialsError::Unreadable("key expiration is no time".to_owned()))?)
        }
    };
    Ok(Credentials::new(
        access_key,
        secret,
        token,
        end.map(Into::into),
        "mail-credentials",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    async fn read(files: &[(&str, &str)], now: &str) -> Result<String, String> {
        let source = Source::mounted();
        source.read(folder(files).path());
        let credentials = source.get(now.parse().unwrap()).await;
        credentials
            .map(|it| format!("{} {:?}", it.access_key_id(), it.session_token()))
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_is_mounted_holds_until_its_end() {
        let whole = [
            ("accessKeyId", "AKIA\n"),
            ("secretAccessKey", "s"),
            ("sessionToken", "t"),
            ("expiration", "2026-11-24T12:00:00Z"),
        ];
        assert_eq!(read(&whole, "2026-11-24T11:59:59Z").await.unwrap(), "AKIA Some(\"t\")");
        let error = read(&whole, "2026-11-24T12:00:00Z").await.unwrap_err();
        assert!(error.contains("ended at 2026-11-24T12:00:00Z"), "{error}");
    }

    #[tokio::test]
    async fn what_is_missing_or_unreadable_is_named() {
        let now = "2026-11-24T12:00:00Z";
        assert!(read(&[], now).await.unwrap_err().contains("no credentials"));
        let error = read(&[("accessKeyId", "AKIA")], now).await.unwrap_err();
        assert!(error.contains("secretAccessKey is missing"), "{error}");
        let wrong = [("accessKeyId", "a"), ("secretAccessKey", "s"), ("expiration", "soon")];
        assert!(read(&wrong, now).await.unwrap_err().contains("expiration"));
    }
}
