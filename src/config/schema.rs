//! Every key of the configuration in one table: its path, kind, allowed values, default, and what it means.
//!
//! The table drives validation, `print-config` and the README. What several keys together must satisfy is in `rules`.

use std::time::Duration;

/// One key. `*` in a path stands for a destination's name.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted path.
    pub path: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What it is without being set.
    pub default: Preset,
    /// One sentence for users.
    pub meaning: &'static str,
}

/// What a key is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// This, written as in a file.
    Value(&'static str),
    /// It depends on other settings; in words.
    Computed(&'static str),
    /// It must be set.
    Required,
}

/// The values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number, from and to.
    Integer(i64, i64),
    /// A number, from and to.
    Number(f64, f64),
    /// A duration, from and to.
    Duration(Duration, Duration),
    /// A duration from and to, or `never`.
    DurationOrNever(Duration, Duration),
    /// Bytes, from and to.
    Size(u64, u64),
    /// Bytes from and to, or `auto`.
    SizeOrAuto(u64, u64),
    /// A string, or `null`.
    Text,
    /// The path of a file, or `null`.
    File,
    /// The path of a file with a secret in it, or `null`.
    SecretFile,
    /// A list of strings.
    Texts,
    /// A port, or an IP address or `localhost` and a port.
    Listen,
    /// The same, or `off`.
    ListenOrOff,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of the first words; the others come later and are refused.
    ChoiceWithLater(&'static [&'static str], &'static [&'static str]),
    /// A URL.
    Endpoint,
    /// Header names with their values, which are never shown.
    Headers,
    /// Header names with the paths of files that hold their values.
    HeaderFiles,
    /// The list of edits, read by `enrichment`.
    Edits,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MILLISECOND: Duration = Duration::from_millis(1);
const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// The largest body that any setting allows (product contract, "never above 64MiB"; OTLP recommends the same).
const REQUEST_BYTES_MAX: u64 = 64 * MIB;

/// All keys, in the order in which `print-config` and the README show them.
pub fn keys() -> &'static [Key] {
    KEYS
}

