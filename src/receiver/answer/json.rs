//! What clients are told in proto3's JSON.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use serde_json::json;
use tonic::Status;

/// The response to a request that was taken; 64-bit integers are strings.
pub(super) fn response(response: &ExportTraceServiceResponse) -> Bytes {
    let document = match &response.partial_success {
        None => json!({}),
        Some(told) => json!({ "partialSuccess": {
            "rejectedSpans": told.rejected_spans.to_string(),
            "errorMessage": told.error_message,
        } }),
    };
    document.to_string().into()
}

/// `google.rpc.Status`.
pub(super) fn status(status: &Status, delay: Option<Duration>) -> Bytes {
    let mut document = json!({ "code": i32::from(status.code()), "message": status.message() });
    if let Some(delay) = delay {
        document["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{:.3}s", delay.as_secs_f64()),
        }]);
    }
    document.to_string().into()
}
