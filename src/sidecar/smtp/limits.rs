//! Every bound of the SMTP side, in one place.

use std::time::Duration;

/// What SES takes of one message after base64, in octets: 40 MB, counted in its own quotas as MiB.
const SES_MESSAGE_MAX: usize = 40 * 1024 * 1024;

/// Room for the headers that are added before a message is sent: the original recipients of one that is redirected
/// (1,000 addresses of 254 octets with their separators are 256,000 octets), and as much again for sets and tags.
pub const OUR_HEADERS_MAX: usize = 512 * 1024;

/// The largest message that SES can take once it has our headers: base64 makes four octets of three.
pub const MESSAGE_MAX: usize = SES_MESSAGE_MAX / 4 * 3 - OUR_HEADERS_MAX;

/// What a server and each of its sessions keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line with its CRLF. 512: RFC 5321, section 4.5.3.1.4; the parameters that MAIL may have
    /// here fit in beside the longest address.
    pub command_line: usize,
    /// Octets of an AUTH command or a response to its challenge, with CRLF. 12,288: RFC 4954, section 4.
    pub auth_line: usize,
    /// Octets of a message, without the dots that SMTP adds; EHLO's SIZE. [`MESSAGE_MAX`].
    pub message: usize,
    /// Recipients of a message, each counted once. 1,000: ten times what RFC 5321, section 4.5.3.1.8, makes a server
    /// accept, and as many as postfix accepts.
    pub recipients: usize,
    /// Protocol errors between messages; the next one is answered with 421. 20: postfix's `smtpd_hard_error_limit`.
    pub errors: u32,
    /// Commands between messages that lead to none (NOOP, RSET, EHLO, VRFY and the like); the next one is answered
    /// with 421. 100: postfix's `smtpd_junk_command_limit`.
    pub idle_commands: u32,
    /// Connections at once; the next one gets 421. 500: a connection that waits costs some 20 KiB.
    pub connections: usize,
    /// Octets of messages and envelopes that all sessions hold together; beyond, 452. 64 MiB: two of the largest
    /// messages, or thousands of ordinary ones.
    pub buffered: usize,
    /// The longest wait for a whole command. 5 min: RFC 5321, section 4.5.3.2.7.
    pub idle: Duration,
    /// The longest that one message's text may take to arrive. 10 min: RFC 5321, section 4.5.3.2.6, where it is the
    /// patience that a client shows for an answer to the whole.
    pub message_time: Duration,
    /// How long a message's text may take to grow by [`Limits::progress`]. 1 min.
    pub progress_time: Duration,
    /// Octets by which a message's text grows in [`Limits::progress_time`]. 1 KiB.
    pub progress: usize,
    /// The longest that replies may wait to be read. 1 min: then the client does not read.
    pub write: Duration,
    /// The longest a TLS handshake may take. 30 s.
    pub handshake: Duration,
    /// How long a connection that has had its last reply may stay. 2 s: it must read that reply and no more.
    pub linger: Duration,
    /// How long a stop waits for what has begun. 20 s: within the 30 s that Kubernetes leaves a pod by default.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 512,
            auth_line: 12_288,
            message: MESSAGE_MAX,
            recipients: 1_000,
            errors: 20,
            idle_commands: 100,
            connections: 500,
            buffered: 64 * 1024 * 1024,
            idle: Duration::from_mins(5),
            message_time: Duration::from_mins(10),
            progress_time: Duration::from_mins(1),
            progress: 1024,
            write: Duration::from_mins(1),
            handshake: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            grace: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_with_our_headers_is_what_ses_takes_after_base64() {
        assert_eq!(MESSAGE_MAX, 30_932_992);
        assert_eq!((MESSAGE_MAX + OUR_HEADERS_MAX).div_ceil(3) * 4, SES_MESSAGE_MAX);
    }

    #[test]
    fn the_original_recipients_of_the_largest_envelope_fit_into_our_headers() {
        let limits = Limits::default();
        assert!(limits.recipients * (crate::api::address::ADDRESS_MAX + ",\r\n ".len()) < OUR_HEADERS_MAX / 3 * 2);
    }

    #[test]
    fn the_longest_address_fits_into_a_command_with_every_parameter() {
        let longest = format!(
            "MAIL FROM:<{}> SIZE={} BODY=8BITMIME AUTH=<>\r\n",
            "a".repeat(crate::api::address::ADDRESS_MAX),
            u64::MAX
        );
        assert!(longest.len() <= Limits::default().command_line);
    }

    #[test]
    fn two_of_the_largest_messages_fit_into_what_is_buffered() {
        let limits = Limits::default();
        assert!(2 * limits.message <= limits.buffered);
    }
}
