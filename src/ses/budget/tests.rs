#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use futures::{FutureExt, StreamExt};

use super::*;

fn budget(per_second: f64, burst: u32) -> Budget {
    Budget::new(
        Rate::new(per_second, burst),
        CircuitPolicy::default(),
        Arc::new(NoMeter),
        || 1.0,
    )
}

fn take_now(budget: &Budget, priority: Priority) {
    budget
        .take(priority)
        .now_or_never()
        .expect("a token is there")
        .end(None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_overtakes_those_who_wait() {
    let budget = budget(1.0, 2);
    take_now(&budget, Priority::Drift);
    let drift = budget.take(Priority::Drift);
    tokio::pin!(drift);
    assert!(drift.as_mut().now_or_never().is_none());
    take_now(&budget, Priority::Stop);
    let began = clock::runtime();
    drift.await.end(None);
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(2),
        "the stop's token, then the kept one, are earned first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_frees_its_place() {
    let budget = budget(1.0, 1);
    take_now(&budget, Priority::Drift);
    assert!(budget.take(Priority::Tighten).now_or_never().is_none());
    assert_eq!(budget.snapshot().waiting, [0; 5]);
    let began = clock::runtime();
    budget.take(Priority::Drift).await.end(None);
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiters_are_served_at_the_rate_and_in_order() {
    let budget = budget(10.0, 1);
    let began = clock::runtime();
    let served = futures::stream::iter(0..100).map(|number| {
        let budget = budget.clone();
        async move {
            budget.take(Priority::Creation).await.end(None);
            number
        }
    });
    let order: Vec<i32> = served.buffer_unordered(100).collect().await;
    assert_eq!(order, (0..100).collect::<Vec<_>>());
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(9_900)..Duration::from_millis(10_050)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn throttling_opens_the_circuit_and_an_answer_closes_it_for_all_who_wait() {
    let budget = Budget::new(None, CircuitPolicy::default(), Arc::new(NoMeter), || 1.0);
    budget.take(Priority::Drift).await.end(Some(ErrorKind::Throttled));
    assert_eq!(budget.snapshot().circuit, CircuitState::Open);
    let began = clock::runtime();
    // The first probes; the others wait for its outcome, with no moment to wait for.
    let one = async {
        let permit = budget.take(Priority::SpecChange).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        permit.end(None);
    };
    let others = futures::future::join_all((0..5).map(|_| budget.take(Priority::Creation)));
    let ((), permits) = tokio::join!(one, others);
    for permit in permits {
        permit.end(None);
    }
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(budget.snapshot().circuit, CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_limited_budget_goes_on_after_the_circuit_closed() {
    let budget = budget(0.1, 1);
    budget.take(Priority::Drift).await.end(Some(ErrorKind::Throttled));
    let waiting = futures::future::join_all((0..3).map(|_| async { budget.take(Priority::Drift).await.end(None) }));
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .expect("nobody is left waiting");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_lets_another_try() {
    let budget = Budget::new(None, CircuitPolicy::default(), Arc::new(NoMeter), || 1.0);
    budget.take(Priority::Drift).await.end(Some(ErrorKind::Throttled));
    drop(budget.take(Priority::Drift).await);
    budget
        .take(Priority::Drift)
        .now_or_never()
        .expect("the probe's place is free")
        .end(None);
}

#[tokio::test(start_paused = true)]
async fn a_lifted_budget_never_waits() {
    let budget = Budget::new(None, CircuitPolicy::default(), Arc::new(NoMeter), || 1.0);
    let began = clock::runtime();
    for _ in 0..1_000 {
        budget.take(Priority::Drift).await.end(None);
    }
    // Time goes on only where somebody waits for it.
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Meter for Recorder {
    fn waited(&self, priority: Priority, time: Duration) {
        self.0.lock().unwrap().push(format!("{priority} waited {time:?}"));
    }

    fn called(&self, operation: &'static str, outcome: &'static str) {
        self.0.lock().unwrap().push(format!("{operation} {outcome}"));
    }
}

#[tokio::test(start_paused = true)]
async fn waits_and_outcomes_are_told_to_the_meter() {
    let recorder = Arc::new(Recorder::default());
    let budget = Budget::new(Rate::new(1.0, 1), CircuitPolicy::default(), recorder.clone(), || 1.0);
    let fine = budget.spend(Priority::Stop, "GetAccount", async { Ok(7) }).await;
    assert_eq!(fine, Ok(7));
    let refused = SesError::new("GetTenant", ErrorKind::NotFound, "");
    let result: Result<(), _> = budget
        .spend(Priority::Drift, "GetTenant", async { Err(refused.clone()) })
        .await;
    assert_eq!(result, Err(refused));
    let told = recorder.0.lock().unwrap().join(", ");
    assert_eq!(
        told,
        "stop waited 0ns, GetAccount ok, drift waited 1s, GetTenant NotFound"
    );
}

#[tokio::test(start_paused = true)]
async fn a_parked_key_comes_out_of_the_stream_when_a_slot_is_dropped() {
    let admission = Admission::new(1, Duration::from_secs(30));
    let mut freed = admission.freed();
    let Admitted::Now(slot) = admission.admit(&"first", Priority::Creation) else {
        panic!("a slot is free")
    };
    assert!(matches!(
        admission.admit(&"second", Priority::Creation),
        Admitted::Parked
    ));
    assert!(freed.next().now_or_never().is_none());
    drop(slot);
    assert_eq!(freed.next().await, Some("second"));
    assert!(matches!(
        admission.admit(&"second", Priority::Creation),
        Admitted::Now(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_kept_slot_expires_while_the_stream_is_polled() {
    let admission = Admission::new(1, Duration::from_secs(30));
    let mut freed = admission.freed();
    let slot = admission.admit(&"first", Priority::Creation);
    for key in ["lost", "next"] {
        assert!(matches!(admission.admit(&key, Priority::Creation), Admitted::Parked));
    }
    drop(slot);
    assert_eq!(freed.next().await, Some("lost"));
    let began = clock::runtime();
    assert_eq!(freed.next().await, Some("next"));
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_key_is_not_handed_out() {
    let admission = Admission::new(1, Duration::from_secs(30));
    let slot = admission.admit(&"first", Priority::Creation);
    assert!(matches!(admission.admit(&"gone", Priority::Creation), Admitted::Parked));
    admission.forget(&"gone");
    assert_eq!(admission.parked(), [0; 5]);
    drop(slot);
    assert!(admission.freed().next().now_or_never().is_none());
}
