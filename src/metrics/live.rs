//! What is counted as it happens: handles that are made once and only touched afterwards.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use metrics::{Counter, Histogram};

use super::{
    Misdirected, Transport,
    ledger::{DESTINATIONS_MAX, OTHER},
    names::{CollectorNames, collector, own},
    page::Page,
    services::Services,
};

/// Observations that wait to be sorted into buckets at most: the exporter keeps each until then, and without a scrape
/// nothing else would end that. Chosen by eye: 64 KiB, and a tenth of a millisecond for whoever sorts.
const OBSERVATIONS_MAX: u64 = 4096;

/// Different refusals at most: transports, reasons and codes are closed sets whose product is far below.
const REFUSALS_MAX: usize = 128;

/// The series that live as long as the relay.
pub(super) struct Live {
    page: Page,
    misdirected: [Counter; Misdirected::ALL.len()],
    ingest: [Histogram; Transport::ALL.len()],
    batch_spans: Histogram,
    refusals: RwLock<Vec<Arc<RefusalSeries>>>,
    destinations: RwLock<BTreeMap<Box<str>, Arc<DestinationSeries>>>,
    services: Services,
    observations: AtomicU64,
}

struct RefusalSeries {
    transport: Transport,
    code: Box<str>,
    reason: &'static str,
    requests: Counter,
    bytes: Counter,
}

/// The series of one destination.
pub(super) struct DestinationSeries {
    batch_spans: Histogram,
    batch_bytes: Histogram,
    delay: Histogram,
    /// Nothing is said before its first answer or failure.
    known: AtomicBool,
    up: AtomicBool,
}

impl Live {
    pub(super) fn new(collector_names: CollectorNames) -> Self {
        let page = Page::new(collector_names);
        Self {
            misdirected: Misdirected::ALL
                .map(|kind| page.counter(&own::MISDIRECTED, &[kind.label()])),
            ingest: Transport::ALL
                .map(|transport| page.histogram(&own::INGEST_SECONDS, &[transport.label()])),
            batch_spans: page.histogram(&collector::PROCESSOR_BATCH_SPANS, &["batch"]),
            refusals: RwLock::default(),
            destinations: RwLock::default(),
            services: Services::default(),
            observations: AtomicU64::new(0),
            page,
        }
    }

    pub(super) fn refused(
        &self,
        transport: Transport,
        code: &str,
        reason: &'static str,
        requests: u64,
        bytes: u64,
    ) {
        let series = self.refusal(transport, code, reason);
        series.requests.increment(requests);
        series.bytes.increment(bytes);
    }

    pub(super) fn misdirected(&self, kind: Misdirected) {
        self.misdirected[kind as usize].increment(1);
    }

    pub(super) fn ingested(&self, transport: Transport, seconds: f64) {
        self.observe(&self.ingest[transport as usize], seconds);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a message's spans and bytes are far below 2^53"
    )]
    pub(super) fn sent(&self, series: &DestinationSeries, spans: u64, bytes: usize) {
        self.observe(&series.batch_spans, spans as f64);
        self.observe(&series.batch_bytes, bytes as f64);
        self.observe(&self.batch_spans, spans as f64);
    }

    pub(super) fn delivered(&self, series: &DestinationSeries, seconds: f64) {
        self.observe(&series.delay, seconds);
    }

    /// Which destinations are known to be up or down.
    pub(super) fn states(&self) -> Vec<(Box<str>, bool)> {
        let destinations = self.destinations.read().expect(NO_PANIC);
        destinations
            .iter()
            .filter(|(_, series)| series.known.load(Ordering::Relaxed))
            .map(|(name, series)| (name.clone(), series.up.load(Ordering::Relaxed)))
            .collect()
    }

    pub(super) fn count_service(&self, service: &[u8], kept: u64, dropped: u64) {
        self.services.count(&self.page, service, kept, dropped);
    }

    /// The text of each family.
    pub(super) fn families(&self) -> Vec<String> {
        self.page.families()
    }

    fn observe(&self, histogram: &Histogram, value: f64) {
        histogram.record(value);
        let before = self.observations.fetch_add(1, Ordering::Relaxed);
        if before % OBSERVATIONS_MAX == OBSERVATIONS_MAX - 1 {
            self.page.run_upkeep();
        }
    }

    fn refusal(
        &self,
        transport: Transport,
        code: &str,
        reason: &'static str,
    ) -> Arc<RefusalSeries> {
        let is_it = |series: &&Arc<RefusalSeries>| {
            series.transport == transport && series.reason == reason && *series.code == *code
        };
        if let Some(found) = self.refusals.read().expect(NO_PANIC).iter().find(is_it) {
            return Arc::clone(found);
        }
        let mut refusals = self.refusals.write().expect(NO_PANIC);
        if let Some(found) = refusals.iter().find(is_it) {
            return Arc::clone(found);
        }
        let full = refusals.len() >= REFUSALS_MAX;
        let (code, reason) = if full {
            ("other", "other")
        } else {
            (code, reason)
        };
        let labels = [transport.label(), code, reason];
        let series = Arc::new(RefusalSeries {
            transport,
            code: code.into(),
            reason,
            requests: self.page.counter(&own::REFUSALS, &labels),
            bytes: self.page.counter(&own::REFUSED_BYTES, &labels),
        });
        if !full {
            refusals.push(Arc::clone(&series));
        }
        series
    }

    /// The series of a destination, made when it is first asked for.
    pub(super) fn destination(&self, name: &str) -> Arc<DestinationSeries> {
        if let Some(found) = self.destinations.read().expect(NO_PANIC).get(name) {
            return Arc::clone(found);
        }
        let mut destinations = self.destinations.write().expect(NO_PANIC);
        let known = destinations.contains_key(name) || destinations.len() < DESTINATIONS_MAX;
        let name = if known { name } else { OTHER };
        let series = destinations.entry(name.into()).or_insert_with(|| {
            Arc::new(DestinationSeries {
                batch_spans: self
                    .page
                    .histogram(&collector::EXPORTER_BATCH_SPANS, &[name]),
                batch_bytes: self
                    .page
                    .histogram(&collector::EXPORTER_BATCH_BYTES, &[name]),
                delay: self.page.histogram(&own::DELIVERY_DELAY, &[name]),
                known: AtomicBool::new(false),
                up: AtomicBool::new(false),
            })
        });
        Arc::clone(series)
    }
}

impl DestinationSeries {
    pub(super) fn set_up(&self, up: Option<bool>) {
        self.up.store(up == Some(true), Ordering::Relaxed);
        self.known.store(up.is_some(), Ordering::Relaxed);
    }
}

impl fmt::Debug for DestinationSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationSeries").finish_non_exhaustive()
    }
}

/// Why a lock is never poisoned.
const NO_PANIC: &str = "no code path panics while it finds a handle";

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
