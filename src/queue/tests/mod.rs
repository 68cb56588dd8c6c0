//! Tests of the queues.

mod batcher;
mod interleavings;
mod order;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_poll::poll_once;
use tokio::time::{Instant, advance};

use super::{
    fixtures::{budget, payload, payload_of, request, tally},
    *,
};
use crate::{
    budget::{Budget, Use},
    metrics::{Fate, Ledger, Loss, Transport},
};

/// Polls a future once with a waker that does nothing: whether it is done says whether it had to wait.
mod futures_poll {
    use std::{
        future::Future,
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    pub(super) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
}

/// A future that is only polled when it was woken, as a runtime does it.
struct Sleeper<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<F: Future> Sleeper<F> {
    fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// What it came to, if it was woken and is done.
    fn poll_if_woken(&mut self) -> Option<F::Output> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

struct House {
    ledger: Ledger,
    queues: Queues,
    budget: Budget,
}

impl House {
    fn new() -> Self {
        let ledger = Ledger::default();
        Self {
            queues: Queues::new(ledger.clone()),
            budget: budget(),
            ledger,
        }
    }

    fn open(&self, name: &str, payloads: usize, required: bool) -> Queue {
        let bytes_max = self.one().room_bytes() * payloads;
        self.queues.open(
            name.into(),
            Options {
                bytes_max,
                required,
            },
        )
    }

    /// The payload that every test here counts in.
    fn one(&self) -> Payload {
        payload(&self.budget, &["a", "b"])
    }

    fn admit(&self, payload: Payload) -> impl Future<Output = Result<(), Full>> + use<> {
        let queues = self.queues.clone();
        let deadline = Instant::now() + Duration::from_secs(7);
        async move {
            let tally = tally(payload.spans);
            queues
                .admit(Transport::Grpc, tally, Some(payload), deadline)
                .await
        }
    }

