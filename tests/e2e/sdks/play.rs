//! One client, one relay, one destination: the client runs from its start to its end, and the three accounts of what it
//! sent (the client's own, the relay's, the destination's) have to be one.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{
    expected::{Arrived, SPANS},
    scales::Scales,
    table::{Client, Protocol, Refused, Sdk},
};
use crate::{
    fake_backend::{Answer, FakeBackend},
    ledger::Ledger,
    parts::{Process, beside, eventually, example, folder, installed},
    relay::Relay,
    stage::KEEP_ALL,
};

/// How long there is no room.
const NO_ROOM: Duration = Duration::from_secs(3);
/// What a relay's queue holds in these tests: all that a client makes. The one span that fills it is as large, and still
/// fits into one message.
const QUEUE_MEBIBYTES: usize = 2;
const FILLER_SPANS: u64 = 1;
/// What the spans come to with gzip, at most; without, they are at least twice that.
const COMPRESSED_BYTES_MAX: usize = 200 << 10;
/// From the start of a client to its first request: a Java machine takes seconds on a busy machine.
const FIRST_REQUEST_MAX: Duration = Duration::from_mins(1);
/// No client needs more than its start, the time without room and a few attempts.
const CLIENT_MAX: Duration = Duration::from_mins(2);

/// Whether the relay has room for what the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Not for the first seconds: the relay waits for it before it answers.
    Late,
    /// Not for the first seconds: the relay waits for nothing and refuses.
    Refused,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Play {
    pub(super) client: &'static Client,
    pub(super) gzip: bool,
    pub(super) room: Room,
}

// === impl Play ===

impl Play {
    pub(super) async fn run(self) {
        let folder = folder(&format!("sdks/{}", self.name()));
        let destination = FakeBackend::start().await;
        let rest = self.room.settings(&destination);
        let relay = Relay::configured(&folder, KEEP_ALL, &rest).await;
        if self.room != Room::Enough {
            destination.answer(Answer::Grpc(Code::Unavailable, None));
            fill(&relay).await;
        }
        let scales = Scales::start(self.to(&relay)).await;
        let began = Instant::now();
        let client = self.start(&folder, scales.address());
        if self.room != Room::Enough {
            self.room.lacking(&relay).await;
            sleep(NO_ROOM).await; // what is tested is that it takes this long
            let accepted = relay.ledger().await.accepted;
            assert_eq!(accepted, FILLER_SPANS, "{}: no room", self.name());
            destination.answer(Answer::Take);
        }
        let output = client.succeeded(CLIENT_MAX).await;
        let took = began.elapsed();
        let ledger = relay.delivered().await;
        let arrived = Arrived::of(self.client.name, destination.taken());
        println!(
            "{}: {} spans in {took:.1?}, {} KiB, {} refused meanwhile",
            self.name(),
            arrived.count(),
            scales.bytes() >> 10,
            ledger.refused
        );
        self.check(&arrived, &ledger, &output);
        if self.room == Room::Enough {
            let compressed = scales.bytes() < COMPRESSED_BYTES_MAX;
            assert_eq!(compressed, self.gzip, "{} bytes", scales.bytes());
        }
        relay.stop().await;
    }

    fn check(self, arrived: &Arrived, ledger: &Ledger, output: &str) {
        let name = self.name();
        ledger.assert_all_exported();
        let filler = if self.room == Room::Enough {
            0
        } else {
            FILLER_SPANS
        };
        assert_eq!(ledger.forwarded, arrived.count() + filler, "{name}");
        assert_eq!(ledger.rejected, 0, "{name}");
        match (self.room, self.client.refused) {
            (Room::Enough | Room::Late, _) => {
                assert_eq!(arrived.count(), SPANS, "{name}: all have arrived");
                assert_eq!(ledger.refused, 0, "{name}");
                assert_eq!(output, "", "{name}: no client has anything to complain of");
            }
            (Room::Refused, Refused::ComesAgain) => {
                assert_eq!(arrived.count(), SPANS, "{name}: all have arrived");
                assert_ne!(ledger.refused, 0, "{name}: there was no room");
            }
            (Room::Refused, Refused::GivesUp) => {
                assert_ne!(ledger.refused, 0, "{name}: there was no room");
                assert_eq!(
                    arrived.count() + ledger.refused,
                    SPANS,
                    "{name}: exactly what was refused is missing"
                );
                assert_ne!(output, "", "{name}: it tells that it has lost something");
            }
        }
    }

