//! Tests of exporters against scripted destinations over real sockets.

use std::time::Duration;

use super::*;
use crate::queue;

/// Options as the configuration's defaults have them.
pub(super) fn options(endpoint: &str) -> Options {
    Options {
        name: "jaeger".into(),
        endpoint: endpoint.parse().unwrap(),
        protocol: Protocol::Grpc,
        compression: Compression::None,
        headers: Vec::new(),
        tls: Tls::default(),
        timeout: Duration::from_secs(5),
        concurrency: 4,
        spans_in_flight_max: 512,
        retry: Retry {
            first: Duration::from_millis(500),
            factor: 1.5,
            jitter: 0.5,
            max: Duration::from_secs(3),
            give_up_after: None,
        },
        batch: queue::BatchOptions {
            spans: 512,
            bytes: 1 << 20,
            bytes_max: 3584 << 10,
            delay: Duration::from_millis(200),
        },
        queue: queue::Options {
            bytes_max: 64 << 20,
            required: true,
        },
    }
}
