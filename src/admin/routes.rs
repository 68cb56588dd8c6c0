//! What the admin port answers, path by path.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{self, Path, Query, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    Destination, State,
    guard::{BODY_BYTES_MAX, Guard},
    readiness::unready,
    serve::Peer,
};
use crate::{
    metrics::{TEXT_FORMAT, Totals},
    store::{self, SUMMARIES_MAX},
};

/// An answer takes at most this long, a reload included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Traces in a list when nobody says how many.
const TRACES_DEFAULT: usize = 20;

/// On every answer: nothing here is for a page to embed, to guess the type of, or to keep (OWASP, REST Security Cheat
/// Sheet; protocol facts 3.2).
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Every path, how it is asked for, and what it is for: the index that `/` shows.
const INDEX: &[(&str, &str, &str)] = &[
    ("GET", "/metrics", "metrics for Prometheus"),
    ("GET", "/livez", "whether the process answers"),
    ("GET", "/readyz", "whether it takes requests, else why not"),
    ("GET", "/api/v1/ledger", "the account of every span"),
    (
        "GET",
        "/api/v1/destinations",
        "up or down and why, queue, learned limit",
    ),
    (
        "GET",
        "/api/v1/policies",
        "the policies as compiled, with what each decided",
    ),
    (
        "GET",
        "/api/v1/traces",
        "the newest traces; ?limit=20&service=NAME",
    ),
    (
        "GET",
        "/api/v1/traces/{id}",
        "one trace, with decisions and answers",
    ),
    (
        "GET",
        "/api/v1/config",
        "the configuration in force, secrets masked",
    ),
    (
        "POST",
        "/api/v1/reload",
        "reads configuration and policies again",
    ),
];

/// The routes over `state`, behind `guard`.
pub(super) fn router(state: State, guard: Guard) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/api/v1/ledger", get(ledger))
        .route("/api/v1/destinations", get(destinations))
        .route("/api/v1/policies", get(policies))
        .route("/api/v1/traces", get(traces))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/config", get(config))
        .route("/api/v1/reload", post(reload))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(Arc::new(state))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guarded))
}

/// What every request passes: the guard, the time limit; and what every answer gets.
async fn guarded(
    extract::State(guard): extract::State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match guard.check(&head) {
        Ok(()) => {
            let answer = next.run(Request::from_parts(head, body));
            timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| {
                let message = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
                error(StatusCode::SERVICE_UNAVAILABLE, &message)
            })
        }
        Err(denied) => {
            let Peer(peer) = peer(&head.extensions);
            let (status, reason) = (denied.status.as_u16(), &denied.message);
            tracing::debug!(%peer, status, reason, "admin request turned away");
            error(denied.status, &denied.message)
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

type Shared = extract::State<Arc<State>>;

async fn index() -> String {
    let lines = INDEX
        .iter()
        .map(|(method, path, meaning)| format!("  {method:<4} {path:<22} {meaning}\n"));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "otlp-relay {version}\n\nhere is:\n{}",
        lines.collect::<String>()
    )
}

async fn metrics(extract::State(state): Shared) -> Response {
    let text = state.metrics.render(&state.levels());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response()
}

async fn readyz(extract::State(state): Shared) -> (StatusCode, String) {
    let reasons = unready((state.phase)(), &state.destinations(), Instant::now());
    if reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let text = format!("not ready: {}\n", reasons.join("; "));
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

/// The books, and what is wrong with them: nothing, or the relay has a fault.
#[derive(Serialize)]
struct LedgerDocument {
    #[serde(flatten)]
    totals: Totals,
    balanced: bool,
    imbalance: Option<String>,
}

async fn ledger(extract::State(state): Shared) -> Response {
    let totals = state.metrics.ledger().totals();
    let imbalance = totals.imbalance();
    document(LedgerDocument {
        balanced: imbalance.is_none(),
        imbalance,
        totals,
    })
}

async fn destinations(extract::State(state): Shared) -> Response {
    let now = Instant::now();
    let destinations = state.destinations();
    let documents = destinations
        .iter()
        .map(|destination| destination_document(destination, now));
    document(json!({ "destinations": documents.collect::<Vec<_>>() }))
}

fn destination_document(destination: &Destination, now: Instant) -> serde_json::Value {
    let Destination { status, queue } = destination;
    let seconds_ago = |then: Instant| now.saturating_duration_since(then).as_secs();
    let last_error = status
        .last_error
        .as_ref()
        .map(|error| json!({ "message": error.message, "seconds_ago": seconds_ago(error.at) }));
    json!({
        "name": &*status.name,
        "endpoint": status.endpoint,
        "required": status.required,
        "up": status.down.is_none(),
        "reason": status.down.as_ref().map(|down| &down.reason),
        "failing_seconds": status.failing_for(now).map(|failing| failing.as_secs()),
        "last_error": last_error,
        "last_delivery_seconds_ago": status.last_delivery.map(seconds_ago),
        "learned_message_bytes_max": status.learned_bytes_max,
        "queue": {
            "bytes": queue.bytes,
            "bytes_max": queue.bytes_max,
            "spans": queue.spans,
            "payloads": queue.payloads,
            "oldest_seconds": queue.oldest.map(seconds_ago),
        },
    })
}

async fn policies(extract::State(state): Shared) -> Response {
    document((state.policies)())
}

async fn config(extract::State(state): Shared) -> Response {
    document((state.config)())
}

/// What a list of traces can be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TracesQuery {
    limit: Option<usize>,
    service: Option<String>,
}

async fn traces(
    extract::State(state): Shared,
    query: Result<Query<TracesQuery>, extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        return error(
            StatusCode::BAD_REQUEST,
            "the query may hold `limit`, a whole number, and `service`, a name",
        );
    };
    let limit = query.limit.unwrap_or(TRACES_DEFAULT);
    if limit > SUMMARIES_MAX {
        let message = format!("`limit` is {limit}, and may be at most {SUMMARIES_MAX}");
        return error(StatusCode::BAD_REQUEST, &message);
    }
    let level = state.store.level();
    document(json!({
        "traces": state.store.traces(limit, query.service.as_deref()),
        "store": {
            "on": state.store.is_on(),
            "traces": level.traces,
            "bytes": level.bytes,
            "bytes_max": level.bytes_max,
            "fraction": level.fraction,
            "skipped_spans": level.skipped_spans,
        },
    }))
}

