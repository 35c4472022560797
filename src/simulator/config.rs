//! What a simulator is started with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use super::received::ReceivedLimits;
use super::state::{Account, AccountSettings, Owner};
use super::throttle::Limit;
use super::wire::UnknownMembers;

/// The access key id accepted where none is configured. Signatures are not verified, so any secret goes with it.
pub const DEFAULT_ACCESS_KEY: &str = "simulator";

/// Everything a simulator is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Region and account.
    pub owner: Owner,
    /// Quota, sandbox, enforcement.
    pub settings: AccountSettings,
    /// Identities that exist at the start, with whether they are verified.
    pub identities: Vec<(String, bool)>,
    /// Access key ids that are known.
    pub access_keys: BTreeSet<String>,
    /// Roles that can be assumed, by ARN, with the external id each asks for.
    pub roles: BTreeMap<String, Option<String>>,
    /// The limit on control calls.
    pub limit: Limit,
    /// What becomes of members an operation does not have.
    pub unknown_members: UnknownMembers,
    /// How many calls the log keeps; 0 keeps none and only counts.
    pub call_log: usize,
    /// How much is kept of the messages that were sent.
    pub received: ReceivedLimits,
}

impl Default for Config {
    /// A production account in `us-east-1` with SES's own limit, on a free port of the loopback.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            owner: Owner {
                region: "us-east-1".to_owned(),
                account_id: "111122223333".to_owned(),
            },
            settings: AccountSettings::production(),
            identities: Vec::new(),
            access_keys: BTreeSet::from([DEFAULT_ACCESS_KEY.to_owned()]),
            roles: BTreeMap::new(),
            limit: Limit::SES,
            unknown_members: UnknownMembers::Refused,
            call_log: 10_000,
            received: ReceivedLimits::default(),
        }
    }
}

impl Config {
    /// The account as it is at the start.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut account = Account::new(self.owner.clone(), self.settings.clone());
        for (name, verified) in &self.identities {
            account.put_identity(name, *verified);
        }
        account
    }
}
