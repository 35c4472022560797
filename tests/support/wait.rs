//! Waiting for a condition instead of for a time.

use std::time::Duration;

use super::error::{Error, Result};

/// Between two looks. A look costs a local request of about a millisecond.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls `attempt` until it is `Ok` and returns its value. `Err` says what was seen instead; the last of them is in the
/// error when `deadline` has passed. `what` completes the sentence "waited in vain until …".
pub async fn eventually<T, F>(deadline: Duration, what: impl Into<String>, mut attempt: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let mut seen = String::from("nothing: the first look did not end");
    let looking = async {
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(instead) => seen = instead,
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let in_time = tokio::time::timeout(deadline, looking).await;
    in_time.map_err(|_| Error::NotInTime {
        what: what.into(),
        deadline,
        seen,
    })
}
