//! What a client is told, in its own dialect: a receipt or a refusal becomes an HTTP response.
//!
//! It decides nothing: `request::Reason::row` is the table, this file writes its rows down.

mod json;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::{Body, Frame, SizeHint};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    decompress::{GRPC_ENCODINGS, HTTP_ENCODINGS},
    frame,
    health::HealthBody,
};
use crate::{
    metrics::Transport,
    otlp,
    pipeline::Receipt,
    request::{MESSAGE_BYTES_MAX, Reason, Refusal},
};

/// A client that shall come again is told a delay between these, at random, so that those who were refused together do
/// not come back together (product.md, "What an OTLP client is told").
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// An empty message in its frame: the usual answer.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; frame::PREFIX_BYTES]);

/// How a client is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// gRPC: status and message in trailers.
    Grpc,
    /// HTTP; bodies are protobuf, as the request's.
    Protobuf,
    /// HTTP; bodies are JSON, as the request's, or because the request named no type that is known.
    Json,
}

/// The body of any answer.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// At most one chunk, and for gRPC the trailers.
    Whole {
        /// Sent first, unless there is none.
        data: Option<Bytes>,
        /// Sent last, unless there are none.
        trailers: Option<HeaderMap>,
    },
    /// What the health service answers.
    Health(HealthBody),
}

impl Dialect {
    /// Which transport it belongs to.
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Grpc => Transport::Grpc,
            Self::Protobuf | Self::Json => Transport::Http,
        }
    }

    /// The answer to a request that was taken.
    pub(super) fn accepted(self, receipt: Receipt) -> Response<AnswerBody> {
        let response = response_to(receipt);
        match self {
            Self::Grpc => grpc_message(&response.encode_to_vec()),
            Self::Protobuf => http_message(response.encode_to_vec().into(), otlp::PROTOBUF),
            Self::Json => http_message(json::response(&response), otlp::JSON),
        }
    }

    /// The answer to a request that was refused.
    pub(super) fn refused(self, refusal: &Refusal) -> Response<AnswerBody> {
        let row = refusal.reason.row();
        let delay = row.retry.then(retry_delay);
        let status = Status::with_error_details(
            row.code,
            refusal.message_to_send(),
            details(refusal, delay),
        );
        let mut response = match self {
            Self::Grpc => grpc_status(&status),
            Self::Protobuf => http_status(
                row.status,
                Bytes::copy_from_slice(status.details()),
                otlp::PROTOBUF,
            ),
            Self::Json => http_status(row.status, json::status(&status, delay), otlp::JSON),
        };
        self.advise(refusal.reason, delay, response.headers_mut());
        response
    }

    /// The headers that tell what would have been understood, and when to come again.
    fn advise(self, reason: Reason, delay: Option<Duration>, headers: &mut HeaderMap) {
        match (self, reason) {
            (Self::Grpc, Reason::UnknownEncoding) => {
                headers.insert(
                    GRPC_ACCEPT_ENCODING,
                    HeaderValue::from_static(GRPC_ENCODINGS),
                );
            }
            (Self::Protobuf | Self::Json, Reason::UnknownEncoding) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(HTTP_ENCODINGS));
            }
            (Self::Protobuf | Self::Json, Reason::WrongMethod) => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        if let Some(delay) = delay
            && self != Self::Grpc
        {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// When a client is told to come again.
fn retry_delay() -> Duration {
    // `RandomState` draws its keys from the operating system once per thread and changes them with every use.
    let draw = RandomState::new().hash_one(());
    let span = RETRY_AFTER_MAX.saturating_sub(RETRY_AFTER_MIN);
    let millis = draw % (u64::try_from(span.as_millis()).expect("it is a constant") + 1);
    RETRY_AFTER_MIN + Duration::from_millis(millis)
}

/// OTLP asks for RetryInfo where a retry is wanted and for `BadRequest` where the data is at fault (specification,
/// "Failures"); `RESOURCE_EXHAUSTED` with RetryInfo would be a retryable answer.
fn details(refusal: &Refusal, delay: Option<Duration>) -> ErrorDetails {
    match (refusal.reason, delay) {
        (_, Some(delay)) => ErrorDetails::with_retry_info(Some(delay)),
        (Reason::Malformed, None) => {
            ErrorDetails::with_bad_request_violation("body", refusal.message_to_send())
        }
        _ => ErrorDetails::new(),
    }
}

/// With `partial_success` where there is something to tell, and nowhere else (OTLP, "Full Success").
fn response_to(receipt: Receipt) -> ExportTraceServiceResponse {
    let Receipt {
        rejected_spans,
        message: mut error_message,
    } = receipt;
    error_message.truncate(error_message.floor_char_boundary(MESSAGE_BYTES_MAX));
    let tells = rejected_spans > 0 || !error_message.is_empty();
    let partial_success = tells.then(|| ExportTracePartialSuccess {
        rejected_spans: rejected_spans.try_into().unwrap_or(i64::MAX),
        error_message,
    });
    ExportTraceServiceResponse { partial_success }
}

fn grpc_message(message: &[u8]) -> Response<AnswerBody> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let body = AnswerBody::Whole {
        data: Some(framed(message)),
        trailers: Some(trailers),
    };
    with_type(StatusCode::OK, body, otlp::GRPC)
}

