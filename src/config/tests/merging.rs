//! Which source wins, which file is taken, and what OpenTelemetry's variables make.

use std::time::Duration;

use super::*;
use crate::exporter::{Compression, Protocol};

const JAEGER: &str = "destinations: { jaeger: { endpoint: 'http://jaeger:4317' } }\n";

#[test]
fn without_anything_the_defaults_hold() {
    let (config, warnings) = World::default().config();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(config.file, None);
    assert_eq!(config.budget_bytes, 256 << 20);
    assert_eq!(config.receivers.grpc_listen, "127.0.0.1:4317".parse().ok());
    assert_eq!(config.receivers.http_listen, "127.0.0.1:4318".parse().ok());
    assert_eq!(config.receivers.request_bytes_max, 16 << 20);
    assert_eq!(config.receivers.wait_max, Duration::from_secs(7));
    assert_eq!(config.admin.listen, "127.0.0.1:8888".parse().unwrap());
    assert_eq!(config.store.bytes_max, 16 << 20);
    assert_eq!(config.shutdown_deadline, Duration::from_secs(8));
    assert_eq!(config.log.level, tracing::Level::INFO);
    assert!(config.destinations.is_empty());
}

#[test]
fn a_destination_has_the_defaults_of_the_contract() {
    let (config, _) = World::of(JAEGER).config();
    let [jaeger] = &config.destinations[..] else {
        panic!()
    };
    assert_eq!(&*jaeger.name, "jaeger");
    assert_eq!(jaeger.endpoint, "http://jaeger:4317/");
    assert_eq!(jaeger.protocol, Protocol::Grpc);
    assert_eq!(jaeger.compression, Compression::None);
    assert_eq!(jaeger.timeout, Duration::from_secs(5));
    assert_eq!(jaeger.concurrency, 4);
    assert_eq!(jaeger.spans_in_flight_max, 512);
    assert_eq!(jaeger.retry.first, Duration::from_millis(500));
    assert_eq!(jaeger.retry.give_up_after, None);
    assert_eq!(jaeger.batch.spans, 512);
    assert_eq!(jaeger.batch.bytes_max, 3584 << 10);
    assert_eq!(jaeger.queue.bytes_max, 128 << 20);
    assert!(jaeger.queue.required);
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_defaults() {
    let world = World::of("queue: { bytes_max: 8MiB, wait_max: 3s }\n")
        .variable("OTLP_RELAY__QUEUE__BYTES_MAX", "32MiB")
        .variable("OTLP_RELAY__ADMIN__ALLOWED_HOSTS", "a.example, b.example")
        .variable("OTLP_RELAY__BATCH__SPANS", "100")
        .variable("OTLP_RELAY__LOG__LEVEL", "");
    let (config, _) = world.config();
    assert_eq!(config.settings.size("queue.bytes_max"), Some(32 << 20));
    assert_eq!(config.receivers.wait_max, Duration::from_secs(3));
    assert_eq!(config.admin.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(config.settings.integer("batch.spans"), Some(100));
    assert_eq!(config.log.level, tracing::Level::INFO);
}

#[test]
fn the_environment_reaches_into_a_destination_however_its_name_is_spelled() {
    let world = World::of("destinations: { My-Jaeger: { endpoint: 'http://jaeger:4317' } }\n")
        .variable("OTLP_RELAY__DESTINATIONS__MY_JAEGER__TIMEOUT", "9s")
        .variable("OTLP_RELAY__DESTINATIONS__MY_JAEGER__HEADERS__X", "y")
        .variable("OTLP_RELAY__DESTINATIONS__OTHER__ENDPOINT", "https://other");
    let (config, _) = world.config();
    let names: Vec<_> = config.destinations.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["My-Jaeger", "other"]);
    assert_eq!(config.destinations[0].timeout, Duration::from_secs(9));
    assert_eq!(config.destinations[0].headers.len(), 1);
    assert_eq!(config.destinations[1].compression, Compression::Gzip);
}

#[test]
fn a_header_is_one_however_its_name_is_spelled() {
    let world = World::of(
        "destinations: { a: { endpoint: 'http://a:1', headers: { X-Api-Key: file, x_under: file } } }\n",
    )
    .variable("OTLP_RELAY__DESTINATIONS__A__HEADERS__X_API_KEY", "variable")
    .variable("OTLP_RELAY__DESTINATIONS__A__HEADERS__X_UNDER", "variable")
    .variable("OTLP_RELAY__DESTINATIONS__A__HEADERS__X_NEW", "variable");
    let (config, _) = world.config();
    let mut headers: Vec<_> = config.destinations[0]
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    headers.sort_unstable();
    let expected = ["x-api-key", "x-new", "x_under"].map(|name| (name, "variable"));
    assert_eq!(headers, expected);
}

#[test]
fn a_variable_for_a_whole_and_one_for_its_part_are_a_mistake() {
    let world = World::default()
        .variable("OTLP_RELAY__QUEUE", "5")
        .variable("OTLP_RELAY__QUEUE__WAIT_MAX", "1s");
    assert_lines(
        &world.mistakes(),
        &[
            "OTLP_RELAY__QUEUE: mistake: queue: found `5`; allowed: a mapping",
            "OTLP_RELAY__QUEUE__WAIT_MAX: mistake: queue.wait_max: another variable sets the whole",
        ],
    );
}

#[test]
fn nothing_under_a_key_that_holds_others_leaves_their_defaults() {
    let (config, _) =
        World::of("queue:\nreceivers:\n  grpc:\nenrichment:\ndestinations:\n").config();
    assert_eq!(config.receivers.wait_max, Duration::from_secs(7));
    assert_eq!(config.receivers.grpc_listen, "127.0.0.1:4317".parse().ok());
}

#[test]
fn values_from_the_environment_are_replaced_in_files() {
    let world = World::of(
        "destinations:\n  jaeger:\n    endpoint: http://${env:HOST:-jaeger}:4317\n    concurrency: ${env:N}\n",
    );
    assert_lines(
        &world.mistakes(),
        &[
            "otlp-relay.yaml:4: mistake: destinations.jaeger.concurrency: the environment variable N is not set",
        ],
    );
    let (config, _) = world
        .variable("HOST", "elsewhere")
        .variable("N", "7")
        .config();
    assert_eq!(config.destinations[0].endpoint.host(), Some("elsewhere"));
    assert_eq!(config.destinations[0].concurrency, 7);
}

#[test]
fn files_are_looked_for_in_order() {
    let world = World::default().file("/etc/otlp-relay/config.yaml", "log: { level: debug }");
    assert_eq!(world.config().0.log.level, tracing::Level::DEBUG);
    let world = world.file("otlp-relay.yaml", "log: { level: warn }");
    assert_eq!(world.config().0.log.level, tracing::Level::WARN);
    let world = world.file("mine.yaml", "log: { level: error }");
    let named = world.load_named(Some("mine.yaml")).unwrap();
    assert_eq!(named.log.level, tracing::Level::ERROR);
    assert!(named.watched.keys().eq([Path::new("mine.yaml")]));
    let missing = world.load_named(Some("other.yaml")).unwrap_err();
    assert_lines(
        &lines(&missing.findings),
        &["other.yaml: mistake: the file does not exist"],
    );
}

/// A refused edit made a container unhealthy whose relay went on as before.
#[test]
fn the_admin_port_is_told_whatever_else_is_wrong() {
    let told = |world: &World| {
        let address = world.around(|around| admin_listen(None, around));
        address.map(|address| address.to_string())
    };
    let at = |text: &str| told(&World::of(text)).unwrap_or_default();
    assert_eq!(told(&World::default()).as_deref(), Some("127.0.0.1:8888"));
    assert_eq!(
        at("admin: { listen: 9999 }\nqueue: 7\nx: y\n"),
        "127.0.0.1:9999"
    );
    let missing = "admin: { listen: 9999 }\nsampling: { policy_file: gone }\n";
    assert_eq!(at(missing), "127.0.0.1:9999");
    assert_eq!(at("admin: { listen: lots }\n"), "");
    // A file that cannot be read at all says nothing, and the environment still does.
    assert_eq!(at("admin: ["), "127.0.0.1:8888");
    let variable = World::of("admin: [").variable("OTLP_RELAY__ADMIN__LISTEN", "0.0.0.0:9");
    assert_eq!(told(&variable).as_deref(), Some("0.0.0.0:9"));
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let mut world = World::of(" \n");
    assert_lines(
        &world.mistakes(),
        &["otlp-relay.yaml: mistake: the file is empty"],
    );
    world
        .files
        .insert("otlp-relay.yaml".into(), b"a: 1\nb: \xff\n".to_vec());
    assert_lines(
        &world.mistakes(),
        &["otlp-relay.yaml:2: mistake: not UTF-8"],
    );
    assert_lines(
        &World::of("- a\n").mistakes(),
        &["otlp-relay.yaml:1: mistake: found a list; allowed: a mapping"],
    );
    assert_lines(
        &World::of("receivers: { otlp: }\nexporters: { debug: }\nservice: { pipelines: }\n")
            .mistakes(),
        &["this is a Collector's configuration; `otlp-relay check"],
    );
    assert_lines(
        &World::of("services: { a: { sample_fraction: 1 } }\n").mistakes(),
        &["otlp-relay.yaml:1: mistake: this is a policy file: name it in sampling.policy_file"],
    );
    assert_lines(
        &World::of("sampling:\n  default: 0.5\n  rules: []\n").mistakes(),
        &[
            "otlp-relay.yaml:2: mistake: sampling.default: policies are in a file of their own",
            "otlp-relay.yaml:3: mistake: sampling.rules: policies are in a file of their own",
        ],
    );
    assert!(World::of("# nothing but a comment\n").load().is_ok());
}

#[test]
fn the_file_can_be_loaded_again_from_what_is_printed() {
    let world = World::of(
        "
receivers: { grpc: { listen: off }, request_bytes_max: 1MiB }
budget: { bytes: 64MiB }
admin: { listen: '[::1]:9999', allowed_hosts: ['a', 'b: c', 'yes'], token_file: secrets/token }
sampling: { hash_seed: 7 }
enrichment:
  - on: resource
    set: { a.b: '$$x', 'c d': 'true', e: 1.0, f: \"two\\nlines\", g: -7 }
destinations:
  b:
    endpoint: https://b.example/base/
    protocol: http
    headers_files: { authorization: secrets/token }
    retry: { give_up_after: 90s, factor: 2, first: 1500ms }
  a: { endpoint: 'http://127.0.0.1:9', required: false, compression: zstd, tls: { server_name: x } }
",
    )
    .file("secrets/token", "Bearer planted\n");
    let (first, warnings) = world.config();
    let printed = first.to_yaml();
    let again = World {
        files: world.files.clone(),
        ..World::default()
    }
    .file("otlp-relay.yaml", &printed);
    let (second, _) = again.config();
    assert_eq!(second.to_yaml(), printed);
    assert_eq!(second.receivers, first.receivers);
    assert_eq!(second.destinations, first.destinations);
    assert_eq!(second.admin, first.admin);
    assert_eq!(second.budget_bytes, first.budget_bytes);
    assert!(!printed.contains("planted"), "{printed}");
    assert!(!format!("{first:?}").contains("planted"));
    assert_lines(
        &warnings,
        &["destinations.a.endpoint: its tls settings are not used: the scheme is http"],
    );
}

#[test]
fn secrets_are_masked() {
    let world = World::of(
        "destinations:\n  a:\n    endpoint: http://b:1\n    headers: { x-key: planted }\n",
    );
    let (config, _) = world.config();
    assert!(
        config.to_yaml().contains("x-key: \"***\""),
        "{}",
        config.to_yaml()
    );
    assert!(!format!("{config:?}{:?}", config.destinations).contains("planted"));
    let wrong = World::of(
        "destinations:\n  a:\n    endpoint: http://user:planted@b:1\n    headers: { host: planted, a b: planted, x: \"planted\\n\", X: planted }\n",
    );
    let mistakes = wrong.mistakes();
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    assert!(
        !mistakes.iter().any(|line| line.contains("planted")),
        "{mistakes:#?}"
    );
    for endpoint in [
        "bob:planted@jaeger:4317",
        "tcp://bob:planted@jaeger",
        "http://bob:pla/planted@jaeger:4317",
        "https://jaeger/base?token=planted",
        "jaeger:4317?token=planted",
        "http://jaeger/#planted",
    ] {
        let mistakes = World::of(&format!(
            "destinations: {{ a: {{ endpoint: '{endpoint}' }} }}"
        ))
        .mistakes();
        assert!(
            mistakes.len() == 1 && !mistakes[0].contains("planted"),
            "{mistakes:?}"
        );
    }
    let variable =
        World::of(JAEGER).variable("OTLP_RELAY__DESTINATIONS__JAEGER__HEADERS", "planted");
    assert!(!variable.mistakes()[0].contains("planted"));
}

/// They were printed with the secrets that they refer to.
#[test]
fn edits_are_printed_as_written_and_used_as_they_come() {
    let text =
        "enrichment:\n  - on: ${env:ON}\n    set: { api.key: '${env:KEY}', price: '5 $$' }\n";
    let with = |text: &str| {
        let world = World::of(text).variable("ON", "span");
        world.variable("KEY", "planted")
    };
    let printed = with(text).config().0.to_yaml();
    let set = "set: { api.key: \"${env:KEY}\", price: \"5 $$\" }";
    assert!(
        printed.contains(set) && !printed.contains("planted"),
        "{printed}"
    );
    assert_eq!(with(&printed).config().0.to_yaml(), printed);
    assert_lines(
        &World::of(text).mistakes(),
        &[
            "otlp-relay.yaml:2: mistake: enrichment[0].on: the environment variable ON is not set",
            "otlp-relay.yaml:3: mistake: enrichment[0].set.api.key: the environment variable KEY is not set",
        ],
    );
}

#[test]
fn opentelemetrys_variables_make_a_destination_when_none_is_configured() {
    let world = World::default()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4318/base/")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=a%20b, y=2")
        .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "1500")
        .variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    let (config, warnings) = world.config();
    assert_eq!(warnings, [""; 0]);
    let [otlp] = &config.destinations[..] else {
        panic!()
    };
    assert_eq!(&*otlp.name, "otlp");
    assert_eq!(otlp.endpoint, "http://jaeger:4318/base/");
    assert_eq!(otlp.protocol, Protocol::Http);
    assert_eq!(otlp.compression, Compression::Gzip);
    assert_eq!(otlp.timeout, Duration::from_millis(1500));
    let values: Vec<_> = otlp
        .headers
        .iter()
        .map(|(_, value)| value.to_str().unwrap())
        .collect();
    assert_eq!(values, ["a b", "2"]);
    // and a configured destination leaves them unread
    let (config, _) = World {
        files: World::of(JAEGER).files,
        ..world
    }
    .config();
    assert_eq!(&*config.destinations[0].name, "jaeger");
    assert_eq!(config.destinations.len(), 1);
}

