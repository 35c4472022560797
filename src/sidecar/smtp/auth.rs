//! AUTH: any credentials are accepted, for loopback is the boundary; what is accepted must still be what it claims.

use data_encoding::BASE64;

use super::fault::Fault;
use super::reply::Reply;

/// `Username:` and `Password:`.
const LOGIN_CHALLENGES: (&str, &str) = ("VXNlcm5hbWU6", "UGFzc3dvcmQ6");

/// What is awaited from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword,
}

/// What follows from what the client said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// One more answer is needed, to the challenge of this exchange.
    Challenge(Exchange),
    /// That is all.
    Accepted,
}

impl Exchange {
    /// The challenge, as the text of a 334.
    pub(super) fn challenge(self) -> Reply {
        let text = match self {
            Self::Plain => "",
            Self::LoginName => LOGIN_CHALLENGES.0,
            Self::LoginPassword => LOGIN_CHALLENGES.1,
        };
        Reply::new(334, (3, 0, 0), text)
    }

    /// Takes the answer to the challenge.
    pub(super) fn respond(self, response: &[u8]) -> Result<Next, Fault> {
        if response == b"*" {
            return Err(Fault::breach(501, (5, 7, 0), "Authentication cancelled"));
        }
        let decoded = BASE64
            .decode(response)
            .map_err(|_| Fault::breach(501, (5, 5, 2), "The response is not base64"))?;
        match self {
            // Authorization identity, name and password (RFC 4616); none of them is looked at.
            Self::Plain if decoded.split(|byte| *byte == 0).count() == 3 => Ok(Next::Accepted),
            Self::Plain => Err(Fault::breach(501, (5, 5, 2), "The response is no PLAIN message")),
            Self::LoginName => Ok(Next::Challenge(Self::LoginPassword)),
            Self::LoginPassword => Ok(Next::Accepted),
        }
    }
}

/// Begins with AUTH's arguments: a mechanism, and perhaps the first answer, `=` where that is empty.
pub(super) fn begin(arguments: &str) -> Result<Next, Fault> {
    let (mechanism, initial) = match arguments.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (arguments, None),
    };
    let exchange = if mechanism.eq_ignore_ascii_case("PLAIN") {
        Exchange::Plain
    } else if mechanism.eq_ignore_ascii_case("LOGIN") {
        Exchange::LoginName
    } else if mechanism.is_empty() {
        return Err(Fault::arguments("Say AUTH PLAIN or AUTH LOGIN"));
    } else {
        return Err(Fault::breach(504, (5, 5, 4), "The mechanisms are PLAIN and LOGIN"));
    };
    match initial {
        None => Ok(Next::Challenge(exchange)),
        Some("=") => exchange.respond(b""),
        Some(initial) => exchange.respond(initial.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<Next, Fault>) -> u16 {
        match result {
            Err(Fault::Breach(reply)) => reply.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn plain_may_bring_its_answer_along() {
        assert_eq!(begin("PLAIN AGEAYg=="), Ok(Next::Accepted));
        assert_eq!(begin("plain"), Ok(Next::Challenge(Exchange::Plain)));
        assert_eq!(Exchange::Plain.respond(b"AGEAYg=="), Ok(Next::Accepted));
    }

    #[test]
    fn login_asks_for_a_name_and_a_password() {
        assert_eq!(begin("LOGIN"), Ok(Next::Challenge(Exchange::LoginName)));
        assert_eq!(begin("LOGIN YQ=="), Ok(Next::Challenge(Exchange::LoginPassword)));
        assert_eq!(begin("LOGIN ="), Ok(Next::Challenge(Exchange::LoginPassword)));
        assert_eq!(
            Exchange::LoginName.respond(b"YQ=="),
            Ok(Next::Challenge(Exchange::LoginPassword))
        );
        assert_eq!(Exchange::LoginPassword.respond(b""), Ok(Next::Accepted));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for response in ["AGEAYg", "AGEA Yg==", "!", "AGEAYg==\t", "AGEAYh=="] {
            assert_eq!(code(begin(&format!("PLAIN {response}"))), 501, "{response}");
            assert_eq!(
                code(Exchange::LoginName.respond(response.as_bytes())),
                501,
                "{response}"
            );
        }
    }

    #[test]
    fn a_plain_message_has_three_parts() {
        assert_eq!(code(begin("PLAIN =")), 501);
        assert_eq!(code(begin("PLAIN YQ==")), 501);
    }

    #[test]
    fn a_star_cancels() {
        for exchange in [Exchange::Plain, Exchange::LoginName, Exchange::LoginPassword] {
            assert_eq!(code(exchange.respond(b"*")), 501);
        }
    }

    #[test]
    fn another_mechanism_is_refused() {
        assert_eq!(code(begin("CRAM-MD5")), 504);
        assert_eq!(code(begin("XOAUTH2 YQ==")), 504);
        assert_eq!(code(begin("")), 501);
    }
}
