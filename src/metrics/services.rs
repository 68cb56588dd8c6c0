//! Spans kept and sampled out by service. Senders name services at will, so only so many get a series of their own.

use std::{collections::HashMap, sync::RwLock};

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
        if let Some(series) = self.known.read().expect(NO_PANIC).get(service) {
            return series.count(kept, dropped);
        }
        self.add(page, service).count(kept, dropped);
    }

    fn add(&self, page: &Page, service: &[u8]) -> Series {
        let mut known = self.known.write().expect(NO_PANIC);
        let named = known.keys().filter(|name| ***name != *OTHER).count();
        let is_known = known.contains_key(service);
        let service = if is_known || named < SERVICES_MAX {
            service
        } else {
            OTHER
        };
        known
            .entry(service.into())
            .or_insert_with(|| Series::new(page, service))
            .clone()
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
