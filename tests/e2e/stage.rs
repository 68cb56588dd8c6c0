//! All parts put together: senders → relay → a way that can be cut → Jaeger, and beside it the sink.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cut::Cut,
    jaeger::Jaeger,
    ledger::Ledger,
    parts::{eventually, folder, settled},
    relay::{ENRICHED, Relay},
    sink::{Seen, Sink, SpanId},
};

/// Everything is kept.
pub(crate) const KEEP_ALL: &str = "default: { sample_fraction: 1.0 }\n";
/// From acknowledged to readable, Jaeger takes milliseconds.
const STORED_MAX: Duration = Duration::from_secs(20);
/// From the first span of a trace to its last; Milvus takes up to five seconds for each.
const TRACE_MAX: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) jaeger: Jaeger,
    pub(crate) way: Cut,
    pub(crate) sink: Sink,
    pub(crate) relay: Relay,
}

impl Stage {
    pub(crate) async fn start(scenario: &str, policies: &str) -> Self {
        println!("--- {scenario}");
        let folder = folder(scenario);
        let jaeger = Jaeger::start(&folder).await;
        let way = Cut::start(jaeger.otlp());
        let sink = Sink::start().await;
        let relay = Relay::start(&folder, policies, way.address(), sink.address()).await;
        Self {
            folder,
            jaeger,
            way,
            sink,
            relay,
        }
    }

    /// The trace as the sink has it, once all `services` have reported and nothing has come for `quiet`.
    pub(crate) async fn whole_trace(
        &self,
        trace: u128,
        services: &[&str],
        quiet: Duration,
    ) -> BTreeMap<SpanId, Seen> {
        let expected: BTreeSet<&str> = services.iter().copied().collect();
        eventually("spans of each service", TRACE_MAX, async || {
            let spans = self.sink.trace(trace);
            let seen: BTreeSet<&str> = spans.values().map(Seen::service).collect();
            (seen == expected).then_some(())
        })
        .await;
        let count = || self.sink.trace(trace).len();
        settled("the end of the trace", quiet, TRACE_MAX, count).await;
        self.sink.trace(trace)
    }

    /// Jaeger has exactly the spans of this trace that the sink has, each once, whole and enriched.
    pub(crate) async fn assert_same_trace(&self, trace: u128, spans: &BTreeMap<SpanId, Seen>) {
        let stored = eventually("the trace in Jaeger", STORED_MAX, async || {
            let stored = self.jaeger.trace(trace).await;
            (stored.ids().len() >= spans.len()).then_some(stored)
        })
        .await;
        let expected: Vec<SpanId> = spans.keys().copied().collect();
        let mut ids = stored.ids();
        ids.sort_unstable();
        assert_eq!(
            ids, expected,
            "none is missing in Jaeger, none is there twice"
        );
        let services: BTreeSet<&str> = spans.values().map(Seen::service).collect();
        assert_eq!(stored.services(), services);

        let orphans = spans.values().filter(|seen| {
            let parent = seen.parent;
            parent.is_some_and(|parent| !spans.contains_key(&parent))
        });
        assert_eq!(orphans.count(), 0, "every span's parent is there");
        let (key, value) = ENRICHED;
        assert_eq!(stored.without(key, value), [], "all are enriched in Jaeger");
    }

    /// Of the given traces, Jaeger has exactly the spans that the sink has.
    pub(crate) async fn assert_same_spans(&self, traces: &BTreeSet<u128>) {
        let mut missing = self.sink.ids();
        missing.retain(|id| traces.contains(&id.trace));
        let sent = missing.clone();
        let deadline = Instant::now() + STORED_MAX;
        eventually("an answer", STORED_MAX * 2, async || {
            let incomplete: BTreeSet<u128> = missing.iter().map(|id| id.trace).collect();
            let stored = self.jaeger.ids(incomplete).await;
            let stray = stored.difference(&sent).next();
            assert_eq!(stray, None, "a span in Jaeger that the sink never got");
            missing.retain(|id| !stored.contains(id));
            (missing.is_empty() || Instant::now() > deadline).then_some(())
        })
        .await;
        let (missing, sent) = (missing.len(), sent.len());
        assert_eq!(
            missing, 0,
            "of {sent} spans that the sink has, Jaeger lacks"
        );
    }

    /// What holds at the end of every scenario in which Jaeger lost nothing by itself.
    pub(crate) async fn finish(self) -> Ledger {
        let ledger = self.relay.delivered().await;
        ledger.assert_all_exported();
        assert_eq!(
            ledger.forwarded,
            u64::try_from(self.sink.span_count()).unwrap()
        );
        assert_eq!(self.sink.duplicates(), 0, "spans that the sink got twice");
        assert_eq!(self.sink.refused_messages(), 0, "messages over 4 MiB");
        let (key, value) = ENRICHED;
        assert_eq!(self.sink.without(key, value), [], "all are enriched");
        assert!(
            self.jaeger.dropped().await < 1.0,
            "spans that Jaeger answered OK and dropped"
        );
        println!("{ledger:?}");
        self.relay.stop().await;
        ledger
    }
}
