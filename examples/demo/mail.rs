//! Two workloads in each mode send the same ten messages through their sidecars, one by SMTP and one by SES's API.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use mail_policy_operator::simulator::{Admin, state::Content};
use serde_json::json;

use crate::{
    letters::{Sidecar, Told, Way, letters, send_letters},
    support::{Error, Node, PodSidecar, Result},
};

/// A namespace for each mode.
const MODES: [(&str, &str); 5] = [
    ("Paused", "billing-dev"),
    ("Capture", "shop-dev"),
    ("Simulate", "shop-loadtest"),
    ("Restricted", "shop-staging"),
    ("Live", "shop-production"),
];

/// Where the workloads run.
pub enum Ground<'a> {
    /// In pods of a node.
    Node(&'a Node),
    /// In this process, beside sidecars of this program, for which this process does what kubelet does.
    Here(&'a Path),
}

/// Sends all messages in all modes; the table's lines.
pub async fn table(client: &Client, ses: &Admin, ground: &Ground<'_>) -> Result<Vec<String>> {
    let mut lines = vec![row("a message", "by", &MODES.map(|(mode, _)| mode.to_owned()))];
    let mut cells: Vec<[Vec<String>; 2]> = letters().iter().map(|_| [Vec::new(), Vec::new()]).collect();
    for (_, namespace) in MODES {
        credentials(client, namespace).await?;
        for (column, way, workload) in [(0, Way::Smtp, "web-0"), (1, Way::Api, "worker-0")] {
            let before = ses.last_received();
            let told = match ground {
                Ground::Node(node) => in_a_pod(node, namespace, workload, way).await?,
                Ground::Here(sidecar) => here(client, namespace, workload, sidecar, way).await?,
            };
            for ((letter, told), cells) in letters().iter().zip(&told).zip(&mut cells) {
                cells[column].push(outcome(ses, before, letter.what, told));
            }
        }
    }
    for (letter, [smtp, api]) in letters().iter().zip(cells) {
        lines.push(row(letter.what, "SMTP", &five(smtp)));
        lines.push(row("", "API", &five(api)));
    }
    Ok(lines)
}

async fn here(client: &Client, namespace: &str, workload: &str, sidecar: &Path, way: Way) -> Result<Vec<Told>> {
    let pod = PodSidecar::start(client, namespace, workload, sidecar).await?;
    let at = Sidecar {
        smtp: pod.smtp,
        http: pod.http,
    };
    let told = send_letters(at, way).await.map_err(Error::io("the sidecar"))?;
    pod.delete().await?;
    Ok(told)
}

async fn in_a_pod(node: &Node, namespace: &str, workload: &str, way: Way) -> Result<Vec<Told>> {
    let way = match way {
        Way::Smtp => "smtp",
        Way::Api => "api",
    };
    let said = node
        .run_to_its_end(namespace, workload, &["letters", "--by", way])
        .await?;
    serde_json::from_str(&said).map_err(|error| Error::io(said)(error.into()))
}

fn row(what: &str, way: &str, cells: &[String; 5]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<24}")).collect();
    format!("{what:<31}{way:<6}{}", cells.concat()).trim_end().to_owned()
}

fn five(cells: Vec<String>) -> [String; 5] {
    cells.try_into().unwrap_or_default()
}

/// What became of one message: what SES received of it, what was captured, or why it was refused.
fn outcome(ses: &Admin, before: u64, what: &str, told: &Told) -> String {
    let received = ses.received_after(before, usize::MAX);
    let mailed: Vec<&str> = received
        .iter()
        .filter(|message| is_about(&message.content, what))
        .flat_map(|message| message.recipients.iter().map(|recipient| recipient.address.as_str()))
        .collect();
    let is_simulated = |address: &&&str| address.ends_with("@simulator.amazonses.com");
    let simulated = mailed.iter().filter(is_simulated).count();
    let mut parts = Vec::new();
    if mailed.len() > simulated {
        parts.push(format!("SES {}", mailed.len() - simulated));
    }
    if simulated > 0 {
        parts.push(format!("simulator {simulated}"));
    }
    if told.captured {
        parts.push("captured".to_owned());
    }
    parts.extend(told.refused.as_deref().map(short));
    parts.join(", ")
}

/// Whether it is the message with this subject, perhaps marked.
fn is_about(content: &Content, what: &str) -> bool {
    match content {
        Content::Simple(parts) => parts.subject.ends_with(what),
        Content::Raw(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let mut lines = text.lines();
            lines.any(|line| line.starts_with("Subject: ") && line.ends_with(what))
        }
        Content::Template { .. } => false,
    }
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
