//! The same primitives with a point before each operation at which `shuttle` may let another task go first.
//!
//! std's and tokio's own do the work: each of their operations happens at once, so that the points before them give all
//! interleavings, and what is tested is how tokio's semaphore really behaves. Outside of [`explore`] a point is nothing.

use std::{
    cell::Cell,
    fmt,
    ops::{Deref, DerefMut, RangeInclusive},
    pin::{Pin, pin},
    sync::{Arc, LockResult, PoisonError, atomic, atomic::Ordering},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use shuttle::{
    Config, Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};
use tokio::{
    sync::{AcquireError, TryAcquireError},
    time::Instant,
};

/// A deadline that is farther away than this never comes while orders are explored; a nearer one comes after a few turns
/// of the others, or at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many turns at most before a near deadline comes.
const TURNS_MAX: usize = 6;

/// So often at most does an order depart from running one task after the other, where it is chosen by the PCT algorithm,
/// which finds what few such departures break.
const DEPARTURES: usize = 3;

/// Frames of a debug build are large.
const STACK_BYTES: usize = 256 << 10;

thread_local! {
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// So many orders are played of each scene, and as many as [`ORDERS_VARIABLE`] says where it is set.
const ORDERS: usize = 10_000;
/// `.ci/run` sets it so that both scenes together are played as often as acceptance case A103 asks for.
const ORDERS_VARIABLE: &str = "A103_ORDERS";

/// Plays `scene` in very many orders: half of them at random at every point, half with few departures. A failure prints
/// the order, which `shuttle::replay` plays again.
pub(crate) fn explore(scene: fn()) {
    let orders = orders();
    run(RandomScheduler::new(orders / 2), scene);
    run(PctScheduler::new(DEPARTURES, orders / 2), scene);
}

#[expect(
    clippy::disallowed_methods,
    reason = "no stage reads it: a test asks how thorough it shall be"
)]
fn orders() -> usize {
    let asked = std::env::var(ORDERS_VARIABLE).ok();
    asked.map_or(ORDERS, |asked| asked.parse().expect("a number of orders"))
}

fn run(scheduler: impl Scheduler + 'static, scene: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    Runner::new(scheduler, config).run(scene);
}

/// A number that the explored order decides about, too.
pub(crate) fn any_of(numbers: RangeInclusive<usize>) -> usize {
    thread_rng().gen_range(numbers)
}

/// A deadline that never comes while orders are explored.
pub(crate) fn never() -> Instant {
    Instant::now() + 2 * PATIENCE
}

/// A deadline that comes after a few turns of the others.
pub(crate) fn soon() -> Instant {
    Instant::now()
}

/// Looks at something while nobody else does anything, but for who holds a lock that is needed for it.
pub(crate) fn at_once<T>(look: impl FnOnce() -> T) -> T {
    let before = AT_ONCE.replace(true);
    let seen = look();
    AT_ONCE.set(before);
    seen
}

/// Whether this is a task of a scene.
fn is_played() -> bool {
    shuttle::current::try_get_current_task().is_some()
}

/// Here another task may go first.
fn point() {
    if !AT_ONCE.get() && !thread::panicking() && is_played() {
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// A point where it is dropped.
#[derive(Debug)]
struct PointOnDrop;

impl Drop for PointOnDrop {
    fn drop(&mut self) {
        point();
    }
}

// === atomics ===

/// As std's; a subtraction below zero is a failure.
#[derive(Debug, Default)]
pub struct AtomicUsize(atomic::AtomicUsize);

impl AtomicUsize {
    pub(crate) fn load(&self, order: Ordering) -> usize {
        point();
        self.0.load(order)
    }

    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        point();
        self.0.fetch_add(value, order)
    }

    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        point();
        let before = self.0.fetch_sub(value, order);
        assert!(
            before >= value || thread::panicking(),
            "an account of {before} cannot give back {value}"
        );
        before
    }
}

// === mutex ===

/// As std's. Where orders are explored, who waits for it waits at a gate that `shuttle` knows: all tasks are one thread there.
#[derive(Debug)]
pub struct Mutex<T> {
    gate: Option<shuttle::sync::Mutex<()>>,
    value: std::sync::Mutex<T>,
}

/// As std's.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    value: std::sync::MutexGuard<'a, T>,
    _gate: Option<shuttle::sync::MutexGuard<'a, ()>>,
}

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let gate = self.gate.as_ref().filter(|_| is_played());
        let gate = gate.map(|gate| gate.lock().unwrap_or_else(PoisonError::into_inner));
        let guard = |value| MutexGuard { value, _gate: gate };
        match self.value.lock() {
            Ok(value) => Ok(guard(value)),
            Err(poisoned) => Err(PoisonError::new(guard(poisoned.into_inner()))),
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self {
            gate: is_played().then(shuttle::sync::Mutex::default),
            value: std::sync::Mutex::default(),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

// === semaphore ===

/// As tokio's.
#[derive(Debug)]
pub struct Semaphore(Arc<tokio::sync::Semaphore>);

/// As tokio's.
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    _before: PointOnDrop,
    permit: tokio::sync::OwnedSemaphorePermit,
}

type Acquired = Result<tokio::sync::OwnedSemaphorePermit, AcquireError>;

/// Who waits for a semaphore. To go away while others do things is a point, too.
struct Acquire {
    _before: PointOnDrop,
    future: Pin<Box<dyn Future<Output = Acquired> + Send>>,
}

impl Semaphore {
    pub(crate) fn new(permits: usize) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(permits)))
    }

    pub(crate) fn available_permits(&self) -> usize {
        point();
        self.0.available_permits()
    }

    pub(crate) fn try_acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        point();
        let permit = Arc::clone(&self.0).try_acquire_many_owned(permits)?;
        Ok(OwnedSemaphorePermit::new(permit))
    }

    pub(crate) async fn acquire_owned(
        self: Arc<Self>,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1).await
    }

    pub(crate) async fn acquire_many_owned(
        self: Arc<Self>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let acquire = Acquire {
            _before: PointOnDrop,
            future: Box::pin(Arc::clone(&self.0).acquire_many_owned(permits)),
        };
        acquire.await.map(OwnedSemaphorePermit::new)
    }
}

impl Future for Acquire {
    type Output = Acquired;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Acquired> {
        point();
        self.future.as_mut().poll(context)
    }
}

impl OwnedSemaphorePermit {
    fn new(permit: tokio::sync::OwnedSemaphorePermit) -> Self {
        Self {
            _before: PointOnDrop,
            permit,
        }
    }

    pub(crate) fn num_permits(&self) -> usize {
        self.permit.num_permits()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
    }

    pub(crate) fn split(&mut self, permits: usize) -> Option<Self> {
        self.permit.split(permits).map(Self::new)
    }
}

// === deadlines ===

/// The deadline came first.
#[derive(Clone, Copy, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline came first")
    }
}

/// As tokio's; where orders are explored, time is turns.
pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    if !is_played() {
        let timeout = tokio::time::timeout_at(deadline, future);
        return timeout.await.map_err(|_elapsed| Elapsed);
    }
    let is_patient = deadline > Instant::now() + PATIENCE;
    let mut turns = (!is_patient).then(|| any_of(0..=TURNS_MAX));
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        match &mut turns {
            None => Poll::Pending,
            Some(0) => Poll::Ready(Err(Elapsed)),
            Some(turns) => {
                *turns -= 1;
                let others_turn = pin!(shuttle::future::yield_now()).poll(context);
                others_turn.map(|()| Err(Elapsed))
            }
        }
    })
    .await
}
