//! What happens behind the API's back: faults, changes by somebody else, what AWS decides, and what was called.

mod http;
mod mail;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::api::{self, Call};
use super::engine::Engine;
use super::faults::{Fault, FaultError};
use super::log::{CallRecord, Count};
use super::operation::Operation;
use super::received::ReceivedMessage;
use super::state::shapes::SendingStatus;
use super::state::{Account, Recommendation};
use super::throttle::{Limit, Throttle};
use super::wire::{ApiError, Pairs, UnknownMembers};

pub(super) use http::{PREFIX, router};

/// The handle of a running simulator.
#[derive(Clone, Debug)]
pub struct Admin {
    engine: Arc<Engine>,
}

impl Admin {
    pub(super) const fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Reads or changes the account while no call is under way.
    pub fn with_account<T>(&self, visit: impl FnOnce(&mut Account) -> T) -> T {
        visit(&mut self.engine.world().account)
    }

    /// Starts anew with the account as it was configured. Calls, messages, counts, faults and denials are forgotten.
    pub fn reset(&self) {
        let account = self.engine.config.account();
        let mut world = self.engine.world();
        world.account = account;
        world.faults.clear();
        world.denied.clear();
        world.log.reset();
        world.received.clear();
    }

    /// Arms a fault.
    ///
    /// # Errors
    /// The fault makes no sense, or there are too many.
    pub fn arm(&self, fault: Fault) -> Result<(), FaultError> {
        let now = self.engine.clock.elapsed();
        self.engine.world().faults.arm(fault, now)
    }

    /// The faults still armed.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.engine.world().faults.armed().cloned().collect()
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.engine.world().faults.clear();
    }

    /// Refuses these operations with `AccessDeniedException`, and no others.
    pub fn deny(&self, operations: impl IntoIterator<Item = Operation>) {
        self.engine.world().denied = operations.into_iter().collect();
    }

    /// The operations refused.
    #[must_use]
    pub fn denied(&self) -> Vec<Operation> {
        self.engine.world().denied.iter().copied().collect()
    }

    /// Calls after this sequence number, oldest first, at most `limit`.
    #[must_use]
    pub fn calls_after(&self, seq: u64, limit: usize) -> Vec<CallRecord> {
        self.engine.world().log.after(seq, limit)
    }

    /// The sequence number of the last call.
    #[must_use]
    pub fn last_call(&self) -> u64 {
        self.engine.world().log.last_seq()
    }

    /// How often each operation had which outcome.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.engine.world().log.counts()
    }

    /// Forgets calls and counts.
    pub fn reset_calls(&self) {
        self.engine.world().log.reset();
    }

    /// The messages that are kept, oldest first. Their contents are shared, not copied.
    #[must_use]
    pub fn received(&self) -> Vec<Arc<ReceivedMessage>> {
        self.received_after(0, usize::MAX)
    }

    /// The messages that are kept after this sequence number, oldest first, at most `limit`.
    #[must_use]
    pub fn received_after(&self, seq: u64, limit: usize) -> Vec<Arc<ReceivedMessage>> {
        self.engine.world().received.after(seq, limit)
    }

    /// The message of this sequence number, if it is still kept.
    #[must_use]
    pub fn received_message(&self, seq: u64) -> Option<Arc<ReceivedMessage>> {
        self.engine.world().received.get(seq)
    }

    /// The sequence number of the last message; never goes back.
    #[must_use]
    pub fn last_received(&self) -> u64 {
        self.engine.world().received.last_seq()
    }

    /// How many messages were taken since the start or the last [`Admin::clear_received`], kept or not.
    #[must_use]
    pub fn received_total(&self) -> u64 {
        self.engine.world().received.total()
    }

    /// Their recipients by domain. Those of all domains after the first 10,000 are under [`OTHER_DOMAINS`].
    ///
    /// [`OTHER_DOMAINS`]: crate::simulator::OTHER_DOMAINS
    #[must_use]
    pub fn received_by_domain(&self) -> BTreeMap<String, u64> {
        self.engine.world().received.by_domain().clone()
    }

    /// Forgets the messages and their counts. What was sent still counts for the account's limits.
    pub fn clear_received(&self) {
        self.engine.world().received.clear();
    }

    /// The limit on control calls.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.engine.world().throttle.limit()
    }

    /// Sets the limit, with a full bucket.
    ///
    /// # Errors
    /// A text that says which figure is out of range.
    pub fn set_limit(&self, limit: Limit) -> Result<(), String> {
        let limit = limit.validated()?;
        let now = self.engine.clock.elapsed();
        self.engine.world().throttle = Throttle::new(limit, now);
        Ok(())
    }

    /// What becomes of members an operation does not have.
    #[must_use]
    pub fn unknown_members(&self) -> UnknownMembers {
        self.engine.world().unknown_members
    }

    /// Sets what becomes of members an operation does not have.
    pub fn set_unknown_members(&self, unknown_members: UnknownMembers) {
        self.engine.world().unknown_members = unknown_members;
    }

    /// Does an operation as somebody else would: no credential, no fault, no throttle, and not in the call log.
    ///
    /// # Errors
    /// What SES would answer.
    pub fn perform(
        &self,
        operation: Operation,
        labels: Vec<String>,
        query: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, ApiError> {
        let unknown_members = UnknownMembers::Refused;
        let now = self.engine.clock.now();
        if operation.sends() {
            let outgoing = api::outgoing(operation, body, unknown_members);
            return self.engine.world().send(operation, outgoing, "", now);
        }
        let call = Call {
            operation,
            labels,
            query: Pairs::parse(query),
            body,
            unknown_members,
        };
        api::answer(&mut self.engine.world().account, &call, now)
    }

    /// AWS's own side says whether a tenant may send.
    ///
    /// # Errors
    /// There is no such tenant.
    pub fn set_aws_status(&self, tenant: &str, status: SendingStatus, cause: &str) -> Result<(), ApiError> {
        let now = self.engine.clock.now();
        self.engine.world().account.put_aws_status(tenant, status, cause, now)
    }

    /// A finding opens, changes or is resolved.
    pub fn put_recommendation(&self, finding: Recommendation) {
        let now = self.engine.clock.now();
        self.engine.world().account.put_recommendation(finding, now);
    }
}
