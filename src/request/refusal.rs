//! Every way in which a request is refused, in one table: gRPC code, HTTP status, whether to come again, and the word
//! that the log and the metrics use. It writes no answers: `receiver` does, from this table.

use std::borrow::Cow;

use tonic::Code;

/// A request was not taken, and what its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which row of the table.
    pub reason: Reason,
    /// In English: what was found, what is allowed, what to change. At most [`MESSAGE_BYTES_MAX`] are sent.
    pub message: Cow<'static, str>,
}

/// The longest message that is sent to a client, in bytes: an answer always fits any client's limit (acceptance case A59).
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The body is no OTLP request.
    Malformed,
    /// The gRPC frame around the message is broken.
    BrokenFrame,
    /// Over the size limit, before or after decompression, or larger than the empty budget.
    TooLarge,
    /// No room until the deadline.
    Full,
    /// The relay is stopping.
    ShuttingDown,
    /// A compression that is not understood.
    UnknownEncoding,
    /// A content type that is not understood.
    UnknownContentType,
    /// An HTTP method other than POST.
    WrongMethod,
    /// A path or gRPC method that does not exist.
    UnknownPath,
    /// Metrics or logs.
    OtherSignal,
    /// The body did not arrive in time.
    TooSlow,
    /// The client went away before it was answered.
    Cancelled,
    /// A fault of the relay.
    Internal,
}

/// What one reason means on each transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The gRPC status code.
    pub code: Code,
    /// The HTTP status.
    pub status: u16,
    /// Whether the client is told to come again: RetryInfo on gRPC, Retry-After on HTTP.
    pub retry: bool,
    /// The word in the log and the label `reason`.
    pub label: &'static str,
}

impl Reason {
    /// Every reason, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::BrokenFrame,
        Self::TooLarge,
        Self::Full,
        Self::ShuttingDown,
        Self::UnknownEncoding,
        Self::UnknownContentType,
        Self::WrongMethod,
        Self::UnknownPath,
        Self::OtherSignal,
        Self::TooSlow,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The row of the table. OTLP decides which codes a client retries (specification, "Failures" and "Throttling").
    pub fn row(self) -> Row {
        let (code, status, retry, label) = match self {
            Self::Malformed => (Code::InvalidArgument, 400, false, "malformed"),
            Self::BrokenFrame => (Code::Internal, 400, false, "broken_frame"),
            Self::TooLarge => (Code::ResourceExhausted, 413, false, "too_large"),
            Self::Full => (Code::Unavailable, 503, true, "full"),
            Self::ShuttingDown => (Code::Unavailable, 503, true, "shutting_down"),
            Self::UnknownEncoding => (Code::Unimplemented, 415, false, "unknown_encoding"),
            Self::UnknownContentType => (Code::Unimplemented, 415, false, "unknown_content_type"),
            Self::WrongMethod => (Code::Unimplemented, 405, false, "wrong_method"),
            Self::UnknownPath => (Code::Unimplemented, 404, false, "unknown_path"),
            Self::OtherSignal => (Code::Unimplemented, 404, false, "other_signal"),
            Self::TooSlow => (Code::Cancelled, 408, false, "too_slow"),
            Self::Cancelled => (Code::Cancelled, 499, false, "cancelled"),
            Self::Internal => (Code::Internal, 500, false, "internal"),
        };
        Row {
            code,
            status,
            retry,
            label,
        }
    }
}

impl Refusal {
    /// A refusal with its message.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The message, cut at a character border to what is sent.
    pub fn message_to_send(&self) -> &str {
        let end = self.message.floor_char_boundary(MESSAGE_BYTES_MAX);
        &self.message[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_at_its_limit_and_at_a_character_border() {
        let max = MESSAGE_BYTES_MAX;
        for (written, sent) in [
            ("x".repeat(max - 1), max - 1),
            ("x".repeat(max), max),
            ("x".repeat(max + 1), max),
            ("é".repeat(max / 2), max),
            ("x".to_owned() + &"é".repeat(max / 2), max - 1),
        ] {
            let refusal = Refusal::new(Reason::Malformed, written);
            assert_eq!(refusal.message_to_send().len(), sent);
        }
    }
}
