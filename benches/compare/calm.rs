//! Measures when nobody else works: waits for a calm machine, and measures again what was disturbed.
//!
//! It looks at what others took and never at what came out, so it cannot choose among results.

use std::{io, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    rig::process::{machine, used_by_this_process},
    subjects::Subject,
    trial::{Figures, Target, Trial},
};

/// What others may take of a core.
const OTHERS_MAX: f64 = 0.1;
/// How long it has to be calm before a trial.
const CALM: Duration = Duration::from_millis(300);
/// The longest wait for that: a machine with other work to do gets figures that say so.
const CALM_WITHIN: Duration = Duration::from_secs(15);
/// A trial is made so many times at most.
const ATTEMPTS: usize = 2;

/// The trial's figures, of the attempt that was disturbed least.
pub(crate) async fn run(trial: &Trial, subject: Subject) -> io::Result<Figures> {
    let mut best: Option<Figures> = None;
    for _ in 0..ATTEMPTS {
        wait_for_calm().await;
        let figures = trial.run(subject).await?;
        let disturbed = figures.others_share;
        if best
            .as_ref()
            .is_none_or(|best| disturbed < best.others_share)
        {
            best = Some(figures);
        }
        // A destination that is a process of its own is another.
        if disturbed < OTHERS_MAX || matches!(trial.into, Target::Jaeger { .. }) {
            break;
        }
    }
    Ok(best.expect("there was an attempt"))
}

async fn wait_for_calm() {
    let deadline = Instant::now() + CALM_WITHIN;
    while Instant::now() < deadline {
        let (all, own) = (machine(), used_by_this_process());
        sleep(CALM).await;
        let own = used_by_this_process() - own;
        let others = (machine() - all).used.saturating_sub(own.cpu);
        if others < CALM.mul_f64(OTHERS_MAX) {
            return;
        }
    }
}
