//! Admission under arbitrary sequences of arrivals, departures, deliveries and changes of the queues: nobody is overtaken,
//! forgotten, or let in above the bounds, and no wake-up is lost on either side.

use proptest::{collection::vec, prelude::*};

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request of this many spans arrives.
    Arrive(usize),
    /// The waiter at this place of those that wait, if any, goes away.
    GoAway(usize),
    /// The oldest parcel is taken out of this queue, whose consumer then waits for more.
    Pop(usize),
    /// The parcel at this place of those that were taken out, if any, is settled.
    Settle(usize),
    /// The bounds of this queue change to this many small payloads, and whether it is required.
    Reconfigure(usize, usize, bool),
    /// This queue is removed from the configuration.
    Close(usize),
    /// The consumer of this queue ends.
    Abandon(usize),
    /// The name of this queue, if it was removed, comes back; the old queue is dropped.
    Reopen(usize),
    /// Nobody may wait any more.
    RefuseWaiters,
}

type Admission = Pin<Box<dyn Future<Output = Result<(), Full>>>>;

/// A request on its way in.
struct Sender {
    number: usize,
    admitted: Sleeper<Admission>,
}

/// A queue and its consumer.
struct Desk {
    queue: Arc<Queue>,
    /// What the consumer's batch lacks.
    missing: Missing,
    /// The consumer while it waits.
    asleep: Option<Sleeper<Pin<Box<dyn Future<Output = Ready>>>>>,
    is_required: bool,
    is_closed: bool,
    is_abandoned: bool,
}

struct Scene {
    house: House,
    desks: [Desk; 2],
    waiting: Vec<Sender>,
    popped: Vec<Parcel>,
    /// The numbers of the requests that were taken, in that order.
    taken: Vec<usize>,
    arrived: usize,
    waiters_are_refused: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let desk = || 0_usize..2;
    prop_oneof![
        80 => (1_usize..40).prop_map(Step::Arrive),
        20 => any::<usize>().prop_map(Step::GoAway),
        80 => desk().prop_map(Step::Pop),
        80 => any::<usize>().prop_map(Step::Settle),
        20 => (desk(), 1_usize..4, any::<bool>())
            .prop_map(|(desk, size, required)| Step::Reconfigure(desk, size, required)),
        10 => desk().prop_map(Step::Close),
        10 => desk().prop_map(Step::Reopen),
        2 => desk().prop_map(Step::Abandon),
        1 => Just(Step::RefuseWaiters),
    ]
}

impl Desk {
    fn new(house: &House, index: usize) -> Self {
        let spans = 30;
        let mut desk = Self {
            queue: Arc::new(house.open(["a", "b"][index], index + 2, true)),
            missing: [Missing::ANYTHING, Missing { spans, bytes: 900 }][index],
            asleep: None,
            is_required: true,
            is_closed: false,
            is_abandoned: false,
        };
        desk.wait();
        desk
    }

    fn wait(&mut self) {
        let (queue, missing) = (Arc::clone(&self.queue), self.missing);
        let ready = async move { queue.ready_with(missing).await };
        self.asleep = Some(Sleeper::new(Box::pin(ready)));
    }

    fn run(&mut self) {
        let done = self.asleep.as_mut().and_then(Sleeper::poll_if_woken);
        if done.is_some() {
            self.asleep = None;
        }
    }

    fn is_open(&self) -> bool {
        !self.is_abandoned && !self.is_closed
    }

    /// Whether it still belongs to the configuration, and nobody empties it.
    fn is_dead(&self) -> bool {
        self.is_required && self.is_abandoned && !self.is_closed
    }
}

