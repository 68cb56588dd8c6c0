//! What an exporter is told about its destination. It reads no file and no environment: `config` does.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

use crate::queue;

/// One destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Its name in the configuration: what it is, over any change of the rest.
    pub name: Arc<str>,
    /// `http` or `https`, host, port; for HTTP also a base path, to which `/v1/traces` is added.
    pub endpoint: Uri,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How bodies are compressed.
    pub compression: Compression,
    /// Sent with every request; values from files are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Used when the scheme is `https`.
    pub tls: Tls,
    /// One attempt takes at most this long.
    pub timeout: Duration,
    /// Requests under way at most.
    pub concurrency: usize,
    /// Spans under way at most; at least `batch.spans`.
    pub spans_in_flight_max: u64,
    /// When an attempt that failed is repeated.
    pub retry: Retry,
    /// How parcels become messages.
    pub batch: queue::BatchOptions,
    /// Bounds of its queue.
    pub queue: queue::Options,
}

/// The protocol of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// The compression of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// The content of a PEM file.
pub type Pem = Arc<[u8]>;

/// TLS towards a destination. Public roots are built in and used unless `ca` is given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM of the authorities to trust instead of the public ones.
    pub ca: Option<Pem>,
    /// PEM of the client's certificate chain and key.
    pub identity: Option<(Pem, Pem)>,
    /// The name the certificate must carry, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
}

/// When an attempt that failed is repeated: after `first`, then `factor` times as long each time up to `max`, each wait
/// made shorter or longer at random by up to the share `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// The first wait.
    pub first: Duration,
    /// At least 1.
    pub factor: f64,
    /// 0 to 1.
    pub jitter: f64,
    /// The longest wait.
    pub max: Duration,
    /// Spans older than this, counted from acceptance, are lost; `None`: never.
    pub give_up_after: Option<Duration>,
}

/// Shows no key: options end up in logs.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("has_ca", &self.ca.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish()
    }
}
