//! The Collector's components that the relay has something for, and what each of their keys becomes. The README's table
//! is compared with this one.

/// A component of the Collector, or several that are configured alike.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// `receivers`, `processors`, `exporters`, `connectors` or `extensions`.
    pub section: &'static str,
    /// The types, without the name after `/`.
    pub kinds: &'static [&'static str],
    /// What the relay has instead.
    pub is: &'static str,
    /// What each key becomes; a key that is missing here has no equivalent.
    pub(super) keys: &'static [(&'static str, Means)],
}

impl Part {
    /// Whether it becomes a destination, which has a name.
    pub(super) fn is_destination(&self) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|(_, means)| matches!(means, Means::Endpoint))
    }
}

/// What a key of the Collector becomes. `*` stands for the component's name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    /// The same value under this key.
    Key(&'static str),
    /// A number of mebibytes.
    Mebibytes(&'static str),
    /// A percentage, which becomes a fraction.
    Percentage(&'static str),
    /// A duration, where 0 is for ever.
    GiveUp(&'static str),
    /// The endpoint of an exporter.
    Endpoint,
    /// This.
    Words(&'static str),
    /// A list of edits, on a resource or a span; its name for messages.
    Actions(&'static str, &'static str),
}

/// All of them.
pub fn parts() -> &'static [Part] {
    PARTS
}

use Means::{Actions, Endpoint, GiveUp, Key, Mebibytes, Percentage, Words};

const ALWAYS: Means = Words("always so");
const NOT_YET: Means = Words("nothing yet");

#[rustfmt::skip] // One key a line reads as the table that it is.
const PARTS: &[Part] = &[
    Part { section: "receivers", kinds: &["otlp"], is: "receivers; gRPC and HTTP are both understood on both ports", keys: &[
        ("protocols.grpc.endpoint", Key("receivers.grpc.listen")),
        ("protocols.grpc.max_recv_msg_size_mib", Mebibytes("receivers.request_bytes_max")),
        ("protocols.grpc.max_concurrent_streams", Key("receivers.streams_max")),
        ("protocols.grpc.tls", NOT_YET),
        ("protocols.grpc.auth", NOT_YET),
        ("protocols.http.endpoint", Key("receivers.http.listen")),
        ("protocols.http.cors.allowed_origins", Words("receivers.http.cors_allowed_origins, the same list; no wildcards within an origin")),
        ("protocols.http.cors.allowed_headers", ALWAYS),
        ("protocols.http.cors.max_age", Words("needless")),
        ("protocols.http.tls", NOT_YET),
        ("protocols.http.auth", NOT_YET),
        ("protocols.http.max_request_body_size", Words("receivers.request_bytes_max, as a size such as 16MiB")),
        ("protocols.http.read_header_timeout", Key("receivers.header_timeout")),
        ("protocols.http.read_timeout", Key("receivers.body_timeout")),
        ("protocols.http.idle_timeout", Key("receivers.idle_timeout")),
    ]},
    Part { section: "processors", kinds: &["batch"], is: "batch, for every destination", keys: &[
        ("timeout", Key("batch.delay")),
        ("send_batch_size", Words("batch.spans, which is also the most in one message; leave 512 for Jaeger 1.x")),
        ("send_batch_max_size", Words("batch.spans, which is also the most in one message; leave 512 for Jaeger 1.x")),
    ]},
    Part { section: "processors", kinds: &["memory_limiter"], is: "budget, which holds at every moment instead of being checked", keys: &[
        ("limit_mib", Mebibytes("budget.bytes")),
        ("limit_percentage", Words("budget.bytes: auto, at most half of the cgroup's limit")),
        ("spike_limit_mib", Words("needless")),
        ("spike_limit_percentage", Words("needless")),
        ("check_interval", Words("needless")),
    ]},
    Part { section: "processors", kinds: &["probabilistic_sampler"], is: "sampling, in the file that sampling.policy_file names", keys: &[
        ("sampling_percentage", Percentage("default.sample_fraction")),
        ("hash_seed", Key("sampling.hash_seed")),
        ("mode", Words("sampling.randomness: auto is `proportional`, hash is `hash_seed`; `equalizing` has no equivalent")),
    ]},
    Part { section: "processors", kinds: &["tail_sampling"], is: "nothing yet: whole traces come later; until then rules decide span by span", keys: &[] },
    Part { section: "processors", kinds: &["filter"], is: "rules with sample_fraction: 0 in the file that sampling.policy_file names; conditions are to be written anew", keys: &[] },
    Part { section: "processors", kinds: &["attributes"], is: "enrichment on spans", keys: &[
        ("actions", Actions("span", "actions")),
        ("include", Words("`match` in the entry of enrichment: service, span, attributes, resource_attributes")),
        ("exclude", Words("nothing: `match` says where an edit applies, not where it does not")),
    ]},
    Part { section: "processors", kinds: &["resource"], is: "enrichment on resources", keys: &[
        ("attributes", Actions("resource", "attributes")),
    ]},
    Part { section: "processors", kinds: &["transform", "redaction"], is: "enrichment: set, rename, remove, hash, mask, truncate_bytes; statements are to be written anew", keys: &[] },
    Part { section: "exporters", kinds: &["otlp", "otlp_grpc"], is: "a destination", keys: EXPORTER },
    Part { section: "exporters", kinds: &["otlphttp", "otlp_http"], is: "a destination with protocol: http", keys: EXPORTER },
    Part { section: "exporters", kinds: &["debug", "logging"], is: "store: GET /api/v1/traces on the admin port shows the newest traces", keys: &[
        ("verbosity", Words("needless")),
        ("loglevel", Words("needless")),
    ]},
    Part { section: "extensions", kinds: &["health_check", "healthcheckv2"], is: "admin: /livez and /readyz", keys: &[
        ("endpoint", Key("admin.listen")),
        ("path", Words("/livez and /readyz")),
    ]},
];

const EXPORTER: &[(&str, Means)] = &[
    ("endpoint", Endpoint),
    (
        "traces_endpoint",
        Words("destinations.*.endpoint, without /v1/traces at its end"),
    ),
    (
        "tls.insecure",
        Words("the endpoint's scheme: http or https"),
    ),
    ("tls.ca_file", Key("destinations.*.tls.ca_file")),
    ("tls.cert_file", Key("destinations.*.tls.cert_file")),
    ("tls.key_file", Key("destinations.*.tls.key_file")),
    (
        "tls.server_name_override",
        Key("destinations.*.tls.server_name"),
    ),
    (
        "tls.insecure_skip_verify",
        Key("destinations.*.tls.insecure_skip_verify"),
    ),
    ("compression", Key("destinations.*.compression")),
    (
        "headers",
        Words("destinations.*.headers, or headers_files for secrets"),
    ),
    ("timeout", Key("destinations.*.timeout")),
    ("sending_queue.enabled", ALWAYS),
    (
        "sending_queue.num_consumers",
        Key("destinations.*.concurrency"),
    ),
    (
        "sending_queue.queue_size",
        Words("queue.bytes_max, in bytes; auto is half the budget"),
    ),
    (
        "sending_queue.storage",
        Words("nothing yet: queues are in memory"),
    ),
    ("retry_on_failure.enabled", ALWAYS),
    (
        "retry_on_failure.initial_interval",
        Key("destinations.*.retry.first"),
    ),
    (
        "retry_on_failure.max_interval",
        Key("destinations.*.retry.max"),
    ),
    (
        "retry_on_failure.multiplier",
        Key("destinations.*.retry.factor"),
    ),
    (
        "retry_on_failure.randomization_factor",
        Key("destinations.*.retry.jitter"),
    ),
    (
        "retry_on_failure.max_elapsed_time",
        GiveUp("destinations.*.retry.give_up_after"),
    ),
];
