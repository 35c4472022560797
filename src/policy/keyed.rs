//! Keyed hashes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 over parts, each with its length before it, so that no two lists of parts are the same text.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    fed(key, parts).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// Whether this is the MAC of these parts, in a time that tells nothing of where it differs.
pub(crate) fn is_mac(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    fed(key, parts).is_some_and(|fed| fed.verify_slice(mac).is_ok())
}

/// Never `None`: HMAC takes keys of any length.
fn fed(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_known_again_and_any_other_key_part_or_border_is_another() {
        let written = mac(b"key", &[b"ab", b"c"]);
        assert!(is_mac(b"key", &[b"ab", b"c"], &written));
        assert!(!is_mac(b"other", &[b"ab", b"c"], &written));
        assert!(!is_mac(b"key", &[b"ab", b"d"], &written));
        assert!(!is_mac(b"key", &[b"a", b"bc"], &written));
        assert!(
            !is_mac(b"key", &[b"ab", b"c"], &written[..16]),
            "a part of it is not enough"
        );
    }
}