fn framed(message: &[u8]) -> Bytes {
    if message.is_empty() {
        return EMPTY_MESSAGE;
    }
    let length = u32::try_from(message.len()).expect("the message was cut to a kilobyte");
    let mut framed = BytesMut::with_capacity(frame::PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    framed.freeze()
}

/// Trailers-Only: status and message are the headers of a response without a body (gRPC over HTTP/2, "Responses").
fn grpc_status(status: &Status) -> Response<AnswerBody> {
    let mut response = with_type(StatusCode::OK, AnswerBody::empty(), otlp::GRPC);
    status
        .add_header(response.headers_mut())
        .expect("a percent-encoded message is a header value");
    response
}

fn http_message(message: Bytes, content_type: &'static str) -> Response<AnswerBody> {
    with_type(StatusCode::OK, AnswerBody::of(message), content_type)
}

fn http_status(status: u16, body: Bytes, content_type: &'static str) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(status).expect("the table holds HTTP statuses");
    with_type(status, AnswerBody::of(body), content_type)
}

fn with_type(
    status: StatusCode,
    body: AnswerBody,
    content_type: &'static str,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

// === impl AnswerBody ===

impl AnswerBody {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::of(Bytes::new())
    }

    fn of(data: Bytes) -> Self {
        Self::Whole {
            data: (!data.is_empty()).then_some(data),
            trailers: None,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Self::Whole { data, trailers } => {
                let frame = data.take().map(Frame::data);
                let frame = frame.or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            Self::Health(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Health(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole {
                data,
                trailers: None,
            } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            // With trailers a content-length would be a promise about the body alone, which some proxies misread.
            Self::Whole { .. } | Self::Health(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    async fn body(response: Response<AnswerBody>) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[test]
    fn delays_are_spread_over_their_range() {
        let delays: Vec<_> = (0..1000).map(|_| retry_delay()).collect();
        assert!(
            delays
                .iter()
                .all(|delay| (RETRY_AFTER_MIN..=RETRY_AFTER_MAX).contains(delay))
        );
        for second in 1..5 {
            let in_it = delays
                .iter()
                .filter(|delay| delay.as_secs() == second)
                .count();
            assert!(
                (150..350).contains(&in_it),
                "{in_it} of 1000 in second {second}"
            );
        }
    }

    #[tokio::test]
    async fn a_status_in_json_has_the_names_of_proto3() {
        let refusal = Refusal::new(Reason::Full, "come \"again\"");
        let response = Dialect::Json.refused(&refusal);
        let seconds: f64 = response.headers()[RETRY_AFTER]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body(response).await).unwrap();
        assert_eq!(document["code"], 14);
        assert_eq!(document["message"], "come \"again\"");
        let detail = &document["details"][0];
        assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.RetryInfo");
        let delay = detail["retryDelay"]
            .as_str()
            .unwrap()
            .strip_suffix('s')
            .unwrap();
        // Retry-After has whole seconds, so it is the same delay rounded up.
        let rounded_up = delay.parse::<f64>().unwrap().ceil();
        assert!(
            (rounded_up - seconds).abs() < f64::EPSILON,
            "{delay} {seconds}"
        );
    }

    #[tokio::test]
    async fn a59_long_messages_are_cut_at_a_character() {
        let refusal = Refusal::new(Reason::Malformed, "é".repeat(MESSAGE_BYTES_MAX));
        for dialect in [Dialect::Grpc, Dialect::Protobuf, Dialect::Json] {
            let response = dialect.refused(&refusal);
            let head_bytes: usize = response.headers().values().map(HeaderValue::len).sum();
            assert!(
                head_bytes < 8 * 1024,
                "gRPC suggests 8 KiB for a head: {head_bytes}"
            );
            assert!(body(response).await.len() < 4 * MESSAGE_BYTES_MAX);
        }
        let receipt = Receipt {
            rejected_spans: 3,
            message: "é".repeat(MESSAGE_BYTES_MAX),
        };
        let told = body(Dialect::Protobuf.accepted(receipt)).await;
        let told = ExportTraceServiceResponse::decode(told)
            .unwrap()
            .partial_success
            .unwrap();
        assert_eq!(
            (told.rejected_spans, told.error_message.len()),
            (3, MESSAGE_BYTES_MAX)
        );
    }

    #[tokio::test]
    async fn a49_a_warning_rejects_nothing() {
        let receipt = Receipt {
            rejected_spans: 0,
            message: "a warning".into(),
        };
        let framed = body(Dialect::Grpc.accepted(receipt)).await;
        let told = ExportTraceServiceResponse::decode(&framed[frame::PREFIX_BYTES..]).unwrap();
        let told = told.partial_success.unwrap();
        assert_eq!(
            (told.rejected_spans, &*told.error_message),
            (0, "a warning")
        );
    }

    #[tokio::test]
    async fn json_is_answered_in_json() {
        let all_is_well = Dialect::Json.accepted(Receipt::default());
        assert_eq!(all_is_well.headers()[CONTENT_TYPE], otlp::JSON);
        assert_eq!(body(all_is_well).await, "{}");
        let some_were_not = Receipt {
            rejected_spans: 3,
            message: "said \"so\"".into(),
        };
        let told = body(Dialect::Json.accepted(some_were_not)).await;
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        let expected = json!({ "rejectedSpans": "3", "errorMessage": "said \"so\"" });
        assert_eq!(told["partialSuccess"], expected);
    }
}
