//! What a request takes from its body to its payload: a fixed number of allocations whatever it holds, and no more memory
//! than its permit pays for; and one that waits keeps little besides its body.
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
    net::SocketAddr,
    time::Duration,
};

use bytes::Bytes;
use otlp_relay::{
    budget::{Budget, Use},
    json,
    processor::Snapshot,
    request::{Counted, Request},
    wire::Checks,
};
use prost::Message;
use support::{
    client::{GrpcClient, frame, grpc},
    corpus,
    fake_backend::{Answer, FakeBackend},
    generate,
    relay_under_test::Setup,
    settings,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes allocated and not freed, and the most they have been.
    static LIVE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn note(bytes: usize, sign: isize) {
    LIVE.with(|live| {
        let now = live.get().0 + sign * isize::try_from(bytes).unwrap();
        live.set((now, live.get().1.max(now)));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        note(layout.size(), 1);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        note(layout.size(), 1);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // As if it had to move: for a moment both exist.
        note(size, 1);
        note(layout.size(), -1);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(layout.size(), -1);
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
        let mut request = Request::admit(Counted::new(body, permit).unwrap(), &checks, deadline)
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

/// What a request takes beside its permit, whatever it holds: lists of policies, drafts, glue. Chosen by eye, far below what a
/// stranger could make of a body.
const UNPAID_BYTES_MAX: isize = 96 * 1024;

/// Checks that at no moment more is held than the budget has paid for, and that what is kept is paid, too.
fn check_memory(name: &str, policies: &str, enrichment: &str, body: &[u8], capacity: usize) {
    let snapshot = settings::snapshot(policies, enrichment);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let budget = Budget::new(1 << 30, 1 << 20);
    let permit = budget.try_claim(capacity, Use::Bodies).unwrap();
    let checks = Checks {
        wanted: snapshot.wanted(),
        message_bytes_max: usize::MAX,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    let before = LIVE.with(Cell::get).0;
    LIVE.with(|live| live.set((before, before)));
    let held = || {
        let (now, most) = LIVE.with(Cell::get);
        (now - before, most - before)
    };
    let mut buffer = Vec::with_capacity(capacity);
    buffer.extend_from_slice(body);
    runtime.block_on(async {
        let counted = Counted::new(Bytes::from(buffer), permit).unwrap();
        let mut request = Request::admit(counted, &checks, deadline).await.unwrap();
        // Joining needs the old body and the new one for a moment, and pays for both.
        let paid = isize::try_from(budget.used_total() + capacity).unwrap();
        assert!(
            held().1 <= paid + UNPAID_BYTES_MAX,
            "{name}: {:?} of {paid} at the door",
            held()
        );

        let now = LIVE.with(Cell::get).0;
        LIVE.with(|live| live.set((now, now)));
        let processed = snapshot.process(&mut request, deadline).await.unwrap();
        let paid = isize::try_from(budget.used_total()).unwrap();
        assert!(
            held().1 <= paid + UNPAID_BYTES_MAX,
            "{name}: {:?} of {paid} written",
            held()
        );

        let (segments, pinned) = (processed.segments, processed.pinned);
        drop((
            request,
            processed.decisions,
            processed.policies,
            processed.services,
        ));
        let paid = isize::try_from(pinned).unwrap();
        assert!(
            held().0 <= paid + UNPAID_BYTES_MAX,
            "{name}: {:?} of {paid} kept",
            held()
        );
        drop(segments);
    });
}

#[test]
fn what_is_held_is_paid_for() {
    let all = "default: { sample_fraction: 1 }\n";
    let tenth = "default: { sample_fraction: 0.1 }\n";
    let resource_edit = "[ { on: resource, set: { env: prod } } ]";
    let span_edit = "[ { on: span, set: { relay: x }, mask: { a: bb } } ]";
    let usual = generate::request("standalone", 0, 2048).encode_to_vec();
    let mut segcore = Vec::new();
    for number in 0..1000 {
        segcore.extend(generate::request("segcore", number, 1).encode_to_vec());
    }
    // Two resources in one ResourceSpans, so that they are joined, behind fields of two bytes that nobody knows.
    let unknown_fields = [&[0x10, 0].repeat(1 << 18)[..], &[0x0a, 4, 0x0a, 0, 0x0a, 0]].concat();
    // A scope whose spans are written anew, because one is not usable, among fields that nobody knows.
    let scope = [
        &[0x12, 0][..],
        &generate::nested(
            2,
            &generate::request("x", 0, 1).resource_spans[0].scope_spans[0].spans[0].encode_to_vec(),
        ),
        &[0x20, 0].repeat(1 << 17),
    ]
    .concat();
    let around = generate::nested(1, &generate::nested(2, &scope));
    // Resources without a span, each with another name than the one before.
    let names = [
        generate::nested(
            1,
            &generate::nested(
                1,
                &generate::nested(1, b"\x0a\x0cservice.name\x12\x03\x0a\x01a"),
            ),
        ),
        generate::nested(1, b""),
    ]
    .concat()
    .repeat(8_000);
    let bodies = [
        ("usual", usual),
        ("one span a resource", segcore),
        ("unknown fields", unknown_fields),
        ("around spans", around),
        ("names", names),
    ];
    for (name, body) in &bodies {
        for (policies, edits) in [
            (all, "[]"),
            (all, resource_edit),
            (tenth, "[]"),
            (tenth, span_edit),
            (all, span_edit),
        ] {
            check_memory(name, policies, edits, body, body.len());
            // As a compressed or chunked body arrives: in a buffer with room.
            check_memory(name, policies, edits, body, 2 * body.len());
        }
    }
}

/// Calls at the same time.
const CALLS: usize = 100;

/// Sends calls with so many headers to a relay that has no room for them, and stays until `done`.
async fn wait_for_room(relay: SocketAddr, headers: usize, body: Vec<u8>, done: CancellationToken) {
    let names: Vec<_> = (0..headers).map(|index| format!("x-{index}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (&**name, "value")).collect();
    let mut client = GrpcClient::connect(relay).await;
    let mut waiting = Vec::new();
    for _ in 0..CALLS {
        let mut call = client.export(&headers).await;
        call.send(frame(0, &body), true);
        waiting.push(call);
    }
    done.cancelled().await;
}

/// The bytes that a relay holds for each call with so many headers while it waits for room.
async fn held_for_a_waiting_call(headers: usize) -> usize {
    let backend = FakeBackend::start().await;
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    let relay = Setup::to(&backend.endpoint())
        .settings("queue: { bytes_max: 1KiB, wait_max: 60s }\nshutdown: { deadline: 100ms }\n")
        .start();
    let body = generate::request("milvus", 0, 10).encode_to_vec();
    let first = grpc(relay.grpc(), &[], frame(0, &body)).await;
    assert_eq!(first.code(), Code::Ok, "there is room for one");
    let waiting = CALLS * body.len();
    let before = LIVE.with(Cell::get).0;
    // The client allocates on a thread of its own, so that what this one holds is the relay's.
    let (address, done) = (relay.grpc(), CancellationToken::new());
    let client = std::thread::spawn({
        let done = done.clone();
        move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(wait_for_room(address, headers, body, done));
        }
    });
    relay
        .until("all of them wait", |relay| {
            relay.handle().budget().used(Use::Bodies) >= waiting
        })
        .await;
    let held = LIVE.with(Cell::get).0 - before;
    done.cancel();
    relay.stop().await;
    client.join().unwrap();
    held.cast_unsigned() / CALLS
}

#[tokio::test]
async fn a_call_that_waits_does_not_keep_its_head() {
    let (small, large) = (
        held_for_a_waiting_call(0).await,
        held_for_a_waiting_call(200).await,
    );
    assert!(large < small + 4_000, "{small} and {large} bytes");
}

/// The text and the buffer that its reader is given are all there is.
#[test]
fn reading_json_allocates_nothing() {
    for recorded in corpus::recorded_json() {
        let text = String::from_utf8(recorded.body).unwrap();
        let room = Vec::with_capacity(json::bytes_max(text.len()));
        let before = ALLOCATIONS.with(Cell::get);
        let transcoded = json::transcode(&text, room).unwrap();
        assert_eq!(ALLOCATIONS.with(Cell::get), before, "{}", recorded.file);
        assert!(!transcoded.message.is_empty());
    }
}

#[test]
fn the_allocator_counts() {
    let (allocations, bytes) = (ALLOCATIONS.with(Cell::get), LIVE.with(Cell::get).0);
    let held = std::hint::black_box(vec![0_u8; 100]);
    assert_eq!(ALLOCATIONS.with(Cell::get), allocations + 1);
    assert_eq!(LIVE.with(Cell::get).0, bytes + 100);
    drop(held);
    assert_eq!(LIVE.with(Cell::get).0, bytes);
}