#[rustfmt::skip] // One key a line reads as the table that it is.
const KEYS: &[Key] = &[
    key("receivers.grpc.listen", Kind::ListenOrOff, "4317", "Where OTLP/gRPC is expected; HTTP is understood there too. `off` disables."),
    key("receivers.http.listen", Kind::ListenOrOff, "4318", "Where OTLP/HTTP is expected; gRPC is understood there too. `off` disables."),
    key("receivers.http.cors_allowed_origins", Kind::Texts, "[]", "Origins of web pages that may send spans, such as `https://shop.example`, or `*` for all; never with credentials."),
    key("receivers.request_bytes_max", Kind::Size(KIB, REQUEST_BYTES_MAX), "16MiB", "The bytes of one request at most, on the wire and after decompression."),
    key("receivers.connections_max", Kind::Integer(1, 100_000), "1024", "Open connections at most."),
    key("receivers.streams_max", Kind::Integer(1, 10_000), "128", "Concurrent requests on one HTTP/2 connection at most."),
    key("receivers.requests_max", Kind::Integer(1, 1_000_000), "2048", "Requests under way over all connections at most, and as many health checks; beyond it they are refused as full."),
    key("receivers.header_timeout", Kind::Duration(TENTH, DAY), "10s", "How long the head of a request may take."),
    key("receivers.body_timeout", Kind::Duration(TENTH, DAY), "30s", "How long the body of a request may take after its head, and a client to take the answer."),
    key("receivers.idle_timeout", Kind::Duration(TENTH, DAY), "60s", "A connection without a request is closed after this long."),
    key("receivers.acknowledge", Kind::ChoiceWithLater(&["queued"], &["delivered"]), "queued", "When a client is answered: once its spans are in the queue of every required destination."),
    key("budget.bytes", Kind::SizeOrAuto(KIB, 1024 * GIB), "auto", "The bytes of telemetry the process may hold; `auto` is the smallest of 256MiB, half of the cgroup's limit, and that limit less 64MiB. At least four times `receivers.request_bytes_max`."),
    key("sampling.policy_file", Kind::File, "null", "The policies, watched; without it everything is kept."),
    key("sampling.randomness", Kind::Choice(&["auto", "hash"]), "auto", "What is sampled by: `th` and `rv` of a span's tracestate where it has them, or always the hash of its trace id."),
    key("sampling.hash_seed", Kind::Integer(0, i64::MAX), "0", "Relays in series that shall decide independently need different ones."),
    key("enrichment", Kind::Edits, "[]", "The edits of attributes, in order."),
    key("enrichment_hash_key_file", Kind::SecretFile, "null", "The key of `hash` edits; required once one is used."),
    key("queue.bytes_max", Kind::SizeOrAuto(KIB, 1024 * GIB), "auto", "The bytes of each destination's queue at most, in flight included; `auto` shares half of the budget out among the destinations."),
    key("queue.wait_max", Kind::Duration(Duration::ZERO, MINUTE), "7s", "How long a request waits for room before it is refused; Milvus waits 10 s and never comes back."),
    key("batch.spans", Kind::Integer(1, 100_000), "512", "A message is sent with this many spans, and never has more."),
    key("batch.bytes", Kind::Size(KIB, REQUEST_BYTES_MAX), "1MiB", "A message is sent with this many bytes."),
    key("batch.bytes_max", Kind::Size(KIB, REQUEST_BYTES_MAX), "3584KiB", "A message never has more bytes; Jaeger refuses messages over 4 MiB."),
    key("batch.delay", Kind::Duration(Duration::ZERO, MINUTE), "200ms", "A message is sent when its first span has waited this long."),
    required("destinations.*.endpoint", Kind::Endpoint, "A URL such as `http://jaeger:4317`, whose scheme decides about TLS; for `protocol: http` the base, to which `/v1/traces` is added."),
    key("destinations.*.protocol", Kind::Choice(&["grpc", "http"]), "grpc", "The protocol of the destination."),
    key("destinations.*.required", Kind::Boolean, "true", "Whether requests wait for room in its queue, and are refused without it; `false` loses what does not fit for this destination alone. At least one is required."),
    computed("destinations.*.compression", Kind::Choice(&["none", "gzip", "zstd"]), "none; gzip for https", "The compression of messages."),
    key("destinations.*.headers", Kind::Headers, "{}", "Headers sent with every message."),
    key("destinations.*.headers_files", Kind::HeaderFiles, "{}", "Headers whose values are in files, for secrets."),
    key("destinations.*.tls.ca_file", Kind::File, "null", "The authorities to trust, as PEM, instead of the public ones, which are built in."),
    key("destinations.*.tls.cert_file", Kind::File, "null", "The certificate to show, as PEM."),
    key("destinations.*.tls.key_file", Kind::SecretFile, "null", "The key of the certificate to show, as PEM."),
    key("destinations.*.tls.server_name", Kind::Text, "null", "The name that the certificate must carry, where it is not the endpoint's host."),
    key("destinations.*.tls.insecure_skip_verify", Kind::Boolean, "false", "Whether any certificate is taken."),
    key("destinations.*.timeout", Kind::Duration(Duration::from_millis(10), Duration::from_mins(10)), "5s", "How long one attempt may take."),
    key("destinations.*.concurrency", Kind::Integer(1, 256), "4", "Messages in flight at most."),
    key("destinations.*.spans_in_flight_max", Kind::Integer(1, 10_000_000), "512", "Spans in flight at most: a quarter of Jaeger's queue, which silently drops what exceeds it."),
    key("destinations.*.retry.first", Kind::Duration(MILLISECOND, MINUTE), "500ms", "The wait before the second attempt."),
    key("destinations.*.retry.factor", Kind::Number(1.0, 10.0), "1.5", "How many times longer each further wait is."),
    key("destinations.*.retry.jitter", Kind::Number(0.0, 1.0), "0.5", "The share by which each wait is made shorter or longer at random."),
    key("destinations.*.retry.max", Kind::Duration(MILLISECOND, MINUTE), "3s", "The longest wait."),
    key("destinations.*.retry.give_up_after", Kind::DurationOrNever(SECOND, DAY), "never", "Spans older than this, counted from acceptance, are lost."),
    key("admin.listen", Kind::Listen, "8888", "Where metrics, health and the admin API are served."),
    key("admin.allowed_hosts", Kind::Texts, "[]", "Host names beyond loopback, IP addresses and the machine's own under which the admin API answers."),
    key("admin.token_file", Kind::SecretFile, "null", "The token that POST needs; without it a non-loopback address serves GET only."),
    key("store.bytes_max", Kind::Size(0, GIB), "16MiB", "The bytes of the embedded trace store; 0 turns it off."),
    key("shutdown.deadline", Kind::Duration(Duration::ZERO, Duration::from_mins(10)), "8s", "How long the queues may take to drain at shutdown; docker stop kills after 10 s."),
    key("metrics.collector_names", Kind::Choice(&["total", "plain", "both", "off"]), "total", "How the Collector's metric names are spelled: with `_total`, as older versions did, both, or not at all."),
    key("log.format", Kind::Choice(&["text", "json"]), "text", "How log lines are written."),
    key("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info", "From which level on log lines are written."),
];

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        default: Preset::Value(default),
        meaning,
    }
}

