//! Addresses that stand for others: the mailbox simulator's, and a redirect's target filled in.

use crate::{
    api::{Address, Domain, address::LOCAL_MAX},
    policy::{
        other::{Piece, RedirectTarget},
        suppressions::HashKey,
    },
};

/// The domain of SES's mailbox simulator (Developer Guide, "Using the mailbox simulator").
const SIMULATOR: &str = "simulator.amazonses.com";

/// Hexadecimal digits of a hash in a local part: enough to tell the recipients of a test apart.
const DIGITS: usize = 16;

/// Whether the address is one of SES's mailbox simulator.
#[must_use]
pub fn is_simulator(address: &Address) -> bool {
    address.domain().as_str() == SIMULATOR
}

/// The address of the mailbox simulator that stands for a recipient: always the same for the same, and nobody without
/// the key can tell for whom. Never `None`: letters, digits and one `+` are a local part.
#[must_use]
pub fn simulator_address(key: &HashKey, recipient: &Address) -> Option<Address> {
    let label = hash(key, b"simulated", recipient);
    let domain = Domain::parse_host(SIMULATOR).ok()?;
    Address::new(&format!("success+{label}"), domain).ok()
}

/// The target with the recipient's parts filled in; a local part longer than an address may have is cut, and a keyed hash
/// of the recipient keeps it distinct. `None` where it is no address.
pub(super) fn redirected(target: &RedirectTarget, recipient: &Address, key: &HashKey) -> Option<Address> {
    let mut local = String::new();
    for piece in target.pieces() {
        local.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Local => recipient.local(),
            Piece::Domain => recipient.domain().as_str(),
        });
    }
    if local.len() > LOCAL_MAX {
        // All of it is ASCII.
        local.truncate(LOCAL_MAX - DIGITS - 1);
        local.push('-');
        local.push_str(&hash(key, b"redirected", recipient));
    }
    Address::new(&local, target.domain().clone()).ok()
}

fn hash(key: &HashKey, purpose: &[u8], recipient: &Address) -> String {
    let mut label = key.label(purpose, &recipient.to_string());
    label.truncate(DIGITS);
    label
}
