//! OTLP/gRPC: the headers of a call, and its one message.

use std::time::Duration;

use http::HeaderMap;

use super::{
    arriving::Arriving,
    decompress::{Compression, GRPC_ENCODINGS},
    frame::{FrameReader, Part, Prefix},
    intake::{Intake, Whole},
    room::Room,
    route::shown,
};
use crate::request::{Reason, Refusal};

/// The header that says how messages are compressed.
const ENCODING: &str = "grpc-encoding";

/// The header that says how long the client waits for the answer.
const TIMEOUT: &str = "grpc-timeout";

/// An answer leaves this much before the client gives up, so that it still arrives (product.md, "What an OTLP client is
/// told").
const ANSWER_LEAD: Duration = Duration::from_millis(500);

/// Collects the message of a call.
pub(super) async fn collect(
    encoding: Compression,
    mut body: Arriving<'_>,
    room: &Room,
) -> Result<Whole, Refusal> {
    let mut frames = FrameReader::new(room.request_bytes_max);
    let mut intake = None;
    while let Some(mut chunk) = body.next().await? {
        while let Some(part) = frames.read(&mut chunk)? {
            match part {
                Part::Prefix(prefix) => {
                    let compression = compression_of(prefix, encoding)?;
                    intake = Some(Intake::open(room, Some(prefix.length), compression).await?);
                }
                Part::Payload(bytes) => {
                    let intake = intake.as_mut().expect("a payload comes after its prefix");
                    intake.push(&bytes).await?;
                }
            }
        }
    }
    frames.finish()?;
    let intake = intake.expect("a frame that is finished had a prefix");
    intake.finish()
}

/// How long a call may wait, where it says so.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    let timeout = headers
        .get(TIMEOUT)?
        .to_str()
        .ok()
        .and_then(parse_timeout)?;
    Some(timeout.saturating_sub(ANSWER_LEAD))
}

/// Up to eight digits and a unit (gRPC over HTTP/2, "Timeout"). What cannot be read is no timeout.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(amount),
        "M" => Duration::from_mins(amount),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// How a call's messages are compressed where they are.
pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let Some(value) = headers.get(ENCODING) else {
        return Ok(Compression::Identity);
    };
    let name = value.to_str().unwrap_or_default();
    Compression::named(name).ok_or_else(|| {
        Refusal::new(
            Reason::UnknownEncoding,
            format!(
                "the grpc-encoding {} is not understood: set the client's compression to one of {GRPC_ENCODINGS}",
                shown(name)
            ),
        )
    })
}

/// A message may be uncompressed although the call names a compression, but not the other way round (gRPC,
/// "Compression": INTERNAL).
fn compression_of(prefix: Prefix, encoding: Compression) -> Result<Compression, Refusal> {
    match (prefix.compressed, encoding) {
        (false, _) => Ok(Compression::Identity),
        (true, Compression::Identity) => Err(Refusal::new(
            Reason::BrokenFrame,
            "the message is flagged as compressed: name its compression in grpc-encoding, or send it as it is",
        )),
        (true, named) => Ok(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_units() {
        let cases = [
            ("10S", Some(Duration::from_secs(10))),
            ("10100m", Some(Duration::from_millis(10_100))),
            ("9999966u", Some(Duration::from_micros(9_999_966))),
            ("1M", Some(Duration::from_mins(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("5n", Some(Duration::from_nanos(5))),
            ("0S", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("10", None),
            ("10s", None),
            ("+1S", None),
            ("1 S", None),
            ("1é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timeout(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_answer_leaves_half_a_second_before_the_client_gives_up() {
        let with = |timeout: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, timeout.parse().unwrap());
            patience(&headers)
        };
        assert_eq!(with("2S"), Some(Duration::from_millis(1500)));
        assert_eq!(with("50m"), Some(Duration::ZERO));
        assert_eq!(with("rubbish"), None);
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
