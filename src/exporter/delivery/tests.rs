//! Tests of the decisions: no sockets, and a clock that only the tests move.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::time::{Instant, advance};
use tonic::Code;

use super::*;
use crate::{
    budget::Budget,
    exporter::{
        outcome::{Answer, Class, Outcome},
        report,
        tests::options,
    },
    metrics::{Ledger, Metrics, Totals, Transport},
    queue::{
        Queue, Queues,
        fixtures::{budget, payload, payload_of, request, tally},
    },
};

/// One destination's decisions with the books around them.
struct Desk {
    metrics: Metrics,
    queues: Queues,
    queue: Queue,
    budget: Budget,
    delivery: Delivery,
    options: Options,
}

/// An attempt as the tests see it.
struct Sent {
    id: FlightId,
    names: Vec<String>,
    bytes: usize,
    within: Duration,
}

impl Desk {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options("http://jaeger:4317");
        change(&mut options);
        let metrics = Metrics::default();
        let queues = Queues::new(metrics.ledger().clone());
        let queue = queues.open(Arc::clone(&options.name), options.queue);
        let status = report::initial_status(&options);
        let reported = metrics.destination(&options.name);
        let report = Report::new(&options, reported, None, status);
        let delivery = Delivery::new(Arc::new(options.clone()), report, Dice::loaded(1));
        Self {
            metrics,
            queues,
            queue,
            budget: budget(),
            delivery,
            options,
        }
    }

    /// One request with these spans comes in.
    async fn push(&mut self, names: &[&str]) {
        let payload = payload(&self.budget, names);
        self.push_payload(payload).await;
    }

    async fn push_payload(&mut self, payload: crate::queue::Payload) {
        let tally = tally(payload.spans);
        let deadline = Instant::now();
        self.queues
            .admit(Transport::Grpc, tally, Some(payload), deadline)
            .await
            .unwrap();
        let parcel = self.queue.try_pop().unwrap();
        self.delivery.push(parcel, Instant::now());
    }

    /// What is sent now, if anything.
    fn sent(&mut self) -> Option<Sent> {
        match self.delivery.next(Instant::now()) {
            Next::Send(Attempt {
                id,
                segments,
                within,
            }) => {
                let body = segments.concat();
                Some(Sent {
                    id,
                    names: span_names(&body),
                    bytes: body.len(),
                    within,
                })
            }
            Next::Sleep(_) => None,
        }
    }

    fn expect(&mut self, names: &[&str]) -> Sent {
        let sent = self.sent().expect("something is sent");
        assert_eq!(sent.names, names);
        sent
    }

    fn expect_nothing(&mut self) {
        if let Some(sent) = self.sent() {
            panic!("{:?} is sent", sent.names);
        }
    }

    /// Moves the clock to the next wake-up; returns how far.
    async fn wake(&mut self) -> Duration {
        let now = Instant::now();
        match self.delivery.next(now) {
            Next::Sleep(Some(at)) => {
                assert!(at > now, "no busy loop");
                advance(at - now).await;
                at - now
            }
            next => panic!("it is to sleep: {next:?}"),
        }
    }

    fn answer(&mut self, sent: &Sent, outcome: Outcome) {
        self.delivery.answered(sent.id, outcome, Instant::now());
    }

    fn totals(&self) -> Totals {
        let totals = self.metrics.ledger().totals();
        assert_eq!(totals.imbalance(), None);
        totals
    }

    /// Exported, rejected, lost, held.
    fn account(&self) -> (u64, u64, u64, u64) {
        let totals = self.totals();
        let account = &totals.destinations["jaeger"];
        let lost = account.lost_total();
        let rejected = account.rejected_by_destination;
        (account.exported, rejected, lost, account.held)
    }

    fn lost(&self, loss: Loss) -> u64 {
        let totals = self.totals();
        let losses = &totals.destinations["jaeger"].lost;
        losses.get(&loss).copied().unwrap_or(0)
    }

    fn is_down(&self) -> bool {
        self.delivery.health.down_since().is_some()
    }

    /// Gives all that is held a fate, so that dropping it is no fault.
    fn close(mut self) -> Ledger {
        self.delivery.abandon(Loss::Shutdown, Instant::now());
        assert_eq!(self.account().3, 0, "nothing is held at the end");
        assert_eq!(self.budget.used_total(), 0);
        self.metrics.ledger().clone()
    }
}

