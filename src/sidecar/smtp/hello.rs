//! EHLO and HELO, and what is offered.

use super::fault::Fault;
use super::limits::Limits;
use super::reply::Reply;
use super::session::Tls;

/// How the sidecar calls itself. No host name: nobody but its own pod sees it.
pub(super) const NAME: &str = "mail-sidecar";

/// The longest name a client may give itself (RFC 5321, section 4.5.3.1.2).
const NAME_MAX: usize = 255;

/// Checks the name a client gives itself. Many are no domains (`[127.0.0.1]`, a host name with an underscore), and
/// nothing depends on them.
pub(super) fn check(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::arguments("Say EHLO and your name, like EHLO app.example.com"));
    }
    Ok(())
}

/// Answers EHLO. Not offered: SMTPUTF8, which SES does not take; DSN, since nothing is queued here; CHUNKING, a second
/// way to end a message.
pub(super) fn offer(limits: &Limits, tls: Tls, out: &mut Vec<u8>) {
    let mut lines = vec![
        NAME.to_owned(),
        "PIPELINING".to_owned(),
        format!("SIZE {}", limits.message),
        "8BITMIME".to_owned(),
        "ENHANCEDSTATUSCODES".to_owned(),
        "AUTH PLAIN LOGIN".to_owned(),
    ];
    if tls == Tls::Offered {
        lines.push("STARTTLS".to_owned());
    }
    Reply::write_lines(250, &lines, out);
}

/// Answers HELO.
pub(super) fn greet_back(out: &mut Vec<u8>) {
    Reply::write_lines(250, &[NAME.to_owned()], out);
}

/// The first words.
pub(super) fn greeting(out: &mut Vec<u8>) {
    Reply::write_lines(220, &[format!("{NAME} ESMTP")], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_call_itself_what_it_likes_in_one_word() {
        for name in ["app.example.com", "localhost", "[127.0.0.1]", "[IPv6:::1]", "my_host"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_client_must_call_itself_something_printable() {
        for name in ["", "two words", "a\tb", "b\u{fc}cher", &"a".repeat(256)] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
