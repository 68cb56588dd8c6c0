//! Facts of the OTLP specification, each spelled once: names, paths, field numbers.
//!
//! It knows nothing of this relay. Source: opentelemetry-proto 1.11, `docs/specification.md` and the `.proto` files.

use tonic::Code;

/// The gRPC method that takes traces.
pub const TRACES_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The gRPC service that takes traces, as `grpc.health.v1` names it.
pub const TRACES_SERVICE: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
/// The gRPC method that takes metrics.
pub const METRICS_METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// The gRPC method that takes logs.
pub const LOGS_METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// The HTTP path that takes traces.
pub const TRACES_PATH: &str = "/v1/traces";
/// The HTTP path that takes metrics.
pub const METRICS_PATH: &str = "/v1/metrics";
/// The HTTP path that takes logs.
pub const LOGS_PATH: &str = "/v1/logs";

/// OTLP over HTTP, binary.
pub const PROTOBUF: &str = "application/x-protobuf";
/// OTLP over HTTP, JSON.
pub const JSON: &str = "application/json";
/// OTLP over gRPC; `+proto` may follow.
pub const GRPC: &str = "application/grpc";

/// The resource attribute that names a service.
pub const SERVICE_NAME: &str = "service.name";

/// Bytes of a usable trace id.
pub const TRACE_ID_BYTES: usize = 16;
/// Bytes of a usable span id.
pub const SPAN_ID_BYTES: usize = 8;

/// A gRPC code as its specification spells it.
pub fn grpc_code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A field number of a protobuf message.
pub type FieldNumber = u32;

/// Fields of `ExportTraceServiceRequest`.
pub mod request {
    /// `repeated ResourceSpans resource_spans`.
    pub const RESOURCE_SPANS: super::FieldNumber = 1;
}

/// Fields of `ResourceSpans`.
pub mod resource_spans {
    /// `Resource resource`.
    pub const RESOURCE: super::FieldNumber = 1;
    /// `repeated ScopeSpans scope_spans`.
    pub const SCOPE_SPANS: super::FieldNumber = 2;
    /// `string schema_url`.
    pub const SCHEMA_URL: super::FieldNumber = 3;
}

/// Fields of `Resource`.
pub mod resource {
    /// `repeated KeyValue attributes`.
    pub const ATTRIBUTES: super::FieldNumber = 1;
    /// `uint32 dropped_attributes_count`.
    pub const DROPPED_ATTRIBUTES_COUNT: super::FieldNumber = 2;
    /// `repeated EntityRef entity_refs`.
    pub const ENTITY_REFS: super::FieldNumber = 3;
}

/// Fields of `EntityRef`.
pub mod entity_ref {
    /// `repeated string id_keys`.
    pub const ID_KEYS: super::FieldNumber = 3;
    /// `repeated string description_keys`.
    pub const DESCRIPTION_KEYS: super::FieldNumber = 4;
}

/// Fields of `ScopeSpans`.
pub mod scope_spans {
    /// `InstrumentationScope scope`.
    pub const SCOPE: super::FieldNumber = 1;
    /// `repeated Span spans`.
    pub const SPANS: super::FieldNumber = 2;
    /// `string schema_url`.
    pub const SCHEMA_URL: super::FieldNumber = 3;
}

/// Fields of `InstrumentationScope`.
pub mod scope {
    /// `string name`.
    pub const NAME: super::FieldNumber = 1;
    /// `string version`.
    pub const VERSION: super::FieldNumber = 2;
    /// `repeated KeyValue attributes`.
    pub const ATTRIBUTES: super::FieldNumber = 3;
    /// `uint32 dropped_attributes_count`.
    pub const DROPPED_ATTRIBUTES_COUNT: super::FieldNumber = 4;
}

