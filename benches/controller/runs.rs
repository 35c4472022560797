//! The runs: everything at once with the budget lifted, and at SES's own pace.

use std::time::{Duration, Instant};

use mail_policy_operator::clock;
use serde_json::json;

use super::{
    objects,
    rig::{Calls, Rig},
    support::eventually,
    usage::Usage,
};
use crate::Result;

/// The call that ends the creation of a set.
const CREATED: &str = "CreateConfigurationSetEventDestination";
/// Until one change has reached SES, whatever else waits there.
const CHANGE: Duration = Duration::from_mins(2);
/// Nothing is called and nothing written for so long: the work is done.
const QUIET: Duration = Duration::from_secs(3);

/// What one size costs, with the budget lifted.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) policies: u32,
    /// From the start of the operator until every policy is Ready.
    pub(crate) creation: Phase,
    /// From a change of one policy's spec to SES, while the rest is created.
    pub(crate) change: Duration,
    /// While nothing happens.
    pub(crate) idle: Phase,
    /// From the start of the operator until every policy was looked at again.
    pub(crate) restart: Phase,
}

/// What happened in a time.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) took: Duration,
    /// Used in this time; the peak is of the process.
    pub(crate) usage: Usage,
    pub(crate) calls: Calls,
    pub(crate) writes: u64,
}

/// What one call a second gives.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) policies: u32,
    /// Until all of them are Ready.
    pub(crate) took: Duration,
    /// From a stop of another policy to SES, past the creations that wait.
    pub(crate) stop: Duration,
    /// How many creations waited then.
    pub(crate) waiting: u64,
}

/// Creates policies, starts the operator, and looks at it at work, idle and after a restart.
pub(crate) async fn unlimited(policies: u32, idle: Duration) -> Result<Cost> {
    eprintln!("{policies} policies, the budget lifted");
    let mut rig = Rig::start(None).await?;
    objects::create(&rig.client, 0..policies).await?;
    let (creation, change) = create(&mut rig, policies).await?;
    let (seconds, calls) = (creation.took.as_secs_f64(), &creation.calls);
    eprintln!("  all are Ready after {seconds:.1} s, with {calls:?}");
    quiet(&rig, deadline(policies)).await?;
    let idle = idle_for(&rig, idle).await?;
    rig.stop_operator().await?;
    let restart = restart(&mut rig, policies).await?;
    Ok(Cost {
        policies,
        creation,
        change,
        idle,
        restart,
    })
}

/// Far more than it takes; a run that hangs ends.
fn deadline(policies: u32) -> Duration {
    Duration::from_mins(2) + Duration::from_millis(50) * policies
}

async fn create(rig: &mut Rig, policies: u32) -> Result<(Phase, Duration)> {
    let began = clock::monotonic();
    rig.start_operator()?;
    rig.operator_serves().await?;
    created(rig, policies / 4, policies).await?;
    let change = change(rig).await?;
    created(rig, policies, policies).await?;
    let all = u64::from(policies);
    eventually(deadline(policies), "all policies are Ready", async || {
        let ready = rig.ready().await.map_err(|error| error.to_string())?;
        if ready == all {
            Ok(())
        } else {
            Err(format!("{ready} of {all}"))
        }
    })
    .await?;
    let phase = Phase {
        took: clock::monotonic().duration_since(began),
        usage: rig.usage()?,
        calls: rig.calls().await?,
        writes: rig.writes().await?,
    };
    Ok((phase, change))
}

/// Waits until this many sets stand whole; says how far it is.
async fn created(rig: &Rig, wanted: u32, all: u32) -> Result<()> {
    let mut said = 0;
    eventually(deadline(all), format!("{wanted} sets are created"), async || {
        let calls = rig.calls().await.map_err(|error| error.to_string())?;
        let created = calls.get(CREATED).copied().unwrap_or_default();
        if created >= said + 1000 {
            said = created;
            eprintln!("  {created} of {all} sets");
        }
        if created >= u64::from(wanted) {
            Ok(())
        } else {
            Err(format!("{created} are"))
        }
    })
    .await?;
    Ok(())
}

/// Changes one option of a policy whose set stands, and waits until SES has it.
async fn change(rig: &Rig) -> Result<Duration> {
    // Creations go in no certain order: it may be that this one's turn is yet to come, and then the set is simply made
    // with the new option. So it is a policy that is Ready.
    let namespace = eventually(CHANGE, "a policy is Ready", async || {
        let ready = rig.first_ready().await.map_err(|error| error.to_string())?;
        ready.ok_or_else(|| "none is".to_owned())
    });
    let namespace = namespace.await?;
    let began = clock::monotonic();
    rig.patch(&namespace, &json!({"ses": {"tls": "Optional"}})).await?;
    reaches(rig, "PutConfigurationSetDeliveryOptions", began).await
}