    fn name(self) -> String {
        let encoding = if self.gzip { "gzip" } else { "default" };
        format!("{}-{encoding}-{:?}", self.client.name, self.room).to_lowercase()
    }

    fn to(self, relay: &Relay) -> SocketAddr {
        match self.client.protocol {
            Protocol::Grpc => relay.grpc(),
            Protocol::Protobuf | Protocol::Json => relay.http(),
        }
    }

    /// Configured as a user does it: by the environment, and by nothing beyond what is needed.
    fn start(self, folder: &Path, to: SocketAddr) -> Process {
        let mut command = self.client.sdk.command();
        command
            .env("SPANS", SPANS.to_string())
            .env("OTEL_SERVICE_NAME", self.client.name)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{to}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", self.client.protocol.name());
        if self.gzip {
            command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        }
        Process::start(self.client.name, folder, &mut command)
    }
}

// === impl Room ===

impl Room {
    /// The destination and the queue before it.
    fn settings(self, destination: &FakeBackend) -> String {
        let endpoint = destination.endpoint();
        let retry = "retry: { first: 100ms, max: 300ms }"; // soon back once it takes again
        let sink = format!("destinations: {{ sink: {{ endpoint: \"{endpoint}\", {retry} }} }}\n");
        match self {
            Self::Enough => sink,
            Self::Late => format!("{sink}queue: {{ bytes_max: {QUEUE_MEBIBYTES}MiB }}\n"),
            Self::Refused => {
                format!("{sink}queue: {{ bytes_max: {QUEUE_MEBIBYTES}MiB, wait_max: 0s }}\n")
            }
        }
    }

    /// Waits until the client has met with the lack of room.
    async fn lacking(self, relay: &Relay) {
        let (name, labels): (_, &[&str]) = match self {
            Self::Enough => return,
            Self::Late => ("otlp_relay_budget_bytes", &["use=\"bodies\""]),
            Self::Refused => ("otlp_relay_refusals_total", &["reason=\"full\""]),
        };
        eventually(
            "the client's first request",
            FIRST_REQUEST_MAX,
            async || (relay.metric(name, labels).await > 0.5).then_some(()),
        )
        .await;
    }
}

/// Fills the queue while nobody empties it.
async fn fill(relay: &Relay) {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "x".repeat(QUEUE_MEBIBYTES << 20),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let endpoint = format!("http://{}", relay.grpc());
    let mut client = TraceServiceClient::connect(endpoint).await.unwrap();
    client.export(request).await.unwrap();
}

// === impl Sdk ===

impl Sdk {
    /// The program that makes and exports the spans.
    fn command(self) -> Command {
        let python = |environment: &str| {
            let mut command = Command::new(installed(environment).join("bin/python"));
            command.arg(beside("clients/sdks/python/spans.py"));
            command
        };
        match self {
            Self::PythonOfTutorial => python("client"),
            Self::Python => python("sdk-python"),
            Self::Node => {
                let mut command = Command::new("node");
                command
                    .arg(beside("clients/sdks/node/spans.js"))
                    .env("NODE_PATH", installed("sdk-node/node_modules"));
                command
            }
            Self::Rust => Command::new(example("e2e_spans")),
            Self::Go => Command::new(installed("sdk-go/spans")),
            Self::Java => {
                let folder = installed("sdk-java");
                let mut command = Command::new("java");
                command
                    .arg("-cp")
                    .arg(format!("{0}/lib/*:{0}/classes", folder.display()))
                    .arg("Spans")
                    // Its defaults export metrics as well, which the relay refuses with the advice to set just this.
                    .env("OTEL_METRICS_EXPORTER", "none")
                    .env("OTEL_LOGS_EXPORTER", "none");
                command
            }
        }
    }
}
