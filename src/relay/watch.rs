//! Watches the content of the configuration's files: polled, because file events miss edits on some mounts.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::Shared;

/// How often the files are looked at: an edit holds within two seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reloads when the content of a watched file changes, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(sleep(POLL_INTERVAL))
        .await
        .is_some()
    {
        let looking = Arc::clone(&shared);
        drop(spawn_blocking(move || looking.reload_if_changed()).await);
    }
}
