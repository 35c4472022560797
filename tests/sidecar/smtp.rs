//! SMTP on loopback, from the socket to SES, with a client that we did not write.

use std::net::SocketAddr;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::Envelope,
    transport::smtp::{Error, authentication::Credentials, response::Response},
};
use mail_policy_operator::simulator::{Effect, Fault, state::Content};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    http::get,
    stage::{SOON, Stage},
};

const TEXT: &str = "From: Shop <shop@example.com>\r\nTo: jo@example.com\r\nBcc: hidden@example.com\r\nSubject: Hello\r\n\r\nbody\r\n.dot\r\n";

fn transport(at: SocketAddr) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(at.ip().to_string())
        .port(at.port())
        .credentials(Credentials::new("any".to_owned(), "thing".to_owned()))
        .build()
}

async fn send(at: SocketAddr, to: &[&str], text: &str) -> Result<Response, Error> {
    let address = |text: &str| text.parse::<Address>().unwrap();
    let to = to.iter().map(|to| address(to)).collect();
    let envelope = Envelope::new(Some(address("shop@example.com")), to).unwrap();
    transport(at).send_raw(&envelope, text.as_bytes()).await
}

fn refusal(sent: Result<Response, Error>) -> (u16, String) {
    let error = sent.unwrap_err();
    (error.status().map(u16::from).unwrap_or_default(), error.to_string())
}

