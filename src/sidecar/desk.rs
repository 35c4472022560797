//! Where every message goes, by whatever way it came: decided, counted, handed to SES, captured.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::{
    capture::{Captured, Mailpit, Store},
    content::Named,
    counted::{self, AllotmentError, Counted},
    denial::Denial,
    metrics::{Answered, Came, Fared, Metrics},
    pulse::Pulse,
    relay::{Brake, Envelope, Kind, Relay, Request, SesError, Tag},
    rules::Rules,
    submission::{Mailing, Plan, RECIPIENTS_A_CALL, Submission, destination},
    unfinished::Unfinished,
};
use crate::{
    api::{Address, Mode},
    policy::{
        allotment::{Farewell, Report},
        ceiling::{CeilingName, Hindrance, Mailed, Ticket},
        config::ConfigPolicy,
        gate::{Decision, Fate, Gate, Message, Reason, Refusal, Rule, is_simulator},
        suppressions::HashKey,
    },
};

/// How long the first message of a new pod waits for its first allotment.
const FIRST_ALLOTMENT: Duration = Duration::from_secs(5);

/// Where captured messages go.
pub enum CaptureTo {
    /// The store in memory.
    Store(RefCell<Store>),
    /// The namespace's Mailpit.
    Mailpit(Mailpit),
}

/// The way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// SMTP.
    Smtp,
    /// SES's API.
    Http,
}

/// What a message's sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// SES's ids, one a call; one of the capture store where nothing was sent.
    pub ids: Vec<String>,
}

impl Receipt {
    /// The first id: that of all recipients, where there were at most fifty.
    #[must_use]
    pub fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }
}

/// The desk. One thread works at it.
pub struct Desk {
    rules: RefCell<Rc<Rules>>,
    counted: RefCell<Counted>,
    relay: Relay,
    capture: CaptureTo,
    brake: RefCell<Brake>,
    unfinished: RefCell<Unfinished>,
    /// The pod's workload, for the tag.
    workload: Option<String>,
    /// Wakes who waits for an allotment.
    changed: Notify,
    is_ending: Cell<bool>,
    under_way: Cell<usize>,
    /// Time and measures.
    pub pulse: Pulse,
    /// What Prometheus is told.
    pub metrics: Metrics,
}

