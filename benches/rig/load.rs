//! The load: so many requests under way, each sender sending its next when the last is answered, or at a rate.

use std::{net::SocketAddr, time::Duration};

use bytes::BytesMut;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    client::{Connection, Head, Verdict},
    fresh::{Fresh, Places},
    requests::{Body, Supply, Transport},
    times::Times,
};

/// How much is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) connections: usize,
    /// Requests under way at most, over all connections.
    pub(crate) in_flight: usize,
    /// Spans offered each second; `None`: as many as it takes.
    pub(crate) rate: Option<u64>,
}

/// A load on one relay: its connections stay open from one run to the next.
#[derive(Debug)]
pub(crate) struct Load {
    senders: Vec<Sender>,
    rate: Option<f64>,
    spans_mean: f64,
}

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Spans that were accepted.
    pub(crate) accepted: u64,
    /// Spans of refused requests, and single ones that were rejected.
    pub(crate) refused: u64,
    /// How long the answers took, from the moment at which the request was due.
    pub(crate) times: Times,
}

#[derive(Debug)]
struct Sender {
    head: Head,
    connections: Vec<Connection>,
    next_connection: usize,
    shelf: Shelf,
    answers: Answers,
}

/// When a sender sends.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    pause: Option<Duration>,
    until: Instant,
}

/// The requests of one sender.
#[derive(Debug)]
enum Shelf {
    /// All that there are, in turn.
    InTurn { bodies: Vec<Body>, next: usize },
    /// One of its own, made new each time in the same buffer.
    Renewed { body: Body, places: Places },
}

// === impl Load ===

impl Load {
    pub(crate) async fn connect(
        to: SocketAddr,
        supply: &Supply,
        offer: Offer,
    ) -> std::io::Result<Self> {
        let head = Head::new(to, supply);
        let mut senders: Vec<Sender> = (0..offer.in_flight)
            .map(|number| Sender {
                head: head.clone(),
                connections: Vec::new(),
                next_connection: 0,
                shelf: Shelf::new(supply, number),
                answers: Answers::default(),
            })
            .collect();
        // HTTP/1.1 carries one request at a time, so there every sender has a connection of its own.
        let connections = match supply.transport {
            Transport::Grpc => offer.connections,
            Transport::Http => offer.connections.max(offer.in_flight),
        };
        for number in 0..connections.max(offer.in_flight) {
            let shared = number.checked_sub(connections);
            let connection = match shared {
                Some(_) => senders[number % connections].connections[0].share(),
                None => Some(head.connect().await?),
            };
            let connection = connection.expect("over HTTP/1.1 nothing is shared");
            senders[number % offer.in_flight]
                .connections
                .push(connection);
        }
        Ok(Self {
            senders,
            rate: offer.rate.map(|rate| rate as f64),
            spans_mean: supply.spans_mean(),
        })
    }

    /// Sends for as long as `lasts`, and waits for the last answers.
    pub(crate) async fn run(&mut self, lasts: Duration) -> Answers {
        let start = Instant::now();
        let count = self.senders.len() as f64;
        let pause = self
            .rate
            .map(|rate| Duration::from_secs_f64(self.spans_mean * count / rate));
        let mut sending = JoinSet::new();
        for (number, mut sender) in self.senders.drain(..).enumerate() {
            let offset = pause.unwrap_or_default().mul_f64(number as f64 / count);
            let schedule = Schedule {
                start: start + offset,
                pause,
                until: start + lasts,
            };
            sending.spawn(async move {
                sender.run(schedule).await;
                sender
            });
        }
        let mut all = Answers::default();
        while let Some(sender) = sending.join_next().await {
            let mut sender = sender.expect("a sender ends by itself");
            let answers = std::mem::take(&mut sender.answers);
            all.accepted += answers.accepted;
            all.refused += answers.refused;
            all.times.extend(answers.times);
            self.senders.push(sender);
        }
        all
    }
}

// === impl Sender ===

impl Sender {
    async fn run(&mut self, schedule: Schedule) {
        for number in 0_u32.. {
            let due = match schedule.pause {
                Some(pause) => schedule.start + pause.mul_f64(f64::from(number)),
                None => Instant::now(),
            };
            if due >= schedule.until {
                break;
            }
            // Whoever is late sends at once, and the time since the request was due counts: waiting shows in the
            // answer times. Whoever is early and woken late is this process' own fault, which does not count.
            let early = Instant::now() < due;
            if early && schedule.pause.is_some() {
                sleep_until(due).await;
            }
            let since = if early { Instant::now() } else { due };
            if Instant::now() >= schedule.until {
                break;
            }
            self.send(since).await;
        }
    }

    async fn send(&mut self, since: Instant) {
        let Body { bytes, spans } = self.shelf.take();
        let turn = self.next_connection;
        self.next_connection = (turn + 1) % self.connections.len();
        let connection = &mut self.connections[turn];
        let verdict = connection.send(&self.head, bytes).await;
        self.answers.times.add(since.elapsed());
        match verdict {
            Verdict::Accepted { rejected } => {
                self.answers.accepted += spans - rejected;
                self.answers.refused += rejected;
            }
            Verdict::Refused => self.answers.refused += spans,
        }
    }
}

// === impl Shelf ===

impl Shelf {
    fn new(supply: &Supply, sender: usize) -> Self {
        let bodies = &supply.bodies;
        let first = sender % bodies.len();
        if supply.fresh == Fresh::Nothing {
            return Self::InTurn {
                bodies: bodies.clone(),
                next: first,
            };
        }
        let body = bodies[first].clone();
        let places = Places::find(supply.fresh, &body.bytes, sender);
        Self::Renewed { body, places }
    }

    fn take(&mut self) -> Body {
        match self {
            Self::InTurn { bodies, next } => {
                let body = bodies[*next].clone();
                *next = (*next + 1) % bodies.len();
                body
            }
            Self::Renewed { body, places } => {
                // The connection has let go of the last one once it was answered, so this seldom copies.
                let bytes = std::mem::take(&mut body.bytes).try_into_mut();
                let mut bytes = bytes.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                places.renew(&mut bytes);
                body.bytes = bytes.freeze();
                body.clone()
            }
        }
    }
}
