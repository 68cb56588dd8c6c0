//! Whether a destination is up, and when to probe one that is down.
//!
//! Plain: the clock is passed in. Invariant: while it is down at most one probe is under way.

use std::time::Duration;

use tokio::time::Instant;

/// Probes of a destination that is down come at most this long after the last one failed.
pub(super) const PROBE_APART_MAX: Duration = Duration::from_secs(3);

/// Up, or down and why.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    cause: Cause,
    since: Instant,
    failures: u32,
    probe_at: Instant,
    probing: bool,
}

/// What brought a destination down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It does not answer, or asks for time: any verdict shows that it is back.
    Failing,
    /// It answers with verdicts that cannot be about the spans alone: only a delivery shows that it is back.
    Verdicts,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Anything.
    Any,
    /// One probe.
    Probe,
    /// Nothing; a probe from then on, unless one is under way.
    Nothing(Option<Instant>),
}

impl Health {
    /// What may be sent now.
    pub(super) fn leave(&self, now: Instant) -> Leave {
        match &self.down {
            None => Leave::Any,
            Some(down) if down.probing => Leave::Nothing(None),
            Some(down) if down.probe_at <= now => Leave::Probe,
            Some(down) => Leave::Nothing(Some(down.probe_at)),
        }
    }

    /// Since when it is down.
    pub(super) fn down_since(&self) -> Option<Instant> {
        self.down.as_ref().map(|down| down.since)
    }

    /// What brought it down.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.down.as_ref().map(|down| down.cause)
    }

    /// Failures since it went down, this one included if it fails now: what the wait before the next probe grows with.
    pub(super) fn failures(&self) -> u32 {
        self.down.as_ref().map_or(0, |down| down.failures) + 1
    }

    /// A probe leaves.
    pub(super) fn probe_sent(&mut self) {
        if let Some(down) = &mut self.down {
            down.probing = true;
        }
    }

    /// A probe came back without success: the next one leaves after `wait`.
    pub(super) fn probe_failed(&mut self, cause: Cause, now: Instant, wait: Duration) {
        if let Some(down) = &mut self.down {
            down.cause = cause;
            down.failures += 1;
            down.probing = false;
            down.probe_at = now + wait;
        }
    }

    /// It is down from now on; returns whether it was up. One that is down keeps its pace.
    pub(super) fn down(&mut self, cause: Cause, now: Instant, wait: Duration) -> bool {
        if let Some(down) = &mut self.down {
            down.cause = cause;
            return false;
        }
        self.down = Some(Down {
            cause,
            since: now,
            failures: 1,
            probe_at: now + wait,
            probing: false,
        });
        true
    }

    /// It is up from now on; returns since when it was down.
    pub(super) fn up(&mut self) -> Option<Instant> {
        self.down.take().map(|down| down.since)
    }

    /// The next probe leaves at once: its options changed, or the relay stops.
    pub(super) fn probe_now(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.probe_at = down.probe_at.min(now);
        }
    }
}
