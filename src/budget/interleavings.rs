//! Acceptance case A103 for the budget: bodies that claim, grow, exchange, shrink, give back, give up and go away, in very
//! many orders.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use shuttle::future::{block_on, spawn, yield_now};
use tokio::time::Instant;

use super::{Budget, Denied, Permit, Use};
use crate::sync::interleaved::{any_of, at_once, explore, never, soon};

const TOTAL: usize = 100;
const GROWTH: usize = 20;
/// What first claims share.
const SHARED: usize = TOTAL - 2 * GROWTH;

const BODIES: usize = 4;
/// So often somebody looks at the gauges while the bodies do what they do.
const LOOKS: usize = 8;

/// A budget, and what its permits are known to stand for.
#[derive(Clone)]
struct House {
    budget: Budget,
    held: Arc<AtomicUsize>,
}

/// A permit whose bytes are counted a second time, from after they were given until before they are given back.
struct Body {
    house: House,
    counted: usize,
    permit: Permit,
}

impl House {
    fn new() -> Self {
        Self {
            budget: Budget::new(TOTAL, GROWTH),
            held: Arc::default(),
        }
    }

    /// What is held, and what the gauges tell of it, is never above the bound.
    fn check(&self) {
        assert!(self.held.load(Ordering::SeqCst) <= TOTAL);
        let told = at_once(|| self.budget.used_total());
        assert!(told <= TOTAL, "the gauges tell {told} of {TOTAL}");
    }
}

impl Body {
    fn new(house: &House, permit: Permit) -> Self {
        let house = house.clone();
        let mut body = Self {
            house,
            counted: 0,
            permit,
        };
        body.count();
        body
    }

    fn count(&mut self) {
        let bytes = self.permit.bytes();
        let more = bytes - self.counted;
        self.counted = bytes;
        self.house.held.fetch_add(more, Ordering::SeqCst);
        self.house.check();
    }

    fn uncount(&mut self, bytes: usize) {
        self.counted -= bytes;
        self.house.held.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.uncount(self.counted - bytes);
        self.permit.shrink_to(bytes);
        assert_eq!(self.permit.bytes(), bytes);
    }

    /// Grows within what the budget keeps for that, and makes room for the next one that grows.
    async fn arrive(&mut self, deadline: Instant) -> Result<(), Denied> {
        let mut may_grow = GROWTH;
        for _ in 0..any_of(0..=3) {
            let more = any_of(0..=may_grow);
            may_grow -= more;
            self.permit.grow(more, deadline).await?;
            self.count();
            if any_of(0..=3) == 0 {
                self.shrink_to(any_of(1..=self.counted));
            }
        }
        self.permit.settle(deadline).await?;
        self.permit.assign(Use::Queues);
        self.house.check();
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.uncount(self.counted);
    }
}

/// Claims, arrives, is held for a while, and goes.
async fn body(house: House) {
    let is_patient = any_of(0..=2) > 0;
    let deadline = if is_patient { never() } else { soon() };
    let first = any_of(1..=SHARED / 2);
    let permit = if any_of(0..=2) == 0 {
        house.budget.try_claim(first, Use::Bodies)
    } else {
        let claimed = house.budget.claim(first, Use::Bodies, deadline).await;
        assert!(claimed.is_ok() || !is_patient, "what fits comes");
        claimed
    };
    let Ok(permit) = permit else { return };
    let mut body = Body::new(&house, permit);
    let arrived = body.arrive(deadline).await;
    assert!(arrived.is_ok() || !is_patient, "somebody always finishes");
    yield_now().await;
}

async fn watch(house: House) {
    for _ in 0..LOOKS {
        house.check();
        yield_now().await;
    }
}

/// All that was ever given is there again, of each kind.
async fn check_returned(house: &House) {
    house.check();
    assert_eq!(house.budget.used_total(), 0);
    let mut all = house.budget.try_claim(SHARED, Use::Bodies).unwrap();
    all.grow(2 * GROWTH, never()).await.unwrap();
    assert_eq!(all.bytes(), TOTAL);
}

/// A waiter that is never woken leaves all tasks waiting, which `shuttle` reports.
fn scene() {
    let house = House::new();
    let watcher = spawn(watch(house.clone()));
    let bodies: Vec<_> = (0..BODIES).map(|_| spawn(body(house.clone()))).collect();
    if let Some(gone) = bodies.get(any_of(0..=2 * BODIES)) {
        gone.abort();
    }
    block_on(async {
        for body in bodies {
            // One of them may have gone away.
            drop(body.await);
        }
        watcher.await.unwrap();
        check_returned(&house).await;
    });
}

#[test]
fn a103_the_budget_keeps_its_books_in_any_order() {
    explore(scene);
}