    fn assert_balanced(&self, held: u64, name: &str) {
        let totals = self.ledger.totals();
        assert_eq!(totals.imbalance(), None);
        assert_eq!(totals.destinations[name].held, held, "held for {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_required_queues_take_a_request_or_none_does() {
    let house = House::new();
    let wide = house.open("wide", 5, true);
    let narrow = house.open("narrow", 1, true);
    house.admit(house.one()).await.unwrap();

    let mut waiting = Box::pin(house.admit(house.one()));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!(wide.gauges().payloads, 1, "none took it");

    narrow.try_pop().unwrap().settle(Fate::Exported);
    assert_eq!(waiting.await, Ok(()));
    assert_eq!((wide.gauges().payloads, narrow.gauges().payloads), (2, 1));
    house.assert_balanced(4, "wide");
    house.assert_balanced(2, "narrow");
    drain(&wide);
    drain(&narrow);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_taken_in_order_of_arrival_and_large_ones_do_not_starve() {
    let house = House::new();
    let queue = house.open("jaeger", 2, true);
    house.admit(house.one()).await.unwrap();
    house.admit(house.one()).await.unwrap();

    let large = payload_of(&house.budget, request(&["x"; 60]), 60);
    let mut large = Box::pin(house.admit(large));
    assert!(poll_once(large.as_mut()).is_pending());
    let mut small = Box::pin(house.admit(house.one()));
    assert!(poll_once(small.as_mut()).is_pending());

    // One place is free, which the small one would fit, but the large one came first.
    queue.try_pop().unwrap().settle(Fate::Exported);
    assert!(poll_once(small.as_mut()).is_pending());
    assert!(poll_once(large.as_mut()).is_pending());
    queue.try_pop().unwrap().settle(Fate::Exported);
    assert_eq!(large.await, Ok(()));
    assert!(poll_once(small.as_mut()).is_pending());
    drain(&queue);
    assert_eq!(small.await, Ok(()));
    drain(&queue);
    house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_or_runs_out_of_time_leaves_no_trace_and_lets_the_next_one_in() {
    let house = House::new();
    let queue = house.open("jaeger", 2, true);
    house.admit(house.one()).await.unwrap();
    let before = house.ledger.totals();

    let large = payload_of(&house.budget, request(&["x"; 60]), 60);
    let mut large = Box::pin(house.admit(large));
    assert!(poll_once(large.as_mut()).is_pending());
    let mut small = Box::pin(house.admit(house.one()));
    assert!(poll_once(small.as_mut()).is_pending());

    drop(large);
    assert_eq!(house.ledger.totals(), before);
    assert_eq!(small.await, Ok(()), "the small one is in front now");

    let late = house.admit(house.one());
    let started = Instant::now();
    assert_eq!(late.await, Err(Full));
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    assert_eq!(house.queues.line_length(), 0);
    drain(&queue);
    house.assert_balanced(0, "jaeger");
    assert_eq!(house.budget.used(Use::Queues), 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_takes_anything_and_a_full_one_nothing_more() {
    let house = House::new();
    let queue = house.open("jaeger", 2, true);
    let room = house.one().room_bytes();
    let cases = [
        (2 * room, Poll::Ready(Ok(()))),
        (2 * room - 1, Poll::Pending),
        (1, Poll::Pending),
    ];
    for (bytes_max, second) in cases {
        queue.reconfigure(Options {
            bytes_max,
            required: true,
        });
        house.admit(house.one()).await.unwrap();
        let mut next = Box::pin(house.admit(house.one()));
        assert_eq!(poll_once(next.as_mut()), second, "{bytes_max}");
        drop(next);
        drain(&queue);
    }
    house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_not_required_loses_alone_what_does_not_fit() {
    let house = House::new();
    let required = house.open("required", 3, true);
    let spare = house.open("spare", 1, false);
    house.admit(house.one()).await.unwrap();
    house.admit(house.one()).await.unwrap();

    let totals = house.ledger.totals();
    assert_eq!(totals.imbalance(), None);
    assert_eq!(totals.destinations["spare"].lost[&Loss::QueueFull], 2);
    assert_eq!(totals.destinations["required"].lost_total(), 0);
    drain(&required);
    drain(&spare);
    house.assert_balanced(0, "spare");
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_waiters_are_refused_at_once_but_what_fits_is_taken() {
    let house = House::new();
    let queue = house.open("jaeger", 1, true);
    house.admit(house.one()).await.unwrap();
    let mut waiting = Box::pin(house.admit(house.one()));
    assert!(poll_once(waiting.as_mut()).is_pending());

    house.queues.refuse_waiters();
    assert_eq!(poll_once(waiting.as_mut()), Poll::Ready(Err(Full)));
    drop(waiting);
    drain(&queue);
    let mut fits = pin!(house.admit(house.one()));
    assert_eq!(poll_once(fits.as_mut()), Poll::Ready(Ok(())));
    drain(&queue);
}

#[tokio::test(start_paused = true)]
async fn a_removed_destination_stops_counting_and_drains() {
    let house = House::new();
    let stays = house.open("stays", 9, true);
    let goes = house.open("goes", 1, true);
    house.admit(house.one()).await.unwrap();
    let mut waiting = Box::pin(house.admit(house.one()));
    assert!(poll_once(waiting.as_mut()).is_pending());

    goes.close();
    assert_eq!(waiting.await, Ok(()));
    assert_eq!(goes.ready().await, Ready::Parcels);
    drain(&goes);
    assert_eq!(goes.ready().await, Ready::Closed);
    drop(goes);
    assert_eq!(house.queues.gauges().len(), 1);
    drain(&stays);
    let totals = house.ledger.totals();
    assert_eq!(totals.imbalance(), None);
    assert_eq!(totals.destinations["goes"].forwarded, 2);
    assert_eq!(totals.destinations["stays"].forwarded, 4);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_woken_when_its_batch_is_full_and_not_for_each_parcel() {
    let one = House::new().one();
    for (missing, wakes_at) in [
        (Missing::ANYTHING, 1),
        (Missing { spans: 1, bytes: 1 }, 1),
        (
            Missing {
                spans: 10,
                bytes: 9_999,
            },
            5,
        ),
        (
            Missing {
                spans: 11,
                bytes: 9_999,
            },
            6,
        ),
        (
            Missing {
                spans: 99,
                bytes: 3 * one.bytes,
            },
            3,
        ),
        (
            Missing {
                spans: 99,
                bytes: 3 * one.bytes + 1,
            },
            4,
        ),
    ] {
        let house = House::new();
        let queue = house.open("jaeger", 100, true);
        let mut ready = Sleeper::new(queue.ready_with(missing));
        assert_eq!(ready.poll_if_woken(), None);
        for number in 1..=wakes_at {
            assert!(!ready.is_woken(), "{missing:?}: {number}");
            house.admit(house.one()).await.unwrap();
        }
        assert!(ready.is_woken(), "{missing:?}");
        assert_eq!(ready.poll_if_woken(), Some(Ready::Parcels));
        drain(&queue);
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_queue_that_nobody_empties_any_more_refuses() {
    let house = House::new();
    let queue = house.open("jaeger", 1, true);
    house.admit(house.one()).await.unwrap();
    drain(&queue);
    drop(queue);
    assert_eq!(house.admit(house.one()).await, Err(Full));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_spans_to_forward_needs_no_room() {
    let house = House::new();
    let queue = house.open("jaeger", 1, true);
    house.admit(house.one()).await.unwrap();
    let tally = crate::metrics::Tally {
        received: 3,
        sampled_out: 3,
        ..crate::metrics::Tally::default()
    };
    let now = Instant::now();
    let taken = house.queues.admit(Transport::Http, tally, None, now).await;
    assert_eq!(taken, Ok(()));
    assert_eq!(house.ledger.totals().sampled_out, 3);
    drain(&queue);
}

#[tokio::test(start_paused = true)]
async fn room_and_budget_return_with_the_last_piece() {
    let house = House::new();
    let queue = house.open("jaeger", 4, true);
    house.admit(house.one()).await.unwrap();
    let parcel = queue.try_pop().unwrap();
    let (mut pieces, too_large) = cut(
        parcel,
        Limits {
            spans: 1,
            bytes_max: 1 << 20,
            bytes_learned: 1 << 20,
        },
    );
    assert_eq!((pieces.len(), too_large), (2, 0));
    pieces.pop().unwrap().settle(Fate::Exported);
    assert_eq!(queue.gauges().payloads, 1);
    assert!(house.budget.used(Use::Queues) > 0);
    pieces.pop().unwrap().settle(Fate::Lost(Loss::Expired));
    assert_eq!(queue.gauges().bytes, 0);
    assert_eq!(house.budget.used_total(), 0);
    house.assert_balanced(0, "jaeger");
}

/// A buffer that is counted while it lives.
struct Counted(
    Bytes,
    #[expect(dead_code, reason = "it is counted")] Arc<()>,
);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_was_cut_or_exchanged_lets_go_of_its_buffers() {
    let house = House::new();
    let queues = ["a", "b"].map(|name| house.open(name, 1, true));
    let body = request(&["x"; 6]);
    let living = Arc::new(());
    let mut payload = payload_of(&house.budget, body.clone(), 12);
    payload.segments = [1, 2]
        .map(|_| Bytes::from_owner(Counted(body.clone(), Arc::clone(&living))))
        .into();
    payload.bytes *= 2;
    house.admit(payload).await.unwrap();
    let [first, second] = queues.each_ref().map(|queue| queue.try_pop().unwrap());

    let limits = Limits {
        spans: 6,
        bytes_max: 1 << 20,
        bytes_learned: 1 << 20,
    };
    let (pieces, _) = cut(first, limits);
    let mut second = second;
    assert_eq!(Arc::strong_count(&living), 3, "the other queue needs them");
    second.replace(vec![body.clone(), body]);
    assert_eq!((pieces.len(), Arc::strong_count(&living)), (2, 1));
    for parcel in pieces.into_iter().chain([second]) {
        parcel.settle(Fate::Exported);
    }
    assert_eq!(house.budget.used_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn parcels_are_settled_together_and_their_room_comes_back_when_all_of_a_payload_is() {
    let house = House::new();
    let queue = house.open("jaeger", 3, true);
    for _ in 0..3 {
        house.admit(house.one()).await.unwrap();
    }
    let mut waiting = Sleeper::new(house.admit(house.one()));
    assert_eq!(waiting.poll_if_woken(), None);
    let limits = Limits {
        spans: 1,
        bytes_max: 1 << 20,
        bytes_learned: 1 << 20,
    };
    let popped = [1, 2, 3].map(|_| queue.try_pop().unwrap());
    let mut pieces: Vec<_> = popped
        .into_iter()
        .flat_map(|parcel| cut(parcel, limits).0)
        .collect();
    let last = pieces.pop().unwrap();
    Parcel::settle_all(Vec::new(), Fate::Exported);
    Parcel::settle_all(pieces, Fate::Exported);
    house.assert_balanced(1, "jaeger");
    assert_eq!(queue.gauges().payloads, 1);
    assert_eq!(waiting.poll_if_woken(), Some(Ok(())), "there is room");
    Parcel::settle_all(vec![last], Fate::Lost(Loss::Expired));
    drain(&queue);
    house.assert_balanced(0, "jaeger");
    assert_eq!(house.budget.used_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn gauges_tell_the_oldest_and_the_capacity() {
    let house = House::new();
    let queue = house.open("jaeger", 10, true);
    let first_at = Instant::now();
    house.admit(house.one()).await.unwrap();
    advance(Duration::from_secs(3)).await;
    house.admit(house.one()).await.unwrap();
    let gauges = queue.gauges();
    assert_eq!((gauges.payloads, gauges.spans), (2, 4));
    assert_eq!(gauges.capacity_payloads(), 10);
    assert_eq!(gauges.oldest, Some(first_at));

    let first = queue.try_pop().unwrap();
    assert_eq!(queue.gauges().oldest, Some(first_at), "under way counts");
    first.settle(Fate::Exported);
    let later = first_at + Duration::from_secs(3);
    assert_eq!(queue.gauges().oldest, Some(later));
    drain(&queue);
}

#[tokio::test(start_paused = true)]
async fn a_parcel_without_a_fate_is_noticed() {
    let house = House::new();
    let queue = house.open("jaeger", 1, true);
    house.admit(house.one()).await.unwrap();
    let parcel = queue.try_pop().unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(parcel)));
    assert!(dropped.is_err());
    let totals = house.ledger.totals();
    assert_eq!(totals.destinations["jaeger"].lost[&Loss::Internal], 2);
    house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_is_started_again_until_it_ends_by_itself() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let task = move || {
        let start = counted.fetch_add(1, Ordering::Relaxed);
        async move { assert!(start == 2, "a fault, on purpose") }
    };
    supervise("jaeger".into(), task).await;
    assert_eq!(starts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn many_tasks_never_pass_the_bound_and_none_is_left_behind() {
    const REQUESTS: usize = 400;
    let house = House::new();
    let queue = house.open("jaeger", 3, true);
    let bytes_max = queue.gauges().bytes_max;
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..REQUESTS {
        let payload = if number % 7 == 0 {
            payload(&house.budget, &["x"; 9])
        } else {
            house.one()
        };
        senders.spawn(house.admit(payload));
    }
    let mut taken = 0;
    while taken < REQUESTS {
        assert_eq!(queue.ready().await, Ready::Parcels);
        let gauges = queue.gauges();
        assert!(gauges.bytes <= bytes_max || gauges.payloads == 1);
        queue.try_pop().unwrap().settle(Fate::Exported);
        taken += 1;
    }
    assert!(senders.join_all().await.iter().all(Result::is_ok));
    house.assert_balanced(0, "jaeger");
    assert_eq!(house.budget.used_total(), 0);
}

fn drain(queue: &Queue) {
    while let Some(parcel) = queue.try_pop() {
        parcel.settle(Fate::Exported);
    }
}
