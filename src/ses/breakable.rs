//! Work that may be broken off where it waits, but not while SES carries out what lets mail flow.

use std::{cell::Cell, future::poll_fn, pin::pin, task::Poll};

tokio::task_local! {
    /// How many requests of the work are under way that must end first.
    static UNDER_WAY: Cell<usize>;
}

/// A request whose outcome must be known: whoever broke it off could not tell whether what follows came before or after
/// it at SES. Outside of [`unless`] it is the request and nothing more.
pub async fn to_its_end<T>(request: impl Future<Output = T>) -> T {
    let _counted = Counted::begin();
    request.await
}

/// Carries on with the work until `due`; then it is dropped where it waits, once no request of it is under way that must
/// come [`to_its_end`]. `None` where it was dropped.
pub async fn unless<T>(due: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let broken_off = async {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = due => {}
        }
        poll_fn(|cx| {
            if !is_under_way() {
                return Poll::Ready(None);
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if is_under_way() => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            }
        })
        .await
    };
    UNDER_WAY.scope(Cell::new(0), broken_off).await
}

fn is_under_way() -> bool {
    UNDER_WAY.with(|under_way| under_way.get() > 0)
}

/// Counts a request as long as it is kept.
struct Counted;

impl Counted {
    fn begin() -> Option<Self> {
        let count = |under_way: &Cell<usize>| under_way.set(under_way.get() + 1);
        UNDER_WAY.try_with(count).ok().map(|()| Self)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Dropped outside of the work it is no one's.
        let _outside = UNDER_WAY.try_with(|under_way| under_way.set(under_way.get().saturating_sub(1)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::oneshot, time::sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_before_is_done() {
        let done = unless(std::future::pending(), to_its_end(async { 1 })).await;
        assert_eq!(done, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_waits_is_dropped_at_once() {
        let (kept, dropped) = oneshot::channel::<()>();
        let work = async {
            to_its_end(sleep(Duration::from_millis(1))).await;
            let _kept = kept;
            std::future::pending::<()>().await;
        };
        assert_eq!(unless(sleep(Duration::from_secs(1)), work).await, None);
        dropped.await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_must_end_does_and_what_follows_it_is_dropped() {
        let ended = Cell::new(false);
        let work = async {
            to_its_end(sleep(Duration::from_secs(5))).await;
            ended.set(true);
            std::future::pending::<()>().await;
        };
        assert_eq!(unless(sleep(Duration::from_secs(1)), work).await, None);
        assert!(ended.get());
    }
}
