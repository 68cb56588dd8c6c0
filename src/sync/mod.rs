//! The primitives with which bytes and spans are accounted: std's and tokio's own.
//!
//! In a test build every operation on them is also a point at which another task may go first, if the test lets `shuttle`
//! choose the order (acceptance case A103); in any other test they do just what they do in the relay. Code that accounts
//! takes them from here, so that what is explored is what runs.

#[cfg(test)]
pub(crate) mod interleaved;

#[cfg(not(test))]
pub use std::sync::{Mutex, MutexGuard, atomic::AtomicUsize};

#[cfg(not(test))]
pub use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};

#[cfg(test)]
pub use self::interleaved::{
    AtomicUsize, Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore, timeout_at,
};
