//! What the relay says about itself in numbers: the ledger, and the Prometheus names that dashboards rely on.

mod ledger;
mod log_limit;

use std::time::Duration;

pub use ledger::{
    DestinationTotals, Fate, Ledger, Loss, Tally, Totals, Transport, TransportTotals,
};
pub use log_limit::LogLimit;

/// A client that was understood although it came the wrong way; the label `kind` of `otlp_relay_misdirected_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misdirected {
    /// gRPC on the port for HTTP.
    GrpcOnHttpPort,
    /// HTTP on the port for gRPC.
    HttpOnGrpcPort,
    /// TLS on a plain port: not understood, but recognised.
    TlsOnPlainPort,
    /// `/v1/traces/`.
    TrailingSlash,
    /// `/`.
    RootPath,
    /// `/v1/traces/v1/traces`.
    DoubledPath,
}

/// The metrics of one relay: passed along, never global. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    ledger: Ledger,
}

impl Metrics {
    /// The account of every span.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts decided spans by policy, in the order of the policies in force: kept and dropped.
    pub fn count_policies(&self, _counts: impl IntoIterator<Item = (u64, u64)>) {}

    /// Counts decided spans of one service.
    pub fn count_service(&self, _service: &[u8], _kept: u64, _dropped: u64) {}

    /// Counts a refused request: `code` is the gRPC code's name or the HTTP status, `reason` the row's label.
    pub fn refused(&self, _transport: Transport, _code: &str, _reason: &'static str) {}

    /// Counts a client that came the wrong way.
    pub fn misdirected(&self, _kind: Misdirected) {}

    /// Observes the time from a request's head to its answer.
    pub fn ingested(&self, _transport: Transport, _took: Duration) {}

    /// Observes a message that was sent to a destination.
    pub fn sent(&self, _destination: &str, _spans: u64, _bytes: usize) {}

    /// Observes the time from acceptance until a destination acknowledged.
    pub fn delivered(&self, _destination: &str, _delay: Duration) {}

    /// Says whether a destination answers.
    pub fn destination_up(&self, _destination: &str, _up: bool) {}
}
