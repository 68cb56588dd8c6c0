//! An answer while it is sent. A client that asks and does not read the answers keeps what its requests hold, so that it is
//! counted with those that are under way, until the connection is closed for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::{activity::Busy, answer::AnswerBody, slots::Slot};

/// What a request holds until its answer is sent, or its stream is gone.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Its part in the connection's activity.
    pub(super) busy: Option<Busy>,
    /// Its place among the requests under way.
    pub(super) slot: Option<Slot>,
}

/// The body of an answer, and what is held for it.
#[derive(Debug)]
pub(super) struct Sending {
    body: AnswerBody,
    _held: Held,
}

impl Sending {
    /// Holds on to `held` for as long as the body lasts.
    pub(super) fn new(body: AnswerBody, held: Held) -> Self {
        Self { body, _held: held }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
