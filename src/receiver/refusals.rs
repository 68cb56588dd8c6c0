//! Counts and logs what is refused, in one call: every refusal is counted, a few lines in a while are logged.

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use http::{HeaderMap, header::USER_AGENT};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Peer, answer::Dialect};
use crate::{
    metrics::{LogLimit, Metrics, Misdirected, Transport},
    otlp,
    pipeline::Receipt,
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
    rejected: LogLimit,
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
    pub(super) const ALL: [Self; 4] = [
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
            rejected: limit(0),
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

    /// Logs that single spans of a request were rejected: many clients do not look at a partial success. The ledger counts
    /// them.
    pub(super) fn reject(&self, client: &Client, receipt: &Receipt) {
        if let Some(held_back) = self.rejected.pass(Instant::now()) {
            warn!(
                peer = %client.peer,
                agent = &*client.agent.text(),
                transport = client.dialect.transport().label(),
                spans = receipt.rejected_spans,
                detail = receipt.message,
                held_back,
                "rejected spans of a request that was taken"
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::{
        metrics::{CollectorNames, Options},
        receiver::tests::log::Log,
    };

    /// The lines that are logged when this happens so often.
    fn logged(times: u32, what: impl Fn(&Refusals, &Client)) -> Vec<String> {
        let metrics = Metrics::new(Options {
            collector_names: CollectorNames::Off,
            commit: "test",
        });
        let refusals = Refusals::new(metrics);
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("an SDK/1.0"));
        let client = Client {
            peer: ([10, 0, 0, 7], 4321).into(),
            agent: Agent::of(&headers),
            dialect: Dialect::Json,
        };
        let log = Log::start();
        (0..times).for_each(|_| what(&refusals, &client));
        log.lines()
    }

    fn assert_tells(lines: &[String], parts: &[&str]) {
        for part in parts {
            assert!(lines[0].contains(part), "{part}: {lines:?}");
        }
    }

    #[test]
    fn one_line_tells_who_was_refused_and_why() {
        let refusal = Refusal::new(Reason::Malformed, "what is wrong: what to do");
        let lines = logged(1, |refusals, client| refusals.refuse(client, &refusal, 7));
        let parts = [
            "WARN",
            "10.0.0.7:4321",
            "an SDK/1.0",
            "\"http\"",
            "\"400\"",
            "\"malformed\"",
            "what is wrong: what to do",
        ];
        assert_tells(&lines, &parts);
    }

    #[test]
    fn one_line_tells_whose_spans_were_rejected_and_why() {
        let receipt = Receipt {
            rejected_spans: 3,
            message: "3 of 5 spans were rejected".into(),
        };
        let lines = logged(1, |refusals, client| refusals.reject(client, &receipt));
        let parts = ["WARN", "10.0.0.7", "an SDK/1.0", "spans=3", "3 of 5 spans"];
        assert_tells(&lines, &parts);
    }

    #[test]
    fn a_storm_is_a_few_lines() {
        let refusal = Refusal::new(Reason::Full, "full");
        let receipt = Receipt::default();
        let storms: [fn(&Refusals, &Client, &Refusal, &Receipt); 2] = [
            |refusals, client, refusal, _| refusals.refuse(client, refusal, 0),
            |refusals, client, _, receipt| refusals.reject(client, receipt),
        ];
        for storm in storms {
            let lines = logged(1_000, |refusals, client| {
                storm(refusals, client, &refusal, &receipt);
            });
            assert_eq!(lines.len(), LOG_LINES as usize);
        }
    }
}
