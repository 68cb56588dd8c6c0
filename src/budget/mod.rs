//! The bytes of telemetry that the process may hold: one `Budget`, handed out as `Permit`s that return themselves.
//!
//! It knows nothing of requests. Invariant: the bytes of all living permits never exceed the budget, and of the bodies that
//! grow while they arrive one can always finish. Twice `growth` bytes are kept for that: one part for the body that has the
//! ticket to grow, the other for what it becomes, so that the ticket goes on while others wait for it with all other
//! bytes in their hands.

#[cfg(test)]
mod interleavings;
mod permit;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use tokio::{sync::TryAcquireError, time::Instant};

use crate::sync::{AtomicUsize, OwnedSemaphorePermit, Semaphore, timeout_at};

pub use permit::Permit;

/// What the bytes of a permit are held for; the label `use` of `otlp_relay_budget_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Bodies that arrive, wait, or are being processed.
    Bodies,
    /// Open connections: their receive windows, and what is kept of each beside them.
    Windows,
    /// Payloads in the queues or on their way out, with the buffers they pin.
    Queues,
}

impl Use {
    /// All of them, in the order of their metrics.
    pub const ALL: [Self; 3] = [Self::Bodies, Self::Windows, Self::Queues];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Windows => "windows",
            Self::Queues => "queues",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Bodies => 0,
            Self::Windows => 1,
            Self::Queues => 2,
        }
    }
}

/// Why no permit was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There was no room until the deadline.
    Full,
    /// It would not even fit the empty budget.
    NeverFits,
}

/// A bound on bytes, shared by everything that holds telemetry.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    total: usize,
    growth: usize,
    /// All bytes but those kept for growth; first come, first served.
    shared: Arc<Semaphore>,
    /// As many as are kept for growth, for who gives the ticket back and finds no shared bytes.
    settling: Arc<Semaphore>,
    /// One ticket: whoever holds it may use the bytes kept for growth.
    grower: Arc<Semaphore>,
    used: [AtomicUsize; Use::ALL.len()],
}

impl Budget {
    /// A budget of `total` bytes, of which twice `growth` are kept for the one body that may wait to grow.
    /// Both are at most `u32::MAX`, and `growth` at most a quarter of `total`: the configuration holds both.
    pub fn new(total: usize, growth: usize) -> Self {
        let growth = growth.min(total / 2);
        Self {
            inner: Arc::new(Inner {
                total,
                growth,
                shared: Arc::new(Semaphore::new(total - 2 * growth)),
                settling: Arc::new(Semaphore::new(growth)),
                grower: Arc::new(Semaphore::new(1)),
                used: Default::default(),
            }),
        }
    }

    /// The bytes that may be held at most.
    pub fn total(&self) -> usize {
        self.inner.total
    }

    /// The bytes held for one purpose.
    pub fn used(&self, purpose: Use) -> usize {
        self.inner.used[purpose.index()].load(Ordering::Relaxed)
    }

    /// The bytes held for all purposes.
    pub fn used_total(&self) -> usize {
        Use::ALL.iter().map(|&purpose| self.used(purpose)).sum()
    }

    /// Takes `bytes` if they are free now, never out of those kept for growth.
    pub fn try_claim(&self, bytes: usize, purpose: Use) -> Result<Permit, Denied> {
        let shared = self.try_shared(bytes)?;
        Ok(Permit::new(self.clone(), shared, purpose))
    }

    /// Takes `bytes`, waiting in order of arrival until `deadline`.
    pub async fn claim(
        &self,
        bytes: usize,
        purpose: Use,
        deadline: Instant,
    ) -> Result<Permit, Denied> {
        let shared = self.wait_shared(bytes, deadline).await?;
        Ok(Permit::new(self.clone(), shared, purpose))
    }

    fn try_shared(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Denied> {
        let wanted = self.wanted(bytes)?;
        Arc::clone(&self.inner.shared)
            .try_acquire_many_owned(wanted)
            .map_err(|refused| match refused {
                TryAcquireError::NoPermits => Denied::Full,
                TryAcquireError::Closed => unreachable!("the semaphore is never closed"),
            })
    }

    async fn wait_shared(
        &self,
        bytes: usize,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Denied> {
        let wanted = self.wanted(bytes)?;
        let waiting = Arc::clone(&self.inner.shared).acquire_many_owned(wanted);
        match timeout_at(deadline, waiting).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_elapsed) => Err(Denied::Full),
        }
    }

    fn wanted(&self, bytes: usize) -> Result<u32, Denied> {
        if bytes > self.inner.total - 2 * self.inner.growth {
            return Err(Denied::NeverFits);
        }
        u32::try_from(bytes).map_err(|_| Denied::NeverFits)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("total", &self.inner.total)
            .field("used", &self.used_total())
            .finish_non_exhaustive()
    }
}
