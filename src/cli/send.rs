//! `send`: a small test trace, its id, and what was answered.

use std::{process::ExitCode, time::Duration};

use http::Uri;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio_util::task::TaskTracker;

use super::{
    WRONG_USAGE, WireProtocol, complain, runtime, say,
    trace::{Step, Trace, request},
};
use crate::exporter::{Courier, Protocol, Reply};

/// How long one answer is awaited: what SDKs wait.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(endpoint: Option<&str>, protocol: WireProtocol, count: u32) -> ExitCode {
    let endpoint = endpoint.unwrap_or(match protocol {
        WireProtocol::Grpc => "http://127.0.0.1:4317",
        WireProtocol::Http => "http://127.0.0.1:4318",
    });
    let uri = match parse(endpoint) {
        Ok(uri) => uri,
        Err(message) => {
            complain(&format!("--endpoint: {message}\n"));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let sent = runtime().map(|runtime| runtime.block_on(send(uri, protocol, count)));
    match sent {
        Ok(Ok(0)) => ExitCode::SUCCESS,
        Ok(Ok(_not_taken)) => ExitCode::FAILURE,
        Ok(Err(message)) => {
            complain(&format!("{message}\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("cannot start the runtime: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The endpoint must say how to speak to it.
fn parse(endpoint: &str) -> Result<Uri, String> {
    let uri: Uri = endpoint
        .parse()
        .map_err(|error| format!("{endpoint} is no URL: {error}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some() => Ok(uri),
        _ => Err(format!(
            "{endpoint} has no scheme http or https; write http://{endpoint} for a plain port"
        )),
    }
}

/// Sends `count` traces one after the other; how many were not taken.
async fn send(endpoint: Uri, protocol: WireProtocol, count: u32) -> Result<u32, String> {
    let protocol = match protocol {
        WireProtocol::Grpc => Protocol::Grpc,
        WireProtocol::Http => Protocol::Http,
    };
    let courier = Courier::new(endpoint, protocol, TIMEOUT, TaskTracker::new())
        .map_err(|error| error.to_string())?;
    let mut not_taken = 0;
    for _ in 0..count {
        let trace = Trace::new(Duration::from_millis(30));
        let message = request(vec![trace.spans("otlp-relay-send", 0, &STEPS)]).encode_to_vec();
        let reply = courier.send(message.into()).await;
        not_taken += u32::from(matches!(reply, Reply::NotTaken(_)));
        say(&format!("trace {}: {reply}\n", trace.id()));
    }
    Ok(not_taken)
}

const STEPS: [Step; 3] = [
    Step {
        name: "test trace",
        kind: SpanKind::Client,
        parent: None,
        starts: Duration::ZERO,
        takes: Duration::from_millis(30),
    },
    Step {
        name: "outer",
        kind: SpanKind::Server,
        parent: Some(0),
        starts: Duration::from_millis(5),
        takes: Duration::from_millis(20),
    },
    Step {
        name: "inner",
        kind: SpanKind::Internal,
        parent: Some(1),
        starts: Duration::from_millis(10),
        takes: Duration::from_millis(10),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_told_what_to_write() {
        assert!(parse("http://localhost:4317").is_ok());
        let message = parse("localhost:4317").unwrap_err();
        assert!(message.contains("http://localhost:4317"), "{message}");
    }
}
