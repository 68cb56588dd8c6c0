//! Watches the content of the configuration's files: polled, because file events miss edits on some mounts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{fs, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::config;

/// How often the files are looked at: an edit holds within two seconds.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reloads when the content of a watched file changes, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    // Not as they are now: an edit since they were loaded is a change, too.
    let mut seen = shared.config().loaded.clone();
    while stop
        .run_until_cancelled(sleep(POLL_INTERVAL))
        .await
        .is_some()
    {
        let now = contents(&shared.config().watched).await;
        if changed(&seen, &now) {
            // A failed reload has been logged; the same content is not tried again.
            let reloading = Arc::clone(&shared);
            drop(spawn_blocking(move || reloading.reload()).await);
        }
        // A file that the new configuration names for the first time is taken for changed at the next look: one reload too
        // many, which changes nothing.
        seen = now;
    }
}

/// A hash of each file's content; none for a file that cannot be read.
type Contents = BTreeMap<PathBuf, Option<u64>>;

async fn contents(files: &[PathBuf]) -> Contents {
    let mut contents = Contents::new();
    for file in files {
        contents.insert(file.clone(), content(file).await);
    }
    contents
}

async fn content(file: &Path) -> Option<u64> {
    let bytes = fs::read(file).await.ok()?;
    Some(config::fingerprint(&bytes))
}

/// A file that is gone while the relay runs keeps its last good content in force.
fn changed(seen: &Contents, now: &Contents) -> bool {
    now.iter()
        .any(|(file, content)| content.is_some() && seen.get(file) != Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(content: Option<u64>) -> Contents {
        [(PathBuf::from("policies.yaml"), content)].into()
    }

    #[test]
    fn only_content_that_is_there_and_different_is_a_change() {
        assert!(!changed(&one(Some(1)), &one(Some(1))));
        assert!(changed(&one(Some(1)), &one(Some(2))));
        assert!(!changed(&one(Some(1)), &one(None)), "deleted");
        assert!(changed(&one(None), &one(Some(1))), "back again");
    }
}