#[test]
fn the_variables_for_traces_go_before_those_for_all_signals() {
    let world = World::default()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1")
        .variable(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://traces:2/v1/traces",
        )
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    let (config, _) = world.config();
    assert_eq!(config.destinations[0].endpoint, "https://traces:2/");
    assert_eq!(config.destinations[0].protocol, Protocol::Http);
    // these are OpenTelemetry's defaults, also for https
    assert_eq!(config.destinations[0].compression, Compression::None);
    assert_eq!(config.destinations[0].timeout, Duration::from_secs(10));
}

#[test]
fn mistakes_in_opentelemetrys_variables_are_named() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("TRACES_ENDPOINT", "http://a:4318")],
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: mistake: destinations.otlp.endpoint: this variable is used as it is",
        ),
        (
            &[("ENDPOINT", "jaeger:4318")],
            "OTEL_EXPORTER_OTLP_ENDPOINT: mistake: destinations.otlp.endpoint: `jaeger:4318` has no scheme",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("PROTOCOL", "http/json")],
            "OTEL_EXPORTER_OTLP_PROTOCOL: mistake: destinations.otlp.protocol: found `http/json`; allowed: grpc, http/protobuf",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("HEADERS", "a")],
            "OTEL_EXPORTER_OTLP_HEADERS: mistake: destinations.otlp.headers[0]: allowed: name=value",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("HEADERS", "a=%zz")],
            "the values URL-encoded",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("TIMEOUT", "soon")],
            "OTEL_EXPORTER_OTLP_TIMEOUT: mistake: destinations.otlp.timeout: found `soon`; allowed: whole milliseconds, such as 10000",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("TIMEOUT", "5s")],
            "found `5s`; allowed: whole milliseconds",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("TIMEOUT", "600001")],
            "found 600001ms; allowed: 10ms to 10m",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("COMPRESSION", "snappy")],
            "found `snappy`; allowed: none, gzip, zstd",
        ),
        (
            &[("ENDPOINT", "http://a:1"), ("CERTIFICATE", "/no/such")],
            "the file /no/such does not exist",
        ),
        (
            &[("ENDPOINT", "http://localhost:4318")],
            "is this relay's own `receivers.http.listen`",
        ),
    ];
    for (variables, part) in cases {
        let mut world = World::default();
        for (name, value) in *variables {
            world = world.variable(&format!("OTEL_EXPORTER_OTLP_{name}"), value);
        }
        assert_lines(&world.mistakes(), &[part]);
    }
}

