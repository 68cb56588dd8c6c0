//! What one holder has of the budget: how it grows, what it lends itself of the bytes kept for growth, and how all of it
//! returns.
//!
//! It waits for bytes and for nothing else. Invariant: the ticket is held exactly while bytes are borrowed, so that those
//! kept for growth have one user at a time.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::Instant;

use super::{Budget, Denied, Use};
use crate::sync::{AtomicUsize, OwnedSemaphorePermit, timeout_at};

/// Bytes of the budget, returned on drop.
pub struct Permit {
    budget: Budget,
    shared: Option<OwnedSemaphorePermit>,
    settled: Option<OwnedSemaphorePermit>,
    /// Bytes beyond those, out of those kept for growth; the ticket is held while this is above zero.
    borrowed: usize,
    ticket: Option<OwnedSemaphorePermit>,
    purpose: Use,
}

impl Permit {
    /// `shared` bytes that were just taken.
    pub(super) fn new(budget: Budget, shared: OwnedSemaphorePermit, purpose: Use) -> Self {
        let permit = Self {
            budget,
            shared: Some(shared),
            settled: None,
            borrowed: 0,
            ticket: None,
            purpose,
        };
        permit
            .account()
            .fetch_add(permit.bytes(), Ordering::Relaxed);
        permit
    }

    /// The bytes it stands for.
    pub fn bytes(&self) -> usize {
        let parts = [&self.shared, &self.settled];
        let held = parts.map(|part| part.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        held.iter().sum::<usize>() + self.borrowed
    }

    /// Adds `more` bytes. What is not free is awaited until `deadline`, and out of the bytes kept for growth as soon as
    /// nobody else uses them.
    pub async fn grow(&mut self, more: usize, deadline: Instant) -> Result<(), Denied> {
        if more == 0 {
            return Ok(());
        }
        if self.bytes() + more > self.budget.inner.total {
            return Err(Denied::NeverFits);
        }
        self.try_settle();
        if self.try_grow(more).is_err() {
            self.borrow(more, deadline).await?;
        }
        Ok(())
    }

    /// As [`Self::grow`] by `more` bytes, or by all that the empty budget has beside those held; returns by how many. The
    /// permit that holds the whole budget cannot grow.
    pub async fn grow_up_to(&mut self, more: usize, deadline: Instant) -> Result<usize, Denied> {
        let most = more.min(self.budget.inner.total - self.bytes());
        if most == 0 {
            return Err(Denied::NeverFits);
        }
        self.grow(most, deadline).await?;
        Ok(most)
    }

    /// Adds `more` bytes if they are free now.
    pub fn try_grow(&mut self, more: usize) -> Result<(), Denied> {
        if more == 0 {
            return Ok(());
        }
        let shared = self.budget.try_shared(more)?;
        merge(&mut self.shared, shared);
        self.account().fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes().saturating_sub(bytes);
        // What others wait for longest comes first.
        let borrowed = surplus.min(self.borrowed);
        self.give_back_borrowed(borrowed);
        let mut left = surplus - borrowed;
        // Off the books first: who takes the bytes books them at once, and the sum never passes the bound.
        self.account().fetch_sub(left, Ordering::Relaxed);
        for part in [&mut self.settled, &mut self.shared].into_iter().flatten() {
            let returned = left.min(part.num_permits());
            drop(part.split(returned));
            left -= returned;
        }
    }

    /// Exchanges bytes out of those kept for growth for others, so that the next body can grow.
    pub async fn settle(&mut self, deadline: Instant) -> Result<(), Denied> {
        self.try_settle();
        if self.borrowed > 0 {
            self.take_beyond_growth(self.borrowed, deadline).await?;
            self.give_back_borrowed(self.borrowed);
        }
        Ok(())
    }

    fn try_settle(&mut self) {
        if self.borrowed > 0 && self.try_grow(self.borrowed).is_ok() {
            self.give_back_borrowed(self.borrowed);
        }
    }

    fn give_back_borrowed(&mut self, bytes: usize) {
        self.account().fetch_sub(bytes, Ordering::Relaxed);
        self.borrowed -= bytes;
        if self.borrowed == 0 {
            self.ticket = None;
        }
    }

    /// Says what the bytes are held for from now on.
    pub fn assign(&mut self, purpose: Use) {
        let bytes = self.bytes();
        self.account().fetch_sub(bytes, Ordering::Relaxed);
        self.purpose = purpose;
        self.account().fetch_add(bytes, Ordering::Relaxed);
    }

    async fn borrow(&mut self, more: usize, deadline: Instant) -> Result<(), Denied> {
        if self.ticket.is_none() {
            let grower = Arc::clone(&self.budget.inner.grower);
            let ticket = timeout_at(deadline, grower.acquire_owned())
                .await
                .map_err(|_elapsed| Denied::Full)?;
            self.ticket = Some(ticket.expect("the semaphore is never closed"));
        }
        let kept_free = self.budget.inner.growth - self.borrowed;
        let borrowed = more.min(kept_free);
        if more > borrowed {
            // More than one body may ever grow by: the index and what is written of a large one.
            self.take_beyond_growth(more - borrowed, deadline).await?;
        }
        self.borrowed += borrowed;
        self.account().fetch_add(borrowed, Ordering::Relaxed);
        Ok(())
    }

    /// Takes `bytes` for who has the ticket: what is free of the shared ones now, and the rest of them or of those kept for
    /// settling, whichever come free first.
    async fn take_beyond_growth(&mut self, bytes: usize, deadline: Instant) -> Result<(), Denied> {
        let inner = Arc::clone(&self.budget.inner);
        let free = bytes.min(inner.shared.available_permits());
        let rest = self.try_grow(free).map_or(bytes, |()| bytes - free);
        let wanted = u32::try_from(rest).map_err(|_| Denied::NeverFits)?;
        let waiting = async {
            tokio::select! {
                biased;
                shared = Arc::clone(&inner.shared).acquire_many_owned(wanted) => (shared, false),
                settled = Arc::clone(&inner.settling).acquire_many_owned(wanted) => (settled, true),
            }
        };
        let (more, is_settled) = timeout_at(deadline, waiting)
            .await
            .map_err(|_elapsed| Denied::Full)?;
        let part = if is_settled {
            &mut self.settled
        } else {
            &mut self.shared
        };
        merge(part, more.expect("the semaphore is never closed"));
        self.account().fetch_add(rest, Ordering::Relaxed);
        Ok(())
    }

    fn account(&self) -> &AtomicUsize {
        &self.budget.inner.used[self.purpose.index()]
    }
}

fn merge(part: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match part {
        Some(part) => part.merge(more),
        None => *part = Some(more),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.account().fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("bytes", &self.bytes())
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}
