//! Every kind of refusal, provoked over a socket on each transport that can earn it: what the client is told, what is counted,
//! and the one line that whoever runs the relay reads. A new kind does not compile here until it is provoked.

use std::time::Duration;

use tonic::Code;
use tonic_types::StatusExt;

use super::{
    REQUEST_BYTES_MAX, Setup, UnderTest,
    client::{
        GrpcAnswer, GrpcClient, HttpAnswer, HttpClient, frame, grpc_request, http, http_traces,
        post,
    },
    log::Log,
    sized, spans,
};
use crate::{metrics::Transport, otlp, receiver::refusals::Turned, request::Reason};

/// As long as a test waits for a refusal that comes of waiting.
const SHORT: Duration = Duration::from_millis(50);

const PROTOBUF: &str = "content-type: application/x-protobuf";

/// What no request can earn: over HTTP there is no frame, and on gRPC's path another content type is no gRPC.
const IMPOSSIBLE: [(Reason, Transport); 2] = [
    (Reason::BrokenFrame, Transport::Http),
    (Reason::UnknownContentType, Transport::Grpc),
];

/// What a client was told.
struct Told {
    /// The status on HTTP; 200 on gRPC.
    status: u16,
    code: Code,
    message: String,
    shall_retry: bool,
}

/// The only line that says this.
fn line(log: &Log, saying: &str) -> String {
    let lines = log.lines();
    let mut found = lines.iter().filter(|line| line.contains(saying));
    let line = found
        .next()
        .unwrap_or_else(|| panic!("{saying}: {lines:?}"));
    assert_eq!(found.next(), None, "one line a refusal");
    line.clone()
}

/// What the message says was found, and what to change.
fn taught(reason: Reason, transport: Transport) -> [&'static str; 2] {
    let is_grpc = transport == Transport::Grpc;
    match reason {
        Reason::Malformed => ["is no ExportTraceServiceRequest", "send"],
        Reason::BrokenFrame => [
            "the flag of a message is 0 or 1, not 7",
            "the client's gRPC library",
        ],
        Reason::TooLarge if is_grpc => ["has 262145 bytes", "raise receivers.request_bytes_max"],
        Reason::TooLarge => [
            "larger than 262144 bytes",
            "raise receivers.request_bytes_max",
        ],
        Reason::Full => [
            "the queue of a required destination is full",
            "queue.bytes_max",
        ],
        Reason::ShuttingDown => ["the relay is stopping", "come again"],
        Reason::UnknownEncoding if is_grpc => ["snappy", "identity,gzip,deflate,zstd"],
        Reason::UnknownEncoding => ["br", "gzip, deflate, zstd"],
        Reason::UnknownContentType => ["text/plain", "send application/x-protobuf"],
        Reason::WrongMethod => ["GET", "POST"],
        Reason::UnknownPath if is_grpc => ["/a.Service/Method", otlp::TRACES_METHOD],
        Reason::UnknownPath => ["/v1/trace;", "send traces to /v1/traces"],
        Reason::OtherSignal => ["only traces are relayed", "to none"],
        Reason::TooSlow => ["not whole within 50 ms", "receivers.body_timeout"],
        Reason::Cancelled => ["the client went away", "timeout"],
        Reason::Internal => ["a fault of the relay", "its log"],
    }
}

/// A relay at which this can be earned.
async fn relay_for(reason: Reason) -> UnderTest {
    let mut setup = Setup::default();
    match reason {
        Reason::Full => {
            setup.queue_bytes_max = 1;
            setup.options.wait_max = SHORT;
        }
        Reason::TooSlow => setup.options.body_timeout = SHORT,
        // The configuration does not allow it: no clock can count to it, and the code panics.
        Reason::Internal => setup.options.body_timeout = Duration::MAX,
        _ => {}
    }
    let relay = setup.start().await;
    if reason == Reason::Full {
        assert_eq!(http_traces(relay.http, &[], &spans(1)).await.status, 200);
    }
    relay
}