/// Waits until SES was called so once.
async fn reaches(rig: &Rig, operation: &str, since: Instant) -> Result<Duration> {
    eventually(CHANGE, format!("SES is called {operation}"), async || {
        let calls = rig.calls().await.map_err(|error| error.to_string())?;
        if calls.contains_key(operation) {
            Ok(())
        } else {
            Err(format!("{calls:?}"))
        }
    })
    .await?;
    Ok(clock::monotonic().duration_since(since))
}

/// Waits until nothing was called and nothing written for [`QUIET`].
async fn quiet(rig: &Rig, deadline: Duration) -> Result<()> {
    let mut before = (Calls::new(), 0, 0);
    let mut since = clock::monotonic();
    eventually(deadline, "the operator has nothing to do", async || {
        let now = busy(rig).await.map_err(|error| error.to_string())?;
        if now != before {
            before = now;
            since = clock::monotonic();
        }
        if clock::monotonic().duration_since(since) >= QUIET {
            Ok(())
        } else {
            Err(format!("{before:?}"))
        }
    })
    .await?;
    Ok(())
}

/// What changes while the operator works: calls, writes, reconciliations.
async fn busy(rig: &Rig) -> Result<(Calls, u64, u64)> {
    let reconciles = rig.counter("mail_policy_reconciles_total", "").await?;
    Ok((rig.calls().await?, rig.writes().await?, reconciles))
}

async fn idle_for(rig: &Rig, time: Duration) -> Result<Phase> {
    eprintln!("  nothing happens for {} s", time.as_secs());
    rig.reset_calls().await?;
    let (writes, usage) = (rig.writes().await?, rig.usage()?);
    // The one wait for a time: the time itself is what is measured.
    tokio::time::sleep(time).await;
    let now = rig.usage()?;
    Ok(Phase {
        took: time,
        usage: Usage {
            cpu: now.cpu - usage.cpu,
            ..now
        },
        calls: rig.calls().await?,
        writes: rig.writes().await? - writes,
    })
}

async fn restart(rig: &mut Rig, policies: u32) -> Result<Phase> {
    eprintln!("  the operator starts again");
    rig.reset_calls().await?;
    let began = clock::monotonic();
    rig.start_operator()?;
    rig.operator_serves().await?;
    let all = u64::from(policies);
    eventually(deadline(policies), "every policy was looked at", async || {
        let seen = rig.counter("mail_policy_reconciles_total", "kind=\"MailPolicy\"").await;
        match seen.map_err(|error| error.to_string())? {
            seen if seen >= all => Ok(()),
            seen => Err(format!("{seen} of {all}")),
        }
    })
    .await?;
    let took = clock::monotonic().duration_since(began);
    quiet(rig, deadline(policies)).await?;
    Ok(Phase {
        took,
        usage: rig.usage()?,
        calls: rig.calls().await?,
        writes: rig.writes().await?,
    })
}

/// One call a second, as SES gives it.
pub(crate) async fn slow(policies: u32) -> Result<Pace> {
    eprintln!("{policies} policies, one call a second");
    let mut rig = Rig::start(Some(1)).await?;
    objects::create(&rig.client, 0..1).await?;
    rig.start_operator()?;
    rig.operator_serves().await?;
    let deadline = deadline(policies) + Duration::from_secs(4) * policies;
    becomes_ready(&rig, 1, deadline).await?;
    objects::create(&rig.client, 1..policies + 1).await?;
    let began = clock::monotonic();
    // Some are made, so that the others wait in a queue that moves.
    created(&rig, 3.min(policies), policies + 1).await?;
    let waiting = u64::from(policies) + 1 - rig.calls().await?.get(CREATED).copied().unwrap_or_default();
    let asked = clock::monotonic();
    rig.patch(&objects::namespace(0), &json!({"mode": "Paused"})).await?;
    let stop = reaches(&rig, "PutConfigurationSetSendingOptions", asked).await?;
    eprintln!("  the stop is in SES after {:.1} s", stop.as_secs_f64());
    becomes_ready(&rig, u64::from(policies) + 1, deadline).await?;
    let took = clock::monotonic().duration_since(began);
    Ok(Pace {
        policies,
        took,
        stop,
        waiting,
    })
}

async fn becomes_ready(rig: &Rig, wanted: u64, deadline: Duration) -> Result<()> {
    let ready = eventually(deadline, format!("{wanted} policies are Ready"), async || {
        match rig.ready().await.map_err(|error| error.to_string())? {
            ready if ready >= wanted => Ok(()),
            ready => Err(format!("{ready} are")),
        }
    });
    Ok(ready.await?)
}
