//! What can go wrong around a control plane.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::process::Process;

/// The harness's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the harness. `Debug` reads as `Display` does, so that an `unwrap` in a test prints the sentence.
#[derive(thiserror::Error)]
pub enum Error {
    /// A file, folder or process could not be made or read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path or program.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// `tests/controlplane/build` could not provide the Kubernetes programs.
    #[error("tests/controlplane/build ended with {status}; run it by itself to see why")]
    Build {
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// A process of the control plane ended by itself.
    #[error("{name} ended by itself with {status}; its log ends:\n{log}")]
    Exited {
        /// The program.
        name: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last lines it wrote.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("waited {deadline:?} in vain until {what}; last seen: {seen}")]
    NotInTime {
        /// The condition.
        what: String,
        /// For how long it was waited for.
        deadline: Duration,
        /// What the last attempt saw instead.
        seen: String,
    },
    /// A program did not become ready in time.
    #[error("{source}\nthe log of {name} ends:\n{log}")]
    NotReady {
        /// What was waited for.
        source: Box<Error>,
        /// The program that was not ready.
        name: String,
        /// The last lines it wrote.
        log: String,
    },
    /// kubectl refused.
    #[error("kubectl {arguments}: {status}\n{stderr}")]
    Kubectl {
        /// The arguments it was given.
        arguments: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// A certificate or key could not be made.
    #[error("certificate of {subject}: {source}")]
    Certificate {
        /// Whose certificate.
        subject: String,
        /// The library's answer.
        source: rcgen::Error,
    },
    /// A kubeconfig could not be written or read back.
    #[error("kubeconfig {path}: {message}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// The API server answered a token request without a token.
    #[error("no token in the answer for service account {account}")]
    NoToken {
        /// Its namespace and name.
        account: String,
    },
    /// The API server refused a request of the harness.
    #[error("{what}: {source}")]
    Api {
        /// What was asked.
        what: String,
        /// The client's or the server's answer.
        source: Box<kube::Error>,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Error {
    /// Names what was being done when the operating system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Adds the end of the log of the process that was waited for.
    pub fn with_log_of(self, process: &Process) -> Self {
        Self::NotReady {
            source: Box::new(self),
            name: process.name().to_owned(),
            log: process.log_tail(),
        }
    }

    /// Names what was asked of the API server.
    pub fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api {
            what,
            source: Box::new(source),
        }
    }
}
