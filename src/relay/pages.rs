//! What the admin API shows of a relay, and the one thing that it can ask for.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Value, json};

use super::{ReloadError, Shared};
use crate::admin::{Action, Phase, State, View};

/// The relay as the admin API sees it.
pub(super) fn state(shared: &Arc<Shared>) -> State {
    State {
        metrics: shared.metrics.clone(),
        budget: shared.budget.clone(),
        queues: shared.queues.clone(),
        store: shared.store.clone(),
        phase: view(shared, Shared::phase),
        destinations: view(shared, |shared| shared.destinations.statuses()),
        policies: view(shared, policies),
        config: view(
            shared,
            |shared| json!({ "yaml": shared.config.load().to_yaml() }),
        ),
        reload: reload(shared),
    }
}

fn view<T: 'static>(shared: &Arc<Shared>, look: fn(&Shared) -> T) -> View<T> {
    let shared = Arc::clone(shared);
    Arc::new(move || look(&shared))
}

/// Runs on the relay's own runtime: a reload may start exporters, which live there.
fn reload(shared: &Arc<Shared>) -> Action<Result<u64, Vec<String>>> {
    let shared = Arc::clone(shared);
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move || {
        let shared = Arc::clone(&shared);
        let reloading = runtime.spawn_blocking(move || shared.reload());
        Box::pin(async move {
            match reloading.await {
                Ok(result) => result.map_err(|error| sentences(&error)),
                Err(error) => Err(vec![error.to_string()]),
            }
        })
    })
}

fn sentences(error: &ReloadError) -> Vec<String> {
    match error {
        ReloadError::Findings(findings) => findings.0.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    }
}

/// The policies as compiled, with what each has decided.
fn policies(shared: &Shared) -> Value {
    let stages = shared.pipeline.stages();
    let policies = stages.snapshot.sampler.policies();
    policies
        .iter()
        .zip(stages.policies.hits())
        .map(|(policy, hits)| json!({ "policy": policy, "kept": hits.kept, "sampled_out": hits.sampled_out }))
        .collect()
}

impl Shared {
    fn phase(&self) -> Phase {
        if self.stopping.load(Ordering::Relaxed) {
            Phase::ShuttingDown
        } else {
            Phase::Running
        }
    }
}
