//! Two workloads in each mode send the same ten messages through their sidecars, one by SMTP and one by SES's API.

use std::{path::Path, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, address::Envelope};
use mail_policy_operator::simulator::Admin;
use serde_json::{Value, json};

use crate::support::{Error, PodSidecar, Result};

/// A namespace for each mode.
const MODES: [(&str, &str); 5] = [
    ("Paused", "billing-dev"),
    ("Capture", "shop-dev"),
    ("Simulate", "shop-loadtest"),
    ("Restricted", "shop-staging"),
    ("Live", "shop-production"),
];

/// How often a client tries again what is refused for a while by a ceiling, and when.
const TRIES: u32 = 60;
const AGAIN: Duration = Duration::from_millis(500);

const ALLOWED: &str = "qa+1@example.com";
const STRANGER: &str = "customer@customer.example";

/// A message.
struct Letter {
    what: &'static str,
    from: &'static str,
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    /// A header that would steer SES past the policy.
    steering: bool,
}

fn letters() -> Vec<Letter> {
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
#[derive(Clone, Copy)]
enum Way {
    Smtp,
    Api,
}

/// Sends all messages in all modes; the table's lines.
pub async fn table(client: &Client, ses: &Admin, sidecar: &Path) -> Result<Vec<String>> {
    let mut lines = vec![row("a message", "by", &MODES.map(|(mode, _)| mode.to_owned()))];
    let mut cells: Vec<[Vec<String>; 2]> = letters().iter().map(|_| [Vec::new(), Vec::new()]).collect();
    for (_, namespace) in MODES {
        credentials(client, namespace).await?;
        for (column, way, workload) in [(0, Way::Smtp, "web-0"), (1, Way::Api, "worker-0")] {
            let pod = PodSidecar::start(client, namespace, workload, sidecar).await?;
            for (letter, cells) in letters().iter().zip(&mut cells) {
                cells[column].push(outcome(&pod, ses, way, letter).await?);
            }
            pod.delete().await?;
        }
    }
    for (letter, [smtp, api]) in letters().iter().zip(cells) {
        lines.push(row(letter.what, "SMTP", &five(smtp)));
        lines.push(row("", "API", &five(api)));
    }
    Ok(lines)
}

fn row(what: &str, way: &str, cells: &[String; 5]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<24}")).collect();
    format!("{what:<31}{way:<6}{}", cells.concat()).trim_end().to_owned()
}

fn five(cells: Vec<String>) -> [String; 5] {
    cells.try_into().unwrap_or_default()
}

/// What became of one message: what SES received of it, what was captured, or why it was refused.
async fn outcome(pod: &PodSidecar, ses: &Admin, way: Way, letter: &Letter) -> Result<String> {
    let before = (ses.last_received(), captured(pod).await?);
    let mut said = Ok(());
    for _ in 0..TRIES {
        said = match way {
            Way::Smtp => by_smtp(pod, letter).await?,
            Way::Api => by_api(pod, letter).await?,
        };
        // A ceiling a second: a client tries again.
        let waits = |text: &String| text.contains("try again in") || text.contains("a moment ago");
        if !said.as_ref().err().is_some_and(waits) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let mailed: Vec<String> = ses
        .received_after(before.0, usize::MAX)
        .iter()
        .flat_map(|message| message.recipients.iter().map(|recipient| recipient.address.clone()))
        .collect();
    let of = |domain: &str| mailed.iter().filter(|address| address.ends_with(domain)).count();
    let simulated = of("@simulator.amazonses.com");
    let mut parts = Vec::new();
    if mailed.len() > simulated {
        parts.push(format!("SES {}", mailed.len() - simulated));
    }
    if simulated > 0 {
        parts.push(format!("simulator {simulated}"));
    }
    if captured(pod).await? > before.1 {
        parts.push("captured".to_owned());
    }
    if let Err(text) = said {
        parts.push(short(&text));
    }
    Ok(parts.join(", "))
}

/// A refusal in a table's cell.
fn short(text: &str) -> String {
    const REASONS: [(&str, &str); 7] = [
        ("mail is paused", "waits: paused"),
        ("not allowed in mode", "refused: not allowed"),
        ("this sender may not", "refused: sender"),
        ("is suppressed", "refused: suppressed"),
        ("not verified", "refused: identity"),
        ("more recipients than", "refused: too many"),
        ("ceiling", "waits: ceiling"),
    ];
    let known = REASONS.iter().find(|(phrase, _)| text.contains(phrase));
    known.map_or_else(|| text.chars().take(60).collect(), |(_, word)| (*word).to_owned())
}

async fn by_smtp(pod: &PodSidecar, letter: &Letter) -> Result<Result<(), String>> {
    let addresses = letter.to.iter().chain(&letter.cc).chain(&letter.bcc);
    let recipients = addresses
        .map(|address| address.parse())
        .collect::<Result<Vec<lettre::Address>, _>>();
    let envelope = letter.from.parse().and_then(|from| Ok((from, recipients?)));
    let (from, recipients) = envelope.map_err(|error| Error::io("an address")(std::io::Error::other(error)))?;
    let envelope = Envelope::new(Some(from), recipients);
    let envelope = envelope.map_err(|error| Error::io("an envelope")(std::io::Error::other(error)))?;
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
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(pod.smtp.ip().to_string())
        .port(pod.smtp.port())
        .build();
    let sent = transport.send_raw(&envelope, text.as_bytes()).await;
    Ok(sent.map(|_| ()).map_err(|error| error.to_string()))
}

fn listed(name: &str, addresses: &[String]) -> String {
    if addresses.is_empty() {
        String::new()
    } else {
        format!("{name}: {}\r\n", addresses.join(", "))
    }
}

async fn by_api(pod: &PodSidecar, letter: &Letter) -> Result<Result<(), String>> {
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
    let request = reqwest::Client::new().post(format!("http://{}/v2/email/outbound-emails", pod.http));
    let failed = |error: reqwest::Error| Error::io("the sidecar")(std::io::Error::other(error));
    let answer = request.json(&body).send().await.map_err(failed)?;
    if answer.status().is_success() {
        return Ok(Ok(()));
    }
    let body: Value = answer.json().await.map_err(failed)?;
    Ok(Err(body["message"].as_str().unwrap_or_default().to_owned()))
}

/// How many messages the sidecar's capture store has.
async fn captured(pod: &PodSidecar) -> Result<usize> {
    let failed = |error: reqwest::Error| Error::io("the sidecar")(std::io::Error::other(error));
    let answer = reqwest::get(format!("http://{}/captured", pod.http))
        .await
        .map_err(failed)?;
    let body: Value = answer.json().await.map_err(failed)?;
    Ok(body["messages"].as_array().map_or(0, Vec::len))
}

/// The credentials that the namespace's sidecars send with.
async fn credentials(client: &Client, namespace: &str) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "mail-credentials"},
        "stringData": {"accessKeyId": "simulator", "secretAccessKey": "simulator"},
    }));
    let secret: Secret = secret.map_err(|error| Error::io("a Secret")(error.into()))?;
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .map_err(Error::api("a Secret"))?;
    Ok(())
}
