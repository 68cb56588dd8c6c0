//! Acceptance case A103 for the queues: senders that are admitted, wait, give up and go away, beside exporters that take out
//! and settle and an operator who changes and removes queues, in very many orders.

use shuttle::future::{block_on, spawn, yield_now};

use super::*;
use crate::sync::{
    interleaved::{any_of, at_once, explore, never, soon},
    timeout_at,
};

const SENDERS: usize = 4;
/// Bytes of a body, so that four of the smallest are above every bound.
const BODY_BYTES: usize = 400;

/// What all tasks of one play know.
#[derive(Clone)]
struct Stage {
    house: Arc<House>,
    /// The queues `a` and `b` are required, the last is not.
    queues: Arc<[Queue; 3]>,
    /// Whether a patient sender may hear that there is nothing to wait for.
    nobody_waits: Arc<AtomicBool>,
}

impl Stage {
    fn new() -> Self {
        let house = House::new();
        let open = |(name, places, required)| {
            let options = Options {
                bytes_max: places * room(&house),
                required,
            };
            house.queues.open(Arc::from(name), options)
        };
        let queues = [("a", 3, true), ("b", 2, true), ("spare", 1, false)].map(open);
        Self {
            queues: Arc::new(queues),
            house: Arc::new(house),
            nobody_waits: Arc::default(),
        }
    }

    /// At any moment: no queue is above its bound, and every span is in one place.
    fn check(&self) {
        at_once(|| {
            for queue in self.queues.iter() {
                let gauges = queue.gauges();
                let fits = gauges.bytes <= gauges.bytes_max || gauges.payloads == 1;
                assert!(fits, "{gauges:?}");
            }
            assert_eq!(self.house.ledger.totals().imbalance(), None);
        });
    }

    /// At the end: all that was taken was settled, everything was given back, and nobody stands in the line.
    fn check_empty(&self) {
        self.check();
        for queue in self.queues.iter() {
            let gauges = queue.gauges();
            assert_eq!((gauges.bytes, gauges.spans, gauges.payloads), (0, 0, 0));
        }
        let totals = self.house.ledger.totals();
        assert!(totals.destinations.values().all(|it| it.held == 0));
        assert_eq!(self.house.queues.line_length(), 0);
        assert_eq!(self.house.budget.used_total(), 0);
    }
}

fn body(bodies: usize) -> Bytes {
    Bytes::from(vec![0; bodies * BODY_BYTES])
}

fn room(house: &House) -> usize {
    payload_of(&house.budget, body(1), 1).room_bytes()
}

async fn send(stage: Stage) {
    let spans = any_of(1..=3);
    let payload = payload_of(&stage.house.budget, body(spans), spans as u64);
    let is_patient = any_of(0..=2) > 0;
    let deadline = if is_patient { never() } else { soon() };
    let tally = tally(payload.spans);
    let queues = &stage.house.queues;
    let admitted = queues.admit(Transport::Grpc, tally, Some(payload), deadline);
    let admitted = admitted.await;
    let may_be_refused = !is_patient || stage.nobody_waits.load(Ordering::Relaxed);
    assert!(admitted.is_ok() || may_be_refused, "what fits is taken");
    stage.check();
}

/// An exporter: takes out when a batch is full or its delay is over, and settles a little later. Seldom one of them ends by
/// a fault: what is left is lost, and a required queue has no future.
async fn consume(stage: Stage, index: usize) {
    let queue = &stage.queues[index];
    let mut left = if any_of(0..=9) == 0 {
        any_of(0..=2)
    } else {
        usize::MAX
    };
    let missing = [
        Missing::ANYTHING,
        Missing {
            spans: 2,
            bytes: 1 << 20,
        },
    ][any_of(0..=1)];
    while left > 0 {
        let deadline = if missing == Missing::ANYTHING {
            never()
        } else {
            soon()
        };
        if timeout_at(deadline, queue.ready_with(missing)).await.ok() == Some(Ready::Closed) {
            return;
        }
        let Some(parcel) = queue.try_pop() else {
            continue;
        };
        left -= 1;
        stage.check();
        yield_now().await;
        match any_of(0..=1) {
            0 => parcel.settle(Fate::Exported),
            _ => Parcel::settle_all(vec![parcel], Fate::RejectedByDestination),
        }
    }
    stage.nobody_waits.store(true, Ordering::Relaxed);
    Parcel::settle_all(queue.abandon(), Fate::Lost(Loss::Internal));
}

/// Somebody changes the configuration, or stops the relay.
async fn operate(stage: Stage) {
    let [a, b, spare] = &*stage.queues;
    for _ in 0..any_of(0..=2) {
        yield_now().await;
        match any_of(0..=3) {
            0 => a.reconfigure(Options {
                bytes_max: 4 * room(&stage.house),
                required: any_of(0..=1) > 0,
            }),
            1 => b.close(),
            2 => spare.close(),
            _ => {
                stage.nobody_waits.store(true, Ordering::Relaxed);
                stage.house.queues.refuse_waiters();
            }
        }
        stage.check();
    }
}

/// A waiter or an exporter that is never woken leaves all tasks waiting, which `shuttle` reports.
fn scene() {
    let stage = Stage::new();
    let consumers = [0, 1, 2].map(|index| spawn(consume(stage.clone(), index)));
    let operator = spawn(operate(stage.clone()));
    let senders: Vec<_> = (0..SENDERS).map(|_| spawn(send(stage.clone()))).collect();
    if let Some(gone) = senders.get(any_of(0..=2 * SENDERS)) {
        gone.abort();
    }
    block_on(async {
        for sender in senders {
            // One of them may have gone away.
            drop(sender.await);
        }
        operator.await.unwrap();
        stage.queues.iter().for_each(Queue::close);
        for consumer in consumers {
            consumer.await.unwrap();
        }
        stage.check_empty();
    });
}

#[test]
fn a103_the_queues_forget_nobody_in_any_order() {
    explore(scene);
}
