//! A request's body as clients send it: in frames of a size that is the client's choice, not the server's.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// gRPC for Go, which Milvus uses, sends frames of this many bytes whatever the server allows.
const GRPC_FRAME_BYTES: usize = 16 * 1024;

/// What is left of a body.
#[derive(Debug)]
pub(crate) struct Pieces {
    rest: Bytes,
    piece_bytes: usize,
}

impl Pieces {
    /// One HTTP/2 frame after the other.
    pub(crate) fn frames(body: Bytes) -> Self {
        Self {
            rest: body,
            piece_bytes: GRPC_FRAME_BYTES,
        }
    }

    /// All at once.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self {
            rest: body,
            piece_bytes: usize::MAX,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(self.piece_bytes);
        let piece = self.rest.split_to(bytes);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