impl Scene {
    fn new() -> Self {
        let house = House::new();
        Self {
            desks: [0, 1].map(|index| Desk::new(&house, index)),
            house,
            waiting: Vec::new(),
            popped: Vec::new(),
            taken: Vec::new(),
            arrived: 0,
            waiters_are_refused: false,
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Arrive(spans) => self.arrive(spans),
            Step::GoAway(place) if !self.waiting.is_empty() => {
                drop(self.waiting.remove(place % self.waiting.len()));
            }
            Step::Pop(desk) => {
                let desk = &mut self.desks[desk];
                self.popped.extend(desk.queue.try_pop());
                desk.wait();
            }
            Step::Settle(place) if !self.popped.is_empty() => {
                let parcel = self.popped.remove(place % self.popped.len());
                parcel.settle(Fate::Exported);
            }
            Step::Reconfigure(desk, payloads, required) => {
                self.desks[desk].is_required = required;
                let bytes_max = self.house.one().room_bytes() * payloads;
                self.desks[desk].queue.reconfigure(Options {
                    bytes_max,
                    required,
                });
            }
            Step::Close(desk) => {
                self.desks[desk].queue.close();
                self.desks[desk].is_closed |= !self.desks[desk].is_abandoned;
            }
            Step::Abandon(desk) => {
                self.desks[desk].is_abandoned = true;
                self.desks[desk].asleep = None;
                self.popped.extend(self.desks[desk].queue.abandon());
            }
            Step::Reopen(desk) if self.desks[desk].is_closed => {
                self.desks[desk] = Desk::new(&self.house, desk);
            }
            Step::GoAway(_) | Step::Settle(_) | Step::Reopen(_) => {}
            Step::RefuseWaiters => {
                self.waiters_are_refused = true;
                self.house.queues.refuse_waiters();
            }
        }
        self.run();
    }

    fn arrive(&mut self, spans: usize) {
        let payload = payload(&self.house.budget, &vec!["x"; spans]);
        let admitted = self.house.admit(payload);
        self.waiting.push(Sender {
            number: self.arrived,
            admitted: Sleeper::new(Box::pin(admitted)),
        });
        self.arrived += 1;
    }

    /// Polls whoever was woken, until nobody is.
    fn run(&mut self) {
        while let Some(place) = self
            .waiting
            .iter()
            .position(|sender| sender.admitted.is_woken())
        {
            if let Some(admitted) = self.waiting[place].admitted.poll_if_woken() {
                let sender = self.waiting.remove(place);
                self.taken.extend(admitted.is_ok().then_some(sender.number));
            }
        }
        for desk in &mut self.desks {
            desk.run();
        }
    }

    fn check(&self) {
        assert!(
            self.taken.is_sorted(),
            "nobody is overtaken: {:?}",
            self.taken
        );
        assert_eq!(self.house.queues.line_length(), self.waiting.len());
        assert!(!self.house.queues.is_stalled(), "no waiter is forgotten");
        let nobody_waits = self.waiters_are_refused
            || self.desks.iter().any(Desk::is_dead)
            || !self.desks.iter().any(Desk::is_open);
        assert!(!nobody_waits || self.waiting.is_empty(), "all have heard");
        for desk in &self.desks {
            let forgotten = desk.asleep.is_some() && desk.queue.is_ready(desk.missing);
            assert!(!forgotten, "no consumer is forgotten");
        }
        assert_eq!(self.house.ledger.totals().imbalance(), None);
    }
}

proptest! {
    #[test]
    fn nobody_is_overtaken_or_forgotten(steps in vec(step(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let mut scene = Scene::new();
        for step in steps {
            let before = scene.desks.each_ref().map(|desk| desk.queue.gauges());
            scene.play(step);
            scene.check();
            for (desk, before) in scene.desks.iter().zip(before) {
                let after = desk.queue.gauges();
                let grew = after.bytes > before.bytes;
                prop_assert!(!grew || after.bytes <= after.bytes_max || after.payloads == 1);
            }
        }
        // Once all is delivered, nobody waits any more.
        while scene.desks.iter().any(|desk| desk.queue.gauges().payloads > 0) || !scene.popped.is_empty() {
            for step in [Step::Pop(0), Step::Pop(1), Step::Settle(0)] {
                scene.play(step);
            }
        }
        scene.check();
        prop_assert_eq!(scene.waiting.len(), 0);
        prop_assert_eq!(scene.house.budget.used_total(), 0);
    }
}
