//! The store from the door to the document: what passes is shown, what is too much is not, and the bound holds.

use std::{future::poll_fn, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use prost::Message;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    budget::{Budget, Use},
    metrics::{DestinationTotals, Loss, Metrics, Transport},
    queue,
    request::Counted,
    sampling::ThresholdChange,
    wire::{Checks, Wanted},
};

const MIB: usize = 1 << 20;

struct Running {
    store: Store,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn new(bytes_max: usize) -> Self {
        let (store, keeper) = Store::new(Options { bytes_max });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(keeper.run(stop.clone()));
        tasks.close();
        Self { store, stop, tasks }
    }

    /// Waits until the keeper has done all that was handed to it so far.
    async fn settled(&self) {
        self.store.deliver(&[Bytes::new()]).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

fn trace_id(number: u32) -> TraceId {
    (u128::from(number) + 1).to_be_bytes()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

fn span(trace: u32, number: u8, bytes: usize) -> Span {
    Span {
        trace_id: trace_id(trace).to_vec(),
        span_id: vec![number; 8],
        parent_span_id: if number == 1 { vec![] } else { vec![1; 8] },
        name: format!("span {number}"),
        kind: 2,
        start_time_unix_nano: 1_000_000_000 + u64::from(number) * 1_000_000,
        end_time_unix_nano: 1_002_000_000 + u64::from(number) * 1_000_000,
        attributes: vec![attribute("filler", &"x".repeat(bytes))],
        status: Some(Status {
            code: if number == 2 { 2 } else { 0 },
            message: String::new(),
        }),
        ..Span::default()
    }
}

fn encoded(service: &str, spans: Vec<Span>) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "milvus".into(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

async fn request(body: Bytes) -> Request {
    let budget = Budget::new(256 * MIB, MIB);
    let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
    let checks = Checks {
        wanted: Wanted::default(),
        message_bytes_max: 64 * MIB,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    Request::admit(Counted::new(body, permit).unwrap(), &checks, deadline)
        .await
        .unwrap()
}

/// Records a body whose spans with even numbers the policy `health checks` drops.
async fn record(store: &Store, body: Bytes) -> Option<u64> {
    let request = request(body).await;
    let decisions: Vec<Decision> = (0..request.index().spans.len())
        .map(|index| Decision {
            keep: index % 2 == 0,
            policy: u16::from(index % 2 == 0),
            threshold: ThresholdChange::None,
        })
        .collect();
    let policies = Metrics::default().policy_counters(["rule health checks", "default"]);
    store.record(&request, &decisions, &policies)
}

#[tokio::test]
async fn a_trace_is_shown_as_it_passed_with_decisions_and_answers() {
    let running = Running::new(MIB);
    let body = encoded(
        "standalone",
        vec![span(7, 1, 5), span(7, 2, 5), span(7, 3, 5)],
    );
    let sample = record(&running.store, body).await.unwrap();
    let answer = "OK after 212 ms";
    for _ in ["once", "twice"] {
        let samples = [sample + 1, sample].into();
        running.store.answered(samples, &"jaeger".into(), answer);
    }
    running.settled().await;

    let document = running.store.trace(&trace_id(7)).unwrap();
    assert_eq!(
        document.summary.trace_id,
        "00000000000000000000000000000008"
    );
    assert_eq!(document.summary.name, "span 1");
    assert_eq!(document.summary.services, ["standalone"]);
    let summary = &document.summary;
    assert_eq!(
        (summary.span_count, summary.kept, summary.sampled_out),
        (3, 2, 1)
    );
    assert_eq!((summary.errors, summary.whole), (1, true));
    assert!((summary.duration_ms - 4.0).abs() < 1e-9);
    let decisions: Vec<_> = document
        .spans
        .iter()
        .map(|span| (span.decision.unwrap(), span.rule.as_deref().unwrap()))
        .collect();
    assert_eq!(
        decisions,
        [
            ("kept", "default"),
            ("sampled_out", "rule health checks"),
            ("kept", "default")
        ]
    );
    let answers = &document.requests[0].answers;
    assert_eq!(answers.len(), 1, "the same answer is shown once");
    assert_eq!(
        (&*answers[0].destination, &*answers[0].answer),
        ("jaeger", answer)
    );

    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["spans"][1]["parent_span_id"], "0101010101010101");
    assert_eq!(json["spans"][1]["status"], "error");
    assert_eq!(json["spans"][0]["attributes"]["filler"], "xxxxx");
    assert_eq!(json["spans"][0]["resource"]["service.name"], "standalone");
    assert_eq!(
        json["spans"][0]["started_at"],
        "1970-01-01T00:00:01.001000Z"
    );
    assert_eq!(json["spans"][0]["request"], json["requests"][0]["request"]);
    running.end().await;
}

#[tokio::test]
async fn the_list_has_the_newest_first_and_can_be_asked_for_a_service() {
    let running = Running::new(MIB);
    for (trace, service) in [(1, "standalone"), (2, "milvus-client"), (3, "standalone")] {
        record(&running.store, encoded(service, vec![span(trace, 1, 5)])).await;
    }
    record(&running.store, encoded("segcore", vec![span(1, 2, 5)])).await;
    running.settled().await;

    let ids = |limit, service| -> Vec<String> {
        let traces = running.store.traces(limit, service);
        traces
            .into_iter()
            .map(|trace| trace.trace_id[30..].to_owned())
            .collect()
    };
    assert_eq!(ids(10, None), ["02", "04", "03"]);
    assert_eq!(ids(2, None), ["02", "04"]);
    assert_eq!(ids(10, Some("standalone")), ["02", "04"]);
    assert_eq!(ids(10, Some("segcore")), ["02"]);
    assert!(ids(10, Some("stand")).is_empty());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_and_the_oldest_traces_leave_whole() {
    let running = Running::new(MIB);
    for trace in 0..1000 {
        record(
            &running.store,
            encoded(
                "standalone",
                vec![span(trace, 1, 2000), span(trace, 2, 2000)],
            ),
        )
        .await;
        if trace % 16 == 0 {
            running.settled().await;
            // As slowly as the store can take it, so that it keeps every trace.
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(running.store.level().bytes <= MIB as u64 / 4 * 3);
        }
    }
    running.settled().await;
    assert_eq!(running.store.level().skipped_spans, 0);
    assert!(
        running.store.level().bytes > MIB as u64 / 2,
        "it is well filled"
    );
    let traces = running.store.traces(SUMMARIES_MAX, None);
    assert!(
        traces
            .iter()
            .all(|trace| trace.span_count == 2 && trace.whole)
    );
    assert!(running.store.trace(&trace_id(999)).is_some());
    assert!(running.store.trace(&trace_id(0)).is_none());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_a_share_of_whole_traces_and_the_hot_path_never_waits() {
    let running = Running::new(MIB);
    let quarter = Duration::from_secs(1) / fraction::TICKS_PER_SECOND;
    // Each trace comes in two requests, one tick apart; 250 traces a tick are 25 times what fits.
    for round in 0..80 {
        for batch in 0..10 {
            let traces = (0..25).map(|n| round * 250 + batch * 25 + n);
            let now: Vec<Span> = traces.clone().map(|trace| span(trace, 1, 500)).collect();
            let earlier = traces.filter(|trace| *trace >= 250);
            let late: Vec<Span> = earlier.map(|trace| span(trace - 250, 2, 500)).collect();
            record(&running.store, encoded("standalone", now)).await;
            record(&running.store, encoded("standalone", late)).await;
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(quarter).await;
        assert!(running.store.level().bytes <= MIB as u64);
    }
    let level = running.store.level();
    assert!(level.fraction < 0.1, "{level:?}");
    let traces = running.store.traces(SUMMARIES_MAX, None);
    // Those of the last round have had no time for their second span.
    let old: Vec<_> = traces
        .iter()
        .filter(|trace| u32::from_str_radix(&trace.trace_id[24..], 16).unwrap() <= 79 * 250)
        .collect();
    assert!(old.len() > 20, "{}", old.len());
    let torn: Vec<_> = old
        .iter()
        .filter(|trace| trace.whole && trace.span_count != 2)
        .collect();
    assert!(torn.is_empty(), "{torn:#?}");
    assert!(old.iter().filter(|trace| trace.whole).count() > 20);
    running.end().await;
}

#[tokio::test]
async fn what_does_not_fit_on_the_way_is_counted() {
    // Nobody runs the keeper, so nothing leaves the way.
    let (store, _keeper) = Store::new(Options { bytes_max: MIB });
    let spans = |n| (1..=n).map(|number| span(1, number, 1000)).collect();
    for _ in 0..20 {
        assert!(
            record(&store, encoded("standalone", spans(10)))
                .await
                .is_some()
        );
    }
    // 20 requests of 10 spans take 200 of the 256 KiB: of 100 more, some fit.
    assert!(
        record(&store, encoded("standalone", spans(100)))
            .await
            .is_some()
    );
    let skipped = store.level().skipped_spans;
    assert!((30..100).contains(&skipped), "{skipped}");
    assert!(
        record(&store, encoded("standalone", spans(5)))
            .await
            .is_none()
    );
    assert_eq!(store.level().skipped_spans, skipped + 5);
}

#[tokio::test]
async fn events_on_their_way_are_bounded_too() {
    let (store, keeper) = Store::new(Options {
        bytes_max: 64 * MIB,
    });
    for _ in 0..EVENTS_MAX {
        assert!(
            record(&store, encoded("a", vec![span(1, 1, 1)]))
                .await
                .is_some()
        );
    }
    assert!(
        record(&store, encoded("a", vec![span(1, 1, 1)]))
            .await
            .is_none()
    );
    assert_eq!(store.level().skipped_spans, 1);
    store.answered([1].into(), &"jaeger".into(), "OK");
    drop(keeper);
    store.deliver(&[encoded("a", vec![span(1, 1, 1)])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_at_rest_sleeps() {
    for (bytes_max, body) in [
        (0, Bytes::new()),
        (MIB, encoded("standalone", vec![span(1, 1, 200_000)])),
    ] {
        let (store, keeper) = Store::new(Options { bytes_max });
        let mut running = Box::pin(keeper.run(CancellationToken::new()));
        let mut polls = 0;
        let counted = poll_fn(|context| {
            polls += 1;
            running.as_mut().poll(context)
        });
        let using = async {
            record(&store, body).await;
            store.deliver(&[Bytes::new()]).await;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        };
        tokio::select! {
            () = counted => unreachable!("a store is left"),
            () = using => {}
        }
        // What came was more than one tick's share, so some passed until the store was at rest.
        assert!(polls < 100, "{polls} in an hour");
    }
}

#[tokio::test]
async fn a_store_that_is_off_keeps_nothing() {
    let running = Running::new(0);
    assert!(!running.store.is_on() && !running.store.admits(&trace_id(1)));
    let body = encoded("standalone", vec![span(1, 1, 5)]);
    assert_eq!(record(&running.store, body.clone()).await, None);
    running.store.deliver(std::slice::from_ref(&body)).await;
    assert!(running.store.traces(10, None).is_empty());
    assert_eq!(running.store.level(), StoreLevel::default());

    running.store.resize(Options { bytes_max: MIB });
    assert!(record(&running.store, body).await.is_some());
    running.settled().await;
    assert_eq!(running.store.traces(10, None).len(), 1);
    running.store.resize(Options { bytes_max: 0 });
    assert!(running.store.traces(10, None).is_empty());
    running.end().await;
}

#[tokio::test]
async fn as_a_destination_it_shows_what_was_delivered() {
    let running = Running::new(MIB);
    let passed = vec![span(1, 1, 5), span(1, 2, 5), span(1, 3, 5)];
    record(&running.store, encoded("standalone", passed)).await;
    let mut enriched = span(1, 1, 5);
    enriched.attributes.push(attribute("deployment", "prod"));
    let message = encoded("standalone", vec![enriched, span(1, 3, 5), span(2, 1, 5)]);
    // In segments that end in the middle of a field.
    let segments = [
        message.slice(..9),
        message.slice(9..20),
        message.slice(20..),
    ];
    running.store.deliver(&segments).await;

    let document = running.store.trace(&trace_id(1)).unwrap();
    assert_eq!(document.spans.len(), 3, "no span is there twice");
    assert_eq!(document.spans[0].attributes["deployment"], "prod");
    assert_eq!(document.spans[0].rule.as_deref(), Some("default"));
    assert_eq!(document.spans[1].decision, Some("sampled_out"));
    let other = running.store.trace(&trace_id(2)).unwrap();
    assert_eq!((other.spans.len(), other.spans[0].decision), (1, None));
    // The same span once more is a duplicate that somebody sent, and is shown.
    running
        .store
        .deliver(&[encoded("a", vec![span(2, 1, 5)])])
        .await;
    assert_eq!(running.store.trace(&trace_id(2)).unwrap().spans.len(), 2);
    running.end().await;
}

#[tokio::test]
async fn one_endless_trace_does_not_push_out_the_others() {
    let running = Running::new(MIB);
    record(&running.store, encoded("a", vec![span(1, 1, 5)])).await;
    for _ in 0..100 {
        let spans = (1..=10).map(|number| span(2, number, 1000)).collect();
        record(&running.store, encoded("a", spans)).await;
        running.settled().await;
    }
    assert!(running.store.trace(&trace_id(1)).is_some());
    let endless = running.store.trace(&trace_id(2)).unwrap();
    assert!(!endless.summary.whole && endless.left_out > 500);
    running.end().await;
}

#[tokio::test]
async fn broken_text_is_shown_repaired_and_deep_values_do_no_harm() {
    let running = Running::new(16 * MIB);
    let mut body = encoded("standalone", vec![span(1, 1, 5)]).to_vec();
    let at = body
        .windows(5)
        .position(|window| window == b"xxxxx")
        .unwrap();
    body[at] = 0xff;
    record(&running.store, body.into()).await;
    let mut deep = AnyValue::default();
    for _ in 0..200 {
        let values = vec![deep];
        deep = AnyValue {
            value: Some(Value::ArrayValue(
                opentelemetry_proto::tonic::common::v1::ArrayValue { values },
            )),
        };
    }
    let mut nested = span(2, 1, 5);
    nested.attributes[0].value = Some(deep);
    record(&running.store, encoded("standalone", vec![nested])).await;
    running.settled().await;

    let document = running.store.trace(&trace_id(1)).unwrap();
    assert_eq!(document.spans[0].attributes["filler"], "\u{fffd}xxxx");
    assert_eq!(running.store.trace(&trace_id(2)).unwrap().spans.len(), 1);
    assert_eq!(running.store.traces(10, None).len(), 2);
    running.end().await;
}

#[test]
fn trace_ids_are_read_as_people_write_them() {
    let id = parse_trace_id("0123456789abcdefABCDEF0123456789").unwrap();
    assert_eq!((id[0], id[15]), (0x01, 0x89));
    for wrong in [
        "",
        "1",
        "+123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdefff",
        "0123456789abcdef0123456789abcdeg",
    ] {
        assert_eq!(parse_trace_id(wrong), None, "{wrong}");
    }
}

/// A store as a destination, with the queues around it.
struct AsDestination {
    metrics: Metrics,
    queues: queue::Queues,
    budget: Budget,
    tasks: TaskTracker,
    destination: Destination,
}

impl AsDestination {
    fn new(store: &Store) -> Self {
        let metrics = Metrics::default();
        let queues = queue::Queues::new(metrics.ledger().clone());
        let tasks = TaskTracker::new();
        let bounds = queue::Options {
            bytes_max: MIB,
            required: true,
        };
        let destination = Destination::spawn(store.clone(), &queues, bounds, &metrics, &tasks);
        Self {
            metrics,
            queues,
            budget: queue::fixtures::budget(),
            tasks,
            destination,
        }
    }

    async fn push(&self, body: Bytes, spans: u64, sample: Option<u64>) {
        let payload = queue::Payload {
            sample,
            ..queue::fixtures::payload_of(&self.budget, body, spans)
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let tally = queue::fixtures::tally(spans);
        self.queues
            .admit(Transport::Grpc, tally, Some(payload), deadline)
            .await
            .unwrap();
    }

    /// Drains it, and checks that no span, byte or task is left.
    async fn drain(self, within: Duration) -> DestinationTotals {
        self.destination.drain(Instant::now() + within).await;
        self.tasks.close();
        self.tasks.wait().await;
        let mut totals = self.metrics.ledger().totals();
        assert_eq!(totals.imbalance(), None);
        assert_eq!(self.budget.used_total(), 0, "nothing stays pinned");
        totals.destinations.remove(DESTINATION).unwrap()
    }
}

#[tokio::test]
async fn as_a_destination_it_settles_every_span_and_ends_when_its_queue_is_closed() {
    let running = Running::new(MIB);
    let destination = AsDestination::new(&running.store);
    for trace in 0..10 {
        let body = encoded("standalone", vec![span(trace, 1, 5), span(trace, 2, 5)]);
        let sample = record(&running.store, body.clone()).await;
        destination.push(body, 2, sample).await;
    }
    let account = destination.drain(Duration::from_secs(10)).await;
    running.settled().await;
    assert_eq!((account.exported, account.held), (20, 0));
    assert_eq!(running.store.traces(20, None).len(), 10);
    let document = running.store.trace(&trace_id(3)).unwrap();
    assert_eq!(&*document.requests[0].answers[0].answer, "delivered");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn as_a_destination_it_loses_what_is_left_at_the_deadline() {
    // Nobody runs the keeper, so nothing gets on the shelf.
    let (store, _keeper) = Store::new(Options { bytes_max: MIB });
    let destination = AsDestination::new(&store);
    for trace in 0..3 {
        let body = encoded("standalone", vec![span(trace, 1, 5)]);
        destination.push(body, 1, None).await;
    }
    let started = Instant::now();
    let account = destination.drain(Duration::from_secs(8)).await;
    assert_eq!(started.elapsed(), Duration::from_secs(8));
    assert_eq!((account.exported, account.held), (0, 0));
    assert_eq!(account.lost[&Loss::Shutdown], 3);
}
