//! What the receivers are told. They read no file and no environment: `config` does.

use std::{net::SocketAddr, time::Duration};

/// What the receivers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where OTLP/gRPC is expected; both ports understand both protocols. `None`: off.
    pub grpc_listen: Option<SocketAddr>,
    /// Where OTLP/HTTP is expected. `None`: off.
    pub http_listen: Option<SocketAddr>,
    /// The origins of web pages that may send spans, as browsers spell them; `*` stands for all.
    pub cors_allowed_origins: Vec<String>,
    /// The bytes of a body at most, on the wire and after decompression.
    pub request_bytes_max: usize,
    /// Open connections at most.
    pub connections_max: usize,
    /// Concurrent requests on one HTTP/2 connection at most.
    pub streams_max: u32,
    /// Requests under way over all connections at most, and as many health checks.
    pub requests_max: usize,
    /// From the opening of a connection, or the first byte of a request, until the head is whole.
    pub header_timeout: Duration,
    /// From the head until the body is whole; and from an answer until its client has taken it.
    pub body_timeout: Duration,
    /// An open connection without a request is closed after this long.
    pub idle_timeout: Duration,
    /// Waiting for room, budget and queues together, takes at most this long.
    pub wait_max: Duration,
    /// What the relay has from the order to stop until its end. Receivers take half of it at most: the other half is for
    /// delivering what came last.
    pub shutdown_deadline: Duration,
}
