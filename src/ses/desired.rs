//! What we want to stand in SES: plain, canonical data.
//!
//! Lists whose order means nothing are sets here, so that two values are equal exactly when SES behaves the same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use super::address::{Address, Identity};
use super::arn::Arn;
use super::name::{DestinationName, SetName, TenantName};
use super::tags::Owner;

/// A configuration set as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DesiredSet {
    /// Its name.
    pub name: SetName,
    /// Whose it is; the source of its tags.
    pub owner: Owner,
    /// The switch: whether mail that names the set is sent.
    pub sending: bool,
    /// Everything else that SES has on a set.
    pub options: SetOptions,
    /// All its event destinations; others are removed.
    pub destinations: BTreeMap<DestinationName, Destination>,
    /// The tenant that the set belongs to, where tenants isolate namespaces.
    pub tenant: Option<TenantName>,
}

/// Every option of a configuration set but its switch, its tags and its destinations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SetOptions {
    /// How mail is delivered.
    pub delivery: Delivery,
    /// Whether SES counts bounces and complaints of the set by themselves.
    pub reputation_metrics: bool,
    /// Whether opens and clicks are tracked through a domain of one's own.
    pub tracking: Option<Tracking>,
    /// Whether the set overrides the suppression of its tenant or account.
    pub suppression: Suppression,
    /// Virtual Deliverability Manager; `None` takes the account's settings.
    pub vdm: Option<Vdm>,
    /// The Mail Manager archive that keeps a copy of each message.
    pub archive: Option<Arn>,
    /// Whether SES signs messages with S/MIME.
    pub signing: Option<SmimeSignature>,
}

/// How mail is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Delivery {
    /// Whether a recipient's server without TLS gets the mail.
    pub tls: TlsPolicy,
    /// How long SES tries, 300 to 50,400 seconds; `None` is SES's own limit.
    pub max_seconds: Option<u32>,
    /// The dedicated IP pool; `None` is the account's default.
    pub pool: Option<String>,
}

/// Whether TLS is needed towards the recipient's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsPolicy {
    /// Without TLS the mail is not delivered.
    Require,
    /// Without TLS the mail is delivered in the clear; SES's default.
    #[default]
    Optional,
}

/// Tracking of opens and clicks through a domain of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tracking {
    /// The domain that links are rewritten to: a verified identity.
    pub redirect_domain: String,
    /// Which tracking links use HTTPS.
    pub https: HttpsPolicy,
}

/// Which tracking links use HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HttpsPolicy {
    /// Those of opens and of clicks.
    Require,
    /// Those of opens; those of clicks as the original link.
    RequireOpenOnly,
    /// Those of clicks as the original link; SES's default.
    #[default]
    Optional,
}

/// The suppression of a set.
///
/// Two variants and never one list: an absent list means "as the tenant or the account has it", an empty one "nothing
/// is suppressed".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Suppression {
    /// As the tenant or else the account has it.
    #[default]
    Inherit,
    /// Exactly this.
    Only(SuppressionOverride),
}

/// A set's own suppression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SuppressionOverride {
    /// The reasons for which addresses are suppressed; none suppresses nothing.
    pub reasons: BTreeSet<Reason>,
    /// Whose list is read and written.
    pub scope: SuppressionScope,
    /// SES's validation of addresses; `None` takes the account's.
    pub validation: Option<Validation>,
}

/// Why an address is on a suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A hard bounce.
    Bounce,
    /// A complaint.
    Complaint,
}

/// Whose suppression list counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuppressionScope {
    /// The account's.
    Account,
    /// The tenant's alone; every message must then name its tenant.
    Tenant,
}

/// Which addresses SES's validation lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validation {
    /// All: no validation.
    Off,
    /// SES chooses.
    Managed,
    /// Those of medium and high confidence.
    Medium,
    /// Those of high confidence only.
    High,
}

/// Virtual Deliverability Manager on a set. `None` leaves a feature as the account has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vdm {
    /// Engagement metrics on the dashboard.
    pub engagement_metrics: Option<bool>,
    /// Optimised shared delivery.
    pub optimized_shared_delivery: Option<bool>,
}

/// How SES signs messages with S/MIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmimeSignature {
    /// The signature is a part of its own, so that readers without S/MIME still show the text.
    Detached,
}

/// An event destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Whether events go there now.
    pub enabled: bool,
    /// Which events; at least one.
    pub events: BTreeSet<EventType>,
    /// Where to.
    pub target: Target,
}

/// Where events go: exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// An SNS topic (not a FIFO one).
    Sns {
        /// Its ARN.
        topic_arn: String,
    },
    /// The default event bus.
    EventBridge {
        /// Its ARN.
        bus_arn: String,
    },
    /// A Firehose stream.
    Firehose {
        /// Its ARN.
        stream_arn: String,
        /// The role that SES writes with.
        role_arn: String,
    },
}

