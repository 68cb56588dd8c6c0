//! Spans kept and sampled out by service. Senders name services at will, so only so many get a series of their own.

use std::{
    collections::HashMap,
    sync::{OnceLock, RwLock},
};

use metrics::Counter;

use super::{
    names::own,
    page::{LABEL_BYTES_MAX, Page},
    policies::decision_label,
};

/// Services with a series of their own (product.md, "Metrics"); those that come later are counted as [`OTHER`].
const SERVICES_MAX: usize = 100;
/// All services beyond the first [`SERVICES_MAX`].
const OTHER: &[u8] = b"other";
/// A resource without `service.name`; OpenTelemetry's SDKs call it so.
const UNKNOWN: &[u8] = b"unknown_service";

/// The counters by the name as it came, cut to what a label may hold.
#[derive(Default)]
pub(super) struct Services {
    known: RwLock<HashMap<Box<[u8]>, Series>>,
    /// Apart, so that ever new names cost no more than a look-up.
    other: OnceLock<Series>,
}

#[derive(Clone)]
struct Series {
    kept: Counter,
    sampled_out: Counter,
}

impl Services {
    /// Counts spans of one service.
    pub(super) fn count(&self, page: &Page, service: &[u8], kept: u64, dropped: u64) {
        let service = match &service[..service.len().min(LABEL_BYTES_MAX)] {
            [] => UNKNOWN,
            service => service,
        };
        self.series(page, service).count(kept, dropped);
    }

    fn series(&self, page: &Page, service: &[u8]) -> Series {
        let known = self.known.read().expect(NO_PANIC);
        if let Some(series) = known.get(service) {
            return series.clone();
        }
        if known.len() >= SERVICES_MAX {
            return self.other(page);
        }
        drop(known);
        self.add(page, service)
    }

    fn add(&self, page: &Page, service: &[u8]) -> Series {
        let mut known = self.known.write().expect(NO_PANIC);
        if known.len() >= SERVICES_MAX && !known.contains_key(service) {
            return self.other(page);
        }
        let series = known.entry(service.into());
        series.or_insert_with(|| Series::new(page, service)).clone()
    }

    fn other(&self, page: &Page) -> Series {
        let other = self.other.get_or_init(|| Series::new(page, OTHER));
        other.clone()
    }
}

impl Series {
    fn new(page: &Page, service: &[u8]) -> Self {
        let name = String::from_utf8_lossy(service);
        let counter = |kept| page.counter(&own::SERVICE_SPANS, &[&name, decision_label(kept)]);
        Self {
            kept: counter(true),
            sampled_out: counter(false),
        }
    }

    fn count(&self, kept: u64, dropped: u64) {
        self.kept.increment(kept);
        self.sampled_out.increment(dropped);
    }
}

/// Why the lock is never poisoned.
const NO_PANIC: &str = "no code path panics while it finds a counter";
