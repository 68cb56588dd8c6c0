//! A real Jaeger with its default settings on ports of our own, and what its query API says it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    http::Http,
    jaeger_ports::JaegerPorts,
    parts::{Process, eventually, installed},
    sink::SpanId,
};

/// Traces read at a time: as many as there are cores to write and to read JSON.
const READERS: usize = 4;
/// It listens after less than a second; a loaded machine gets time.
const START_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Jaeger {
    process: Process,
    folder: PathBuf,
    ports: JaegerPorts,
    query: Http,
    admin: Http,
}

/// One trace as the query API gives it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Trace {
    spans: Vec<Span>,
    processes: BTreeMap<String, ProcessOfSpan>,
}

#[derive(Debug, Deserialize)]
struct Span {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    id: String,
    #[serde(rename = "processID")]
    process: String,
}

/// Jaeger's word for a resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProcessOfSpan {
    service_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    value: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    #[serde(default = "Vec::new")]
    data: Vec<T>,
}

// === impl Jaeger ===

impl Jaeger {
    pub(crate) async fn start(folder: &Path) -> Self {
        let ports = JaegerPorts::free();
        let mut jaeger = Self {
            process: spawn(folder, ports),
            folder: folder.to_owned(),
            ports,
            query: Http::new(ports.query),
            admin: Http::new(ports.admin),
        };
        jaeger.up().await;
        jaeger
    }

    /// Where it takes OTLP over gRPC.
    pub(crate) fn otlp(&self) -> SocketAddr {
        self.ports.otlp
    }

    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    pub(crate) async fn kill(&mut self) {
        self.process.signal("KILL");
        self.process.ended(START_MAX).await;
    }

    /// A new process on the same ports, which remembers nothing.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(&self.folder, self.ports);
        self.up().await;
    }

    async fn up(&mut self) {
        let (process, admin) = (&mut self.process, &self.admin);
        eventually("Jaeger's admin port", START_MAX, async || {
            process.assert_running();
            admin
                .get("/")
                .await
                .filter(|(status, _)| status.is_success())
        })
        .await;
    }

    pub(crate) async fn services(&self) -> BTreeSet<String> {
        let answer: Answer<String> = self.query.json("/api/services").await;
        answer.data.into_iter().collect()
    }

    pub(crate) async fn trace(&self, id: u128) -> Trace {
        read(&self.query, id).await
    }

    /// The ids of all spans of many traces.
    pub(crate) async fn ids(&self, traces: impl IntoIterator<Item = u128>) -> BTreeSet<SpanId> {
        let mut traces = traces.into_iter();
        let mut readers = JoinSet::new();
        let mut ids = BTreeSet::new();
        loop {
            while readers.len() < READERS
                && let Some(id) = traces.next()
            {
                let query = self.query.clone();
                readers.spawn(async move { read(&query, id).await.ids() });
            }
            match readers.join_next().await {
                Some(read) => ids.extend(read.unwrap()),
                None => return ids,
            }
        }
    }

    /// What Jaeger answered OK and threw away: only this counter tells.
    pub(crate) async fn dropped(&self) -> f64 {
        self.admin
            .metric("jaeger_collector_spans_dropped_total", &[])
            .await
    }
}

/// A trace as it was stored: `raw` keeps Jaeger from hiding spans that came twice.
async fn read(query: &Http, id: u128) -> Trace {
    let path = format!("/api/traces/{id:032x}?raw=true");
    let (status, body) = query.get(&path).await.expect("Jaeger answers");
    if status == StatusCode::NOT_FOUND {
        return Trace::default();
    }
    assert_eq!(status, StatusCode::OK, "{path}: {body:?}");
    let mut answer: Answer<Trace> = serde_json::from_slice(&body).unwrap();
    answer.data.pop().unwrap_or_default()
}

fn spawn(folder: &Path, ports: JaegerPorts) -> Process {
    let mut command = ports.command(&installed("jaeger/jaeger"));
    Process::start("jaeger", folder, &mut command)
}

// === impl Trace ===

impl Trace {
    /// The ids of all its spans, as often as they are there.
    pub(crate) fn ids(&self) -> Vec<SpanId> {
        self.spans.iter().map(Span::id).collect()
    }

    pub(crate) fn services(&self) -> BTreeSet<&str> {
        let of = |span: &Span| self.processes[&span.process].service_name.as_str();
        self.spans.iter().map(of).collect()
    }

    /// The spans whose resource does not say `key: value`.
    pub(crate) fn without(&self, key: &str, value: &str) -> Vec<SpanId> {
        let says = |tag: &Tag| tag.key == key && tag.value == value;
        let lacks = |span: &&Span| !self.processes[&span.process].tags.iter().any(says);
        self.spans.iter().filter(lacks).map(Span::id).collect()
    }
}

impl Span {
    fn id(&self) -> SpanId {
        SpanId {
            trace: u128::from_str_radix(&self.trace_id, 16).unwrap(),
            span: u64::from_str_radix(&self.id, 16).unwrap(),
        }
    }
}
