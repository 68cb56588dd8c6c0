//! Collector files and what is said of their parts.

use super::*;
use crate::document::{Findings, parse};

fn root(text: &str) -> Node {
    parse("otel.yaml", text, &mut Findings::default()).unwrap()
}

#[test]
fn a_collectors_file_is_told_from_the_relays() {
    for text in [
        "service:",
        "exporters: { debug: }\nextensions: { pprof: }",
        "receivers: { otlp: }\nprocessors: { batch: }\nexporters: { debug: }",
    ] {
        assert!(is_collector(&root(text)), "{text}");
    }
    for text in [
        "",
        "receivers: { grpc: { listen: 4317 } }",
        "- service",
        "destinations:",
        "receivers: { grpc: { listen: 4317 } }\nexporters: { jaeger: { endpoint: 'http://a:1' } }",
    ] {
        assert!(!is_collector(&root(text)), "{text}");
    }
}

const COLLECTOR: &str = "
receivers:
  otlp:
    protocols:
      grpc: { endpoint: 0.0.0.0:4317, max_recv_msg_size_mib: 16 }
      http: { endpoint: 0.0.0.0:4318, cors: { allowed_origins: ['*'] } }
  zipkin:
processors:
  batch: { send_batch_size: 8192, timeout: 200ms, metadata_keys: [a] }
  memory_limiter: { check_interval: 1s, limit_mib: 400 }
  probabilistic_sampler: { sampling_percentage: 12.3 }
  attributes/edit:
    actions:
      - { key: env, value: prod, action: insert }
      - { key: db.statement, action: delete }
      - { key: user.id, action: hash }
      - { key: x, action: extract, pattern: y }
exporters:
  otlp/jaeger:
    endpoint: jaeger:4317
    tls: { insecure: true }
    retry_on_failure: { max_elapsed_time: 0s, initial_interval: 1s }
    sending_queue: { num_consumers: 10, block_on_overflow: true }
  otlphttp: { endpoint: 'https://${env:VENDOR}' }
extensions:
  pprof:
service:
  pipelines:
    traces: { receivers: [otlp] }
    metrics: { receivers: [otlp] }
  telemetry: { logs: { level: warn } }
";

const RELAY: &str = "\
otel.yaml is a Collector's configuration. What otlp-relay has for each part:

receivers:
  otlp (line 3): receivers; gRPC and HTTP are both understood on both ports
    protocols.grpc.endpoint -> receivers.grpc.listen: \"0.0.0.0:4317\"
    protocols.grpc.max_recv_msg_size_mib -> receivers.request_bytes_max: 16MiB
    protocols.http.endpoint -> receivers.http.listen: \"0.0.0.0:4318\"
    protocols.http.cors.allowed_origins -> receivers.http.cors_allowed_origins, the same list; no wildcards within an origin
  zipkin (line 7): nothing

processors:
  batch (line 9): batch, for every destination
    send_batch_size -> batch.spans, which is also the most in one message; leave 512 for Jaeger 1.x
    timeout -> batch.delay: 200ms
    metadata_keys -> nothing
  memory_limiter (line 10): budget, which holds at every moment instead of being checked
    check_interval -> needless
    limit_mib -> budget.bytes: 400MiB
  probabilistic_sampler (line 11): sampling, in the file that sampling.policy_file names
    sampling_percentage -> default.sample_fraction: 0.123
  attributes/edit (line 12): enrichment on spans
    actions[0] -> enrichment: { on: span, set_if_absent: { env: prod } }
    actions[1] -> enrichment: { on: span, remove: [db.statement] }
    actions[2] -> enrichment: { on: span, hash: [user.id] }, keyed by enrichment_hash_key_file, so with other values
    actions[3] -> nothing

