//! What an HTTP client may use of the sidecar.

use std::time::Duration;

/// Limits of the HTTP way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Octets of a request's body. SES takes 40 MB after base64 (quotas page of the Developer Guide); the rest is JSON's.
    pub body: usize,
    /// Octets of all bodies that are held at once.
    pub bodies: usize,
    /// Time for a request's head, and for which a connection may be idle.
    pub head: Duration,
    /// Time for a request's body.
    pub body_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 500,
            body: 42 * 1024 * 1024,
            bodies: 128 * 1024 * 1024,
            head: Duration::from_mins(2),
            body_time: Duration::from_mins(2),
        }
    }
}
