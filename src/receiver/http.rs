//! OTLP/HTTP: what the headers say of a body, and the body.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, HeaderValue},
};

use super::{
    arriving::Arriving,
    intake::{Compression, Intake, Whole},
    room::Room,
};
use crate::request::{Reason, Refusal};

/// Collects the body of a request.
pub(super) async fn collect(
    compression: Compression,
    mut body: Arriving<'_>,
    room: &Room,
) -> Result<Whole, Refusal> {
    let announced = announced(&body, room)?;
    // Nothing is claimed for a sender that sends nothing.
    let first = body.next().await?;
    let mut intake = Intake::open(room, announced, compression).await?;
    let mut next = first;
    while let Some(chunk) = next {
        intake.push(&chunk).await?;
        next = body.next().await?;
    }
    intake.finish()
}

/// The content length, where there is one.
fn announced(body: &Arriving<'_>, room: &Room) -> Result<Option<usize>, Refusal> {
    let Some(bytes) = body.announced() else {
        return Ok(None);
    };
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= room.request_bytes_max => Ok(Some(bytes)),
        _ => Err(room.too_large("as announced")),
    }
}

/// How a body is compressed. `x-gzip` is an old name of gzip (RFC 9110, 8.4.1.3).
pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let named = headers.get_all(CONTENT_ENCODING).iter();
    let mut named = named.map(HeaderValue::as_bytes).map(<[u8]>::trim_ascii);
    let is = |found: &[u8], name: &str| found.eq_ignore_ascii_case(name.as_bytes());
    match (named.next(), named.next()) {
        (None, _) => Ok(Compression::Identity),
        (Some(found), None) if found.is_empty() || is(found, "identity") => {
            Ok(Compression::Identity)
        }
        (Some(found), None) if is(found, "gzip") || is(found, "x-gzip") => Ok(Compression::Gzip),
        _ => Err(Refusal::new(
            Reason::UnknownEncoding,
            "this content encoding is not understood; gzip is, once, and none",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_names() {
        let cases: [(&[&str], Result<Compression, Reason>); 9] = [
            (&[], Ok(Compression::Identity)),
            (&[""], Ok(Compression::Identity)),
            (&["identity"], Ok(Compression::Identity)),
            (&["gzip"], Ok(Compression::Gzip)),
            (&[" GZip "], Ok(Compression::Gzip)),
            (&["x-gzip"], Ok(Compression::Gzip)),
            (&["br"], Err(Reason::UnknownEncoding)),
            (&["gzip, gzip"], Err(Reason::UnknownEncoding)),
            (&["gzip", "identity"], Err(Reason::UnknownEncoding)),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            let found = compression(&headers).map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{values:?}");
        }
    }
}