impl Desk {
    /// A desk without rules: nothing passes yet.
    #[must_use]
    pub fn new(relay: Relay, capture: CaptureTo, counted: Counted, workload: Option<String>, pulse: Pulse) -> Self {
        Self {
            rules: RefCell::new(Rc::new(Rules::default())),
            counted: RefCell::new(counted),
            relay,
            capture,
            brake: RefCell::default(),
            unfinished: RefCell::default(),
            workload,
            changed: Notify::new(),
            is_ending: Cell::new(false),
            under_way: Cell::new(0),
            pulse,
            metrics: Metrics::default(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Rc<Rules> {
        Rc::clone(&self.rules.borrow())
    }

    /// Other rules from now on; what is under way goes on by those that it was decided by.
    pub fn set_rules(&self, rules: Rules) {
        if let Some(limits) = rules.limits() {
            let mut counted = self.counted.borrow_mut();
            counted.set_limits(limits, self.pulse.now(), self.pulse.moment());
        }
        *self.rules.borrow_mut() = Rc::new(rules);
        self.changed.notify_waiters();
    }

    /// Reads what is kept of the ceilings' past, unless that is done.
    pub fn keep_past(&self) {
        self.counted.borrow_mut().open(self.pulse.now(), self.pulse.moment());
    }

    /// Obeys the text of the pod's annotation from now on.
    ///
    /// # Errors
    /// [`AllotmentError`]: then what was obeyed stays.
    pub fn take_allotment(&self, text: &str) -> Result<(), AllotmentError> {
        let mut counted = self.counted.borrow_mut();
        if counted.take_allotment(text, self.pulse.now(), self.pulse.moment())? {
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// What the operator is told of the pod's share; `None` where nothing is allotted.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.counted.borrow().report(self.pulse.moment())
    }

    /// What is left behind in the end; `None` where nothing is allotted.
    #[must_use]
    pub fn farewell(&self) -> Option<Farewell> {
        self.counted.borrow().farewell(self.pulse.moment())
    }

    /// The way to SES.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Where captured messages go.
    #[must_use]
    pub fn capture(&self) -> &CaptureTo {
        &self.capture
    }

    /// Each ceiling's limit, and how many recipients count on it now.
    pub fn usage(&self) -> Vec<(CeilingName, crate::api::Rate, u64)> {
        self.counted.borrow().usage(self.pulse.moment()).collect()
    }

    /// Nothing new is taken from now on.
    pub fn end(&self) {
        self.is_ending.set(true);
        self.changed.notify_waiters();
    }

    /// Whether it takes nothing new.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Messages under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Why mail from this sender is refused whatever else is said.
    ///
    /// # Errors
    /// The denial.
    pub fn check_sender(&self, sender: &Address) -> Result<(), Denial> {
        let rules = self.rules();
        let refused = rules.gate()?.refuses_sender(sender, self.pulse.now());
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Why this recipient is refused whatever the message says.
    ///
    /// # Errors
    /// The denial.
    pub fn check_recipient(&self, recipient: &Address) -> Result<(), Denial> {
        if self.is_ending() {
            return Err(Denial::Ending);
        }
        let rules = self.rules();
        let refused = rules.gate()?.refuses_recipient(recipient, self.pulse.now());
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Takes a message. It is taken once SES has accepted it for everyone whom it may be mailed to, or the capture store has
    /// it; else nothing of it is.
    ///
    /// # Errors
    /// Why not.
    pub async fn submit(self: &Rc<Self>, way: Way, submission: Submission) -> Result<Receipt, Denial> {
        self.under_way.set(self.under_way.get() + 1);
        let desk = Rc::clone(self);
        // A client that goes away meanwhile cannot stop what has begun: it would be neither sent nor not.
        let taking = tokio::task::spawn_local(async move { desk.take(&submission).await });
        let taken = taking.await.unwrap_or_else(|error| {
            warn!(%error, "a message was not taken: the sidecar has a fault");
            Err(Denial::Ending)
        });
        self.under_way.set(self.under_way.get() - 1);
        let outcome = match &taken {
            Ok(receipt) if receipt.id().starts_with(CAPTURED) => "captured",
            Ok(_) => "sent",
            Err(denial) => denial.reason(),
        };
        let way = match way {
            Way::Smtp => "smtp",
            Way::Http => "http",
        };
        self.metrics.messages.get_or_create(&Came { way, outcome }).inc();
        taken
    }

    async fn take(&self, submission: &Submission) -> Result<Receipt, Denial> {
        if self.is_ending() {
            return Err(Denial::Ending);
        }
        let recipients = submission.recipients();
        if recipients.is_empty() {
            return Err(Denial::NoRecipients);
        }
        let rules = self.rules();
        let gate = rules.gate()?;
        let message = Message {
            from: &submission.from.address,
            sender: submission.sender.as_ref(),
            headers: &submission.content,
            recipients: &recipients,
        };
        let decision = gate.decide(message, self.pulse.now());
        self.note(&decision);
        if let Some(refusal) = decision.refusal() {
            return Err(refusal.clone().into());
        }
        let plan = Plan::new(submission, &recipients, &decision);
        let captured = self.copy_of(submission, &plan, &decision)?;
        // Mailpit may refuse: before anything is sent. The store cannot any more.
        if let (CaptureTo::Mailpit(mailpit), Some(captured)) = (&self.capture, &captured) {
            mailpit.hand_over(captured).await?;
        }
        let ids = if plan.mailed.is_empty() {
            Vec::new()
        } else {
            self.send(gate, &decision, submission, &plan).await?
        };
        Ok(self.receipt(captured, ids))
    }

    /// The copy that is captured, where somebody is not mailed as the message came.
    fn copy_of(
        &self,
        submission: &Submission,
        plan: &Plan,
        decision: &Decision<'_>,
    ) -> Result<Option<Captured>, Denial> {
        if !plan.captures() {
            return Ok(None);
        }
        let raw = submission.shown();
        if let CaptureTo::Store(store) = &self.capture {
            store.borrow().check(raw.len())?;
        }
        Ok(Some(Captured {
            at: self.pulse.now(),
            policies: decision.policies.iter().map(|policy| policy.name.clone()).collect(),
            mode: decision.mode,
            from: submission.from.address.clone(),
            recipients: plan.outcomes.clone(),
            sent_as: Vec::new(),
            raw,
        }))
    }

    /// Keeps the copy, and says by which ids the message is known.
    fn receipt(&self, captured: Option<Captured>, ids: Vec<String>) -> Receipt {
        let Some(captured) = captured else {
            return Receipt { ids };
        };
        let number = match &self.capture {
            CaptureTo::Mailpit(_) => None,
            CaptureTo::Store(store) => {
                let mut store = store.borrow_mut();
                let sent_as = ids.clone();
                let kept = store.keep(Captured { sent_as, ..captured });
                self.metrics
                    .captured
                    .set(i64::try_from(store.level().0).unwrap_or(i64::MAX));
                kept.ok()
            }
        };
        if ids.is_empty() {
            let id = number.map_or_else(|| format!("{CAPTURED}mailpit"), |number| format!("{CAPTURED}{number}"));
            Receipt { ids: vec![id] }
        } else {
            Receipt { ids }
        }
    }

    /// Hands the message to SES, fifty recipients at a time.
    async fn send(
        &self,
        gate: &Gate,
        decision: &Decision<'_>,
        submission: &Submission,
        plan: &Plan,
    ) -> Result<Vec<String>, Denial> {
        let policy = *decision.policies.first().ok_or_else(|| closed("no policy"))?;
        let account = gate.config().account.as_ref().ok_or_else(|| closed("no account"))?;
        let key = gate.suppressed().ok_or_else(|| closed("no suppressions"))?.key();
        // A message that SES accepted for some only goes to the others now.
        let is_split = plan.mailed.len() > RECIPIENTS_A_CALL;
        let fingerprint = is_split.then(|| Unfinished::fingerprint(submission));
        let mut left: Vec<&Mailing> = plan.mailed.iter().collect();
        let mut ids = Vec::new();
        if let Some(fingerprint) = fingerprint {
            let unfinished = self.unfinished.borrow().begun(fingerprint, self.pulse.elapsed());
            left.retain(|mailing| !unfinished.accepted.contains(&mailing.mailbox.address));
            ids = unfinished.ids;
        }
        let mailed = |mailing: &&Mailing| mailed(key, &mailing.mailbox.address);
        let ticket = self
            .take_room(decision, &left.iter().map(mailed).collect::<Vec<_>>())
            .await?;
        let (to, cc) = submission.named();
        let named = Named {
            from: &submission.from.address,
            to: &to,
            cc: &cc,
        };
        let content = submission.content.sendable(named, plan.visible.as_ref());
        let content = content.map_err(|error| Denial::Unwritable(error.to_string()))?;
        let envelope = self.envelope(gate, policy, submission);
        let mut accepted: Vec<&Mailing> = Vec::new();
        for part in left.chunks(RECIPIENTS_A_CALL) {
            let part: Vec<Mailing> = part.iter().map(|&mailing| mailing.clone()).collect();
            let envelope = Envelope {
                destination: destination(&part),
                ..envelope.clone()
            };
            let sent = match Request::new(&envelope, content.clone()) {
                Ok(request) => self.call(account, &request).await,
                Err(error) => Err(SesError::new(Kind::Invalid, "Unwritable", &error.to_string())),
            };
            match sent {
                Ok(id) => {
                    let done = accepted.len() + part.len();
                    accepted = left[..done].to_vec();
                    ids.push(id);
                    let hashes = part.iter().map(|mailing| mailed(&mailing).hash).collect();
                    self.counted.borrow_mut().learn(hashes);
                }
                Err(error) => {
                    let from = accepted.len() + if error.kind.is_unsent() { 0 } else { part.len() };
                    let not_mailed = left[from..].iter().map(mailed).collect();
                    self.counted
                        .borrow_mut()
                        .give_back(&ticket, not_mailed, self.pulse.moment());
                    let done: Vec<Address> = plan
                        .mailed
                        .iter()
                        .filter(|mailing| !left.contains(mailing) || accepted.contains(mailing))
                        .map(|mailing| mailing.mailbox.address.clone())
                        .collect();
                    let (count, of) = (done.len(), plan.mailed.len());
                    return match fingerprint {
                        Some(fingerprint) if count > 0 => {
                            self.unfinished
                                .borrow_mut()
                                .keep(fingerprint, done, ids, self.pulse.elapsed());
                            Err(Denial::Partly {
                                accepted: count,
                                of,
                                error,
                            })
                        }
                        Some(_) | None => Err(error.into()),
                    };
                }
            }
        }
        if let Some(fingerprint) = fingerprint {
            self.unfinished.borrow_mut().finish(fingerprint);
        }
        Ok(ids)
    }

    fn envelope(&self, gate: &Gate, policy: &ConfigPolicy, submission: &Submission) -> Envelope {
        let namespace = gate.config().namespace.as_str();
        let own = [
            ("mail-policy-namespace", Some(namespace)),
            ("mail-policy-policy", Some(policy.name.as_str())),
            ("mail-policy-workload", self.workload.as_deref()),
        ];
        let own: Vec<Tag> = own
            .into_iter()
            .filter_map(|(name, value)| {
                Some(Tag {
                    name: name.to_owned(),
                    value: tag_value(value?),
                })
            })
            .collect();
        let foreign = submission
            .tags
            .iter()
            .filter(|tag| own.iter().all(|it| it.name != tag.name));
        Envelope {
            from_email_address: submission.from.to_string(),
            destination: destination(&[]),
            configuration_set_name: policy.configuration_set.clone(),
            tenant_name: policy.tenant.clone(),
            email_tags: foreign.cloned().chain(own.iter().cloned()).collect(),
            options: submission.options.clone(),
        }
    }

    /// One call to SES.
    async fn call(
        &self,
        account: &crate::policy::config::ConfigAccount,
        request: &Request,
    ) -> Result<String, SesError> {
        let began = self.pulse.elapsed();
        let answered = self.relay.send(account, request, self.pulse.now()).await;
        let now = self.pulse.elapsed();
        self.metrics
            .ses_seconds
            .observe(now.saturating_sub(began).as_secs_f64());
        let outcome = match &answered {
            Ok(_) => "accepted",
            Err(error) => error.kind.name(),
        };
        self.metrics.ses_answers.get_or_create(&Answered { outcome }).inc();
        if let Err(error) = &answered {
            if error.kind == Kind::Throttled {
                self.brake.borrow_mut().throttled(now);
                self.metrics.braking.set(1);
            }
            if error.kind == Kind::Unknown {
                warn!(%error, "whether SES accepted a message is unknown; its room in the ceilings stays taken");
            } else {
                info!(%error, "SES did not accept a message");
            }
        }
        answered
    }

    /// Room in every ceiling, for which a message may wait as long as its policies let it; a new pod's first message waits
    /// for its first allotment, too.
    async fn take_room(&self, decision: &Decision<'_>, mailed: &[Mailed]) -> Result<Ticket, Denial> {
        let policies: Vec<&str> = decision.policies.iter().map(|policy| policy.name.as_str()).collect();
        let waits = decision.policies.iter().map(|policy| policy.ceilings.max_wait_millis);
        let most = Duration::from_millis(waits.min().unwrap_or(0));
        let began = self.pulse.elapsed();
        loop {
            // Before the look, so that no change falls between both.
            let changed = self.changed.notified();
            let hindered = match self.take_now(&policies, mailed) {
                Ok(ticket) => return Ok(ticket),
                Err(hindered) => hindered,
            };
            let (wait, longest) = match &hindered {
                Hindered::Brake(wait) => (*wait, most),
                Hindered::Counted(counted::Hindered::Ceiling(hindrance)) => {
                    (hindrance.wait.unwrap_or(Duration::MAX), most)
                }
                Hindered::Counted(counted::Hindered::NoShare { is_first: true }) => (Duration::ZERO, FIRST_ALLOTMENT),
                Hindered::Counted(counted::Hindered::NoShare { .. } | counted::Hindered::NotKept) => {
                    (Duration::MAX, most)
                }
            };
            let left = longest.saturating_sub(self.pulse.elapsed().saturating_sub(began));
            if wait > left || left.is_zero() || self.is_ending() {
                self.counted
                    .borrow_mut()
                    .put_off(&policies, mailed, self.pulse.moment());
                return Err(hindered.denial(decision));
            }
            self.metrics.waiting.inc();
            let wait = if wait.is_zero() { left } else { wait };
            // A change may let it go earlier.
            if tokio::time::timeout(wait, changed).await.is_err() {
                debug!("a message has waited its turn");
            }
            self.metrics.waiting.dec();
        }
    }

    fn take_now(&self, policies: &[&str], mailed: &[Mailed]) -> Result<Ticket, Hindered> {
        let braked = self.brake.borrow_mut().turn(self.pulse.elapsed());
        self.metrics.braking.set(i64::from(self.brake.borrow().is_on()));
        if !braked.is_zero() {
            return Err(Hindered::Brake(braked));
        }
        let mut counted = self.counted.borrow_mut();
        let taken = counted.take(policies, mailed, self.pulse.now(), self.pulse.moment());
        taken.map_err(Hindered::Counted)
    }

    /// Counts a decision, and logs what an audit let through.
    fn note(&self, decision: &Decision<'_>) {
        let mode = mode_word(decision.mode);
        let mut audited = 0_u64;
        for verdict in &decision.verdicts {
            let fate = match &verdict.fate {
                Fate::Send => "sent",
                Fate::Replace(_) => "replaced",
                Fate::Capture => "captured",
                Fate::Refuse(_) => "refused",
            };
            self.metrics.recipients.get_or_create(&Fared { mode, fate }).inc();
            audited += u64::from(verdict.audited.is_some());
        }
        if audited > 0 {
            self.metrics.audited.inc_by(audited);
            info!(
                recipients = audited,
                "an audit let recipients pass that the policy does not allow"
            );
        }
    }
}

/// How ids of captured messages begin.
pub const CAPTURED: &str = "captured-";

/// What never is while the gate lets a message be sent.
fn closed(what: &str) -> Denial {
    Refusal::new(Reason::Closed(what.to_owned()), Rule::default()).into()
}

fn mailed(key: &HashKey, address: &Address) -> Mailed {
    Mailed {
        hash: key.number(address),
        simulated: is_simulator(address),
    }
}

/// What keeps a message from going.
enum Hindered {
    /// SES throttled of late.
    Brake(Duration),
    /// The pod's ceilings.
    Counted(counted::Hindered),
}

impl Hindered {
    fn denial(&self, decision: &Decision<'_>) -> Denial {
        let plain = |reason| Refusal::new(reason, Rule::default()).into();
        match self {
            Self::Brake(_) => SesError::new(Kind::Throttled, "Throttled", "SES throttled a moment ago").into(),
            Self::Counted(counted::Hindered::NoShare { .. }) => plain(Reason::NoAllotment),
            Self::Counted(counted::Hindered::NotKept) => plain(Reason::NotKept),
            Self::Counted(counted::Hindered::Ceiling(hindrance)) => reached(decision, hindrance).into(),
        }
    }
}

/// A ceiling is reached: which, and whose word it is.
fn reached(decision: &Decision<'_>, hindrance: &Hindrance) -> Refusal {
    let Hindrance { ceiling, rate, wait } = hindrance;
    let reason = match wait {
        Some(wait) => Reason::Ceiling(*rate, *wait),
        None => Reason::TooManyRecipients(*rate),
    };
    let field = ceiling.of.field();
    let policy = decision
        .policies
        .iter()
        .find(|policy| Some(&policy.name) == ceiling.policy.as_ref());
    let from = policy.and_then(|policy| policy.from.get(field).cloned());
    Refusal::new(
        reason,
        Rule::of(field, from.unwrap_or_else(|| vec!["the namespace's".to_owned()])),
    )
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Paused => "Paused",
        Mode::Capture => "Capture",
        Mode::Simulate => "Simulate",
        Mode::Restricted => "Restricted",
        Mode::Live => "Live",
    }
}

/// A value as a message tag may have it: at most 256 of `[A-Za-z0-9_-]`.
fn tag_value(text: &str) -> String {
    let fit = |char: char| {
        if char.is_ascii_alphanumeric() || char == '-' {
            char
        } else {
            '_'
        }
    };
    text.chars().take(256).map(fit).collect()
}
