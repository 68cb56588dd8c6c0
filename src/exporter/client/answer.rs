//! Reads an answer: bounded, decompressed, classified.
//!
//! Invariant: at most [`ANSWER_BYTES_MAX`] are held of an answer, before and after decompression; nothing a peer sends
//! makes reading it panic.

use std::{
    error::Error,
    io::Read,
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::StatusExt;

use super::{describe, frame::PREFIX_BYTES};
use crate::{
    exporter::{
        outcome::{Answer, AnswerCode, Class, Outcome},
        retry_after,
    },
    otlp,
};

/// The most that is read of an answer, before and after decompression, in bytes (OTLP specification: 4 MiB).
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest zstd window, as a power of two, that an answer may ask us to hold: twice the largest answer.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Said of a message that was taken although its answer made no sense.
const UNREADABLE: &str = "it was taken, but the answer's body could not be read";

/// What was read of a body.
enum Body {
    Whole(Bytes, Option<HeaderMap>),
    TooLong,
    Broken(String),
}

/// Reads the answer of a gRPC server. Only a status that the peer sent is a verdict.
pub(in crate::exporter) async fn read_grpc<B>(response: Response<B>) -> Outcome
where
    B: http_body::Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let (head, body) = response.into_parts();
    if let Some(outcome) = verdict(&head.headers, Bytes::new) {
        return outcome;
    }
    if head.status != StatusCode::OK {
        let text = format!("HTTP {} without a gRPC status", head.status.as_u16());
        return Outcome::transport(&text);
    }
    match collect(body).await {
        Body::Whole(message, Some(trailers)) => {
            let encoding = head.headers.get("grpc-encoding");
            let message = || unframe(message, encoding.map(http::HeaderValue::as_bytes));
            verdict(&trailers, message)
                .unwrap_or_else(|| Outcome::transport("an answer without a gRPC status"))
        }
        Body::Whole(_, None) => Outcome::transport("an answer without a gRPC status"),
        Body::Broken(error) => Outcome::transport(&error),
        // Not retried: the peer has read the message, and would answer the same again.
        Body::TooLong => Outcome::Refused(Answer::new(
            AnswerCode::Transport,
            "an answer of more than 4 MiB",
        )),
    }
}

/// Reads the answer of an OTLP/HTTP server. The status is the verdict, whatever the body says, and also when it has not
/// come by the deadline.
pub(in crate::exporter) async fn read_http<B>(response: Response<B>, deadline: Instant) -> Outcome
where
    B: http_body::Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let class = Class::of_http(status);
    let is_protobuf = content_type_is_protobuf(&head.headers);
    let body = match timeout_at(deadline, collect(body)).await {
        Ok(Body::Whole(body, _)) => {
            let encoding = head.headers.get(CONTENT_ENCODING);
            decompress(body, encoding.map(http::HeaderValue::as_bytes))
        }
        Ok(Body::TooLong | Body::Broken(_)) | Err(_) => None,
    };
    if class == Class::Delivered {
        return match body {
            Some(body) if body.is_empty() || is_protobuf => delivered(Some(body)),
            _ => delivered(None),
        };
    }
    let text = http_text(&head.headers, is_protobuf, body.unwrap_or_default());
    let answer = Answer::new(AnswerCode::Http(status), &text);
    let after = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| retry_after::parse(value.as_bytes(), SystemTime::now()));
    class.outcome(answer, after)
}

/// The outcome that a gRPC status in `headers` stands for; `None` without a status.
fn verdict(headers: &HeaderMap, message: impl FnOnce() -> Bytes) -> Option<Outcome> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    let text = headers
        .get("grpc-message")
        .map(|value| percent_decoded(value.as_bytes()))
        .unwrap_or_default();
    if code == Code::Ok {
        let message = message();
        return Some(delivered(Some(message)));
    }
    let after = retry_info(headers, code);
    let answer = Answer::new(AnswerCode::Grpc(code), &text);
    Some(Class::of_grpc(code, after.is_some()).outcome(answer, after))
}

/// The delay of a `RetryInfo` among the details of a status. `tonic::Status::from_header_map` is not used: it panics on
/// details that are no base64.
fn retry_info(headers: &HeaderMap, code: Code) -> Option<Duration> {
    let details = headers.get("grpc-status-details-bin")?;
    let mut only_details = HeaderMap::new();
    only_details.insert("grpc-status-details-bin", details.clone());
    let details = MetadataMap::from_headers(only_details)
        .get_bin("grpc-status-details-bin")?
        .to_bytes()
        .ok()?;
    Status::with_details(code, "", details)
        .get_details_retry_info()
        .map(|info| info.retry_delay.unwrap_or_default())
}

/// A message that was taken, with what its answer says; a 2xx with an unreadable body is a success all the same.
fn delivered(answer: Option<Bytes>) -> Outcome {
    let answer = answer.map(ExportTraceServiceResponse::decode);
    let Some(Ok(answer)) = answer else {
        return Outcome::Delivered {
            rejected_spans: 0,
            message: UNREADABLE.to_owned(),
        };
    };
    let partial = answer.partial_success.unwrap_or_default();
    Outcome::Delivered {
        rejected_spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: partial.error_message,
    }
}