/// Fields of `Span`.
pub mod span {
    /// `bytes trace_id`.
    pub const TRACE_ID: super::FieldNumber = 1;
    /// `bytes span_id`.
    pub const SPAN_ID: super::FieldNumber = 2;
    /// `string trace_state`.
    pub const TRACE_STATE: super::FieldNumber = 3;
    /// `bytes parent_span_id`.
    pub const PARENT_SPAN_ID: super::FieldNumber = 4;
    /// `string name`.
    pub const NAME: super::FieldNumber = 5;
    /// `SpanKind kind`.
    pub const KIND: super::FieldNumber = 6;
    /// `fixed64 start_time_unix_nano`.
    pub const START_TIME: super::FieldNumber = 7;
    /// `fixed64 end_time_unix_nano`.
    pub const END_TIME: super::FieldNumber = 8;
    /// `repeated KeyValue attributes`.
    pub const ATTRIBUTES: super::FieldNumber = 9;
    /// `uint32 dropped_attributes_count`.
    pub const DROPPED_ATTRIBUTES_COUNT: super::FieldNumber = 10;
    /// `repeated Event events`.
    pub const EVENTS: super::FieldNumber = 11;
    /// `uint32 dropped_events_count`.
    pub const DROPPED_EVENTS_COUNT: super::FieldNumber = 12;
    /// `repeated Link links`.
    pub const LINKS: super::FieldNumber = 13;
    /// `uint32 dropped_links_count`.
    pub const DROPPED_LINKS_COUNT: super::FieldNumber = 14;
    /// `Status status`.
    pub const STATUS: super::FieldNumber = 15;
    /// `fixed32 flags`.
    pub const FLAGS: super::FieldNumber = 16;
}

/// Fields of `Span.Event`.
pub mod event {
    /// `fixed64 time_unix_nano`.
    pub const TIME: super::FieldNumber = 1;
    /// `string name`.
    pub const NAME: super::FieldNumber = 2;
    /// `repeated KeyValue attributes`.
    pub const ATTRIBUTES: super::FieldNumber = 3;
    /// `uint32 dropped_attributes_count`.
    pub const DROPPED_ATTRIBUTES_COUNT: super::FieldNumber = 4;
}

/// Fields of `Span.Link`.
pub mod link {
    /// `bytes trace_id`.
    pub const TRACE_ID: super::FieldNumber = 1;
    /// `bytes span_id`.
    pub const SPAN_ID: super::FieldNumber = 2;
    /// `string trace_state`.
    pub const TRACE_STATE: super::FieldNumber = 3;
    /// `repeated KeyValue attributes`.
    pub const ATTRIBUTES: super::FieldNumber = 4;
    /// `uint32 dropped_attributes_count`.
    pub const DROPPED_ATTRIBUTES_COUNT: super::FieldNumber = 5;
    /// `fixed32 flags`.
    pub const FLAGS: super::FieldNumber = 6;
}

/// Fields of `Status`.
pub mod status {
    /// `string message`.
    pub const MESSAGE: super::FieldNumber = 2;
    /// `StatusCode code`.
    pub const CODE: super::FieldNumber = 3;
}

/// Fields of `KeyValue`.
pub mod key_value {
    /// `string key`.
    pub const KEY: super::FieldNumber = 1;
    /// `AnyValue value`.
    pub const VALUE: super::FieldNumber = 2;
}

/// Fields of `ArrayValue`.
pub mod array_value {
    /// `repeated AnyValue values`.
    pub const VALUES: super::FieldNumber = 1;
}

/// Fields of `KeyValueList`.
pub mod key_value_list {
    /// `repeated KeyValue values`.
    pub const VALUES: super::FieldNumber = 1;
}

/// Fields of `AnyValue`.
pub mod any_value {
    /// `string string_value`.
    pub const STRING: super::FieldNumber = 1;
    /// `bool bool_value`.
    pub const BOOL: super::FieldNumber = 2;
    /// `int64 int_value`.
    pub const INT: super::FieldNumber = 3;
    /// `double double_value`.
    pub const DOUBLE: super::FieldNumber = 4;
    /// `ArrayValue array_value`, whose field 1 is `repeated AnyValue`.
    pub const ARRAY: super::FieldNumber = 5;
    /// `KeyValueList kvlist_value`, whose field 1 is `repeated KeyValue`.
    pub const KVLIST: super::FieldNumber = 6;
    /// `bytes bytes_value`.
    pub const BYTES: super::FieldNumber = 7;
}
