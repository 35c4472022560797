//! MAIL: who a message is from.

use crate::api::address::Address;

use super::fault::Fault;
use super::limits::Limits;
use super::path::{Form, address, split};

const FORM: Form = Form {
    keyword: "FROM:",
    example: "Write MAIL FROM:<name@example.com>",
    bad_address: (5, 1, 7),
};

/// What MAIL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    /// `None` is the null sender.
    pub(super) sender: Option<Address>,
    /// How large the message is said to be.
    pub(super) size: Option<usize>,
}

/// Parses MAIL's arguments.
pub(super) fn parse(arguments: &str, limits: &Limits) -> Result<Mail, Fault> {
    let path = split(arguments, &FORM)?;
    let mut size = None;
    let (mut body, mut auth) = (false, false);
    for parameter in path.parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let twice = match name.to_ascii_uppercase().as_str() {
            "SIZE" => size.replace(octets(value, limits)?).is_some(),
            "BODY" if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {
                std::mem::replace(&mut body, true)
            }
            // Nobody vouches for anybody here.
            "AUTH" if value == "<>" => std::mem::replace(&mut auth, true),
            "SMTPUTF8" => return Err(unsupported("SMTPUTF8 is not offered: addresses here are ASCII")),
            "BODY" => return Err(unsupported("BODY is 7BIT or 8BITMIME")),
            "AUTH" => return Err(unsupported("AUTH is <>")),
            _ => return Err(unsupported("MAIL has the parameters SIZE, BODY and AUTH")),
        };
        if twice {
            return Err(Fault::arguments("A parameter stands twice"));
        }
    }
    let sender = match path.address {
        "" => None,
        text => Some(address(text, &FORM)?),
    };
    Ok(Mail { sender, size })
}

fn octets(value: &str, limits: &Limits) -> Result<usize, Fault> {
    if value.is_empty() || value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::arguments("SIZE is a number of octets"));
    }
    // Twenty digits may be more than any number of ours, and then they are more than the limit, too.
    let octets = value.parse().unwrap_or(usize::MAX);
    if octets > limits.message {
        return Err(Fault::refused(552, (5, 3, 4), "The message is larger than SIZE allows"));
    }
    Ok(octets)
}

fn unsupported(text: &str) -> Fault {
    Fault::breach(555, (5, 5, 4), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Mail, Fault> {
        parse(arguments, &Limits::default())
    }

    fn code(arguments: &str) -> (u16, (u8, u8, u8)) {
        match parsed(arguments) {
            Err(Fault::Breach(reply) | Fault::Refused(reply)) => (reply.code, reply.enhanced),
            other => panic!("{arguments}: {other:?}"),
        }
    }

    #[test]
    fn the_null_sender_is_a_sender() {
        let mail = Mail {
            sender: None,
            size: None,
        };
        assert_eq!(parsed("FROM:<>"), Ok(mail.clone()));
        assert_eq!(parsed("from:<> AUTH=<> body=8bitmime"), Ok(mail));
    }

    #[test]
    fn size_is_how_large_the_message_will_be() {
        assert_eq!(
            parsed("FROM:<a@example.com> BODY=7BIT SIZE=100 AUTH=<>"),
            Ok(Mail {
                sender: Address::parse("a@example.com").ok(),
                size: Some(100),
            })
        );
        let most = Limits::default().message;
        assert_eq!(parsed(&format!("FROM:<> SIZE={most}")).unwrap().size, Some(most));
    }

    #[test]
    fn a_size_over_the_limit_is_refused_at_once() {
        for size in [(Limits::default().message + 1).to_string(), "9".repeat(20)] {
            assert_eq!(code(&format!("FROM:<> SIZE={size}")), (552, (5, 3, 4)));
        }
    }

    #[test]
    fn a_size_that_is_no_number_is_refused() {
        let long = "1".repeat(21);
        for size in ["", "-1", "+1", "1k", "0x1", "\u{661}", &long] {
            assert_eq!(code(&format!("FROM:<> SIZE={size}")), (501, (5, 5, 4)), "{size}");
        }
        assert_eq!(code("FROM:<> SIZE"), (501, (5, 5, 4)));
    }

    #[test]
    fn a_parameter_that_is_not_offered_is_refused() {
        for parameter in [
            "SMTPUTF8",
            "BODY=BINARYMIME",
            "BODY",
            "RET=FULL",
            "ENVID=x",
            "AUTH=a@example.com",
            "AUTH",
            "XYZZY=1",
            "=",
        ] {
            assert_eq!(code(&format!("FROM:<> {parameter}")), (555, (5, 5, 4)), "{parameter}");
        }
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        for parameters in ["SIZE=1 SIZE=1", "BODY=7BIT body=8BITMIME", "AUTH=<> AUTH=<>"] {
            assert_eq!(code(&format!("FROM:<> {parameters}")), (501, (5, 5, 4)), "{parameters}");
        }
    }

    #[test]
    fn a_sender_that_is_no_address_is_refused_with_the_senders_code() {
        assert_eq!(code("FROM:<a>"), (501, (5, 1, 7)));
    }
}
