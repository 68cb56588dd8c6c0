//! What an answer of a destination means: one table for gRPC codes, one for HTTP statuses, side by side.
//!
//! It decides nothing about spans: `delivery` does. Invariant: only what the peer itself sent is a verdict; everything that
//! stands between (a proxy, the client library, the network) is a failure of transport, and those are retried.
//! Source: the OTLP specification ("Failures", "Throttling"), with this product's own rules for what a verdict does.

use std::{fmt, time::Duration};

use tonic::Code;

use crate::otlp;

/// The longest text of a peer that is kept and shown, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 512;

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The destination has it, but for `rejected_spans`, which is the peer's own number.
    Delivered {
        /// Spans that the peer took the message without.
        rejected_spans: u64,
        /// Why, or a warning; empty when there is nothing to say.
        message: String,
    },
    /// The peer cannot read it.
    Malformed(Answer),
    /// The peer takes no message of this size.
    TooLarge(Answer),
    /// The peer refuses who or where we are.
    NotAllowed(Answer),
    /// The peer will not have it, and says so in a way that is not retried.
    Refused(Answer),
    /// It may be sent again, `after` at the earliest when the peer said so.
    Retry {
        /// What went wrong.
        answer: Answer,
        /// The peer's own wish.
        after: Option<Duration>,
    },
}

/// What was answered, or what went wrong instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The code.
    pub(super) code: AnswerCode,
    /// The peer's words, or the error's; cut short.
    text: String,
}

/// The code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerCode {
    /// A gRPC status that the peer sent.
    Grpc(Code),
    /// The HTTP status of an OTLP/HTTP answer.
    Http(u16),
    /// No answer in time.
    Timeout,
    /// No answer, or one that is not the peer's: unreachable, reset, cut short, a proxy's.
    Transport,
}

/// A row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It has arrived.
    Delivered,
    /// See [`Outcome::Malformed`].
    Malformed,
    /// See [`Outcome::TooLarge`].
    TooLarge,
    /// See [`Outcome::NotAllowed`].
    NotAllowed,
    /// See [`Outcome::Refused`].
    Refused,
    /// See [`Outcome::Retry`].
    Retry,
}

impl Class {
    /// The table for gRPC. `hinted`: the status carries a `RetryInfo`, which alone makes `RESOURCE_EXHAUSTED`
    /// retryable.
    pub(super) fn of_grpc(code: Code, hinted: bool) -> Self {
        match code {
            Code::Ok => Self::Delivered,
            Code::InvalidArgument | Code::Internal => Self::Malformed,
            Code::ResourceExhausted if hinted => Self::Retry,
            Code::ResourceExhausted => Self::TooLarge,
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::NotFound => Self::NotAllowed,
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Retry,
            Code::Unknown | Code::FailedPrecondition | Code::AlreadyExists => Self::Refused,
        }
    }

    /// The table for HTTP. A redirect is not followed: it is a proxy's or a wrong endpoint's, nothing was said of the
    /// spans, so they are kept and the destination counts as down until the endpoint is put right.
    pub(super) fn of_http(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            400 => Self::Malformed,
            413 => Self::TooLarge,
            401 | 403 | 404 => Self::NotAllowed,
            429 | 502 | 503 | 504 | 100..=199 | 300..=399 => Self::Retry,
            _ => Self::Refused,
        }
    }

    /// The outcome of an answer of this class.
    pub(super) fn outcome(self, answer: Answer, after: Option<Duration>) -> Outcome {
        match self {
            Self::Delivered => Outcome::Delivered {
                rejected_spans: 0,
                message: String::new(),
            },
            Self::Malformed => Outcome::Malformed(answer),
            Self::TooLarge => Outcome::TooLarge(answer),
            Self::NotAllowed => Outcome::NotAllowed(answer),
            Self::Refused => Outcome::Refused(answer),
            Self::Retry => Outcome::Retry { answer, after },
        }
    }
}

impl Outcome {
    /// No answer: `error` says what went wrong on the way.
    pub(super) fn transport(error: &str) -> Self {
        Self::Retry {
            answer: Answer::new(AnswerCode::Transport, error),
            after: None,
        }
    }

    /// No answer within the time of one attempt.
    pub(super) fn timeout(after: Duration) -> Self {
        let text = format!("no answer within {after:?}");
        Self::Retry {
            answer: Answer::new(AnswerCode::Timeout, &text),
            after: None,
        }
    }

    /// Whether the connection is to be distrusted.
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::Retry { answer, .. } if answer.code == AnswerCode::Timeout)
    }
}

impl Answer {
    /// An answer with its words.
    pub(super) fn new(code: AnswerCode, text: &str) -> Self {
        let text = printable(text);
        Self { code, text }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.text.as_str()) {
            (AnswerCode::Timeout | AnswerCode::Transport, text) => f.write_str(text),
            (code, "") => write!(f, "{code}"),
            (code, text) => write!(f, "{code}: {text}"),
        }
    }
}

impl fmt::Display for AnswerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(code) => f.write_str(otlp::grpc_code_name(*code)),
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Timeout => f.write_str("timeout"),
            Self::Transport => f.write_str("transport"),
        }
    }
}

/// A stranger's text as it may stand in the log and on pages: cut short, without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(TEXT_CHARS_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
