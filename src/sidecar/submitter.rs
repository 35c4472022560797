//! SMTP's way in: what a session asks is asked of the desk, and said as SMTP says it.

use std::rc::Rc;

use serde_json::Map;

use super::{
    content::Content,
    denial::Denial,
    desk::{Desk, Way},
    message::{LINE_MAX, Mailbox, Message},
    run::LineEndings,
    smtp::{self, Reply, Submitted, fixed_line_endings},
    submission::Submission,
};
use crate::api::Address;

/// The desk as SMTP asks it.
pub struct Submitter {
    desk: Rc<Desk>,
    line_endings: LineEndings,
}

impl Submitter {
    /// The desk; what becomes of lines that do not end in CRLF.
    #[must_use]
    pub fn new(desk: Rc<Desk>, line_endings: LineEndings) -> Self {
        Self { desk, line_endings }
    }
}

/// Reads a message as it was submitted.
///
/// # Errors
/// What of it may not be sent or cannot be judged.
pub fn read(submitted: Submitted, line_endings: LineEndings) -> Result<Submission, Denial> {
    let Submitted {
        sender,
        recipients,
        data,
        endings,
        longest_line,
    } = submitted;
    let data = match line_endings {
        _ if endings.are_clean() => data,
        LineEndings::Fix if !endings.nul => fixed_line_endings(data),
        LineEndings::Fix | LineEndings::Deny => return Err(Denial::LineEndings),
    };
    if longest_line > LINE_MAX {
        return Err(Denial::Request(format!(
            "a line of the message has more than {LINE_MAX} octets: fold it"
        )));
    }
    let message = Message::parse(data)?;
    Ok(Submission {
        sender,
        from: message.from()?,
        to: recipients.into_iter().map(Mailbox::from).collect(),
        cc: Vec::new(),
        bcc: Vec::new(),
        content: Content::Raw(message),
        tags: Vec::new(),
        options: Map::new(),
    })
}

impl smtp::Desk for Submitter {
    async fn sender(&self, sender: Option<&Address>) -> Result<(), Reply> {
        match sender {
            None => Ok(()),
            Some(sender) => self.desk.check_sender(sender).map_err(|denial| reply(&denial)),
        }
    }

    async fn recipient(&self, recipient: &Address) -> Result<(), Reply> {
        self.desk.check_recipient(recipient).map_err(|denial| reply(&denial))
    }

    async fn message(&self, submitted: Submitted) -> Reply {
        let taken = match read(submitted, self.line_endings) {
            Ok(submission) => self.desk.submit(Way::Smtp, submission).await,
            Err(denial) => Err(denial),
        };
        match taken {
            Ok(receipt) => Reply::new(250, (2, 0, 0), format!("Ok: queued as {}", receipt.id())),
            Err(denial) => reply(&denial),
        }
    }
}

fn reply(denial: &Denial) -> Reply {
    let (code, enhanced) = denial.smtp();
    Reply::new(code, enhanced, denial.to_string())
}
