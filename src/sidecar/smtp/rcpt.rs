//! RCPT: whom a message is for.

use crate::api::address::Address;

use super::fault::Fault;
use super::path::{Form, address, split};

const FORM: Form = Form {
    keyword: "TO:",
    example: "Write RCPT TO:<name@example.com>",
    bad_address: (5, 1, 3),
};

/// Parses RCPT's arguments.
pub(super) fn parse(arguments: &str) -> Result<Address, Fault> {
    let path = split(arguments, &FORM)?;
    if !path.parameters.is_empty() {
        return Err(Fault::breach(
            555,
            (5, 5, 4),
            "RCPT has no parameters here: DSN is not offered",
        ));
    }
    if path.address.is_empty() {
        return Err(Fault::refused(501, (5, 1, 3), "The null address can send only"));
    }
    address(path.address, &FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_an_address() {
        assert_eq!(parse("TO:<a@example.com>").unwrap().to_string(), "a@example.com");
    }

    #[test]
    fn the_null_address_is_no_recipient() {
        assert!(matches!(parse("TO:<>"), Err(Fault::Refused(reply)) if reply.code == 501));
    }

    #[test]
    fn parameters_are_refused() {
        for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a@example.com", "X"] {
            assert!(
                matches!(parse(&format!("TO:<a@example.com> {parameter}")), Err(Fault::Breach(reply)) if reply.code == 555),
                "{parameter}"
            );
        }
    }
}
