//! Replies, as they are meant and as they are written.

/// The longest text of a reply in octets: with code, enhanced code and CRLF it stays within RFC 5321's 512.
const TEXT_MAX: usize = 400;

/// One reply: code, enhanced code (RFC 3463) and a text for whoever reads the client's log.
///
/// The text is made one line of printable ASCII of at most 400 octets when it is written. The enhanced code's class is
/// the code's first digit, whatever `enhanced.0` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits that clients act on.
    pub code: u16,
    /// Class, subject and detail, as in `5.7.1`.
    pub enhanced: (u8, u8, u8),
    /// What is the matter and what helps, without an address.
    pub text: String,
}

impl Reply {
    /// A reply.
    #[must_use]
    pub fn new(code: u16, enhanced: (u8, u8, u8), text: impl Into<String>) -> Self {
        Self {
            code,
            enhanced,
            text: text.into(),
        }
    }

    /// Whether what was asked is done.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        matches!(self.code, 200..=299)
    }

    /// Whether what was asked is refused, for now or for good.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.code, 400..=599)
    }

    /// Writes it as one line, with its enhanced code where RFC 2034 gives it one.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self {
            code,
            enhanced: (_, subject, detail),
            text,
        } = self;
        out.extend_from_slice(code.to_string().as_bytes());
        if self.is_positive() || self.is_refusal() {
            let class = code / 100;
            out.extend_from_slice(format!(" {class}.{subject}.{detail}").as_bytes());
        }
        out.push(b' ');
        out.extend(text.bytes().take(TEXT_MAX).map(printable));
        out.extend_from_slice(b"\r\n");
    }

    /// Writes several lines without enhanced codes, as the answer to EHLO has them.
    pub(super) fn write_lines(code: u16, lines: &[String], out: &mut Vec<u8>) {
        for (at, line) in lines.iter().enumerate() {
            let between = if at + 1 == lines.len() { ' ' } else { '-' };
            out.extend_from_slice(format!("{code}{between}{line}\r\n").as_bytes());
        }
    }
}

/// A reply is one line, whatever is put into its text: what would end it becomes a space.
const fn printable(byte: u8) -> u8 {
    match byte {
        b' '..=b'~' => byte,
        b'\r' | b'\n' | b'\t' => b' ',
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reply_has_code_enhanced_code_and_text() {
        assert_eq!(written(&Reply::new(550, (5, 7, 1), "no")), "550 5.7.1 no\r\n");
    }

    #[test]
    fn an_intermediate_reply_has_no_enhanced_code() {
        assert_eq!(written(&Reply::new(354, (3, 0, 0), "go on")), "354 go on\r\n");
    }

    #[test]
    fn the_class_of_the_enhanced_code_is_that_of_the_code() {
        assert_eq!(written(&Reply::new(451, (5, 7, 1), "later")), "451 4.7.1 later\r\n");
    }

    #[test]
    fn no_text_makes_a_second_line() {
        assert_eq!(
            written(&Reply::new(550, (5, 7, 1), "a\r\n250 2.0.0 b\0\u{7f}ü")),
            "550 5.7.1 a  250 2.0.0 b????\r\n"
        );
    }

    #[test]
    fn a_long_text_is_cut_so_that_the_line_keeps_to_512_octets() {
        let reply = written(&Reply::new(550, (5, 255, 255), "ab".repeat(1000)));
        assert!(reply.len() <= 512, "{}", reply.len());
        assert!(reply.ends_with("b\r\n"));
    }
}
