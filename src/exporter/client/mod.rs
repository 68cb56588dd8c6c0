//! Speaks to one destination: one message out, one [`Outcome`] back.
//!
//! It knows nothing of spans, retries or queues. Invariants: every exchange ends within the time it is given; nothing is
//! read of an answer beyond [`answer::ANSWER_BYTES_MAX`]; redirects are not followed; no HTTP/2 pings are sent, because Go
//! servers answer them with GOAWAY.

mod advice;
pub(super) mod answer;
mod connect;
mod frame;
mod gather;
mod resolver;
mod tls;

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_ENCODING, CONTENT_TYPE, TE, USER_AGENT},
    uri::PathAndQuery,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

pub use resolver::{Lookup, Resolver};
pub use tls::InvalidTls;

use super::{Compression, Options, Protocol, Tls, outcome::Outcome};
use crate::otlp;
use connect::{Connection, Connector};

/// What destinations see of us.
const AGENT: &str = concat!("otlp-relay/", env!("CARGO_PKG_VERSION"));

/// Speaks to one destination.
#[derive(Debug)]
pub(super) struct Client {
    uri: Uri,
    headers: HeaderMap,
    protocol: Protocol,
    compression: Compression,
    connector: Connector,
    /// The present connection; one that let an attempt time out is replaced.
    connection: Mutex<Arc<Connection>>,
    /// Whether it has ever answered at all.
    has_answered: AtomicBool,
}

impl Client {
    /// For these options. Connects when first used; `tasks` own the connections.
    pub(super) fn new(
        options: &Options,
        resolver: Resolver,
        tasks: TaskTracker,
    ) -> Result<Self, InvalidTls> {
        let connector = Connector::new(options, resolver, tasks)?;
        Ok(Self {
            uri: request_uri(options),
            headers: request_headers(options),
            protocol: options.protocol,
            compression: options.compression,
            connection: Mutex::new(Arc::new(connector.connect())),
            connector,
            has_answered: AtomicBool::new(false),
        })
    }

    /// Sends one message, and waits for the answer at most this long, connecting included.
    pub(super) async fn send(&self, segments: Vec<Bytes>, within: Duration) -> Outcome {
        let connection = self.connection();
        let outcome = self.exchange(&connection, segments, within).await;
        if outcome.is_timeout() {
            self.replace(&connection);
        }
        outcome
    }

    async fn exchange(
        &self,
        connection: &Connection,
        segments: Vec<Bytes>,
        within: Duration,
    ) -> Outcome {
        let body = frame::body(self.protocol, self.compression, &segments);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if self.protocol == Protocol::Grpc {
            *request.version_mut() = Version::HTTP_2;
            request
                .headers_mut()
                .insert("grpc-timeout", grpc_timeout(within));
        }
        let deadline = Instant::now() + within;
        let head = timeout_at(deadline, connection.send(request)).await;
        self.has_answered
            .fetch_or(matches!(head, Ok(Ok(_))), Ordering::Relaxed);
        let answer = match head {
            Ok(Ok(response)) if self.protocol == Protocol::Grpc => {
                timeout_at(deadline, answer::read_grpc(response)).await
            }
            Ok(Ok(response)) => Ok(answer::read_http(response, deadline).await),
            Ok(Err(error)) => Ok(Outcome::transport(&self.explain(&error))),
            Err(elapsed) => Err(elapsed),
        };
        answer.unwrap_or_else(|_elapsed| Outcome::timeout(within))
    }

    /// What went wrong, and what to change where that is known.
    fn explain(&self, error: &(dyn Error + 'static)) -> String {
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        let advice = advice::advice(error, &self.uri, self.protocol, has_answered);
        let description = describe(error);
        match advice {
            Some(advice) => format!("{description}: {advice}"),
            None => description,
        }
    }

    fn connection(&self) -> Arc<Connection> {
        let connection = self.connection.lock();
        Arc::clone(&connection.expect("no code path panics while it holds the connection"))
    }

    /// Connects anew, which resolves the name anew, unless that has happened since `suspect` was in use.
    fn replace(&self, suspect: &Arc<Connection>) {
        let mut connection = self
            .connection
            .lock()
            .expect("no code path panics while it holds the connection");
        if Arc::ptr_eq(&connection, suspect) {
            *connection = Arc::new(self.connector.connect());
        }
    }
}

/// Checks TLS settings as an exporter would, for whoever reads a configuration.
pub fn check_tls(tls: &Tls) -> Result<(), InvalidTls> {
    tls::server_name(tls)?;
    tls::config(tls).map(drop)
}

fn request_uri(options: &Options) -> Uri {
    let path = match options.protocol {
        Protocol::Grpc => otlp::TRACES_METHOD.to_owned(),
        Protocol::Http => {
            let base = options.endpoint.path().trim_end_matches('/');
            format!("{base}{}", otlp::TRACES_PATH)
        }
    };
    let mut parts = options.endpoint.clone().into_parts();
    parts.path_and_query = Some(
        PathAndQuery::try_from(path).expect("a path of a URI and a constant are a path together"),
    );
    Uri::from_parts(parts).expect("the configuration gives an endpoint with scheme and host")
}

fn request_headers(options: &Options) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let encoding = match options.compression {
        Compression::None => None,
        Compression::Gzip => Some(HeaderValue::from_static("gzip")),
        Compression::Zstd => Some(HeaderValue::from_static("zstd")),
    };
    match options.protocol {
        Protocol::Grpc => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(otlp::GRPC));
            headers.insert(TE, HeaderValue::from_static("trailers"));
            // A Go server answers in the encoding of the request, advertised or not.
            let understood = HeaderValue::from_static("identity,gzip,zstd");
            headers.insert("grpc-accept-encoding", understood);
            encoding.map(|encoding| headers.insert("grpc-encoding", encoding));
        }
        Protocol::Http => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(otlp::PROTOBUF));
            encoding.map(|encoding| headers.insert(CONTENT_ENCODING, encoding));
        }
    }
    for (name, value) in &options.headers {
        headers.insert(name, value.clone());
    }
    headers
}

/// At most eight digits are allowed (gRPC over HTTP/2, "Requests"); milliseconds reach for a day.
fn grpc_timeout(within: Duration) -> HeaderValue {
    let millis = within.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).expect("digits and a letter are a header value")
}

/// An error with its causes, which are where the reason is.
fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
