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
    known: RwLock<HashMap<Box<[u8]>, [Counter; 2]>>,
}

impl Services {
    /// Counts spans of one service.
    pub(super) fn count(&self, page: &Page, service: &[u8], kept: bool, spans: u64) {
        let service = match &service[..service.len().min(LABEL_BYTES_MAX)] {
            [] => UNKNOWN,
            service => service,
        };
        if let Some(counters) = self.known.read().expect(NO_PANIC).get(service) {
            counters[usize::from(kept)].increment(spans);
            return;
        }
        self.add(page, service)[usize::from(kept)].increment(spans);
    }

    fn add(&self, page: &Page, service: &[u8]) -> [Counter; 2] {
        let mut known = self.known.write().expect(NO_PANIC);
        let own = known.keys().filter(|name| ***name != *OTHER).count();
        let service = if own < SERVICES_MAX { service } else { OTHER };
        known
            .entry(service.into())
            .or_insert_with(|| series(page, service))
            .clone()
    }
}

fn series(page: &Page, service: &[u8]) -> [Counter; 2] {
    let name = String::from_utf8_lossy(service);
    [false, true].map(|kept| page.counter(&own::SERVICE_SPANS, &[&name, decision_label(kept)]))
}

/// Why the lock is never poisoned.
const NO_PANIC: &str = "no code path panics while it finds a counter";
