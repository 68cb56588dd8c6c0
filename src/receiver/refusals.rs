//! Counts and logs what is refused, in one call: every refusal is counted, a few lines in a while are logged.

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use http::{HeaderMap, header::USER_AGENT};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Peer, answer::Dialect};
use crate::{
    metrics::{LogLimit, Metrics, Misdirected, Transport},
    otlp,
    request::{Reason, Refusal},
};

/// At most this many lines of one kind in [`LOG_PERIOD`]; the rest is a number (product.md, "What an OTLP client is told").
const LOG_LINES: u32 = 5;
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// A misdirected client works, so one reminder in this long is enough.
const REMINDER_PERIOD: Duration = Duration::from_hours(1);

/// As much of a user agent as a log line shows, in bytes.
const AGENT_BYTES_MAX: usize = 128;

/// The label `code` of a connection that was closed before it could be answered.
const CLOSED: &str = "closed";

/// Who asked, as far as the log tells.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Its address.
    pub(super) peer: SocketAddr,
    /// What it calls itself.
    pub(super) agent: Agent,
    /// How it is answered.
    pub(super) dialect: Dialect,
}

/// As much of a user agent as a log line shows. A copy: the header's value keeps more alive than itself, on HTTP/1 all that
/// was read together with the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent {
    bytes: [u8; AGENT_BYTES_MAX],
    length: usize,
}

/// A connection that was turned away as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// `accept` failed.
    AcceptFailed,
    /// `connections_max` are open.
    TooManyConnections,
    /// The budget has no room for a receive window.
    NoWindow,
    /// It speaks TLS.
    Tls,
}

/// The counters and the limits of the log.
#[derive(Debug)]
pub(super) struct Refusals {
    metrics: Metrics,
    by_reason: [LogLimit; Reason::ALL.len()],
    turned: [LogLimit; Turned::ALL.len()],
    misdirected: [LogLimit; MISDIRECTED.len()],
}

/// What is understood although it came the wrong way; TLS is not, and is turned away.
const MISDIRECTED: [Misdirected; 5] = [
    Misdirected::GrpcOnHttpPort,
    Misdirected::HttpOnGrpcPort,
    Misdirected::TrailingSlash,
    Misdirected::RootPath,
    Misdirected::DoubledPath,
];

impl Turned {
    const ALL: [Self; 4] = [
        Self::AcceptFailed,
        Self::TooManyConnections,
        Self::NoWindow,
        Self::Tls,
    ];
}

impl Agent {
    /// What this head's client calls itself; nothing where it does not.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.get(USER_AGENT);
        let named = named.map_or(&b""[..], |value| value.as_bytes());
        let length = named.len().min(AGENT_BYTES_MAX);
        let mut bytes = [0; AGENT_BYTES_MAX];
        bytes[..length].copy_from_slice(&named[..length]);
        Self { bytes, length }
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes[..self.length])
    }
}

impl Refusals {
    /// Nothing refused yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        for transport in Transport::ALL {
            for reason in Reason::ALL {
                let label = reason.row().label;
                metrics.expect_refusal(transport, &code(transport, reason), label);
            }
        }
        let limit = |_| LogLimit::new(LOG_LINES, LOG_PERIOD);
        Self {
            metrics,
            by_reason: std::array::from_fn(limit),
            turned: std::array::from_fn(limit),
            misdirected: std::array::from_fn(|_| LogLimit::new(1, REMINDER_PERIOD)),
        }
    }

    /// Counts and logs a request that is refused, of which `bytes` of the body had arrived.
    pub(super) fn refuse(&self, client: &Client, refusal: &Refusal, bytes: u64) {
        let row = refusal.reason.row();
        let transport = client.dialect.transport();
        let code = code(transport, refusal.reason);
        self.metrics.refused(transport, &code, row.label);
        self.metrics
            .refused_bytes(transport, &code, row.label, bytes);
        let limit = pick(&self.by_reason, &Reason::ALL, &refusal.reason);
        if let Some(held_back) = limit.pass(Instant::now()) {
            warn!(
                peer = %client.peer,
                agent = &*client.agent.text(),
                transport = transport.label(),
                code = &*code,
                reason = row.label,
                detail = refusal.message_to_send(),
                held_back,
                "refused a request"
            );
        }
    }

    /// Counts and logs a connection that is closed before it could ask for anything.
    pub(super) fn turn_away(&self, peer: Peer, turned: Turned) {
        let (reason, advice) = match turned {
            Turned::AcceptFailed => return, // nobody was there to be turned away
            Turned::TooManyConnections => ("connections", "raise receivers.connections_max"),
            Turned::NoWindow => (
                "windows",
                "the budget has no room for a receive window; raise budget.bytes",
            ),
            Turned::Tls => {
                self.metrics.misdirected(Misdirected::TlsOnPlainPort);
                (
                    "tls",
                    "it speaks TLS and this port is plain: set trace.otlp.secure: false in milvus.yaml, or http:// in the endpoint of another client",
                )
            }
        };
        self.metrics.refused(peer.expected, CLOSED, reason);
        if let Some(held_back) = self.pass(turned) {
            warn!(peer = %peer.address, reason, advice, held_back, "closed a connection");
        }
    }

    /// Counts a request that is taken although it came the wrong way.
    pub(super) fn misdirected(&self, client: &Client, kind: Misdirected) {
        self.metrics.misdirected(kind);
        let limit = pick(&self.misdirected, &MISDIRECTED, &kind);
        if let Some(held_back) = limit.pass(Instant::now()) {
            info!(
                peer = %client.peer,
                agent = &*client.agent.text(),
                kind = ?kind,
                held_back,
                "understood a request that came to the wrong port or path"
            );
        }
    }

    /// Whether to log this kind of connection now, and how many lines were held back.
    pub(super) fn pass(&self, turned: Turned) -> Option<u64> {
        pick(&self.turned, &Turned::ALL, &turned).pass(Instant::now())
    }
}

/// The limit that stands where `kind` stands in `kinds`.
fn pick<'a, K: PartialEq>(limits: &'a [LogLimit], kinds: &[K], kind: &K) -> &'a LogLimit {
    let index = kinds
        .iter()
        .position(|known| known == kind)
        .expect("the list of kinds is complete");
    &limits[index]
}

/// The label `code`.
fn code(transport: Transport, reason: Reason) -> Cow<'static, str> {
    match transport {
        Transport::Grpc => otlp::grpc_code_name(reason.row().code).into(),
        Transport::Http => reason.row().status.to_string().into(),
    }
}
