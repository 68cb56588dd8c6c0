//! A body as it comes off the wire: counted, and told apart from its sender going away.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::activity::Activity;
use crate::request::{Reason, Refusal};

/// A body that arrives.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    body: Incoming,
    /// The bytes that have arrived, for the account of a refusal.
    bytes: &'a AtomicU64,
    /// Told when all has arrived.
    activity: &'a Activity,
}

impl<'a> Arriving<'a> {
    /// Counts what arrives of `body` in `bytes`, and tells `activity` of its end.
    pub(super) fn new(body: Incoming, bytes: &'a AtomicU64, activity: &'a Activity) -> Self {
        Self {
            body,
            bytes,
            activity,
        }
    }

    /// The content length, where there is one.
    pub(super) fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes; `None` at the end. Trailers are ignored: OTLP has none.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(chunk) = frame.map_err(|error| interrupted(&error))?.into_data() {
                self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                return Ok(Some(chunk));
            }
        }
        self.activity.body_ended();
        Ok(None)
    }
}

/// A body breaks off because its sender went away, or because HTTP's own framing of it is wrong.
fn interrupted(error: &hyper::Error) -> Refusal {
    let framing = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData
            )
        });
    if framing {
        return Refusal::new(
            Reason::Malformed,
            "the chunked encoding of the body is broken",
        );
    }
    Refusal::new(
        Reason::Cancelled,
        "the client went away before its request was whole: its timeout or its network broke it off",
    )
}
