//! Command lines: what ends one, and how long it may be.

use memchr::memchr3;

use super::limits::Limits;

/// What has come of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// No whole line yet.
    More,
    /// A line, which [`Lines::text`] has.
    Line,
    /// A line that was longer than allowed; nothing of it is kept.
    TooLong,
    /// A CR, LF or NUL that is not part of a CRLF. Where the next line begins is anybody's guess.
    Broken,
}

/// Puts lines together from bytes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    after_cr: bool,
    too_long: bool,
    /// The line was handed out: the next byte begins another.
    whole: bool,
}

/// Which line is awaited: an answer to AUTH may be longer than a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Command,
    AuthResponse,
}

impl Lines {
    /// The present line without its CRLF.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Takes what belongs to the present line and says how many octets that was.
    pub(super) fn take(&mut self, input: &[u8], kind: Kind, limits: &Limits) -> (usize, Framed) {
        if std::mem::take(&mut self.whole) {
            self.text.clear();
        }
        let mut taken = 0;
        while let Some(&next) = input.get(taken) {
            if self.after_cr {
                self.after_cr = false;
                if next != b'\n' {
                    return (taken, Framed::Broken);
                }
                self.whole = true;
                let long = std::mem::take(&mut self.too_long);
                return (taken + 1, if long { Framed::TooLong } else { Framed::Line });
            }
            let rest = &input[taken..];
            let run = memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
            self.keep(&rest[..run], kind, limits);
            taken += run;
            match rest.get(run) {
                None => break,
                Some(b'\r') => self.after_cr = true,
                Some(_) => return (taken, Framed::Broken),
            }
            taken += 1;
        }
        (taken, Framed::More)
    }

    fn keep(&mut self, run: &[u8], kind: Kind, limits: &Limits) {
        if self.too_long {
            return;
        }
        // Enough of the line to see that it is too long, whichever of the two limits holds.
        let most = limits.auth_line.max(limits.command_line);
        let room = most.saturating_sub(self.text.len());
        self.text.extend_from_slice(&run[..run.len().min(room)]);
        let is_auth = || {
            self.text
                .get(..5)
                .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "))
        };
        let limit = match kind {
            Kind::AuthResponse => limits.auth_line,
            Kind::Command if self.text.len() + 2 > limits.command_line && is_auth() => limits.auth_line,
            Kind::Command => limits.command_line,
        };
        if self.text.len() + 2 > limit {
            self.too_long = true;
            self.text = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(input: &[u8], kind: Kind) -> (usize, Framed, Vec<u8>) {
        let mut lines = Lines::default();
        let (taken, framed) = lines.take(input, kind, &Limits::default());
        (taken, framed, lines.text().to_vec())
    }

    #[test]
    fn a_line_ends_with_crlf_and_what_follows_is_left() {
        assert_eq!(
            framed(b"NOOP\r\nQUIT\r\n", Kind::Command),
            (6, Framed::Line, b"NOOP".to_vec())
        );
    }

    #[test]
    fn a_line_may_come_in_parts() {
        let mut lines = Lines::default();
        for byte in b"NOOP\r" {
            assert_eq!(
                lines.take(&[*byte], Kind::Command, &Limits::default()),
                (1, Framed::More)
            );
        }
        assert_eq!(lines.take(b"\n", Kind::Command, &Limits::default()), (1, Framed::Line));
        assert_eq!(lines.text(), b"NOOP");
        assert_eq!(
            lines.take(b"\r\n", Kind::Command, &Limits::default()),
            (2, Framed::Line)
        );
        assert_eq!(lines.text(), b"");
    }

    #[test]
    fn a_bare_cr_a_bare_lf_and_a_nul_break_the_line() {
        for input in ["NOOP\n", "\n", "NOOP\rQUIT\r\n", "NOOP\r\r\n", "NO\0OP\r\n", "\0"] {
            assert_eq!(framed(input.as_bytes(), Kind::Command).1, Framed::Broken, "{input:?}");
        }
    }

    #[test]
    fn a_line_of_512_octets_is_whole_and_one_of_513_is_not() {
        let line = |octets: usize| [vec![b'x'; octets - 2], b"\r\n".to_vec()].concat();
        assert_eq!(framed(&line(512), Kind::Command).1, Framed::Line);
        assert_eq!(framed(&line(513), Kind::Command), (513, Framed::TooLong, Vec::new()));
    }

    #[test]
    fn an_auth_line_and_an_answer_to_a_challenge_may_have_12288_octets() {
        let auth = |octets: usize| [b"auth PLAIN ".to_vec(), vec![b'x'; octets - 13], b"\r\n".to_vec()].concat();
        assert_eq!(framed(&auth(12_288), Kind::Command).1, Framed::Line);
        assert_eq!(framed(&auth(12_289), Kind::Command).1, Framed::TooLong);
        let response = |octets: usize| [vec![b'x'; octets - 2], b"\r\n".to_vec()].concat();
        assert_eq!(framed(&response(12_288), Kind::AuthResponse).1, Framed::Line);
        assert_eq!(framed(&response(12_289), Kind::AuthResponse).1, Framed::TooLong);
    }

    #[test]
    fn after_a_line_that_is_too_long_the_next_one_is_read_from_its_start() {
        let mut lines = Lines::default();
        let long = vec![b'x'; 100_000];
        assert_eq!(
            lines.take(&long, Kind::Command, &Limits::default()),
            (100_000, Framed::More)
        );
        assert!(lines.text().is_empty());
        assert_eq!(
            lines.take(b"NOOP\r\nQUIT\r\n", Kind::Command, &Limits::default()),
            (6, Framed::TooLong)
        );
        assert_eq!(
            lines.take(b"QUIT\r\n", Kind::Command, &Limits::default()).1,
            Framed::Line
        );
        assert_eq!(lines.text(), b"QUIT");
    }
}
