//! Which replica leads, by a Lease.
//!
//! # Guarantees
//! [`Leadership::lost`] returns before another replica can take the lease: a leader that could not renew for
//! [`RENEW_WITHIN`] stops, others wait for [`LEASE`] since they saw the last renewal. So clocks of replicas need not
//! agree, only run at about the same speed.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tracing::{info, warn};

use crate::clock;

/// How long a lease holds after its last renewal.
pub const LEASE: Duration = Duration::from_secs(15);

/// A leader that could not renew for this long stops.
pub const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// Between two renewals, and between two looks at another's lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);

/// A lease and who wants it.
#[derive(Clone)]
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    identity: String,
}

/// A lease that was won.
pub struct Leadership {
    candidate: Candidate,
    renewed: Instant,
}

/// What a look at the lease showed.
enum Look {
    Won,
    /// Somebody else's, at this version.
    Held(String),
}

impl Candidate {
    /// Wants the lease of this name under an identity that no other replica has.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self {
            leases,
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// Waits until the lease is won.
    pub async fn win(self) -> Leadership {
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let tried = clock::monotonic();
            // A holder whose lease did not move for a whole lease's time, by our own clock, is gone.
            let expired = seen
                .as_ref()
                .is_some_and(|(_, since)| tried.duration_since(*since) > LEASE);
            match within(RENEW_WITHIN, self.look(expired)).await {
                Ok(Look::Won) => {
                    info!(identity = self.identity, "this replica leads");
                    return Leadership {
                        candidate: self,
                        renewed: tried,
                    };
                }
                Ok(Look::Held(version)) => {
                    if seen.as_ref().is_none_or(|(known, _)| *known != version) {
                        seen = Some((version, tried));
                    }
                }
                Err(error) => warn!(error, "cannot look at the lease"),
            }
            tokio::time::sleep(RENEW_EVERY).await;
        }
    }

    async fn look(&self, expired: bool) -> Result<Look, kube::Error> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            return Self::settle(self.leases.create(&PostParams::default(), &self.lease(None)).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if holder == self.identity || holder.is_empty() || expired {
            return Self::settle(
                self.leases
                    .replace(&self.name, &PostParams::default(), &self.lease(Some(&lease)))
                    .await,
            );
        }
        Ok(Look::Held(lease.metadata.resource_version.unwrap_or_default()))
    }

    /// A conflict means that another replica was quicker.
    fn settle(written: Result<Lease, kube::Error>) -> Result<Look, kube::Error> {
        match written {
            Ok(_) => Ok(Look::Won),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Look::Held(String::new())),
            Err(error) => Err(error),
        }
    }

    fn lease(&self, before: Option<&Lease>) -> Lease {
        let now = MicroTime(clock::now());
        let old = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let same = old.holder_identity.as_deref() == Some(&self.identity);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                // The version makes two replicas that write at once meet a conflict.
                resource_version: before.and_then(|lease| lease.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: if same { old.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!same)),
                ..LeaseSpec::default()
            }),
        }
    }
}

impl Leadership {
    /// Renews, and returns once the lease is lost or was not renewed for [`RENEW_WITHIN`]. Whoever writes must stop then.
    pub async fn lost(&mut self) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let tried = clock::monotonic();
            let left = RENEW_WITHIN.saturating_sub(tried.duration_since(self.renewed));
            match within(left, self.candidate.look(false)).await {
                Ok(Look::Won) => self.renewed = tried,
                Ok(Look::Held(_)) => {
                    warn!("another replica holds the lease");
                    return;
                }
                Err(error) => warn!(error, "cannot renew the lease"),
            }
            if clock::monotonic().duration_since(self.renewed) >= RENEW_WITHIN {
                warn!("the lease was not renewed in time");
                return;
            }
        }
    }

    /// Gives the lease up, so that another replica need not wait.
    pub async fn resign(self) {
        let Candidate { leases, name, identity } = &self.candidate;
        let resign = async {
            let Some(mut lease) = leases.get_opt(name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_ref() == Some(identity) {
                spec.holder_identity = None;
                spec.renew_time = Some(MicroTime(Timestamp::UNIX_EPOCH));
                leases.replace(name, &PostParams::default(), &lease).await?;
            }
            Ok(())
        };
        if let Err(error) = within(RENEW_EVERY, resign).await {
            warn!(error, "the lease was not given up; it runs out by itself");
        }
    }
}

async fn within<T>(limit: Duration, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
