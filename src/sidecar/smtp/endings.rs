//! Line endings other than CRLF.

use memchr::memchr2;

/// What a message has that SMTP does not allow (RFC 5321, sections 2.3.8 and 4.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// A CR that no LF follows.
    pub bare_cr: bool,
    /// An LF that follows no CR.
    pub bare_lf: bool,
    /// A NUL, which no repair makes good.
    pub nul: bool,
}

impl Endings {
    /// Whether there is nothing to object to.
    #[must_use]
    pub const fn are_clean(self) -> bool {
        !(self.bare_cr || self.bare_lf || self.nul)
    }
}

/// The same text with every bare CR and every bare LF made a CRLF; nothing else changes, NUL stays.
///
/// The text gets longer: by at most as much again.
#[must_use]
pub fn fixed_line_endings(text: Vec<u8>) -> Vec<u8> {
    let Some(first) = next_bare(&text, 0) else {
        return text;
    };
    let mut fixed = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    let (mut kept, mut next) = (0, Some(first));
    while let Some(at) = next {
        fixed.extend_from_slice(&text[kept..at]);
        fixed.extend_from_slice(b"\r\n");
        kept = at + 1;
        next = next_bare(&text, kept);
    }
    fixed.extend_from_slice(&text[kept..]);
    fixed
}

/// Where the first bare CR or LF at or after `from` stands; `from` is not amid a CRLF.
fn next_bare(text: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let at = from + memchr2(b'\r', b'\n', &text[from..])?;
        if text[at..].starts_with(b"\r\n") {
            from = at + 2;
        } else {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_crlf_only_is_handed_back_as_it_is() {
        for text in ["", "a", "\r\n", "a\r\n\r\nb\r\n"] {
            assert_eq!(fixed_line_endings(text.into()), text.as_bytes());
        }
    }

    #[test]
    fn every_bare_ending_becomes_crlf() {
        for (text, fixed) in [
            ("\n", "\r\n"),
            ("\r", "\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("\n\r", "\r\n\r\n"),
            ("\r\r\n", "\r\n\r\n"),
            ("a\nb\rc\r\nd", "a\r\nb\r\nc\r\nd"),
            ("a\r\n\n.\r\n", "a\r\n\r\n.\r\n"),
        ] {
            assert_eq!(fixed_line_endings(text.into()), fixed.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn nul_is_not_repaired() {
        assert_eq!(fixed_line_endings(b"a\0\n".to_vec()), b"a\0\r\n");
    }
}
