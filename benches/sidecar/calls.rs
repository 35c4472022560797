//! A call to SES by the sidecar's own way and by AWS's SDK: the same message to the same simulator, one call at a time.

use std::{cell::RefCell, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sesv2::{
    Client, Config,
    config::{BehaviorVersion, Region},
    primitives::Blob,
    types::{Destination as SdkDestination, EmailContent, MessageTag, RawMessage},
};
use bytes::Bytes;
use mail_policy_operator::{
    clock,
    policy::config::ConfigAccount,
    sidecar::relay::{Destination, Envelope, Relay, Request, Sendable, Source, Tag},
};

use crate::{
    Result,
    http::{count, quantile},
    messages::{RECIPIENT, SENDER, head, text},
    rig::Rig,
    usage::Usage,
};

/// In turn, so often.
const ROUNDS: u32 = 4;

/// What a way costs a call.
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    pub(crate) octets: usize,
    micros: Vec<f64>,
    cpu: f64,
}

impl Cost {
    fn new(name: &'static str, octets: usize) -> Self {
        Self {
            name,
            octets,
            micros: Vec::new(),
            cpu: 0.0,
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.micros.len()
    }

    pub(crate) fn median_micros(&self) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    }

    /// CPU time of a call in this process, in microseconds.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu * 1e6 / count(self.micros.len())
    }
}

/// Pairs: the SDK, then ours.
pub(crate) async fn compare(rig: &Rig, time: Duration) -> Result<Vec<Cost>> {
    let endpoint = format!("http://{}", rig.simulator);
    let credentials = Credentials::new("simulator", "secret", None, None, "bench");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .endpoint_url(&endpoint)
        .build();
    let sdk = Client::from_conf(config);
    let relay = Relay::new(Source::Mounted(RefCell::new(Ok(credentials))));
    let account = ConfigAccount {
        name: "primary".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint_url: Some(endpoint),
    };
    let mut costs = Vec::new();
    for octets in [2_000, 100_000] {
        eprintln!("  calls to SES, {octets} octets");
        let message: Bytes = format!("{}\r\n{}", head(), text(octets)).into();
        let (mut theirs, mut ours) = (
            Cost::new("AWS SDK for Rust", octets),
            Cost::new("sidecar's own", octets),
        );
        for _ in 0..ROUNDS {
            add(&mut theirs, time / ROUNDS, async || by_sdk(&sdk, &message).await).await?;
            add(&mut ours, time / ROUNDS, async || {
                by_relay(&relay, &account, &message).await
            })
            .await?;
        }
        costs.extend([theirs, ours]);
    }
    Ok(costs)
}

async fn add(cost: &mut Cost, time: Duration, mut call: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    // The first call connects.
    call().await?;
    let before = Usage::of(std::process::id())?.cpu;
    let began = clock::monotonic();
    while clock::monotonic() - began < time {
        let sent = clock::monotonic();
        call().await?;
        cost.micros.push((clock::monotonic() - sent).as_secs_f64() * 1e6);
    }
    cost.cpu += Usage::of(std::process::id())?.cpu - before;
    Ok(())
}

fn tags() -> [(&'static str, &'static str); 2] {
    [("mail-policy-namespace", "shop"), ("mail-policy-policy", "mail")]
}

async fn by_sdk(client: &Client, message: &Bytes) -> Result<()> {
    let raw = RawMessage::builder().data(Blob::new(message.to_vec())).build()?;
    let mut call = client
        .send_email()
        .from_email_address(SENDER)
        .destination(SdkDestination::builder().to_addresses(RECIPIENT).build())
        .content(EmailContent::builder().raw(raw).build())
        .configuration_set_name("shop-mail");
    for (name, value) in tags() {
        call = call.email_tags(MessageTag::builder().name(name).value(value).build()?);
    }
    call.send().await?;
    Ok(())
}

async fn by_relay(relay: &Relay, account: &ConfigAccount, message: &Bytes) -> Result<()> {
    let tag = |(name, value): (&str, &str)| Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let envelope = Envelope {
        from_email_address: SENDER.to_owned(),
        destination: Destination {
            to_addresses: vec![RECIPIENT.to_owned()],
            ..Destination::default()
        },
        configuration_set_name: "shop-mail".to_owned(),
        email_tags: tags().map(tag).to_vec(),
        ..Envelope::default()
    };
    let content = Sendable::Raw {
        head: Bytes::new(),
        body: message.clone(),
    };
    let request = Request::new(&envelope, content)?;
    relay.send(account, &request, clock::now()).await?;
    Ok(())
}
