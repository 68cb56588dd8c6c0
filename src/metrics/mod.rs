//! What the relay says about itself in numbers: the ledger, and the Prometheus names that dashboards rely on.
//!
//! It decides nothing and keeps no time series. Invariant: label values come from closed or capped sets, whatever senders
//! write.

mod ledger;
mod live;
mod log_limit;
mod names;
mod page;
mod policies;
mod process;
mod scrape;
mod services;
#[cfg(test)]
mod tests;
mod totals;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

pub use ledger::{Fate, Ledger, Loss, Tally, Transport};
pub use log_limit::LogLimit;
pub use names::{CollectorNames, Kind, Name, names};
pub use policies::{Hits, PolicyCounters};
pub use scrape::{Levels, QueueLevel, StoreLevel};
pub use totals::{DestinationTotals, Settled, Totals, TransportTotals};

/// The content type of [`Metrics::render`]. Never the `OpenMetrics` format, which forbids a counter without `_total`.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the metrics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which spelling of the Collector's names is served.
    pub collector_names: CollectorNames,
    /// What the program was built from; the label `commit`.
    pub commit: &'static str,
}

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
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// The metrics of one destination. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Destination {
    metrics: Metrics,
    series: Arc<live::DestinationSeries>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    started: Instant,
    ledger: Ledger,
    live: live::Live,
    policies: policies::Policies,
    config_generation: AtomicU64,
    config_successful: AtomicBool,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(options: Options) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                started: Instant::now(),
                ledger: Ledger::default(),
                live: live::Live::new(options.collector_names),
                policies: policies::Policies::default(),
                config_generation: AtomicU64::new(1),
                config_successful: AtomicBool::new(true),
            }),
        }
    }

    /// The account of every span.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Counters for a set of compiled policies, by their names in their order. A name that was there before goes on
    /// counting.
    pub fn policy_counters<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> PolicyCounters {
        self.inner.policies.counters(names)
    }

    /// Counts decided spans of one service: once per request and service, not per span.
    pub fn count_service(&self, service: &[u8], kept: u64, dropped: u64) {
        self.inner.live.count_service(service, kept, dropped);
    }

    /// Counts a refused request: `code` is the gRPC code's name or the HTTP status, `reason` the row's label.
    pub fn refused(&self, transport: Transport, code: &str, reason: &'static str) {
        self.inner.live.refused(transport, code, reason, 1, 0);
    }

    /// Counts the bytes of a refused request, as far as they had arrived.
    pub fn refused_bytes(
        &self,
        transport: Transport,
        code: &str,
        reason: &'static str,
        bytes: u64,
    ) {
        self.inner.live.refused(transport, code, reason, 0, bytes);
    }

    /// Lets a refusal show as 0 before the first one, so that an alert on its increase sees that one.
    pub fn expect_refusal(&self, transport: Transport, code: &str, reason: &'static str) {
        self.inner.live.refused(transport, code, reason, 0, 0);
    }

    /// Counts a client that came the wrong way.
    pub fn misdirected(&self, kind: Misdirected) {
        self.inner.live.misdirected(kind);
    }

    /// Observes the time from a request's head to its answer.
    pub fn ingested(&self, transport: Transport, took: Duration) {
        self.inner.live.ingested(transport, took.as_secs_f64());
    }

    /// The metrics of one destination, looked up once.
    pub fn destination(&self, name: &str) -> Destination {
        Destination {
            series: self.inner.live.destination(name),
            metrics: self.clone(),
        }
    }

    /// Says that a new configuration is in force.
    pub fn config_reloaded(&self) {
        self.inner.config_generation.fetch_add(1, Ordering::Relaxed);
        self.inner.config_successful.store(true, Ordering::Relaxed);
    }

    /// Says that a reload had a mistake, and the old configuration stays.
    pub fn config_reload_failed(&self) {
        self.inner.config_successful.store(false, Ordering::Relaxed);
    }

    /// Which configuration is in force: 1 at the start, one more after each reload.
    pub fn config_generation(&self) -> u64 {
        self.inner.config_generation.load(Ordering::Relaxed)
    }

    /// Everything in the Prometheus text format, served as [`TEXT_FORMAT`].
    pub fn render(&self, levels: &Levels) -> String {
        let inner = &*self.inner;
        let totals = inner.ledger.totals();
        for name in totals.destinations.keys() {
            inner.live.destination(name);
        }
        let page = page::Page::new(inner.options.collector_names);
        scrape::Scrape {
            totals: &totals,
            policies: inner.policies.hits(),
            destinations: inner.live.states(),
            config_generation: self.config_generation(),
            config_successful: inner.config_successful.load(Ordering::Relaxed),
            commit: inner.options.commit,
        }
        .write(&page, levels);
        let mut families = inner.live.families();
        families.append(&mut page.families());
        let uptime = inner.started.elapsed();
        families.extend(scrape::process(inner.options.collector_names, uptime));
        families.sort_unstable();
        families.concat()
    }
}

impl Destination {
    /// Observes a message that was sent to it.
    pub fn sent(&self, spans: u64, bytes: usize) {
        self.metrics.inner.live.sent(&self.series, spans, bytes);
    }

    /// Observes the time from acceptance until it acknowledged.
    pub fn delivered(&self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        self.metrics.inner.live.delivered(&self.series, seconds);
    }

    /// Says whether it answers; `None` while nobody knows. Shown while it has a queue.
    pub fn up(&self, up: Option<bool>) {
        self.series.set_up(up);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            collector_names: CollectorNames::default(),
            commit: "unknown",
        }
    }
}

impl Misdirected {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GrpcOnHttpPort,
        Self::HttpOnGrpcPort,
        Self::TlsOnPlainPort,
        Self::TrailingSlash,
        Self::RootPath,
        Self::DoubledPath,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::GrpcOnHttpPort => "grpc_on_http_port",
            Self::HttpOnGrpcPort => "http_on_grpc_port",
            Self::TlsOnPlainPort => "tls_on_plain_port",
            Self::TrailingSlash => "trailing_slash",
            Self::RootPath => "root_path",
            Self::DoubledPath => "doubled_path",
        }
    }
}