async fn trace(extract::State(state): Shared, Path(id): Path<String>) -> Response {
    let Some(id) = store::parse_trace_id(&id) else {
        return error(
            StatusCode::BAD_REQUEST,
            "a trace id is 32 hexadecimal digits",
        );
    };
    match state.store.trace(&id) {
        Some(trace) => document(trace),
        None => error(
            StatusCode::NOT_FOUND,
            absent_because(state.store.is_on(), state.store.admits(&id)),
        ),
    }
}

fn absent_because(store_is_on: bool, admitted: bool) -> &'static str {
    if !store_is_on {
        "the trace store is off: set store.bytes_max"
    } else if !admitted {
        "more comes than the trace store can take, and this trace is not in the share that it keeps"
    } else {
        "this trace did not come here, or it has left the store for newer ones"
    }
}

async fn reload(extract::State(state): Shared, request: Request<Body>) -> Response {
    let Peer(peer) = peer(request.extensions());
    // Nothing in a body is of use; one that does not end is cut by the time limit.
    let limit = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    if axum::body::to_bytes(request.into_body(), limit)
        .await
        .is_err()
    {
        let message = format!("a body here is at most {BODY_BYTES_MAX} bytes");
        return error(StatusCode::PAYLOAD_TOO_LARGE, &message);
    }
    tracing::info!(%peer, "reload asked for by the admin API");
    match (state.reload)().await {
        Ok(generation) => document(json!({ "reloaded": true, "generation": generation })),
        Err(mistakes) => {
            let document = json!({
                "reloaded": false,
                "error": "the configuration has mistakes; the old one stays in force",
                "mistakes": mistakes,
            });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(document)).into_response()
        }
    }
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let allowed = INDEX
        .iter()
        .find(|(_, known, _)| *known == path)
        .map_or("GET", |(method, ..)| method);
    let message = format!("{method} is not served here: use {allowed}");
    error(StatusCode::METHOD_NOT_ALLOWED, &message)
}

async fn unknown_path() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "there is nothing at this path: GET / lists what there is",
    )
}

fn peer(extensions: &http::Extensions) -> Peer {
    *extensions
        .get()
        .expect("the listener names the peer of every request")
}

/// A document for people and programs, indented.
fn document(document: impl Serialize) -> Response {
    match serde_json::to_string_pretty(&document) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json")];
            (headers, text + "\n").into_response()
        }
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written as JSON",
        ),
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
