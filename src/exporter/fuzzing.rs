//! Any bytes as a destination's answer, read as gRPC and as HTTP: only a status that is there is a verdict, what is shown of the
//! peer's words is short and printable, and a wish to wait is one that a clock can hold.
//!
//! The function is the body of the fuzz target `answers`, and its twin below runs it over the seeds. It stands here because
//! outcomes are this room's own.

use std::{convert::Infallible, fmt, future::ready, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use super::{
    client::answer::{read_grpc, read_http},
    outcome::{Class, Outcome, TEXT_CHARS_MAX},
};

/// The longest code that stands before a peer's words, in characters: `FAILED_PRECONDITION: `, with room.
const CODE_CHARS_MAX: usize = 32;

/// Takes any bytes as an answer: a line with the HTTP status, headers on lines of their own, an empty line, trailers on lines of
/// their own, an empty line, and the body.
pub fn fuzz_body(bytes: &[u8]) {
    let written = Written::of(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(async {
        let outcome = read_grpc(written.response()).await;
        let by_status = |headers: &HeaderMap| headers.contains_key("grpc-status");
        if !by_status(&written.headers) && !by_status(&written.trailers) {
            let is_verdict = !matches!(outcome, Outcome::Retry { .. } | Outcome::Refused(_));
            assert!(!is_verdict, "nobody said so: {outcome:?}");
        }
        check(&outcome);

        let deadline = Instant::now() + Duration::from_secs(5);
        let outcome = read_http(written.response(), deadline).await;
        let class = Class::of_http(written.status);
        let delivered = matches!(outcome, Outcome::Delivered { .. });
        assert_eq!(delivered, class == Class::Delivered, "{outcome:?}");
        check(&outcome);
    });
}

fn check(outcome: &Outcome) {
    assert!(!outcome.is_timeout(), "it came at once");
    match outcome {
        Outcome::Delivered { .. } => {}
        Outcome::Malformed(answer)
        | Outcome::TooLarge(answer)
        | Outcome::NotAllowed(answer)
        | Outcome::Refused(answer)
        | Outcome::Retry { answer, .. } => check_shown(answer),
    }
}

fn check_shown(answer: &impl fmt::Display) {
    let shown = answer.to_string();
    assert!(
        shown.chars().count() <= CODE_CHARS_MAX + TEXT_CHARS_MAX,
        "{shown}"
    );
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

/// An answer as it is written in the bytes of an input.
struct Written {
    status: u16,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Bytes,
}

impl Written {
    fn of(bytes: &[u8]) -> Self {
        let (head, rest) = split_once(bytes, b"\n\n");
        let (status, headers) = split_once(head, b"\n");
        let (trailers, body) = split_once(rest, b"\n\n");
        let status = str::from_utf8(status)
            .ok()
            .and_then(|line| line.parse().ok());
        Self {
            status: status
                .filter(|status| (100..=999).contains(status))
                .unwrap_or(200),
            headers: fields(headers),
            trailers: fields(trailers),
            body: Bytes::copy_from_slice(body),
        }
    }

    fn response(&self) -> Response<impl http_body::Body<Data = Bytes, Error = Infallible> + Unpin> {
        let trailers = (!self.trailers.is_empty()).then(|| Ok(self.trailers.clone()));
        let body = Full::new(self.body.clone()).with_trailers(ready(trailers));
        let mut response = Response::new(body);
        *response.status_mut() = self.status.try_into().expect("it has three digits");
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

fn split_once<'a>(bytes: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    let found = bytes
        .windows(separator.len())
        .position(|window| window == separator);
    match found {
        Some(at) => (&bytes[..at], &bytes[at + separator.len()..]),
        None => (bytes, &[]),
    }
}

/// Fields that HTTP could carry; the others are left out.
fn fields(lines: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let (name, value) = split_once(line, b":");
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use crate::seeds;

    #[test]
    fn answers_of_the_seeds_and_their_mutations() {
        seeds::for_each("answers", &[], super::fuzz_body);
    }
}
