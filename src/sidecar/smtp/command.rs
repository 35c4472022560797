//! What a command line asks for.

use super::fault::Fault;

/// The commands that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
}

impl Verb {
    /// Whether it brings no message on its way: a session bears some of these between messages.
    pub(super) const fn is_idle(self) -> bool {
        !matches!(self, Self::Mail | Self::Rcpt | Self::Data | Self::Quit)
    }
}

const VERBS: &[(&str, Verb)] = &[
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("STARTTLS", Verb::StartTls),
    ("AUTH", Verb::Auth),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("QUIT", Verb::Quit),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
];

/// What is no SMTP: a request that was made to speak to another port than its own (a browser, a server-side request
/// forgery) carries commands in its body.
const HTTP: &[&str] = &[
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE",
];

/// Takes a line apart into its verb and the rest, whose trailing white space is tolerated (RFC 5321, section 4.1.1).
pub(super) fn parse(line: &[u8]) -> Result<(Verb, &str), Fault> {
    let line = std::str::from_utf8(line).map_err(|_| Fault::breach(500, (5, 5, 2), "The command is not UTF-8"))?;
    let line = line.trim_end_matches([' ', '\t']);
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let Some((_, verb)) = VERBS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) else {
        return Err(stranger(word));
    };
    let bare = matches!(verb, Verb::StartTls | Verb::Data | Verb::Rset | Verb::Quit);
    if bare && !rest.is_empty() {
        return Err(Fault::arguments("This command takes no arguments"));
    }
    Ok((*verb, rest))
}

fn stranger(word: &str) -> Fault {
    // The text that follows BDAT is not made of lines, and nothing was said that would let a client send it.
    if word.eq_ignore_ascii_case("BDAT") {
        return Fault::fatal(502, (5, 5, 1), "CHUNKING is not offered");
    }
    // A client that did not wait for 354 sends its message's headers as commands; what follows is not meant as commands.
    if word.len() > 1 && word.ends_with(':') {
        return Fault::fatal(500, (5, 5, 1), "A message where a command was due; closing");
    }
    if HTTP.iter().any(|method| word.eq_ignore_ascii_case(method)) {
        return Fault::fatal(500, (5, 5, 1), "This is SMTP, not HTTP; closing");
    }
    Fault::breach(500, (5, 5, 1), "Command unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_known_in_any_case_and_its_rest_keeps_its_own() {
        assert_eq!(
            parse(b"mAiL FROM:<a@Example.com>"),
            Ok((Verb::Mail, "FROM:<a@Example.com>"))
        );
        assert_eq!(parse(b"quit"), Ok((Verb::Quit, "")));
    }

    #[test]
    fn trailing_white_space_is_tolerated_and_leading_is_not() {
        assert_eq!(parse(b"DATA \t "), Ok((Verb::Data, "")));
        assert!(matches!(parse(b" DATA"), Err(Fault::Breach(_))));
    }

    #[test]
    fn arguments_where_none_belong_are_refused() {
        for line in ["DATA now", "RSET x", "QUIT x", "STARTTLS x"] {
            assert!(
                matches!(parse(line.as_bytes()), Err(Fault::Breach(reply)) if reply.code == 501),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_unknown_is_a_breach() {
        for line in [
            "",
            "XYZZY",
            "MAILFROM:<a@example.com>",
            "EHLO\tx",
            "ETRN x",
            "DATA\u{a0}",
        ] {
            assert!(
                matches!(parse(line.as_bytes()), Err(Fault::Breach(reply)) if reply.code == 500),
                "{line}"
            );
        }
        assert!(matches!(parse(b"NOOP \xff"), Err(Fault::Breach(reply)) if reply.code == 500));
    }

    #[test]
    fn what_is_not_meant_as_commands_ends_the_session() {
        for line in [
            "GET / HTTP/1.1",
            "post /",
            "Subject: hello",
            "Received: from x",
            "BDAT 3 LAST",
        ] {
            assert!(matches!(parse(line.as_bytes()), Err(Fault::Fatal(_))), "{line}");
        }
    }
}