/// The kinds of events that SES publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // SES's own words.
pub enum EventType {
    Send,
    Reject,
    Bounce,
    Complaint,
    Delivery,
    Open,
    Click,
    RenderingFailure,
    DeliveryDelay,
    Subscription,
}

/// A tenant as it should be: one namespace of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DesiredTenant {
    /// Its name.
    pub name: TenantName,
    /// Whose it is; the source of its tags.
    pub owner: Owner,
    /// Its own suppression; `None` takes the account's.
    pub suppression: Option<TenantSuppression>,
    /// When SES pauses it by itself.
    pub reputation_policy: ReputationPolicy,
    /// The identities it may send from; other identities are taken from it, sets and templates are left alone.
    pub identities: BTreeSet<Arn>,
    /// Whether it is held.
    pub sending: TenantSending,
}

/// A tenant's own suppression: SES takes both or neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantSuppression {
    /// The reasons for which addresses are suppressed; none suppresses nothing.
    pub reasons: BTreeSet<Reason>,
    /// Whose list is read and written.
    pub scope: SuppressionScope,
}

/// When SES pauses a tenant by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReputationPolicy {
    /// On findings of high impact; what a new tenant has.
    #[default]
    Standard,
    /// On any finding.
    Strict,
    /// Never by policy.
    None,
}

/// Whether a tenant may send. It is disabled only while held: enabling it again makes SES ignore open findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TenantSending {
    /// It may.
    #[default]
    Enabled,
    /// A hold is open.
    Held,
}

/// An identity that is sealed: its default configuration set is one that cannot send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DesiredSeal {
    /// The identity.
    pub identity: Identity,
    /// The sealed set.
    pub set: SetName,
    /// Whether it is to be sealed, or to be given back.
    pub sealed: bool,
}

/// Which list an entry is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuppressionList {
    /// The account's.
    Account,
    /// A tenant's.
    Tenant(TenantName),
}

/// The entries of suppression lists as they should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DesiredEntries {
    /// What must be listed, and why.
    pub listed: BTreeMap<(SuppressionList, Address), Reason>,
    /// What a person released: taken off whoever put it there. Wins over `listed`.
    pub released: BTreeSet<(SuppressionList, Address)>,
    /// What we listed once and no longer want: taken off unless SES has put it there itself meanwhile.
    pub retired: BTreeSet<(SuppressionList, Address)>,
}

/// Feeds a value into SHA-256: the derived [`Hash`] writes lengths and discriminants, so no two values meet by
/// concatenation. Integers are written little-endian in a fixed width; should a compiler hash differently, one
/// comparison with SES is the whole consequence.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_usize(&mut self, value: usize) {
        self.write(&(value as u64).to_le_bytes());
    }

    fn write_isize(&mut self, value: isize) {
        self.write(&(value as i64).to_le_bytes());
    }

    /// Never asked for: [`fingerprint`] takes the whole digest.
    fn finish(&self) -> u64 {
        0
    }
}

/// The first 64 bits of SHA-256 over the value.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = Fingerprint(Sha256::new());
    value.hash(&mut hasher);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.0.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// The fingerprint as a status keeps it: sixteen hex digits.
pub(super) fn fingerprint_text(value: &impl Hash) -> String {
    format!("{:016x}", fingerprint(value))
}

impl DesiredSet {
    /// The hash of everything, which status keeps as what was applied.
    #[must_use]
    pub fn applied_hash(&self) -> String {
        fingerprint_text(self)
    }
}

impl DesiredTenant {
    /// The hash of everything, which status keeps as what was applied.
    #[must_use]
    pub fn applied_hash(&self) -> String {
        fingerprint_text(self)
    }
}

impl DesiredSeal {
    /// The hash of everything, which status keeps as what was applied.
    #[must_use]
    pub fn applied_hash(&self) -> String {
        fingerprint_text(self)
    }
}

impl DesiredEntries {
    /// The hash of everything, which status keeps as what was applied.
    #[must_use]
    pub fn applied_hash(&self) -> String {
        fingerprint_text(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::desired_set;
    use super::*;

    #[test]
    fn the_applied_hash_is_the_same_in_every_build() {
        assert_eq!(desired_set().applied_hash(), desired_set().applied_hash());
        assert_eq!(desired_set().applied_hash(), "be07ef88d32e6551");
    }

    #[test]
    fn inherit_and_an_empty_list_of_reasons_have_different_hashes() {
        let none = SuppressionOverride {
            reasons: BTreeSet::new(),
            scope: SuppressionScope::Account,
            validation: None,
        };
        let inherit = SetOptions::default();
        let only = SetOptions {
            suppression: Suppression::Only(none),
            ..SetOptions::default()
        };
        assert_ne!(fingerprint(&inherit), fingerprint(&only));
    }

    #[test]
    fn text_that_moves_between_neighbours_changes_the_hash() {
        assert_ne!(fingerprint(&("ab", "c")), fingerprint(&("a", "bc")));
    }
}