async fn collect<B>(mut body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let mut whole = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Body::Broken(describe(&error)),
        };
        match frame.into_data() {
            Ok(data) if whole.len() + data.len() > ANSWER_BYTES_MAX => return Body::TooLong,
            Ok(data) => whole.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    Body::Whole(whole.freeze(), trailers)
}

/// The first message of a gRPC body; bytes that are no message when it cannot be read.
fn unframe(mut body: Bytes, encoding: Option<&[u8]>) -> Bytes {
    const NO_MESSAGE: &[u8] = &[0xff];
    if body.is_empty() {
        return body;
    }
    if body.len() < PREFIX_BYTES {
        return NO_MESSAGE.into();
    }
    let compressed = body.get_u8() != 0;
    let length = body.get_u32() as usize;
    if length > body.len() {
        return NO_MESSAGE.into();
    }
    body.truncate(length);
    let encoding = encoding.filter(|_| compressed);
    decompress(body, encoding).unwrap_or(NO_MESSAGE.into())
}

/// The body without its compression; `None` when it is an unknown one, broken, or too long.
fn decompress(body: Bytes, encoding: Option<&[u8]>) -> Option<Bytes> {
    match encoding {
        None | Some(b"" | b"identity") => Some(body),
        Some(b"gzip") => read_bounded(flate2::read::GzDecoder::new(body.reader())),
        Some(b"zstd") => {
            let mut decoder = zstd::stream::read::Decoder::new(body.reader()).ok()?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
            read_bounded(decoder)
        }
        Some(_) => None,
    }
}

fn read_bounded(reader: impl Read) -> Option<Bytes> {
    let mut whole = Vec::new();
    let bound = ANSWER_BYTES_MAX as u64 + 1;
    reader.take(bound).read_to_end(&mut whole).ok()?;
    (whole.len() <= ANSWER_BYTES_MAX).then(|| whole.into())
}

fn content_type_is_protobuf(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let media_type = value.as_bytes().split(|&byte| byte == b';').next();
        media_type.is_some_and(|media_type| {
            media_type
                .trim_ascii()
                .eq_ignore_ascii_case(otlp::PROTOBUF.as_bytes())
        })
    })
}

/// What an HTTP error says in words: where a redirect leads, the message of a `google.rpc.Status`, or the body as text.
fn http_text(headers: &HeaderMap, is_protobuf: bool, body: Bytes) -> String {
    if let Some(location) = headers.get(LOCATION) {
        let location = String::from_utf8_lossy(location.as_bytes());
        return format!("redirects are not followed; it points to {location}");
    }
    if is_protobuf {
        return tonic_types::Status::decode(body)
            .map(|status| status.message)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&body).trim().to_owned()
}

/// The text of a `grpc-message`; what is not percent-encoded well stays as it is, and never changes the code.
fn percent_decoded(value: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn messages_are_percent_decoded_where_they_can_be() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            (b"100%25 %C3%A9%20", "100% \u{e9} "),
            (b"%", "%"),
            (b"%4", "%4"),
            (b"%zz%+1", "%zz%+1"),
            (b"%ff", "\u{fffd}"),
        ];
        for (value, expected) in cases {
            assert_eq!(percent_decoded(value), expected, "{value:?}");
        }
    }

    #[test]
    fn broken_frames_are_no_message_and_harm_nobody() {
        let cases: [&[u8]; 5] = [
            &[0, 0],
            &[0, 0, 0, 0, 9, 1],
            &[0, 0xff, 0xff, 0xff, 0xff],
            &[1, 0, 0, 0, 2, 7, 7],
            &[0, 0, 0, 0, 1, 0xff],
        ];
        for case in cases {
            let body = unframe(Bytes::copy_from_slice(case), Some(b"gzip"));
            let Outcome::Delivered { message, .. } = delivered(Some(body)) else {
                panic!("a status of OK is a delivery");
            };
            assert_eq!(message, UNREADABLE, "{case:?}");
        }
    }

    #[tokio::test]
    async fn answers_are_held_up_to_their_limit() {
        for (bytes, held) in [
            (ANSWER_BYTES_MAX - 1, true),
            (ANSWER_BYTES_MAX, true),
            (ANSWER_BYTES_MAX + 1, false),
        ] {
            let plain = vec![b'a'; bytes];
            let collected = collect(Full::new(Bytes::from(plain.clone()))).await;
            assert_eq!(matches!(collected, Body::Whole(..)), held, "{bytes}");
            let mut gzip = flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast());
            let mut small = Vec::new();
            gzip.read_to_end(&mut small).unwrap();
            let zstd = zstd::bulk::compress(&plain, 1).unwrap();
            for (encoding, small) in [("gzip", small), ("zstd", zstd)] {
                let undone = decompress(small.into(), Some(encoding.as_bytes()));
                assert_eq!(undone.is_some(), held, "{encoding} {bytes}");
            }
        }
    }

    #[test]
    fn only_protobuf_is_read_as_protobuf() {
        for (value, expected) in [
            ("application/x-protobuf", true),
            ("Application/X-Protobuf ; charset=utf-8", true),
            ("application/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(content_type_is_protobuf(&headers), expected, "{value}");
        }
    }
}
