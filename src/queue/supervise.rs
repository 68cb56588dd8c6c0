//! A queue is never left without the task that empties it.
//!
//! It knows nothing of what the task does. What a task held when a fault of the relay ended it is booked by its parcels.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::Name;

/// After a fault the task is started again this much later: seldom enough for the log, and short against the time in which
/// a relay stops.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// Runs the task that empties the queue of a destination until it ends by itself; one that panics is started again.
pub async fn supervise<F>(destination: Name, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut tasks = JoinSet::new();
        tasks.spawn(task());
        let Some(Err(error)) = tasks.join_next().await else {
            return;
        };
        tracing::error!(%destination, %error, "the task of a destination failed, starting it again");
        sleep(RESTART_AFTER).await;
    }
}
