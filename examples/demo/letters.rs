//! Ten messages that try a policy's edges, and a workload that sends them through its sidecar.

use std::{io, net::SocketAddr, time::Duration};

use clap::ValueEnum;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, address::Envelope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often a client tries again what is refused for a while by a ceiling, and when.
const TRIES: u32 = 60;
const AGAIN: Duration = Duration::from_millis(500);

const ALLOWED: &str = "qa+1@example.com";
const STRANGER: &str = "customer@customer.example";

/// A message.
pub struct Letter {
    /// What is tried; its subject.
    pub what: &'static str,
    /// The sender.
    pub from: &'static str,
    /// Recipients.
    pub to: Vec<String>,
    /// Recipients of a copy.
    pub cc: Vec<String>,
    /// Recipients whom nobody sees.
    pub bcc: Vec<String>,
    /// Whether a header would steer SES past the policy.
    pub steering: bool,
}

/// The ten.
pub fn letters() -> Vec<Letter> {
    let letter = |what, to: &[&str]| Letter {
        what,
        from: "no-reply@example.com",
        to: to.iter().map(|&to| to.to_owned()).collect(),
        cc: vec![],
        bcc: vec![],
        steering: false,
    };
    vec![
        letter("to an allowed mailbox", &[ALLOWED]),
        letter("to a stranger", &[STRANGER]),
        letter("to both of them", &[ALLOWED, STRANGER]),
        Letter {
            cc: vec!["boss@customer.example".to_owned()],
            bcc: vec!["audit@customer.example".to_owned()],
            ..letter("with strangers in Cc and Bcc", &["qa+2@example.com"])
        },
        Letter {
            from: "anybody@example.net",
            ..letter("from a sender who may not send", &["qa+3@example.com"])
        },
        letter("to a suppressed address", &["closed@customer.example"]),
        letter("to SES's mailbox simulator", &["bounce@simulator.amazonses.com"]),
        letter("to a domain that looks alike", &["qa+1@example.com.evil.example"]),
        Letter {
            steering: true,
            ..letter("that names another set", &["qa+4@example.com"])
        },
        Letter {
            to: (0..60).map(|number| format!("qa+many{number}@example.com")).collect(),
            ..letter("to sixty mailboxes", &[])
        },
    ]
}

/// The way that a workload takes.
#[derive(Clone, Copy, ValueEnum)]
pub enum Way {
    /// SMTP.
    Smtp,
    /// SES's API.
    Api,
}

/// Where a workload finds its sidecar.
#[derive(Clone, Copy)]
pub struct Sidecar {
    /// SMTP.
    pub smtp: SocketAddr,
    /// SES's API.
    pub http: SocketAddr,
}

/// What a workload was told of one message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// The refusal's text.
    pub refused: Option<String>,
    /// Whether there is more in the capture store than before.
    pub captured: bool,
}

/// Sends all ten, one after the other.
pub async fn send_letters(sidecar: Sidecar, way: Way) -> io::Result<Vec<Told>> {
    let mut told = Vec::new();
    for letter in letters() {
        let before = captured(sidecar).await?;
        let refused = send_patiently(sidecar, way, &letter).await?;
        let captured = captured(sidecar).await? > before;
        told.push(Told { refused, captured });
    }
    Ok(told)
}

/// Sends one message, again and again while a ceiling keeps it waiting; the refusal's text.
async fn send_patiently(sidecar: Sidecar, way: Way, letter: &Letter) -> io::Result<Option<String>> {
    let mut said = None;
    for _ in 0..TRIES {
        said = send(sidecar, way, letter).await?;
        let waits = |text: &String| text.contains("try again in") || text.contains("a moment ago");
        if !said.as_ref().is_some_and(waits) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(said)
}

/// Sends one message; the refusal's text.
pub async fn send(sidecar: Sidecar, way: Way, letter: &Letter) -> io::Result<Option<String>> {
    match way {
        Way::Smtp => by_smtp(sidecar, letter).await,
        Way::Api => by_api(sidecar, letter).await,
    }
}

async fn by_smtp(sidecar: Sidecar, letter: &Letter) -> io::Result<Option<String>> {
    let addresses = letter.to.iter().chain(&letter.cc).chain(&letter.bcc);
    let recipients = addresses
        .map(|address| address.parse())
        .collect::<Result<Vec<lettre::Address>, _>>();
    let envelope = letter.from.parse().and_then(|from| Ok((from, recipients?)));
    let (from, recipients) = envelope.map_err(io::Error::other)?;
    let envelope = Envelope::new(Some(from), recipients);
    let envelope = envelope.map_err(io::Error::other)?;
    let steering = if letter.steering {
        "X-SES-CONFIGURATION-SET: another\r\n"
    } else {
        ""
    };
    let text = format!(
        "From: {}\r\nTo: {}\r\n{}{}Subject: {}\r\n{steering}\r\nHello.\r\n",
        letter.from,
        letter.to.join(",\r\n "),
        listed("Cc", &letter.cc),
        listed("Bcc", &letter.bcc),
        letter.what,
    );
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(sidecar.smtp.ip().to_string())
        .port(sidecar.smtp.port())
        .build();
    let sent = transport.send_raw(&envelope, text.as_bytes()).await;
    Ok(sent.err().map(|error| error.to_string()))
}

fn listed(name: &str, addresses: &[String]) -> String {
    if addresses.is_empty() {
        String::new()
    } else {
        format!("{name}: {}\r\n", addresses.join(", "))
    }
}

async fn by_api(sidecar: Sidecar, letter: &Letter) -> io::Result<Option<String>> {
    let headers = if letter.steering {
        json!([{"Name": "X-SES-CONFIGURATION-SET", "Value": "another"}])
    } else {
        json!([])
    };
    let body = json!({
        "FromEmailAddress": letter.from,
        "ConfigurationSetName": letter.steering.then_some("another"),
        "Destination": {"ToAddresses": letter.to, "CcAddresses": letter.cc, "BccAddresses": letter.bcc},
        "Content": {"Simple": {
            "Subject": {"Data": letter.what}, "Body": {"Text": {"Data": "Hello."}}, "Headers": headers,
        }},
    });
    let request = reqwest::Client::new().post(format!("http://{}/v2/email/outbound-emails", sidecar.http));
    let answer = request.json(&body).send().await.map_err(io::Error::other)?;
    if answer.status().is_success() {
        return Ok(None);
    }
    let body: Value = answer.json().await.map_err(io::Error::other)?;
    Ok(Some(body["message"].as_str().unwrap_or_default().to_owned()))
}

/// How many messages the sidecar's capture store has.
async fn captured(sidecar: Sidecar) -> io::Result<usize> {
    let answer = reqwest::get(format!("http://{}/captured", sidecar.http)).await;
    let body: Value = answer
        .map_err(io::Error::other)?
        .json()
        .await
        .map_err(io::Error::other)?;
    Ok(body["messages"].as_array().map_or(0, Vec::len))
}
