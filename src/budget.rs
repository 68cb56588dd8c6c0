//! The bytes of telemetry that the process may hold: one `Budget`, handed out as `Permit`s that return themselves.
//!
//! It knows nothing of requests. Invariant: the bytes of all living permits never exceed the budget, and of the bodies that
//! grow while they arrive one can always finish. Twice `growth` bytes are kept for that: one part for the body that has the
//! ticket to grow, the other for what it becomes, so that the ticket goes on while others wait for it with all other
//! bytes in their hands.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, timeout_at},
};

/// What the bytes of a permit are held for; the label `use` of `otlp_relay_budget_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Bodies that arrive, wait, or are being processed.
    Bodies,
    /// Receive windows of open connections.
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

// === impl Budget ===

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
        Ok(self.permit(shared, bytes, purpose))
    }

    /// Takes `bytes`, waiting in order of arrival until `deadline`.
    pub async fn claim(
        &self,
        bytes: usize,
        purpose: Use,
        deadline: Instant,
    ) -> Result<Permit, Denied> {
        let shared = self.wait_shared(bytes, deadline).await?;
        Ok(self.permit(shared, bytes, purpose))
    }

    fn permit(&self, shared: OwnedSemaphorePermit, bytes: usize, purpose: Use) -> Permit {
        self.inner.used[purpose.index()].fetch_add(bytes, Ordering::Relaxed);
        Permit {
            budget: self.clone(),
            shared: Some(shared),
            settled: None,
            borrowed: 0,
            ticket: None,
            purpose,
        }
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

// === impl Permit ===

impl Permit {
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
        for part in [&mut self.settled, &mut self.shared].into_iter().flatten() {
            let returned = left.min(part.num_permits());
            drop(part.split(returned));
            left -= returned;
        }
        self.account()
            .fetch_sub(surplus - borrowed, Ordering::Relaxed);
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
        self.borrowed -= bytes;
        if self.borrowed == 0 {
            self.ticket = None;
        }
        self.account().fetch_sub(bytes, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_bytes_kept_for_growth_serve_one_body_at_a_time() {
        let budget = Budget::new(100, 30);
        let mut first = budget.try_claim(20, Use::Bodies).unwrap();
        let mut second = budget.try_claim(20, Use::Bodies).unwrap();
        assert_eq!(budget.try_claim(1, Use::Bodies).unwrap_err(), Denied::Full);

        first.grow(30, soon()).await.unwrap();
        assert_eq!(budget.used_total(), 70);
        assert_eq!(second.grow(1, soon()).await, Err(Denied::Full));

        drop(first);
        second.grow(30, soon()).await.unwrap();
        assert_eq!(second.bytes(), 50);
        drop(second);
        assert_eq!(budget.used_total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_never_fit_is_told_apart_from_what_does_not_fit_now() {
        let budget = Budget::new(100, 20);
        assert_eq!(
            budget.claim(61, Use::Bodies, soon()).await.unwrap_err(),
            Denied::NeverFits
        );
        let mut permit = budget.try_claim(60, Use::Bodies).unwrap();
        assert_eq!(permit.grow(41, soon()).await, Err(Denied::NeverFits));
        assert_eq!(
            budget.claim(1, Use::Bodies, soon()).await.unwrap_err(),
            Denied::Full
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_fits_the_empty_budget_can_be_grown_to() {
        for (more, expected) in [(89, Ok(())), (90, Ok(())), (91, Err(Denied::NeverFits))] {
            let budget = Budget::new(100, 25);
            let mut body = budget.try_claim(10, Use::Bodies).unwrap();
            assert_eq!(body.grow(more, soon()).await, expected, "{more}");
            drop(body);
            assert_eq!(budget.used_total(), 0);
            // Nothing of any kind is left behind.
            let mut next = budget.try_claim(50, Use::Bodies).unwrap();
            next.grow(50, soon()).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_on_the_way_keeps_the_books() {
        let budget = Budget::new(100, 20);
        let mut body = budget.try_claim(10, Use::Bodies).unwrap();
        let queued = budget.try_claim(45, Use::Queues).unwrap();
        assert_eq!(body.grow(46, soon()).await, Err(Denied::Full));
        assert_eq!(budget.used(Use::Bodies), body.bytes());
        drop(body);
        drop(queued);
        assert_eq!(budget.used_total(), 0);
        assert!(budget.try_claim(60, Use::Bodies).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_hold_all_shared_bytes_finish_one_after_the_other() {
        // Given six bodies that have taken all shared bytes and all need to grow by as many again.
        let budget = Budget::new(100, 20);
        let bodies = (0..6).map(|_| budget.try_claim(10, Use::Bodies).unwrap());
        let finishing = bodies.map(|mut body| async move {
            body.grow(20, soon()).await?;
            body.settle(soon()).await?;
            // And is delivered.
            drop(body);
            Ok::<(), Denied>(())
        });
        let finishing: Vec<_> = finishing.collect();
        // When they do, then each comes to its turn.
        let mut all = tokio::task::JoinSet::new();
        for body in finishing {
            all.spawn(body);
        }
        while let Some(finished) = all.join_next().await {
            assert_eq!(finished.unwrap(), Ok(()));
        }
        assert_eq!(budget.used_total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn settling_frees_the_growth_for_the_next_body() {
        // Given a body that grew out of what is kept for that, while others hold all shared bytes.
        let budget = Budget::new(100, 20);
        let _others = budget.try_claim(40, Use::Queues).unwrap();
        let mut first = budget.try_claim(10, Use::Bodies).unwrap();
        let mut second = budget.try_claim(10, Use::Bodies).unwrap();
        first.grow(20, soon()).await.unwrap();
        // When it settles, the next can grow; but not settle as long as the first is not gone.
        first.settle(soon()).await.unwrap();
        second.grow(20, soon()).await.unwrap();
        assert_eq!(budget.used_total(), 100);
        assert_eq!(second.settle(soon()).await, Err(Denied::Full));
        drop(first);
        second.settle(soon()).await.unwrap();
        assert_eq!(second.bytes(), 30);
    }

    #[test]
    fn shrinking_and_reassigning_keep_the_books() {
        let budget = Budget::new(100, 10);
        let mut permit = budget.try_claim(50, Use::Bodies).unwrap();
        permit.shrink_to(20);
        permit.assign(Use::Queues);
        assert_eq!(
            (budget.used(Use::Bodies), budget.used(Use::Queues)),
            (0, 20)
        );
        drop(permit);
        assert_eq!(budget.used_total(), 0);
        assert!(budget.try_claim(80, Use::Windows).is_ok());
    }
}
