//! A destination that remembers every span it was sent: the witness of what left the relay.
//!
//! Like Jaeger it refuses messages above 4 MiB, with the code that tells a relay to split and not to wait.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Request, Response, Status, transport::Server, transport::server::TcpIncoming};

/// The limit of a Go server that sets none.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Room to read what is refused, so that the refusal is this file's own.
const DECODE_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    recorder: Recorder,
    _tasks: JoinSet<()>,
}

/// Which span it is, among all of all traces.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpanId {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) times: u32,
    pub(crate) parent: Option<SpanId>,
    pub(crate) resource: Arc<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default)]
struct Recorder {
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    spans: HashMap<SpanId, Seen>,
    largest_message: usize,
    refused_messages: u32,
}

// === impl Sink ===

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = Recorder::default();
        let service =
            TraceServiceServer::new(recorder.clone()).max_decoding_message_size(DECODE_BYTES_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let served = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming);
            served.await.unwrap();
        });
        Self {
            address,
            recorder,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn span_count(&self) -> usize {
        self.recorder.lock().spans.len()
    }

    pub(crate) fn ids(&self) -> BTreeSet<SpanId> {
        self.recorder.lock().spans.keys().copied().collect()
    }

    pub(crate) fn traces(&self) -> BTreeSet<u128> {
        let record = self.recorder.lock();
        record.spans.keys().map(|id| id.trace).collect()
    }

    pub(crate) fn trace(&self, trace: u128) -> BTreeMap<SpanId, Seen> {
        let record = self.recorder.lock();
        let of_trace = record.spans.iter().filter(|(id, _)| id.trace == trace);
        of_trace.map(|(id, seen)| (*id, seen.clone())).collect()
    }

    pub(crate) fn count_of(&self, service: &str) -> usize {
        let record = self.recorder.lock();
        let of_service = record
            .spans
            .values()
            .filter(|seen| seen.service() == service);
        of_service.count()
    }

    /// Spans that came more than once.
    pub(crate) fn duplicates(&self) -> usize {
        let record = self.recorder.lock();
        record.spans.values().filter(|seen| seen.times > 1).count()
    }

    /// The spans whose resource does not say `key: value`.
    pub(crate) fn without(&self, key: &str, value: &str) -> Vec<SpanId> {
        let record = self.recorder.lock();
        let lacks = |seen: &Seen| seen.resource.get(key).is_none_or(|own| own != value);
        let lacking = record.spans.iter().filter(|(_, seen)| lacks(seen));
        lacking.map(|(id, _)| *id).collect()
    }

    /// Bytes of the largest message that it took.
    pub(crate) fn largest_message(&self) -> usize {
        self.recorder.lock().largest_message
    }

    /// Messages over the limit.
    pub(crate) fn refused_messages(&self) -> u32 {
        self.recorder.lock().refused_messages
    }
}

// === impl Seen ===

impl Seen {
    pub(crate) fn service(&self) -> &str {
        self.resource.get("service.name").map_or("", String::as_str)
    }
}

// === impl Recorder ===

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record
            .lock()
            .expect("no code path panics while it holds the record")
    }
}

#[tonic::async_trait]
impl TraceService for Recorder {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let message = request.into_inner();
        let bytes = message.encoded_len();
        let mut record = self.lock();
        if bytes > MESSAGE_BYTES_MAX {
            record.refused_messages += 1;
            return Err(Status::resource_exhausted(format!(
                "message larger than max ({bytes} vs. {MESSAGE_BYTES_MAX})"
            )));
        }
        record.add(message, bytes);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

// === impl Record ===

impl Record {
    fn add(&mut self, message: ExportTraceServiceRequest, bytes: usize) {
        self.largest_message = self.largest_message.max(bytes);
        for of_resource in message.resource_spans {
            let resource = Arc::new(texts(&of_resource.resource.unwrap_or_default()));
            for span in of_resource.scope_spans.iter().flat_map(|of| &of.spans) {
                let seen = self.spans.entry(id(span)).or_insert_with(|| Seen {
                    times: 0,
                    parent: parent(span),
                    resource: Arc::clone(&resource),
                });
                seen.times += 1;
            }
        }
    }
}

fn id(span: &Span) -> SpanId {
    SpanId {
        trace: u128::from_be_bytes(span.trace_id.as_slice().try_into().unwrap()),
        span: u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap()),
    }
}

fn parent(span: &Span) -> Option<SpanId> {
    let parent = span.parent_span_id.as_slice().try_into().ok()?;
    Some(SpanId {
        span: u64::from_be_bytes(parent),
        ..id(span)
    })
}

/// The resource's attributes that are text.
fn texts(resource: &Resource) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(value) => Some((attribute.key.clone(), value.clone())),
        _ => None,
    };
    resource.attributes.iter().filter_map(text).collect()
}
