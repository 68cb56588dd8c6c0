//! A Milvus-like load for `demo`: searches, each one trace over three services, sent as Milvus' parts send them.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::trace::{Step, Trace, request};
use crate::{
    exporter::{Courier, InvalidTls, Protocol},
    relay::Addresses,
};

/// How long one answer is awaited: what Milvus' exporter waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One batch of traces goes out this often.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Searches in one batch: 10 spans each make about 2,000 spans a second.
const SEARCHES_PER_BATCH: usize = 20;

/// Sends until it is told to stop.
#[derive(Debug)]
pub(super) struct Load {
    /// Milvus' Go part and the client speak gRPC.
    grpc: Courier,
    /// Another client speaks HTTP.
    http: Courier,
}

impl Load {
    /// To a relay on this machine. `None` when it does not listen for both.
    pub(super) fn new(to: Addresses, tasks: &TaskTracker) -> Option<Result<Self, InvalidTls>> {
        let courier = |address, protocol| {
            let endpoint = format!("http://{address}").parse().ok()?;
            Some(Courier::new(endpoint, protocol, TIMEOUT, tasks.clone()))
        };
        let grpc = courier(to.grpc?, Protocol::Grpc)?;
        let http = courier(to.http?, Protocol::Http)?;
        Some(grpc.and_then(|grpc| Ok(Self { grpc, http: http? })))
    }

    /// Sends a batch of searches every [`BATCH_INTERVAL`] until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(BATCH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Batch {
                client,
                standalone,
                segcore,
            } = batch();
            let (client, standalone, segcore) = tokio::join!(
                self.http.send(client),
                self.grpc.send(standalone),
                self.grpc.send(segcore),
            );
            for reply in [client, standalone, segcore] {
                tracing::debug!(%reply, "sent");
            }
        }
    }
}

/// What the three services send about the same searches.
struct Batch {
    client: Bytes,
    standalone: Bytes,
    segcore: Bytes,
}

fn batch() -> Batch {
    let traces: Vec<_> = (0..SEARCHES_PER_BATCH)
        .map(|_| Trace::new(Duration::from_millis(12)))
        .collect();
    let of = |service: &str, first: u64, steps: &[Step]| {
        let resources = traces
            .iter()
            .map(|trace| trace.spans(service, first, steps))
            .collect();
        request(resources).encode_to_vec().into()
    };
    let (client, standalone, segcore) = (&SEARCH[..1], &SEARCH[1..9], &SEARCH[9..]);
    Batch {
        client: of("milvus-client", 0, client),
        standalone: of("standalone", 1, standalone),
        segcore: of("segcore", 9, segcore),
    }
}

const fn step(name: &'static str, kind: SpanKind, parent: u64, starts: u64, takes: u64) -> Step {
    let (starts, takes) = (Duration::from_micros(starts), Duration::from_micros(takes));
    Step {
        name,
        kind,
        parent: Some(parent),
        starts,
        takes,
    }
}

/// A search as Milvus 2.3 traces it: the client's span, eight of the Go part, one of the C++ part.
const SEARCH: [Step; 10] = [
    Step {
        name: "/milvus.proto.milvus.MilvusService/Search",
        kind: SpanKind::Client,
        parent: None,
        starts: Duration::ZERO,
        takes: Duration::from_millis(12),
    },
    step(
        "milvus.proto.milvus.MilvusService/Search",
        SpanKind::Server,
        0,
        500,
        11_000,
    ),
    step("Proxy-Search-PreExecute", SpanKind::Internal, 1, 700, 600),
    step("Proxy-Search-Execute", SpanKind::Internal, 1, 1_400, 8_500),
    step(
        "milvus.proto.query.QueryNode/Search",
        SpanKind::Client,
        3,
        1_600,
        8_000,
    ),
    step(
        "milvus.proto.query.QueryNode/Search",
        SpanKind::Server,
        4,
        1_900,
        7_400,
    ),
    step("QueryNode-Search", SpanKind::Internal, 5, 2_100, 7_000),
    step("Search-WaitTsafe", SpanKind::Internal, 6, 2_200, 900),
    step(
        "Proxy-Search-PostExecute",
        SpanKind::Internal,
        1,
        10_000,
        1_200,
    ),
    step("segcore.SegmentSearch", SpanKind::Internal, 6, 3_200, 5_600),
];

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    use super::*;

    #[test]
    fn the_services_speak_of_the_same_traces() {
        let Batch {
            client,
            standalone,
            segcore,
        } = batch();
        let ids = |message: Bytes| {
            let request = ExportTraceServiceRequest::decode(message).unwrap();
            let mut ids: Vec<_> = request
                .resource_spans
                .iter()
                .flat_map(|resource| &resource.scope_spans[0].spans)
                .map(|span| span.trace_id.clone())
                .collect();
            ids.dedup();
            ids
        };
        let client = ids(client);
        assert_eq!(client.len(), SEARCHES_PER_BATCH);
        assert_eq!(client, ids(standalone));
        assert_eq!(client, ids(segcore));
    }
}
