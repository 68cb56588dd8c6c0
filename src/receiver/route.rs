//! What the head of a request asks for. No I/O: one function from the head to a route or a refusal.

use http::{Method, Version, header::CONTENT_TYPE, request::Parts};

use super::{
    answer::Dialect,
    cors,
    health::{Asked, CHECK_METHOD, WATCH_METHOD},
};
use crate::{
    metrics::Misdirected,
    otlp,
    request::{Reason, Refusal},
};

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To hand over traces, and whether it came the wrong way.
    Traces(Option<Misdirected>),
    /// To know whether the relay serves.
    Health(Asked),
    /// To know whether a web page may send traces.
    Preflight,
}

/// How to answer, and what is wanted or why it is refused.
pub(super) fn route(head: &Parts) -> (Dialect, Result<Route, Refusal>) {
    let content_type = content_type(head);
    // gRPC needs trailers and streams, so over HTTP/1 its content type is only one more that is not known.
    let grpc = is_grpc(content_type) && head.version == Version::HTTP_2;
    let dialect = match content_type {
        _ if grpc => Dialect::Grpc,
        Some(found) if found.eq_ignore_ascii_case(otlp::PROTOBUF) => Dialect::Protobuf,
        _ => Dialect::Json,
    };
    let route = if grpc {
        grpc_route(head)
    } else {
        http_route(head, dialect, content_type)
    };
    (dialect, route)
}

/// The content type without its parameters.
fn content_type(head: &Parts) -> Option<&str> {
    let value = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or(value);
    Some(essence.trim())
}

/// `application/grpc`, bare or with a message format; `application/grpc-web` is something else.
fn is_grpc(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|found| {
        let start = found.get(..otlp::GRPC.len());
        let rest = found.get(otlp::GRPC.len()..).unwrap_or_default();
        start.is_some_and(|start| start.eq_ignore_ascii_case(otlp::GRPC))
            && (rest.is_empty() || rest.eq_ignore_ascii_case("+proto"))
    })
}

fn is_json(content_type: &str) -> bool {
    content_type.eq_ignore_ascii_case(otlp::JSON)
}

fn grpc_route(head: &Parts) -> Result<Route, Refusal> {
    let path = head.uri.path();
    if head.method != Method::POST {
        return Err(Refusal::new(
            Reason::WrongMethod,
            format!("gRPC calls are POST, not {}", shown(head.method.as_str())),
        ));
    }
    match path {
        otlp::TRACES_METHOD => Ok(Route::Traces(None)),
        CHECK_METHOD => Ok(Route::Health(Asked::Check)),
        WATCH_METHOD => Ok(Route::Health(Asked::Watch)),
        otlp::METRICS_METHOD | otlp::LOGS_METHOD => Err(other_signal()),
        _ => Err(Refusal::new(
            Reason::UnknownPath,
            format!(
                "no gRPC method {}; traces go to {}",
                shown(path),
                otlp::TRACES_METHOD
            ),
        )),
    }
}

fn http_route(
    head: &Parts,
    dialect: Dialect,
    content_type: Option<&str>,
) -> Result<Route, Refusal> {
    let path = head.uri.path();
    if path == otlp::TRACES_METHOD {
        return Err(not_grpc(content_type));
    }
    let route = http_path(path)?;
    if cors::is_preflight(head) {
        return Ok(Route::Preflight);
    }
    if head.method != Method::POST {
        return Err(Refusal::new(
            Reason::WrongMethod,
            format!(
                "traces are sent with POST, not {}",
                shown(head.method.as_str())
            ),
        ));
    }
    let is_json = content_type.is_some_and(is_json);
    if dialect == Dialect::Protobuf || is_json {
        return Ok(route);
    }
    Err(Refusal::new(
        Reason::UnknownContentType,
        unknown_content_type(content_type),
    ))
}

fn http_path(path: &str) -> Result<Route, Refusal> {
    let misdirected = match path {
        otlp::TRACES_PATH => None,
        "/" => Some(Misdirected::RootPath),
        _ if path.strip_suffix('/') == Some(otlp::TRACES_PATH) => Some(Misdirected::TrailingSlash),
        _ if path.strip_prefix(otlp::TRACES_PATH) == Some(otlp::TRACES_PATH) => {
            Some(Misdirected::DoubledPath)
        }
        otlp::METRICS_PATH | otlp::LOGS_PATH => return Err(other_signal()),
        _ => {
            let message = format!(
                "nothing at {}; send traces to {}",
                shown(path),
                otlp::TRACES_PATH
            );
            return Err(Refusal::new(Reason::UnknownPath, message));
        }
    };
    Ok(Route::Traces(misdirected))
}

fn unknown_content_type(found: Option<&str>) -> String {
    match found {
        None => format!(
            "the content type is missing; send {} or {}",
            otlp::PROTOBUF,
            otlp::JSON
        ),
        Some(found) if is_grpc(Some(found)) => {
            "gRPC needs HTTP/2, and this request came over HTTP/1: let no proxy in between change that".into()
        }
        Some(found) => format!(
            "the content type {} is not understood; send {} or {}",
            shown(found),
            otlp::PROTOBUF,
            otlp::JSON
        ),
    }
}

/// gRPC answers 415 to content types that are none of its own (gRPC over HTTP/2, "Requests").
fn not_grpc(found: Option<&str>) -> Refusal {
    let found = found.map_or_else(|| "missing".into(), shown);
    Refusal::new(
        Reason::UnknownContentType,
        format!(
            "the content type is {found}; gRPC calls are sent over HTTP/2 as {}, and other traces to {}",
            otlp::GRPC,
            otlp::TRACES_PATH
        ),
    )
}

