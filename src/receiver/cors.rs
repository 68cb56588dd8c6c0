//! Web pages that send spans: which may, and what their browsers are told (Fetch, "CORS protocol").
//!
//! Nothing is ever allowed with credentials, so a page learns no more than anybody who can reach the port.

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
    request::Parts,
};

use super::answer::AnswerBody;
use crate::request::{Reason, Refusal};

/// Stands for every origin.
pub(super) const ANY: &str = "*";

/// How long a browser may go by a preflight's answer, in seconds: what Chromium allows at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Whether a browser asks beforehand whether its page may send.
pub(super) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a page of `origin` is told that it may be: its own origin, or any; `None` where it may not send.
pub(super) fn allowed(origin: &HeaderValue, origins: &[String]) -> Option<HeaderValue> {
    if origins.iter().any(|allowed| allowed == ANY) {
        return Some(HeaderValue::from_static(ANY));
    }
    let known = origins
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes());
    known.then(|| origin.clone())
}

/// The answer to the preflight of a page that may send: whatever headers it wants to.
pub(super) fn preflight(asked: &HeaderMap) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// The refusal of any other.
pub(super) fn not_allowed(asked: &HeaderMap) -> Refusal {
    let origin = asked.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    Refusal::new(
        Reason::WrongMethod,
        format!(
            "a web page of the origin {:?} may not send spans: add it to receivers.http.cors_allowed_origins",
            origin.unwrap_or_default()
        ),
    )
}

/// Lets the page read an answer.
pub(super) fn expose(response: &mut HeaderMap, origin: HeaderValue) {
    if origin != ANY {
        response.insert(VARY, HeaderValue::from_static("origin"));
    }
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after"),
    );
}
