//! Sends single messages and says in words what was answered: for commands that try a way out by hand.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::Uri;
use tokio_util::task::TaskTracker;

use super::{
    Compression, InvalidTls, Options, Protocol, Resolver, Retry, Tls,
    client::Client,
    outcome::{Answer, Outcome},
};
use crate::queue;

/// A client without a queue, retries or an account.
#[derive(Debug)]
pub struct Courier {
    client: Client,
    timeout: Duration,
}

/// What a single message led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was taken, but for some spans; the message says why, or is a warning, or empty.
    Taken {
        /// Spans that it was taken without.
        rejected_spans: u64,
        /// The peer's words.
        message: String,
    },
    /// It was not taken: the peer's answer, or what went wrong on the way.
    NotTaken(String),
}

impl Courier {
    /// To `endpoint`, with public TLS roots where its scheme is `https`. One message takes at most `timeout`.
    pub fn new(
        endpoint: Uri,
        protocol: Protocol,
        timeout: Duration,
        tasks: TaskTracker,
    ) -> Result<Self, InvalidTls> {
        let batch = queue::BatchOptions {
            spans: u64::MAX,
            bytes: usize::MAX,
            bytes_max: usize::MAX,
            delay: Duration::ZERO,
        };
        // Of an exporter's options only those of its client matter here.
        let options = Options {
            name: endpoint.to_string().into(),
            endpoint,
            protocol,
            compression: Compression::None,
            headers: Vec::new(),
            tls: Tls::default(),
            timeout,
            concurrency: 1,
            spans_in_flight_max: batch.spans,
            retry: Retry {
                first: timeout,
                factor: 1.0,
                jitter: 0.0,
                max: timeout,
                give_up_after: None,
            },
            batch,
            queue: queue::Options {
                bytes_max: 0,
                required: false,
            },
        };
        let client = Client::new(&options, Resolver::System, tasks)?;
        Ok(Self { client, timeout })
    }

    /// Sends one `ExportTraceServiceRequest`.
    pub async fn send(&self, message: Bytes) -> Reply {
        match self.client.send(vec![message], self.timeout).await {
            Outcome::Delivered {
                rejected_spans,
                message,
            } => Reply::Taken {
                rejected_spans,
                message,
            },
            Outcome::Malformed(answer)
            | Outcome::TooLarge(answer)
            | Outcome::NotAllowed(answer)
            | Outcome::Refused(answer)
            | Outcome::Retry { answer, .. } => Reply::not_taken(&answer),
        }
    }
}

impl Reply {
    fn not_taken(answer: &Answer) -> Self {
        Self::NotTaken(answer.to_string())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken {
                rejected_spans: 0,
                message,
            } if message.is_empty() => write!(f, "accepted"),
            Self::Taken {
                rejected_spans: 0,
                message,
            } => write!(f, "accepted, with a warning: {message}"),
            Self::Taken {
                rejected_spans,
                message,
            } => {
                write!(f, "accepted without {rejected_spans} spans: {message}")
            }
            Self::NotTaken(answer) => write!(f, "not accepted: {answer}"),
        }
    }
}