/// Says these octets on one connection, and reads until the server ends it or nothing comes for a while.
async fn dialogue(at: SocketAddr, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut heard = Vec::new();
    let read = stream.read_to_end(&mut heard);
    tokio::time::timeout(SOON, read).await.unwrap().unwrap();
    String::from_utf8(heard).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_accepted_with_the_id_of_ses_and_without_its_hidden_recipients() {
    let (stage, at) = Stage::set(&[]).await;
    let response = send(at.smtp, &["jo@example.com", "hidden@example.com"], TEXT)
        .await
        .unwrap();
    let received = stage.ses.admin().received();
    assert_eq!(received.len(), 1);
    assert!(
        response.message().any(|line| line.contains(&received[0].message_id)),
        "{response:?}"
    );
    let Content::Raw(sent) = &received[0].content else {
        panic!("raw")
    };
    let sent = String::from_utf8_lossy(sent);
    // The client ends the text with an empty line of its own.
    assert_eq!(
        sent.trim_end(),
        TEXT.replace("Bcc: hidden@example.com\r\n", "").trim_end()
    );
    assert_eq!(stage.mailed(), ["jo@example.com", "hidden@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_at_rcpt_and_the_others_are_mailed() {
    let (stage, at) = Stage::set(&[]).await;
    let said = format!(
        "EHLO app\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<stranger@example.net>\r\nRCPT TO:<jo@example.com>\r\n\
         DATA\r\n{}.\r\nQUIT\r\n",
        TEXT.replace("\r\n.", "\r\n..")
    );
    let heard = dialogue(at.smtp, said.as_bytes()).await;
    let refused = heard.lines().find(|line| line.starts_with("550")).unwrap();
    assert!(
        refused.starts_with("550 5.7.1 this recipient is not allowed in mode Restricted"),
        "{heard}"
    );
    assert!(refused.contains("MailPolicy/mail"), "{heard}");
    assert!(heard.contains("\r\n250 2.0.0 Ok: queued as "), "{heard}");
    assert_eq!(stage.mailed(), ["jo@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_refuses_at_rcpt_for_a_while_and_never_at_connect() {
    let (_stage, at) = Stage::set(&[("mode: Restricted", "mode: Paused")]).await;
    let (code, text) = refusal(send(at.smtp, &["jo@example.com"], TEXT).await);
    assert_eq!(code, 451, "{text}");
    assert!(text.contains("mail is paused (mode: MailGuardrail/staging)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ses_is_said_as_smtp_says_it() {
    let (stage, at) = Stage::set(&[]).await;
    for (effect, expected) in [
        (Effect::Throttle, 454),
        (Effect::Error { status: 503 }, 451),
        (Effect::LoseAnswer, 451),
    ] {
        stage.ses.admin().arm(Fault::next_calls(effect, 1)).unwrap();
        let attempt = async || {
            let (code, text) = refusal(send(at.smtp, &["jo@example.com"], TEXT).await);
            // The distance that the sidecar keeps after a throttle is a throttle, too.
            let is_own = text.contains("a moment ago");
            if is_own { Err(text) } else { Ok((code, text)) }
        };
        let (code, text) = stage.wait("SES is asked", attempt).await;
        assert_eq!(code, expected, "{text}");
    }
    let (code, text) = refusal(
        send(
            at.smtp,
            &["jo@example.com"],
            &TEXT.replace("shop@example.com", "no address"),
        )
        .await,
    );
    assert_eq!(code, 554, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_waits_for_its_turn_as_long_as_the_policy_lets_it() {
    let ceilings = (
        "ceilings: {recipients: [], newRecipients: [], perRecipient: [], maxWaitMillis: 0}",
        "ceilings: {recipients: [5/s], newRecipients: [], perRecipient: [], maxWaitMillis: 3000}",
    );
    let (stage, at) = Stage::set(&[ceilings]).await;
    let began = mail_policy_operator::clock::monotonic();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..10 {
        senders.spawn(async move {
            send(at.smtp, &["jo@example.com"], TEXT)
                .await
                .map(|_| ())
                .map_err(|it| it.to_string())
        });
    }
    assert!(senders.join_all().await.iter().all(Result::is_ok));
    assert!(began.elapsed().as_millis() >= 1_700, "{:?}", began.elapsed());
    assert_eq!(stage.mailed().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn smuggled_commands_are_text_and_bare_line_ends_are_refused_or_mended() {
    let smuggled =
        "From: shop@example.com\r\n\r\nx\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\n";
    let said = format!(
        "EHLO app\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<jo@example.com>\r\nDATA\r\n{smuggled}.\r\nQUIT\r\n"
    );
    let (stage, at) = Stage::set(&[]).await;
    let heard = dialogue(at.smtp, said.as_bytes()).await;
    assert!(
        heard.contains("\r\n554 5.6.0 the message has lines that do not end in CRLF"),
        "{heard}"
    );
    assert!(stage.mailed().is_empty());
    let (stage, at) = Stage::set_with(&[], &["--invalid-line-endings", "fix"]).await;
    let heard = dialogue(at.smtp, said.as_bytes()).await;
    assert!(heard.contains("\r\n250 2.0.0 Ok: queued as "), "{heard}");
    assert_eq!(stage.mailed(), ["jo@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_on_under_a_configuration_that_changes_meanwhile() {
    let (mut stage, at) = Stage::set(&[]).await;
    let mut stream = TcpStream::connect(at.smtp).await.unwrap();
    let before = "EHLO app\r\nMAIL FROM:<shop@example.com>\r\nRCPT TO:<jo@example.com>\r\nDATA\r\n";
    stream.write_all(before.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    while !heard.contains("354") {
        let read = stream.read(&mut buffer).await.unwrap();
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    stage.configure(&[("mode: Restricted", "mode: Paused")]);
    let paused = async || {
        let (_, status) = get(at.http, "/status").await;
        if status.contains("\"Paused\"") {
            Ok(())
        } else {
            Err(status)
        }
    };
    stage.wait("the stop is in force", paused).await;
    stream
        .write_all(b"From: shop@example.com\r\n\r\nx\r\n.\r\nQUIT\r\n")
        .await
        .unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("451 4.3.2 mail is paused"), "{rest}");
    assert!(stage.mailed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn captured_mail_goes_to_mailpit_whose_answer_is_the_answer() {
    // Another sidecar in Capture stands in for Mailpit: a server of SMTP.
    let (inbox, inbox_at) = Stage::set(&[("mode: Restricted", "mode: Capture")]).await;
    let mailpit = inbox_at.smtp.to_string();
    let (stage, at) = Stage::set_with(&[("mode: Restricted", "mode: Capture")], &["--mailpit", &mailpit]).await;
    send(at.smtp, &["stranger@example.net"], TEXT).await.unwrap();
    let (_, list) = get(inbox_at.http, "/captured").await;
    assert!(list.contains("stranger@example.net"), "{list}");
    drop(inbox);
    let (code, text) = refusal(send(at.smtp, &["stranger@example.net"], TEXT).await);
    assert_eq!(code, 451, "{text}");
    assert!(stage.mailed().is_empty());
}