/// Earns it over HTTP; nobody is told who went away.
async fn over_http(relay: &UnderTest, reason: Reason) -> Option<Told> {
    let good = spans(1);
    let port = relay.http;
    let empty = "content-length: 0";
    let answer = match reason {
        Reason::BrokenFrame => unreachable!("over HTTP there is no frame"),
        Reason::Malformed => http_traces(port, &[], &good[1..]).await,
        Reason::TooLarge => http_traces(port, &[], &sized(REQUEST_BYTES_MAX + 1)).await,
        Reason::Full | Reason::Internal => http_traces(port, &[], &good).await,
        Reason::UnknownEncoding => http_traces(port, &["content-encoding: br"], &good).await,
        Reason::UnknownContentType => {
            let head = post(otlp::TRACES_PATH, &["content-type: text/plain", empty]);
            http(port, &head, b"").await
        }
        Reason::WrongMethod => {
            let head = post(otlp::TRACES_PATH, &[]).replacen("POST", "GET", 1);
            http(port, &head, b"").await
        }
        Reason::UnknownPath => http(port, &post("/v1/trace", &[PROTOBUF, empty]), b"").await,
        Reason::OtherSignal => http(port, &post("/v1/metrics", &[PROTOBUF, empty]), b"").await,
        Reason::ShuttingDown => {
            let mut client = HttpClient::connect(port).await;
            let head = post(otlp::TRACES_PATH, &[PROTOBUF, empty]);
            client.send(head.as_bytes()).await;
            assert_eq!(client.answer().await.status, 200);
            relay.stop.cancel();
            client.send(head.as_bytes()).await;
            client.answer().await
        }
        Reason::TooSlow | Reason::Cancelled => {
            let mut client = HttpClient::connect(port).await;
            let head = post(otlp::TRACES_PATH, &[PROTOBUF, "content-length: 9"]);
            client.send(head.as_bytes()).await;
            if reason == Reason::Cancelled {
                client.send(b"half").await;
                return None;
            }
            client.answer().await
        }
    };
    Some(told_over_http(&answer))
}

/// Earns it over gRPC; nobody is told who went away.
async fn over_grpc(relay: &UnderTest, reason: Reason) -> Option<Told> {
    let good = frame(0, &spans(1));
    let mut client = GrpcClient::connect(relay.grpc).await;
    client.ready().await;
    let request = |path| grpc_request(path, &[]);
    let traces = otlp::TRACES_METHOD;
    let (head, body) = match reason {
        Reason::UnknownContentType => unreachable!("another content type is no gRPC"),
        Reason::Malformed => (request(traces), frame(0, &spans(1)[1..])),
        Reason::BrokenFrame => (request(traces), frame(7, &spans(1))),
        Reason::TooLarge => (request(traces), frame(0, &sized(REQUEST_BYTES_MAX + 1))),
        Reason::UnknownEncoding => {
            let snappy = [("grpc-encoding", "snappy")];
            (grpc_request(traces, &snappy), good)
        }
        Reason::WrongMethod => (request(traces).method("GET"), good),
        Reason::UnknownPath => (request("/a.Service/Method"), good),
        Reason::OtherSignal => (request(otlp::METRICS_METHOD), good),
        Reason::ShuttingDown => {
            relay.stop.cancel();
            (request(traces), good)
        }
        Reason::Full | Reason::Internal => (request(traces), good),
        Reason::TooSlow | Reason::Cancelled => {
            let mut call = client.export(&[]).await;
            call.send(good.slice(..3), false);
            if reason == Reason::Cancelled {
                call.stream.send_reset(h2::Reason::CANCEL);
                relay.until("it is counted", counted).await;
                return None;
            }
            return Some(told_over_grpc(&call.answer().await));
        }
    };
    let mut call = client.begin(head).await;
    // A refusal may come before the end of what is refused.
    let _sent = call.stream.send_data(body, true);
    Some(told_over_grpc(&call.answer().await))
}

fn told_over_http(answer: &HttpAnswer) -> Told {
    let (code, message) = answer.rpc_status();
    Told {
        status: answer.status,
        code: code.into(),
        message,
        shall_retry: answer.header("retry-after").is_some(),
    }
}