const fn required(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        default: Preset::Required,
        meaning,
    }
}

const fn computed(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        kind,
        default: Preset::Computed(default),
        meaning,
    }
}

/// The path under which the keys of one destination stand.
pub(super) const DESTINATION: &str = "destinations.*";

/// What stands directly under a path of the table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Child {
    /// A key, with its last name.
    Key(&'static str, &'static Key),
    /// A mapping, with its last name and whole path.
    Group(&'static str, &'static str),
}

/// What stands directly under `prefix` (empty: at the top), in the order of the table.
pub(super) fn children(prefix: &str) -> Vec<Child> {
    let mut found: Vec<Child> = Vec::new();
    for key in KEYS {
        let Some((name, path, is_key)) = below(prefix, key.path) else {
            continue;
        };
        let seen = found
            .iter()
            .any(|child| matches!(child, Child::Group(known, _) if *known == name));
        match (is_key, seen) {
            (true, _) => found.push(Child::Key(name, key)),
            (false, false) => found.push(Child::Group(name, path)),
            (false, true) => {}
        }
    }
    found
}

/// The name under `prefix` on the way to `path`, the path so far, and whether that is all of it.
fn below(prefix: &str, path: &'static str) -> Option<(&'static str, &'static str, bool)> {
    let rest = if prefix.is_empty() {
        path
    } else {
        path.strip_prefix(prefix)?.strip_prefix('.')?
    };
    let name = rest.split('.').next()?;
    let end = path.len() - rest.len() + name.len();
    Some((name, &path[..end], end == path.len()))
}

/// Whether the table has a mapping at these names.
pub(super) fn is_group(names: &[&str]) -> bool {
    KEYS.iter().any(|key| {
        let mut parts = key.path.split('.');
        let alike = names.iter().all(|name| {
            parts
                .next()
                .is_some_and(|part| part == "*" || part == *name)
        });
        alike && parts.next().is_some()
    })
}

impl Kind {
    /// What is allowed, in words, for the README.
    pub fn in_words(&self) -> String {
        use crate::document::{display_duration as duration, display_size as size};
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer(from, i64::MAX) => format!("a whole number from {from}"),
            Self::Integer(from, to) => format!("a whole number from {from} to {to}"),
            Self::Number(from, to) => format!("a number from {from} to {to}"),
            Self::Duration(from, to) => format!("{} to {}", duration(*from), duration(*to)),
            Self::DurationOrNever(from, to) => {
                format!("{} to {}, or never", duration(*from), duration(*to))
            }
            Self::Size(from, to) => format!("{} to {}", size(*from), size(*to)),
            Self::SizeOrAuto(from, to) => format!("{} to {}, or auto", size(*from), size(*to)),
            Self::Text => "a string".to_owned(),
            Self::File | Self::SecretFile => "the path of a file".to_owned(),
            Self::Texts => "a list of strings".to_owned(),
            Self::Listen => "a port, or an IP address or localhost and a port".to_owned(),
            Self::ListenOrOff => {
                "a port, or an IP address or localhost and a port, or off".to_owned()
            }
            Self::Choice(words) | Self::ChoiceWithLater(words, _) => words.join(", "),
            Self::Endpoint => "a URL".to_owned(),
            Self::Headers => "a mapping of names to values".to_owned(),
            Self::HeaderFiles => "a mapping of names to paths of files".to_owned(),
            Self::Edits => "a list of edits".to_owned(),
        }
    }
}