exporters:
  otlp/jaeger (line 19): a destination
    endpoint -> destinations.jaeger.endpoint: http://jaeger:4317
    tls.insecure -> the endpoint's scheme: http or https
    retry_on_failure.max_elapsed_time -> destinations.jaeger.retry.give_up_after: never
    retry_on_failure.initial_interval -> destinations.jaeger.retry.first: 1s
    sending_queue.num_consumers -> destinations.jaeger.concurrency: 10
    sending_queue.block_on_overflow -> nothing
  otlphttp (line 24): a destination with protocol: http
    endpoint -> destinations.otlphttp.endpoint: \"https://${env:VENDOR}\"

extensions:
  pprof (line 26): nothing

service:
  pipelines.traces (line 29): the relay's one way: receivers, sampling, enrichment, batch, every destination
  pipelines.metrics (line 30): nothing: only traces are relayed
  telemetry.logs.level -> log.level: warn
";

#[test]
fn every_part_is_said_with_its_equivalent() {
    let found = translate(&root(COLLECTOR));
    for (found, expected) in found.lines().zip(RELAY.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, RELAY);
}

/// They were printed for copying, and refused when they were copied.
#[test]
fn values_that_the_relay_does_not_take_are_said_to_be_none() {
    let text = "
receivers:
  otlp: { protocols: { grpc: { endpoint: 'otel:4317' }, http: { endpoint: '${env:IP}:4318' } } }
processors:
  batch: { timeout: 1m30s }
exporters:
  otlp/jaeger:
    endpoint: dns:///jaeger:4317
    compression: snappy
    timeout: 1m30s
    headers: { a: b }
    retry_on_failure: { max_interval: 2m, max_elapsed_time: 5m0s }
  debug/jaeger:
  otlphttp/jaeger: { traces_endpoint: 'http://jaeger:4318/v1/traces' }
  otlp_http/jaeger: { endpoint: 'http://jaeger:4318' }
service:
";
    let found = translate(&root(text));
    for line in [
        "grpc.endpoint -> nothing as such; receivers.grpc.listen: found `otel:4317`; allowed: a port,",
        "http.endpoint -> receivers.http.listen: \"${env:IP}:4318\"",
        "timeout -> nothing as such; batch.delay: found 90s; allowed: 0s to 1m",
        "endpoint -> nothing as such; destinations.jaeger.endpoint: found the scheme `dns`; allowed: http, https",
        "compression -> nothing as such; destinations.jaeger.compression: found `snappy`; allowed: none, gzip, zstd",
        "timeout -> destinations.jaeger.timeout: 1m30s",
        "headers -> destinations.jaeger.headers, or headers_files for secrets",
        "max_interval -> nothing as such; destinations.jaeger.retry.max: found 2m; allowed: 1ms to 1m",
        "max_elapsed_time -> destinations.jaeger.retry.give_up_after: 5m0s",
        "traces_endpoint -> destinations.jaeger_2.endpoint, without /v1/traces at its end",
        "endpoint -> destinations.jaeger_3.endpoint: http://jaeger:4318",
    ] {
        assert!(found.contains(line), "{line}\n{found}");
    }
}

#[test]
fn every_key_that_a_part_names_is_one_of_the_relays() {
    let keys: Vec<&str> = crate::config::keys().iter().map(|key| key.path).collect();
    for part in parts() {
        for (_, means) in part.keys {
            let key = match means {
                Means::Key(key) | Means::Mebibytes(key) | Means::GiveUp(key) => key,
                // A key of the policy file, and no key at all.
                Means::Percentage(_) | Means::Endpoint | Means::Words(_) | Means::Actions(..) => {
                    continue;
                }
            };
            assert!(keys.contains(key), "{:?}: {key}", part.kinds);
        }
    }
}

#[test]
fn shapes_that_no_collector_would_take_are_passed_over() {
    for text in [
        "service: 7",
        "exporters: []",
        "processors: { attributes: { actions: 7 } }\nexporters: { otlp: [] }",
        "processors: { resource: { attributes: [7, {}, { key: a, action: insert }] } }",
        "service: { pipelines: 7, telemetry: [] }",
    ] {
        assert!(translate(&root(text)).starts_with("otel.yaml is"), "{text}");
    }
}