fn told_over_grpc(answer: &GrpcAnswer) -> Told {
    let status = answer.status();
    Told {
        status: answer.http_status.as_u16(),
        code: status.code(),
        message: status.message().to_owned(),
        shall_retry: status.get_details_retry_info().is_some(),
    }
}

fn counted(relay: &UnderTest) -> bool {
    relay.sample("otlp_relay_refusals_total{") > 0
}

async fn check(reason: Reason, transport: Transport) {
    let log = Log::start();
    let relay = relay_for(reason).await;
    let row = reason.row();
    let (told, code, status) = match transport {
        Transport::Http => {
            let told = over_http(&relay, reason).await;
            (told, row.status.to_string(), row.status)
        }
        Transport::Grpc => {
            let told = over_grpc(&relay, reason).await;
            (told, otlp::grpc_code_name(row.code).to_owned(), 200)
        }
    };
    relay.until("it is counted", counted).await;
    assert_eq!(relay.sample("otlp_relay_refusals_total{"), 1, "{reason:?}");
    assert_eq!(relay.refused(transport, &code, row.label), 1, "{reason:?}");

    let line = line(&log, "refused a request");
    let who = ["WARN", "peer=127.0.0.1:", "agent=\"test\""].map(str::to_owned);
    let what = [
        format!("transport=\"{}\"", transport.label()),
        format!("code=\"{code}\""),
        format!("reason=\"{}\"", row.label),
    ];
    let taught = taught(reason, transport);
    for part in who.iter().chain(&what).map(String::as_str).chain(taught) {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(told.is_none(), reason == Reason::Cancelled);
    if let Some(told) = told {
        let found = (told.status, told.code, told.shall_retry);
        assert_eq!(found, (status, row.code, row.retry), "{reason:?}");
        for part in taught {
            assert!(told.message.contains(part), "{part}: {}", told.message);
        }
    }
    relay.finish().await;
}

#[tokio::test]
async fn each_is_told_counted_and_logged_with_what_to_change() {
    for reason in Reason::ALL {
        for transport in Transport::ALL {
            if !IMPOSSIBLE.contains(&(reason, transport)) {
                check(reason, transport).await;
            }
        }
    }
}

/// Closes a connection for this, and says how it is counted and what the line advises.
async fn turned_away(turned: Turned) -> Option<(UnderTest, [&'static str; 2])> {
    let mut setup = Setup::default();
    match turned {
        // Nobody was there to be turned away; `accept` has a test of its own.
        Turned::AcceptFailed => None,
        Turned::TooManyConnections => {
            setup.options.connections_max = 1;
            let relay = setup.start().await;
            let mut only = GrpcClient::connect(relay.grpc).await;
            only.ready().await;
            let mut second = HttpClient::connect(relay.grpc).await;
            assert!(second.closed().await.is_empty());
            Some((relay, ["connections", "raise receivers.connections_max"]))
        }
        Turned::NoWindow => {
            let relay = setup.start().await;
            let free = relay.budget.total() - 2 * REQUEST_BYTES_MAX;
            let taken = relay.budget.try_claim(free, crate::budget::Use::Queues);
            let mut client = HttpClient::connect(relay.grpc).await;
            client.send(b"POST /").await;
            client.closed().await;
            drop(taken);
            Some((relay, ["windows", "raise budget.bytes"]))
        }
        Turned::Tls => {
            let relay = setup.start().await;
            let mut client = HttpClient::connect(relay.grpc).await;
            client.send(&[0x16, 3, 1, 0, 200, 1]).await;
            client.closed().await;
            Some((relay, ["tls", "trace.otlp.secure: false in milvus.yaml"]))
        }
    }
}

#[tokio::test]
async fn each_connection_that_is_closed_is_counted_and_logged_with_what_to_change() {
    for turned in Turned::ALL {
        let log = Log::start();
        let Some((relay, [reason, advice])) = turned_away(turned).await else {
            continue;
        };
        relay.until("it is counted", counted).await;
        assert_eq!(relay.refused(Transport::Grpc, "closed", reason), 1);
        let line = line(&log, "closed a connection");
        for part in ["WARN", "peer=127.0.0.1:", advice] {
            assert!(line.contains(part), "{part}: {line}");
        }
        relay.finish().await;
    }
}