fn span_names(body: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource_spans| resource_spans.scope_spans);
    scopes
        .flat_map(|scope_spans| scope_spans.spans)
        .map(|span| span.name)
        .collect()
}

fn ok() -> Outcome {
    Outcome::Delivered {
        rejected_spans: 0,
        message: String::new(),
    }
}

fn grpc(code: Code) -> Outcome {
    let answer = Answer::new(AnswerCode::Grpc(code), "said the peer");
    Class::of_grpc(code, false).outcome(answer, None)
}

fn http(status: u16) -> Outcome {
    let answer = Answer::new(AnswerCode::Http(status), "");
    Class::of_http(status).outcome(answer, None)
}

fn reset() -> Outcome {
    Outcome::transport("connection reset")
}

fn throttle(after: Duration) -> Outcome {
    let answer = Answer::new(AnswerCode::Grpc(Code::Unavailable), "");
    Class::Retry.outcome(answer, Some(after))
}

/// Options whose batches end with every push.
fn at_once(options: &mut Options) {
    options.batch.delay = Duration::ZERO;
}

/// Such, with a message for each span, and waits that are known.
fn one_span_each(options: &mut Options) {
    at_once(options);
    options.batch.spans = 1;
    options.retry.jitter = 0.0;
}

/// Options whose batches end with every push, with attempts one after the other.
fn one_by_one(options: &mut Options) {
    at_once(options);
    options.concurrency = 1;
}

// === limits ===

