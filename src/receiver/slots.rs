//! Counts what is under way, up to a maximum that may change while it runs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    taken: Arc<AtomicUsize>,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    taken: Arc<AtomicUsize>,
}

impl Slots {
    /// Takes one, unless `max` are taken.
    pub(super) fn take(&self, max: usize) -> Option<Slot> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        // The slot is made first, so that a refusal gives it back by drop.
        let slot = Slot {
            taken: Arc::clone(&self.taken),
        };
        (before < max).then_some(slot)
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_holds_and_drops_give_back() {
        let slots = Slots::default();
        let first = slots.take(2).unwrap();
        let _second = slots.take(2).unwrap();
        assert!(slots.take(2).is_none());
        assert_eq!(slots.taken(), 2);
        assert!(slots.take(3).is_some());
        drop(first);
        assert!(slots.take(2).is_some());
    }
}
