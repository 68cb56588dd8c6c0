//! A sender at a fixed rate that remembers which spans were acknowledged: what the relay answered for.
//!
//! Each request is one trace of 100 spans of about 380 bytes, as in the comparison with other relays. Ids are
//! computed, so that remembering a trace is remembering its number.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Code, transport::Channel};

use crate::sink::SpanId;

pub(crate) const SPANS_PER_TRACE: u64 = 100;
/// Coarse enough for any timer; at each, the requests that are due leave together.
const TICK: Duration = Duration::from_millis(50);
const TICKS_PER_SECOND: u64 = 20;
/// Connections that the requests are spread over, 128 at once on each.
const CONNECTIONS: usize = 16;
/// Unanswered requests at most: what 20,000 spans a second come to while a full relay holds answers back for 7 s, so
/// that the rate stays what it is in an outage. At the limit the sender waits.
const UNANSWERED_MAX: usize = 1_600;
/// Above the 7 s that a relay may hold an answer back.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Fills each span up to about 380 bytes.
const STATEMENT_BYTES: usize = 230;

/// A load that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    sender: JoinSet<Vec<Sent>>,
    acknowledged: watch::Receiver<u64>,
}

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) at: Instant,
    pub(crate) answer: Code,
}

impl Load {
    /// Sends `rate` spans a second to `to`.
    pub(crate) fn start(to: SocketAddr, rate: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, acknowledged) = watch::channel(0);
        let mut sender = JoinSet::new();
        sender.spawn(send(to, rate, stopped, Arc::new(count)));
        Self {
            stop,
            sender,
            acknowledged,
        }
    }

    /// Waits until so many spans in all have been acknowledged.
    pub(crate) async fn acknowledged(&mut self, spans: u64) {
        let enough = |count: &u64| *count * SPANS_PER_TRACE >= spans;
        self.acknowledged.wait_for(enough).await.unwrap();
    }

    /// No new requests; returns when the last one is answered.
    pub(crate) async fn stop(mut self) -> Vec<Sent> {
        self.stop.send_replace(true);
        self.sender.join_next().await.unwrap().unwrap()
    }
}

impl Sent {
    pub(crate) fn trace(&self) -> u128 {
        trace_id(self.number)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SpanId> + use<> {
        let trace = self.trace();
        (1..=SPANS_PER_TRACE).map(move |span| SpanId { trace, span })
    }

    pub(crate) fn acknowledged(&self) -> bool {
        self.answer == Code::Ok
    }
}

async fn send(
    to: SocketAddr,
    rate: u64,
    stopped: watch::Receiver<bool>,
    count: Arc<watch::Sender<u64>>,
) -> Vec<Sent> {
    let channel = || {
        let uri = format!("http://{to}").parse::<http::Uri>().unwrap();
        TraceServiceClient::new(Channel::builder(uri).timeout(TIMEOUT).connect_lazy())
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| channel()).collect();
    let unanswered = Arc::new(Semaphore::new(UNANSWERED_MAX));
    let mut requests = JoinSet::new();
    let mut sent = Vec::new();
    let mut tick = interval(TICK);
    // What could not be sent while the limit was reached is not made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let per_tick = rate / SPANS_PER_TRACE / TICKS_PER_SECOND;
    let mut number = 0;
    while !*stopped.borrow() {
        tick.tick().await;
        for _ in 0..per_tick {
            let permit = Arc::clone(&unanswered).acquire_owned().await.unwrap();
            let client = clients[usize::try_from(number).unwrap() % CONNECTIONS].clone();
            requests.spawn(exchange(client, number, Arc::clone(&count), permit));
            number += 1;
        }
        while let Some(answered) = requests.try_join_next() {
            sent.push(answered.unwrap());
        }
    }
    sent.extend(requests.join_all().await);
    sent
}

async fn exchange(
    mut client: TraceServiceClient<Channel>,
    number: u64,
    count: Arc<watch::Sender<u64>>,
    _permit: OwnedSemaphorePermit,
) -> Sent {
    let at = Instant::now();
    let answer = client.export(request(number)).await;
    let answer = answer.map_or_else(|status| status.code(), |_| Code::Ok);
    if answer == Code::Ok {
        count.send_modify(|count| *count += 1);
    }
    Sent { number, at, answer }
}

/// Spread over the whole range, as real ids are: the relay hashes them, Jaeger orders by them. Never 0.
fn trace_id(number: u64) -> u128 {
    let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    spread ^ (spread >> 67)
}

fn request(number: u64) -> ExportTraceServiceRequest {
    let trace = trace_id(number).to_be_bytes().to_vec();
    let spans = (1..=SPANS_PER_TRACE).map(|span| Span {
        trace_id: trace.clone(),
        span_id: span.to_be_bytes().to_vec(),
        parent_span_id: if span == 1 {
            Vec::new()
        } else {
            1_u64.to_be_bytes().to_vec()
        },
        name: "milvus.proto.query.QueryNode/Search".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + span,
        end_time_unix_nano: 1_700_000_000_001_000_000 + span,
        attributes: vec![
            attribute("rpc.system", "grpc"),
            attribute("db.statement", &"x".repeat(STATEMENT_BYTES)),
        ],
        ..Span::default()
    });
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "load".to_owned(),
            ..InstrumentationScope::default()
        }),
        spans: spans.collect(),
        ..ScopeSpans::default()
    };
    let resource = Resource {
        attributes: vec![attribute("service.name", "load")],
        ..Resource::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}
