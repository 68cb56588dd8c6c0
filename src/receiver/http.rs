//! OTLP/HTTP: what the headers say of a body, and the body.

use http::{HeaderMap, header::CONTENT_ENCODING};

use super::{
    arriving::Arriving,
    decompress::{Compression, HTTP_ENCODINGS},
    intake::{Intake, Whole},
    room::Room,
    route::shown,
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

/// What the headers say, also where they say it several times.
fn all_named(headers: &HeaderMap) -> String {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(", ")
}

/// How a body is compressed. `x-gzip` is an old name of gzip (RFC 9110, 8.4.1.3).
pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let mut named = headers.get_all(CONTENT_ENCODING).iter();
    let found =
        match (named.next(), named.next()) {
            (None, _) => Some(Compression::Identity),
            (Some(value), None) => value.to_str().ok().and_then(|name| {
                match name.trim().to_ascii_lowercase().as_str() {
                    "" => Some(Compression::Identity),
                    "x-gzip" => Some(Compression::Gzip),
                    name => Compression::named(name),
                }
            }),
            _ => None,
        };
    found.ok_or_else(|| {
        Refusal::new(
            Reason::UnknownEncoding,
            format!(
                "the content encoding {} is not understood: set the client's compression to one of {HTTP_ENCODINGS}, or none",
                shown(&all_named(headers))
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_names() {
        let cases: [(&[&str], Result<Compression, Reason>); 11] = [
            (&[], Ok(Compression::Identity)),
            (&[""], Ok(Compression::Identity)),
            (&["identity"], Ok(Compression::Identity)),
            (&["gzip"], Ok(Compression::Gzip)),
            (&[" GZip "], Ok(Compression::Gzip)),
            (&["x-gzip"], Ok(Compression::Gzip)),
            (&["Deflate"], Ok(Compression::Deflate)),
            (&["zstd"], Ok(Compression::Zstd)),
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
