//! Admission under arbitrary sequences of arrivals, departures and deliveries: nobody is overtaken, forgotten, or let in
//! above the bounds.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use proptest::{collection::vec, prelude::*};

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request of this many spans arrives.
    Arrive(usize),
    /// The waiter at this place of those that wait, if any, goes away.
    GoAway(usize),
    /// The oldest parcel of this queue is delivered.
    Deliver(usize),
    /// The bounds of this queue change to this many small payloads.
    Resize(usize, usize),
}

/// A task that is only polled when it was woken, as a runtime does it.
struct Sender {
    number: usize,
    admitted: Pin<Box<dyn Future<Output = Result<(), Full>>>>,
    flag: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Scene {
    house: House,
    queues: [Queue; 2],
    waiting: Vec<Sender>,
    /// The numbers of the requests that were taken, in that order.
    taken: Vec<usize>,
    arrived: usize,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..40).prop_map(Step::Arrive),
        1 => any::<usize>().prop_map(Step::GoAway),
        4 => (0_usize..2).prop_map(Step::Deliver),
        1 => (0_usize..2, 1_usize..4).prop_map(|(queue, size)| Step::Resize(queue, size)),
    ]
}

impl Scene {
    fn new() -> Self {
        let house = House::new();
        Self {
            queues: [house.open("a", 2, true), house.open("b", 3, true)],
            house,
            waiting: Vec::new(),
            taken: Vec::new(),
            arrived: 0,
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Arrive(spans) => {
                let payload = payload(&self.house.budget, &vec!["x"; spans]);
                self.waiting.push(Sender {
                    number: self.arrived,
                    admitted: Box::pin(self.house.admit(payload)),
                    flag: Arc::new(Flag(AtomicBool::new(true))),
                });
                self.arrived += 1;
            }
            Step::GoAway(place) if !self.waiting.is_empty() => {
                let place = place % self.waiting.len();
                drop(self.waiting.remove(place));
            }
            Step::GoAway(_) => {}
            Step::Deliver(queue) => {
                if let Some(parcel) = self.queues[queue].try_pop() {
                    parcel.settle(Fate::Exported);
                }
            }
            Step::Resize(queue, payloads) => {
                let bytes_max = self.house.one().room_bytes() * payloads;
                self.queues[queue].reconfigure(Options {
                    bytes_max,
                    required: true,
                });
            }
        }
        self.run();
    }

    /// Polls whoever was woken, until nobody is.
    fn run(&mut self) {
        while let Some(place) = self
            .waiting
            .iter()
            .position(|sender| sender.flag.0.swap(false, Ordering::Relaxed))
        {
            let sender = &mut self.waiting[place];
            let waker = Waker::from(Arc::clone(&sender.flag));
            let polled = sender
                .admitted
                .as_mut()
                .poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                self.taken.push(self.waiting.remove(place).number);
            }
        }
    }

    fn check(&self) {
        assert!(
            self.taken.is_sorted(),
            "nobody is overtaken: {:?}",
            self.taken
        );
        assert_eq!(self.house.queues.line_length(), self.waiting.len());
        assert!(!self.house.queues.is_stalled(), "no wake-up was lost");
        assert_eq!(self.house.ledger.totals().imbalance(), None);
    }
}

proptest! {
    #[test]
    fn nobody_is_overtaken_or_forgotten(steps in vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let mut scene = Scene::new();
        for step in steps {
            let before = scene.queues.each_ref().map(Queue::gauges);
            scene.play(step);
            scene.check();
            for (queue, before) in scene.queues.iter().zip(before) {
                let after = queue.gauges();
                let grew = after.bytes > before.bytes;
                prop_assert!(!grew || after.bytes <= after.bytes_max || after.payloads == 1);
            }
        }
        // Once all is delivered, nobody waits any more.
        while scene.queues.iter().any(|queue| queue.gauges().payloads > 0) {
            scene.play(Step::Deliver(0));
            scene.play(Step::Deliver(1));
        }
        scene.check();
        prop_assert_eq!(scene.waiting.len(), 0);
        prop_assert_eq!(scene.house.budget.used_total(), 0);
    }
}