#[test]
fn every_broken_header_of_opentelemetrys_variable_is_told() {
    let world = World::default()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "a,b=2,=3");
    let mistakes = world.mistakes();
    assert_lines(
        &mistakes,
        &["otlp.headers[0]: allowed", "otlp.headers[2]: allowed"],
    );
}

#[test]
fn the_port_of_grpc_without_a_protocol_draws_a_warning() {
    let world = World::default().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4317");
    let (_, warnings) = world.config();
    assert_lines(&warnings, &["set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"]);
    let grpc = world.variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_lines(&grpc.config().1, &[]);
}

#[test]
fn the_shipped_files_load_without_a_finding() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let config = load(
        Some(&folder.join("otlp-relay.yaml")),
        &Surroundings::new(BTreeMap::new(), &|path| {
            let shipped = path.starts_with(env!("CARGO_MANIFEST_DIR"));
            let hidden = || io::Error::from(io::ErrorKind::NotFound);
            shipped.then(|| std::fs::read(path)).ok_or_else(hidden)?
        }),
    );
    let config = config.unwrap_or_else(|invalid| panic!("\n{invalid}"));
    // Without whole traces a rule on what a span says can tear traces, and that is said.
    assert_lines(&lines(&config.warnings), &["rules[0]"]);
    assert_eq!(&*config.destinations[0].name, "jaeger");
    let watched = ["otlp-relay.yaml", "policies.milvus.yaml"].map(|file| folder.join(file));
    assert!(config.watched.keys().eq(&watched));
}
