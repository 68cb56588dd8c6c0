//! The Collector's configuration. Its own metrics and logs stay on as they are by default, on a port of ours.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use super::{
    Addresses, BATCH_SPANS, BATCHES_IN_FLIGHT, REQUEST_MIB_MAX, RESOURCE_ATTRIBUTE, SPAN_ATTRIBUTE,
    Setup, Subject, Work, scrape,
};
use crate::rig::requests::Transport;

/// Batches in the queue at most. As they came over the wire these are 300 MB at 381 bytes a span, about the relay's
/// budget. The default of 1000 takes more memory than this machine may have, because objects are larger than bytes.
const QUEUE_BATCHES: u32 = 100;

pub(super) fn arguments(
    command: &mut Command,
    setup: &Setup,
    addresses: Addresses,
    subject: Subject,
    folder: &Path,
) -> io::Result<()> {
    let file = folder.join("collector-configuration.yaml");
    fs::write(&file, configuration(setup, addresses, subject))?;
    // One core, and a runtime that knows it: otherwise its threads would stand in each other's way.
    command
        .env("GOMAXPROCS", "1")
        .arg("--config")
        .arg(format!("file:{}", file.display()));
    Ok(())
}

fn configuration(setup: &Setup, addresses: Addresses, subject: Subject) -> String {
    let Addresses { grpc, http, admin } = addresses;
    let (host, port) = (admin.ip(), admin.port());
    let exporter = match setup.transport {
        Transport::Grpc => "otlp_grpc",
        Transport::Http => "otlp_http",
    };
    let compression = if setup.gzip { "gzip" } else { "none" };
    let destination = setup.destination;
    let (resource_key, resource_value) = RESOURCE_ATTRIBUTE;
    let (span_key, span_value) = SPAN_ATTRIBUTE;
    let steps = match setup.work {
        Work::Enrich => "resource, batch",
        Work::TenPercent => "probabilistic_sampler, resource, attributes, batch",
    };
    let batch = match subject {
        Subject::CollectorDefaults => String::new(),
        _ => format!("send_batch_size: {BATCH_SPANS}"),
    };
    let queue = match subject {
        Subject::CollectorDefaults => String::new(),
        _ => format!(
            "num_consumers: {BATCHES_IN_FLIGHT}, queue_size: {QUEUE_BATCHES}, block_on_overflow: {}",
            subject == Subject::CollectorBlocking
        ),
    };
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: \"{grpc}\", max_recv_msg_size_mib: {REQUEST_MIB_MAX} }}
      http: {{ endpoint: \"{http}\", max_request_body_size: {REQUEST_MIB_MAX}000000 }}
processors:
  probabilistic_sampler: {{ sampling_percentage: 10 }}
  resource:
    attributes: [ {{ key: {resource_key}, value: {resource_value}, action: upsert }} ]
  attributes:
    actions: [ {{ key: {span_key}, value: {span_value}, action: upsert }} ]
  batch: {{ {batch} }}
exporters:
  {exporter}:
    endpoint: \"http://{destination}\"
    compression: {compression}
    tls: {{ insecure: true }}
    sending_queue: {{ {queue} }}
service:
  telemetry:
    metrics:
      readers: [ {{ pull: {{ exporter: {{ prometheus: {{ host: \"{host}\", port: {port} }} }} }} }} ]
  pipelines:
    traces:
      receivers: [ otlp ]
      processors: [ {steps} ]
      exporters: [ {exporter} ]
"
    )
}

/// Its sampler counts every span that it decides about.
pub(super) fn sampled_out(admin: SocketAddr) -> Option<u64> {
    let page = scrape::get(admin, "/metrics")?;
    let sampled_out = |labels: &str| labels.contains("sampled=\"false\"");
    scrape::metric(
        &page,
        "otelcol_processor_probabilistic_sampler_count_traces_sampled",
        sampled_out,
    )
}