#[tokio::test(start_paused = true)]
async fn spans_and_messages_under_way_stay_within_the_limits_also_after_an_outage() {
    let mut desk = Desk::new(|options| {
        at_once(options);
        options.batch.spans = 5;
        options.spans_in_flight_max = 12;
        options.concurrency = 3;
    });
    for _ in 0..10 {
        desk.push(&["a"; 5]).await;
    }
    let first = desk.expect(&["a"; 5]);
    let second = desk.expect(&["a"; 5]);
    desk.expect_nothing();

    desk.answer(&first, reset());
    desk.answer(&second, reset());
    assert!(desk.is_down());
    desk.expect_nothing();
    desk.wake().await;
    let probe = desk.expect(&["a"; 5]);
    desk.expect_nothing();
    desk.answer(&probe, ok());
    assert!(!desk.is_down());

    let mut under_way = Vec::new();
    let mut delivered = 5;
    while delivered < 50 {
        while let Some(sent) = desk.sent() {
            under_way.push(sent);
        }
        assert!(under_way.len() <= 2, "12 spans are two messages of 5");
        let oldest = under_way.remove(0);
        delivered += oldest.names.len();
        desk.answer(&oldest, ok());
    }
    assert_eq!(desk.account(), (50, 0, 0, 0));
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn concurrency_bounds_messages() {
    let mut desk = Desk::new(|options| {
        at_once(options);
        options.batch.spans = 1;
        options.concurrency = 2;
    });
    for _ in 0..3 {
        desk.push(&["a"]).await;
    }
    let sent = desk.expect(&["a"]);
    desk.expect(&["a"]);
    desk.expect_nothing();
    desk.answer(&sent, ok());
    desk.expect(&["a"]);
    desk.expect_nothing();
    desk.close();
}

// === retries ===

#[tokio::test(start_paused = true)]
async fn a31_what_may_be_retried_is_retried_with_growing_waits_until_it_arrives() {
    let retried = [
        grpc(Code::Unavailable),
        grpc(Code::Cancelled),
        grpc(Code::DeadlineExceeded),
        grpc(Code::Aborted),
        grpc(Code::OutOfRange),
        grpc(Code::DataLoss),
        http(429),
        http(502),
        http(503),
        http(504),
        http(301),
        http(307),
        reset(),
        Outcome::timeout(Duration::from_secs(5)),
    ];
    for outcome in retried {
        let mut desk = Desk::new(|options| {
            at_once(options);
            options.retry.jitter = 0.0;
        });
        desk.push(&["a"]).await;
        for wait in [500, 750, 1125, 1687, 2531, 3000, 3000] {
            let sent = desk.expect(&["a"]);
            desk.answer(&sent, outcome.clone());
            desk.expect_nothing();
            let waited = desk.wake().await.as_millis();
            assert!(
                waited.abs_diff(wait) <= 2,
                "{outcome:?}: {waited} ms, not {wait}"
            );
        }
        let sent = desk.expect(&["a"]);
        desk.answer(&sent, ok());
        assert_eq!(desk.account(), (1, 0, 0, 0), "{outcome:?}");
        assert!(!desk.is_down());
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn a33_a_peers_wish_to_wait_is_heeded_within_bounds() {
    for (wish, wait) in [(0, 500), (400, 500), (2_000, 2_000), (1_000_000_000, 3_000)] {
        let mut desk = Desk::new(|options| {
            at_once(options);
            options.retry.jitter = 0.0;
        });
        desk.push(&["a"]).await;
        let sent = desk.expect(&["a"]);
        desk.answer(&sent, throttle(Duration::from_millis(wish)));
        let waited = desk.wake().await.as_millis();
        assert!(waited.abs_diff(wait) <= 2, "{waited} ms, not {wait}");
        desk.expect(&["a"]);
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_wait_holds_all_messages_back() {
    let mut desk = Desk::new(at_once);
    desk.push(&["a"]).await;
    let sent = desk.expect(&["a"]);
    desk.push(&["b"]).await;
    desk.answer(&sent, throttle(Duration::from_secs(2)));
    desk.expect_nothing();
    advance(Duration::from_millis(1_999)).await;
    desk.expect_nothing();
    advance(Duration::from_millis(1)).await;
    assert!(desk.sent().is_some());
    desk.expect_nothing();
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_delivery_of_what_left_before_ends_no_wait() {
    for (outcome, wait) in [
        (reset(), 500),
        (throttle(Duration::from_secs(2)), 2_000),
        (throttle(Duration::from_secs(9)), 3_000),
    ] {
        let mut desk = Desk::new(one_span_each);
        for name in ["a", "b"] {
            desk.push(&[name]).await;
        }
        let [a, b] = ["a", "b"].map(|name| desk.expect(&[name]));
        desk.answer(&a, outcome);
        advance(Duration::from_millis(10)).await;
        desk.answer(&b, ok());
        assert!(!desk.is_down());
        let waited = desk.wake().await.as_millis() + 10;
        assert!(waited.abs_diff(wait) <= 2, "{waited} ms, not {wait}");
        let again = desk.expect(&["a"]);
        desk.answer(&again, ok());
        assert_eq!(desk.account(), (2, 0, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_wish_to_wait_counts_up_or_down() {
    let mut desk = Desk::new(one_span_each);
    for name in ["a", "b", "c", "d"] {
        desk.push(&[name]).await;
    }
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| desk.expect(&[name]));
    let started = Instant::now();
    desk.answer(&a, reset());
    desk.answer(&b, throttle(Duration::from_secs(2)));
    desk.answer(&c, throttle(Duration::from_secs(1)));
    desk.push(&["fresh"]).await;
    desk.wake().await;
    assert_eq!(started.elapsed().as_secs(), 2, "no probe leaves before");
    let probe = desk.sent().expect("a probe leaves");
    desk.answer(&probe, throttle(Duration::from_secs(2)));
    desk.answer(&d, ok());
    assert!(!desk.is_down(), "it takes what it is sent");
    desk.wake().await;
    assert_eq!(
        started.elapsed().as_secs(),
        4,
        "and yet is to be left alone"
    );
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_sheds_half_is_not_stormed() {
    let mut desk = Desk::new(one_span_each);
    for _ in 0..200 {
        desk.push(&["a"]).await;
    }
    let started = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    let mut attempts = 0;
    while started.elapsed() < Duration::from_millis(500) {
        while let Some(sent) = desk.sent() {
            under_way.push_back(sent);
        }
        advance(Duration::from_millis(1)).await;
        if let Some(sent) = under_way.pop_front() {
            attempts += 1;
            desk.answer(&sent, if attempts % 2 == 0 { ok() } else { reset() });
        }
    }
    assert_eq!(
        attempts, 200,
        "each was tried once before its wait was over"
    );
    assert_eq!(desk.account(), (100, 0, 0, 100));
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_once_is_not_sent_again() {
    let refused = [
        grpc(Code::Unknown),
        grpc(Code::FailedPrecondition),
        grpc(Code::AlreadyExists),
        http(408),
        http(500),
        http(501),
        http(405),
        http(415),
    ];
    for outcome in refused {
        let mut desk = Desk::new(at_once);
        desk.push(&["a", "b"]).await;
        let sent = desk.expect(&["a", "b"]);
        desk.answer(&sent, outcome.clone());
        desk.expect_nothing();
        assert_eq!(desk.account(), (0, 2, 0, 0), "{outcome:?}");
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn partial_success_is_not_retried_and_counts_at_most_the_message() {
    for (said, rejected) in [(0, 0), (3, 3), (4, 4), (1_000, 4)] {
        let mut desk = Desk::new(at_once);
        desk.push(&["a", "b", "c"]).await;
        desk.push(&["d"]).await;
        let sent = desk.expect(&["a", "b", "c", "d"]);
        desk.answer(
            &sent,
            Outcome::Delivered {
                rejected_spans: said,
                message: "no".to_owned(),
            },
        );
        desk.expect_nothing();
        assert_eq!(desk.account(), (4 - rejected, rejected, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_expires_wherever_it_waits() {
    let mut desk = Desk::new(|options| {
        at_once(options);
        options.batch.delay = Duration::from_secs(60);
        options.batch.spans = 2;
        options.retry.give_up_after = Some(Duration::from_secs(10));
    });
    desk.push(&["a", "b"]).await;
    let sent = desk.expect(&["a", "b"]);
    advance(Duration::from_secs(9)).await;
    desk.push(&["young"]).await;
    desk.answer(&sent, reset());
    advance(Duration::from_millis(999)).await;
    let probe = desk.sent().expect("a probe is due");
    desk.answer(&probe, reset());
    assert_eq!(desk.account().2, 0);
    advance(Duration::from_millis(1)).await;
    desk.expect_nothing();
    assert_eq!((desk.lost(Loss::Expired), desk.account().3), (2, 1));
    desk.close();
}

// === malformed ===

/// A request whose second span has an attribute with a broken string.
fn with_broken_utf8() -> bytes::Bytes {
    let body = request(&["good", "QQQQ"]);
    let at = body
        .windows(4)
        .position(|window| window == b"QQQQ")
        .unwrap();
    let mut body = body.to_vec();
    body[at] = 0xff;
    body.into()
}

#[tokio::test(start_paused = true)]
async fn a_malformed_batch_is_sent_request_by_request_and_only_the_bad_one_is_repaired() {
    for outcome in [grpc(Code::InvalidArgument), grpc(Code::Internal), http(400)] {
        let mut desk = Desk::new(one_by_one);
        desk.push(&["a"]).await;
        let bad = payload_of(&desk.budget, with_broken_utf8(), 2);
        desk.push_payload(bad).await;
        desk.push(&["c"]).await;
        let whole = match desk.delivery.next(Instant::now()) {
            Next::Send(attempt) => attempt.id,
            Next::Sleep(_) => panic!("a batch is sent"),
        };
        desk.delivery
            .answered(whole, outcome.clone(), Instant::now());

        let sent = desk.expect(&["a"]);
        desk.answer(&sent, ok());
        let alone = match desk.delivery.next(Instant::now()) {
            Next::Send(attempt) => attempt.id,
            Next::Sleep(_) => panic!("the bad one is sent alone"),
        };
        desk.delivery
            .answered(alone, outcome.clone(), Instant::now());
        let repaired = desk.expect(&["good", "\u{fffd}QQQ"]);
        desk.answer(&repaired, ok());
        let sent = desk.expect(&["c"]);
        desk.answer(&sent, ok());
        assert_eq!(desk.account(), (4, 0, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn the_sizes_of_messages_are_observed_once_for_each_span() {
    let malformed = grpc(Code::InvalidArgument);
    let too_large = grpc(Code::ResourceExhausted);
    for outcome in [reset(), malformed, too_large] {
        let mut desk = Desk::new(one_by_one);
        for name in ["a", "b", "c"] {
            desk.push(&[name, name]).await;
        }
        let mut outcomes = vec![outcome];
        while desk.account().0 < 6 {
            let Some(sent) = desk.sent() else {
                desk.wake().await;
                continue;
            };
            desk.answer(&sent, outcomes.pop().unwrap_or_else(ok));
        }
        let page = desk.metrics.render(&crate::metrics::Levels::default());
        for (series, expected) in [("sum", "6"), ("count", "1")] {
            let line = format!(
                "otelcol_exporter_queue_batch_send_size_{series}{{exporter=\"jaeger\"}} {expected}"
            );
            assert!(page.lines().any(|shown| shown == line), "{line}");
        }
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_its_repair_is_rejected() {
    let mut desk = Desk::new(one_by_one);
    let bad = payload_of(&desk.budget, with_broken_utf8(), 2);
    desk.push_payload(bad).await;
    for _ in ["batch", "alone", "repaired"] {
        let Next::Send(attempt) = desk.delivery.next(Instant::now()) else {
            panic!("it is sent once more");
        };
        let outcome = grpc(Code::InvalidArgument);
        desk.delivery.answered(attempt.id, outcome, Instant::now());
    }
    desk.expect_nothing();
    assert_eq!(desk.account(), (0, 2, 0, 0));
    assert!(!desk.is_down(), "the fault was the message's");
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn eight_sound_requests_refused_in_a_row_are_the_destinations_fault() {
    for outcome in [
        grpc(Code::InvalidArgument),
        grpc(Code::Internal),
        grpc(Code::Unknown),
        http(500),
    ] {
        let mut desk = Desk::new(|options| {
            one_by_one(options);
            options.batch.spans = 1;
        });
        for _ in 0..20 {
            desk.push(&["a"]).await;
        }
        while let Some(sent) = desk.sent() {
            desk.answer(&sent, outcome.clone());
        }
        assert!(desk.is_down(), "{outcome:?}");
        assert_eq!(desk.account(), (0, 8, 0, 12), "{outcome:?}");

        // The same answer to a probe rejects nothing more; a delivery ends it.
        for _ in 0..5 {
            desk.wake().await;
            let probe = desk.expect(&["a"]);
            desk.expect_nothing();
            desk.answer(&probe, outcome.clone());
        }
        assert_eq!(desk.account(), (0, 8, 0, 12));
        desk.wake().await;
        let probe = desk.expect(&["a"]);
        desk.answer(&probe, ok());
        assert!(!desk.is_down());
        while let Some(sent) = desk.sent() {
            desk.answer(&sent, ok());
        }
        assert_eq!(desk.account(), (12, 8, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_or_another_code_ends_the_row() {
    let mut desk = Desk::new(|options| {
        one_by_one(options);
        options.batch.spans = 1;
    });
    let outcomes = [grpc(Code::Unknown), http(500), ok()];
    for number in 0..60 {
        desk.push(&["a"]).await;
        let sent = desk.expect(&["a"]);
        desk.answer(&sent, outcomes[number / 7 % 3].clone());
        assert!(!desk.is_down(), "after {number}");
    }
    desk.close();
}

// === too large ===

#[tokio::test(start_paused = true)]
async fn a33_too_large_means_request_by_request_then_halves_and_the_limit_is_learned() {
    let name = "x".repeat(3_000);
    let limit = 40_000;
    for refusal in [grpc(Code::ResourceExhausted), http(413)] {
        let mut desk = Desk::new(|options| {
            at_once(options);
            options.concurrency = 1;
        });
        desk.push(&["small"]).await;
        desk.push(&[name.as_str(); 50]).await;
        let (mut refused, mut delivered) = (0, 0);
        while let Some(sent) = desk.sent() {
            if sent.bytes > limit {
                refused += 1;
                desk.answer(&sent, refusal.clone());
            } else {
                delivered += sent.names.len();
                desk.answer(&sent, ok());
            }
        }
        assert_eq!((delivered, desk.account()), (51, (51, 0, 0, 0)));
        assert!(refused <= 4, "{refused} were refused");
        let learned = desk.delivery.learned.bytes_max().unwrap();
        assert!((limit / 4..=limit).contains(&learned), "{learned}");

        // What comes later is cut before it is sent.
        desk.push(&[name.as_str(); 50]).await;
        while let Some(sent) = desk.sent() {
            assert!(sent.bytes <= limit, "{}", sent.bytes);
            desk.answer(&sent, ok());
        }
        assert_eq!(desk.account(), (101, 0, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_span_that_is_too_large_is_lost_alone() {
    let large = "x".repeat(60_000);
    let mut desk = Desk::new(one_by_one);
    desk.push(&["a", &large, "b"]).await;
    while let Some(sent) = desk.sent() {
        let outcome = if sent.bytes > 50_000 {
            grpc(Code::ResourceExhausted)
        } else {
            ok()
        };
        desk.answer(&sent, outcome);
    }
    assert_eq!(desk.account(), (2, 0, 1, 0));
    assert_eq!(desk.lost(Loss::TooLarge), 1);
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_destination_to_which_everything_is_too_large_is_down() {
    let mut desk = Desk::new(one_by_one);
    for _ in 0..4 {
        desk.push(&["a"; 100]).await;
    }
    while let Some(sent) = desk.sent() {
        desk.answer(&sent, grpc(Code::ResourceExhausted));
    }
    assert!(desk.is_down());
    assert_eq!(desk.account(), (0, 0, 8, 392), "no more is lost than told");
    assert_eq!(desk.delivery.learned.bytes_max(), None);
    desk.close();
}

// === not allowed ===

#[tokio::test(start_paused = true)]
async fn not_allowed_costs_one_batch_then_probes_until_one_arrives() {
    let outcomes = [
        grpc(Code::Unauthenticated),
        grpc(Code::PermissionDenied),
        grpc(Code::Unimplemented),
        grpc(Code::NotFound),
        http(401),
        http(403),
        http(404),
    ];
    for outcome in outcomes {
        let mut desk = Desk::new(|options| {
            at_once(options);
            options.batch.spans = 100;
            options.concurrency = 3;
        });
        for name in ["a", "b", "c", "d"] {
            desk.push(&[name; 100]).await;
        }
        let under_way = [
            desk.expect(&["a"; 100]),
            desk.expect(&["b"; 100]),
            desk.expect(&["c"; 100]),
        ];
        for sent in &under_way {
            desk.answer(sent, outcome.clone());
        }
        assert!(desk.is_down());
        assert_eq!(desk.account(), (0, 100, 0, 300), "{outcome:?}");

        let mut probed = std::collections::BTreeSet::new();
        for _ in 0..12 {
            assert!(desk.wake().await <= Duration::from_secs(3));
            let probe = desk.sent().expect("a probe leaves");
            assert!(probe.names.len() <= 64, "it is small");
            desk.expect_nothing();
            probed.extend(probe.names.clone());
            desk.answer(&probe, outcome.clone());
        }
        assert!(probed.len() > 1, "not always the same batch: {probed:?}");
        assert_eq!(desk.account(), (0, 100, 0, 300));

        desk.wake().await;
        let probe = desk.sent().unwrap();
        desk.answer(&probe, ok());
        while let Some(sent) = desk.sent() {
            desk.answer(&sent, ok());
        }
        assert_eq!(desk.account(), (300, 100, 0, 0));
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_between_does_not_let_verdicts_settle_again() {
    let mut desk = Desk::new(|options| {
        one_by_one(options);
        options.batch.spans = 1;
    });
    for _ in 0..20 {
        desk.push(&["a"]).await;
    }
    while let Some(sent) = desk.sent() {
        desk.answer(&sent, http(500));
    }
    assert_eq!(desk.account(), (0, 8, 0, 12));
    for outcome in [reset(), http(500), throttle(Duration::ZERO), http(500)] {
        desk.wake().await;
        let probe = desk.expect(&["a"]);
        desk.answer(&probe, outcome);
        assert!(desk.is_down());
    }
    assert_eq!(desk.account(), (0, 8, 0, 12));
    desk.close();
}

// === down ===

#[tokio::test(start_paused = true)]
async fn while_down_one_small_probe_at_a_time_leaves_at_most_three_seconds_apart() {
    let mut desk = Desk::new(|options| {
        at_once(options);
        options.retry.max = Duration::from_secs(60);
    });
    for _ in 0..20 {
        desk.push(&["a"; 500]).await;
    }
    let sent = desk.expect(&["a"; 500]);
    desk.answer(&sent, reset());
    for _ in 0..100 {
        assert!(desk.wake().await <= Duration::from_secs(3));
        let probe = desk.sent().expect("a probe leaves");
        assert!(probe.names.len() <= 64);
        desk.expect_nothing();
        desk.answer(&probe, reset());
    }
    assert!(desk.delivery.waiting.len() <= WAITING_MAX);
    desk.wake().await;
    let probe = desk.sent().unwrap();
    desk.answer(&probe, ok());
    let mut delivered = probe.names.len();
    while let Some(sent) = desk.sent() {
        delivered += sent.names.len();
        desk.answer(&sent, ok());
    }
    assert_eq!(delivered, 10_000);
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_outlives_its_outage_is_a_message_like_any_other() {
    let mut desk = Desk::new(|options| {
        one_span_each(options);
        options.concurrency = 8;
    });
    for name in ["a", "b", "c", "d", "e"] {
        desk.push(&[name]).await;
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| desk.expect(&[name]));
    desk.answer(&a, reset());
    desk.wake().await;
    let old_probe = desk.sent().expect("a probe leaves");
    desk.answer(&b, ok());
    assert!(!desk.is_down(), "the first outage is over");
    desk.answer(&c, throttle(Duration::from_millis(500)));
    assert!(desk.is_down());
    desk.wake().await;
    let probe = desk.sent().expect("a probe of the second outage leaves");
    desk.expect_nothing();

    desk.answer(&old_probe, reset());
    advance(Duration::from_secs(3)).await;
    desk.expect_nothing();
    desk.answer(&probe, reset());
    desk.wake().await;
    assert!(desk.sent().is_some(), "one probe after the other");
    desk.expect_nothing();
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_verdict_shows_that_a_silent_destination_is_back() {
    let mut desk = Desk::new(one_by_one);
    desk.push(&["a"]).await;
    let sent = desk.expect(&["a"]);
    desk.answer(&sent, reset());
    assert!(desk.is_down());
    desk.wake().await;
    let probe = desk.expect(&["a"]);
    desk.answer(&probe, grpc(Code::Unknown));
    assert!(!desk.is_down());
    assert_eq!(desk.account(), (0, 1, 0, 0));
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_failure_beside_a_delivery_does_not_bring_a_destination_down() {
    let mut desk = Desk::new(|options| {
        at_once(options);
        options.batch.spans = 1;
        options.concurrency = 2;
    });
    desk.push(&["a"]).await;
    desk.push(&["b"]).await;
    let (a, b) = (desk.expect(&["a"]), desk.expect(&["b"]));
    desk.answer(&b, ok());
    desk.answer(&a, reset());
    assert!(!desk.is_down());
    desk.push(&["c"]).await;
    desk.expect(&["c"]);
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_alone_keeps_failing_costs_only_the_request_at_fault() {
    let mut desk = Desk::new(one_by_one);
    desk.push(&["a", "b"]).await;
    desk.push(&["poison"]).await;
    desk.push(&["c"]).await;
    let mut attempts = 0;
    while desk.lost(Loss::Undeliverable) == 0 {
        // Others come and are delivered all the time.
        desk.push(&["fine"]).await;
        while let Some(sent) = desk.sent() {
            let poisoned = sent.names.iter().any(|name| name == "poison");
            attempts += u32::from(poisoned);
            assert!(attempts < 20, "it is given up at last");
            desk.answer(&sent, if poisoned { reset() } else { ok() });
        }
        advance(Duration::from_millis(500)).await;
    }
    assert_eq!(desk.lost(Loss::Undeliverable), 1);
    assert!(attempts >= 6, "{attempts}");
    let (exported, rejected, lost, held) = desk.account();
    assert!(exported > 3 && (rejected, lost, held) == (0, 1, 0));
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn an_unsteady_destination_costs_no_span() {
    for outcome in [grpc(Code::Unavailable), reset()] {
        let mut desk = Desk::new(|options| {
            at_once(options);
            options.batch.spans = 1;
            options.concurrency = 4;
        });
        let mut dice = Dice::loaded(5);
        for round in 0..400 {
            if round < 300 {
                desk.push(&["a"]).await;
            }
            while let Some(sent) = desk.sent() {
                let fails = round < 300 && dice.below(2) == 0;
                desk.answer(&sent, if fails { outcome.clone() } else { ok() });
            }
            advance(Duration::from_millis(200)).await;
        }
        assert_eq!(desk.account(), (300, 0, 0, 0), "{outcome:?}");
        desk.close();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_no_span_however_long() {
    let mut desk = Desk::new(at_once);
    for _ in 0..30 {
        desk.push(&["a"; 40]).await;
    }
    let mut attempts = 0;
    while attempts < 1_000 {
        while let Some(sent) = desk.sent() {
            attempts += 1;
            desk.answer(&sent, Outcome::timeout(Duration::from_secs(5)));
        }
        desk.wake().await;
    }
    assert_eq!(desk.account(), (0, 0, 0, 1_200));
    while let Some(sent) = desk.sent() {
        desk.answer(&sent, ok());
    }
    assert_eq!(desk.account(), (1_200, 0, 0, 0));
    desk.close();
}

// === reconfiguration and ends ===

#[tokio::test(start_paused = true)]
async fn lower_limits_apply_to_what_waits() {
    let mut desk = Desk::new(at_once);
    let large = "x".repeat(5_000);
    desk.push(&["a", "b", "c", "d", &large]).await;
    let sent = desk.sent().unwrap();
    desk.answer(&sent, reset());
    let mut options = desk.options.clone();
    options.batch.spans = 2;
    options.batch.bytes_max = 4_000;
    options.spans_in_flight_max = 2;
    desk.delivery.reconfigure(Arc::new(options), Instant::now());
    let sent = desk.expect(&["a", "b"]);
    desk.answer(&sent, ok());
    let sent = desk.expect(&["c", "d"]);
    desk.answer(&sent, ok());
    desk.expect_nothing();
    assert_eq!(desk.account(), (4, 0, 1, 0));
    assert_eq!(desk.lost(Loss::TooLarge), 1);
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_waits_end_and_attempts_come_quickly_until_the_deadline() {
    let mut desk = Desk::new(at_once);
    desk.push(&["a"]).await;
    for _ in 0..10 {
        let sent = desk.expect(&["a"]);
        desk.answer(&sent, reset());
        desk.wake().await;
    }
    let sent = desk.expect(&["a"]);
    desk.answer(&sent, reset());
    desk.push(&["b"]).await;

    let deadline = Instant::now() + Duration::from_secs(8);
    desk.delivery
        .end(Ending::Shutdown(deadline), Instant::now());
    let sent = desk.sent().expect("the backoff ends");
    assert_eq!(sent.within, desk.options.timeout);
    desk.answer(&sent, throttle(Duration::from_secs(30)));
    while desk.delivery.ended(Instant::now()).is_none() {
        assert!(desk.wake().await <= Duration::from_millis(500));
        let left = deadline - Instant::now();
        if let Some(sent) = desk.sent() {
            assert!(sent.within <= left, "within the time left");
            desk.answer(&sent, reset());
        }
    }
    assert_eq!(Instant::now(), deadline);
    assert_eq!(desk.delivery.ended(deadline), Some(Loss::Shutdown));
    desk.delivery.abandon(Loss::Shutdown, deadline);
    assert_eq!(desk.lost(Loss::Shutdown), 2);
    desk.close();
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_a_batch_does_not_wait_for_more() {
    let mut desk = Desk::new(|options| options.batch.delay = Duration::from_secs(60));
    desk.push(&["a"]).await;
    desk.expect_nothing();
    let deadline = Instant::now() + Duration::from_secs(8);
    desk.delivery
        .end(Ending::Shutdown(deadline), Instant::now());
    let sent = desk.expect(&["a"]);
    assert!(!desk.delivery.is_empty());
    desk.answer(&sent, ok());
    assert!(desk.delivery.is_empty());
    desk.close();
}
