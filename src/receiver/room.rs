//! Waiting for room: for the bytes of a body, and for a place in the queues, under one deadline that a stop cuts short.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    budget::{Budget, Denied, Permit, Use},
    request::{Reason, Refusal},
};

/// What one request may use.
#[derive(Debug)]
pub(super) struct Room {
    /// Pays for the body.
    pub(super) budget: Budget,
    /// The bytes of the body at most, as sent and after decompression.
    pub(super) request_bytes_max: usize,
    /// Counted from the head. What needs no waiting is taken after it, too.
    pub(super) deadline: Instant,
    /// How long the request may wait in all, for messages.
    pub(super) wait: Duration,
    /// From now on nobody waits.
    pub(super) stop: CancellationToken,
}

impl Room {
    /// The first bytes of a body.
    pub(super) async fn claim(&self, bytes: usize) -> Result<Permit, Refusal> {
        let claiming = pin!(self.budget.claim(bytes, Use::Bodies, self.deadline));
        self.wait(claiming)
            .await?
            .map_err(|denied| self.refusal(denied))
    }

    /// More bytes of a body.
    pub(super) async fn grow(&self, permit: &mut Permit, more: usize) -> Result<(), Refusal> {
        let growing = pin!(permit.grow(more, self.deadline));
        self.wait(growing)
            .await?
            .map_err(|denied| self.refusal(denied))
    }

    /// Waits for anything that has this deadline, until the relay stops. It is borrowed because an async fn that is given a
    /// future has room for it twice, and every request pays for that.
    pub(super) async fn wait<T>(
        &self,
        waiting: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased; // what is ready is not waiting, and is taken even while the relay stops
            done = waiting => Ok(done),
            () = self.stop.cancelled() => Err(shutting_down()),
        }
    }

    /// What a refusal is called when it comes of a stop: queues that refuse whoever waits say that they are full.
    pub(super) fn told(&self, refusal: Refusal) -> Refusal {
        if refusal.reason == Reason::Full && self.stop.is_cancelled() {
            return shutting_down();
        }
        refusal
    }

    /// Over the limit of the configuration.
    pub(super) fn too_large(&self, what: &str) -> Refusal {
        let request_bytes_max = self.request_bytes_max;
        Refusal::new(
            Reason::TooLarge,
            format!(
                "the body is larger than {request_bytes_max} bytes {what}: send smaller batches, or raise receivers.request_bytes_max"
            ),
        )
    }

    fn refusal(&self, denied: Denied) -> Refusal {
        match denied {
            Denied::Full => Refusal::new(
                Reason::Full,
                format!(
                    "the budget has no room for this request within {} ms: come again; if it stays so, raise budget.bytes",
                    self.wait.as_millis()
                ),
            ),
            Denied::NeverFits => Refusal::new(
                Reason::TooLarge,
                "the body is larger than the whole budget: send smaller batches, or raise budget.bytes",
            ),
        }
    }
}

/// The relay is stopping.
pub(super) fn shutting_down() -> Refusal {
    Refusal::new(
        Reason::ShuttingDown,
        "the relay is stopping; come again later",
    )
}
