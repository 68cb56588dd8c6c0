//! A request takes a fixed number of allocations from its body to its payload, whatever it holds.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait by nature; it only passes calls on"
)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use bytes::Bytes;
use otlp_relay::{
    budget::{Budget, Use},
    processor::Snapshot,
    request::Request,
    wire::Checks,
};
use prost::Message;
use support::{generate, settings};
use tokio::time::Instant;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of one request of so many spans, from its body to its segments.
fn allocations(snapshot: &Snapshot, spans: u64) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let body = Bytes::from(generate::request("standalone", 0, spans).encode_to_vec());
    let budget = Budget::new(1 << 30, 1 << 20);
    runtime.block_on(async {
        let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
        let checks = Checks {
            wanted: snapshot.wanted(),
            message_bytes_max: usize::MAX,
        };
        let deadline = Instant::now() + Duration::from_secs(1);
        let before = ALLOCATIONS.with(Cell::get);
        let mut request = Request::admit(body, permit, &checks, deadline)
            .await
            .unwrap();
        let processed = snapshot.process(&mut request, deadline).await.unwrap();
        let after = ALLOCATIONS.with(Cell::get);
        assert!(processed.kept > 0);
        after - before
    })
}

#[test]
fn allocations_do_not_grow_with_spans() {
    let half = "default: { sample_fraction: 0.5 }\n";
    let all = "default: { sample_fraction: 1 }\n";
    let edit = "[ { on: resource, set: { deployment.environment.name: prod } } ]";
    for (policies, enrichment) in [(all, "[]"), (all, edit), (half, "[]"), (half, edit)] {
        let snapshot = settings::snapshot(policies, enrichment);
        let few = allocations(&snapshot, 64);
        for spans in [512, 4096] {
            let many = allocations(&snapshot, spans);
            assert_eq!(many, few, "{policies}{enrichment}: {spans} spans");
        }
        assert!(few <= 24, "{few} allocations");
    }
}

#[test]
fn the_allocator_counts() {
    let before = ALLOCATIONS.with(Cell::get);
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(ALLOCATIONS.with(Cell::get), before + 1);
}