fn other_signal() -> Refusal {
    Refusal::new(
        Reason::OtherSignal,
        format!(
            "only traces are relayed: set the exporters of metrics and logs to none, and send traces to {} or {}",
            otlp::TRACES_PATH,
            otlp::TRACES_METHOD
        ),
    )
}

/// As much of a stranger's text as a message repeats, in bytes.
const SHOWN_BYTES_MAX: usize = 128;

/// The start of a stranger's text, escaped.
pub(super) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    text[..end].escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PB: &str = otlp::PROTOBUF;
    const NONE: &str = "";

    /// The dialect and the route of a request; no content type is the empty one.
    fn routed(
        version: Version,
        line: &str,
        content_type: &str,
    ) -> (Dialect, Result<Route, Reason>) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder();
        if content_type != NONE {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.version(version).method(method).uri(path);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (dialect, route) = route(&head);
        (dialect, route.map_err(|refusal| refusal.reason))
    }

    #[test]
    fn http_paths_methods_and_types() {
        let cases = [
            ("POST /v1/traces", PB, Ok(None)),
            ("POST /v1/traces?a=b", PB, Ok(None)),
            ("POST /v1/traces", "Application/X-Protobuf; a=b", Ok(None)),
            ("POST /v1/traces/", PB, Ok(Some(Misdirected::TrailingSlash))),
            ("POST /", PB, Ok(Some(Misdirected::RootPath))),
            (
                "POST /v1/traces/v1/traces",
                PB,
                Ok(Some(Misdirected::DoubledPath)),
            ),
            (
                "POST /v1/traces/v1/traces/v1/traces",
                PB,
                Err(Reason::UnknownPath),
            ),
            ("POST /v1/trace", PB, Err(Reason::UnknownPath)),
            ("GET /metrics", NONE, Err(Reason::UnknownPath)),
            ("POST /v1/metrics", PB, Err(Reason::OtherSignal)),
            ("GET /v1/logs", otlp::JSON, Err(Reason::OtherSignal)),
            ("GET /v1/traces", NONE, Err(Reason::WrongMethod)),
            ("PUT /", PB, Err(Reason::WrongMethod)),
            ("OPTIONS /v1/traces", NONE, Err(Reason::WrongMethod)),
            ("BREW /v1/traces", PB, Err(Reason::WrongMethod)),
            ("POST /v1/traces", NONE, Err(Reason::UnknownContentType)),
            (
                "POST /v1/traces",
                "text/plain",
                Err(Reason::UnknownContentType),
            ),
            ("POST /v1/traces", otlp::JSON, Ok(None)),
            (
                "POST /",
                "application/json; charset=utf-8",
                Ok(Some(Misdirected::RootPath)),
            ),
            (
                "POST /v1/traces",
                "application/jsonl",
                Err(Reason::UnknownContentType),
            ),
            (
                "POST /v1/traces",
                "application/grpc-web",
                Err(Reason::UnknownContentType),
            ),
        ];
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for (line, content_type, expected) in cases {
                let (dialect, route) = routed(version, line, content_type);
                assert_eq!(route, expected.map(Route::Traces), "{line} {content_type}");
                let protobuf = content_type.to_lowercase().starts_with(PB);
                assert_eq!(
                    dialect == Dialect::Protobuf,
                    protobuf,
                    "{line} {content_type}"
                );
            }
        }
    }

    #[test]
    fn grpc_methods() {
        let traces = format!("POST {}", otlp::TRACES_METHOD);
        for content_type in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC; a=b",
        ] {
            let found = routed(Version::HTTP_2, &traces, content_type);
            assert_eq!(
                found,
                (Dialect::Grpc, Ok(Route::Traces(None))),
                "{content_type}"
            );
        }
        let metrics = format!("POST {}", otlp::METRICS_METHOD);
        let logs = format!("POST {}", otlp::LOGS_METHOD);
        let cases = [
            (
                "POST /grpc.health.v1.Health/Check",
                Ok(Route::Health(Asked::Check)),
            ),
            (
                "POST /grpc.health.v1.Health/Watch",
                Ok(Route::Health(Asked::Watch)),
            ),
            ("POST /grpc.health.v1.Health/Shut", Err(Reason::UnknownPath)),
            ("GET /grpc.health.v1.Health/Check", Err(Reason::WrongMethod)),
            (&metrics, Err(Reason::OtherSignal)),
            (&logs, Err(Reason::OtherSignal)),
            ("POST /v1/traces", Err(Reason::UnknownPath)),
            ("POST /a.B/C", Err(Reason::UnknownPath)),
        ];
        for (line, expected) in cases {
            let found = routed(Version::HTTP_2, line, otlp::GRPC);
            assert_eq!(found, (Dialect::Grpc, expected), "{line}");
        }
    }

    #[test]
    fn a_grpc_path_takes_nothing_but_grpc() {
        let line = format!("POST {}", otlp::TRACES_METHOD);
        let refused = Err(Reason::UnknownContentType);
        for content_type in [NONE, PB, "text/plain"] {
            assert_eq!(
                routed(Version::HTTP_2, &line, content_type).1,
                refused,
                "{content_type}"
            );
        }
        // gRPC needs HTTP/2.
        assert_eq!(
            routed(Version::HTTP_11, &line, otlp::GRPC),
            (Dialect::Json, refused)
        );
    }
}
