//! Waiting for another change of the same client, instead of failing at once: one after the other, all of them are made.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Code, Error};

/// For so long a call waits. One that was interrupted takes longer to be finished.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the record.
const PAUSE: Duration = Duration::from_millis(50);
/// After how long whoever waited in vain may come again.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// One call's turn.
pub(super) struct Turn(Instant);

impl Turn {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// After this failure: waits a moment where another change is under way, so that the caller tries again. Anything else,
    /// and at the end also that, is the caller's failure.
    pub(super) async fn wait(&self, error: Error) -> Result<(), Error> {
        if error.code() != Code::ClientBusy || self.0.elapsed() >= PATIENCE {
            return Err(error);
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

pub(super) fn busy() -> Error {
    let detail = "Another change of this API client is under way, or was interrupted and is being finished; \
                  go on after the time in `Retry-After`.";
    Error::new(Code::ClientBusy, detail).retry_after(COME_AGAIN)
}
