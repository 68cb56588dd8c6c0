//! The load: encoded requests over HTTP/2 connections, so many under way on each, or at a rate.

use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Shape, generate};

/// Requests that are made beforehand and sent in turn: more than fit the caches, with trace ids of their own.
const REQUESTS: u64 = 64;

/// Connections to one relay, and what goes over them.
pub(crate) struct Load {
    to: SocketAddr,
    connections: Vec<SendRequest<Full<Bytes>>>,
    requests: Vec<Bytes>,
    shape: Shape,
}

/// What was answered.
#[derive(Default)]
pub(crate) struct Answers {
    /// Spans of accepted requests.
    pub(crate) accepted: u64,
    /// Spans of refused requests.
    pub(crate) refused: u64,
    /// From the sending of a request to its whole answer.
    pub(crate) took: Vec<Duration>,
}

/// The mean size of a generated span in its request.
pub(crate) fn span_bytes(spans: u64) -> u64 {
    generate::request("standalone", 0, spans).encoded_len() as u64 / spans
}

impl Load {
    pub(crate) async fn new(to: SocketAddr, shape: Shape) -> Self {
        let mut connections = Vec::new();
        for _ in 0..shape.connections {
            connections.push(connect(to).await);
        }
        let request = |number| generate::request("standalone", number * shape.spans, shape.spans);
        let requests = (0..REQUESTS)
            .map(|number| framed(&request(number)))
            .collect();
        Self {
            to,
            connections,
            requests,
            shape,
        }
    }

    /// Sends for as long as `lasts`, and waits for the last answers.
    pub(crate) async fn run(&self, lasts: Duration) -> Answers {
        let until = Instant::now() + lasts;
        let senders = self.shape.connections * self.shape.in_flight;
        let pause = self.shape.rate.map(|rate| {
            Duration::from_secs_f64(self.shape.spans as f64 * senders as f64 / rate as f64)
        });
        let mut sending = JoinSet::new();
        for sender in 0..senders {
            let connection = self.connections[sender % self.connections.len()].clone();
            let offset = pause
                .unwrap_or_default()
                .mul_f64(sender as f64 / senders as f64);
            sending.spawn(send(Sender {
                connection,
                to: self.to,
                requests: self.requests.clone(),
                first: sender * 7,
                spans: self.shape.spans,
                start: Instant::now() + offset,
                pause,
                until,
            }));
        }
        let mut all = Answers::default();
        while let Some(answers) = sending.join_next().await {
            let answers = answers.unwrap();
            all.accepted += answers.accepted;
            all.refused += answers.refused;
            all.took.extend(answers.took);
        }
        all
    }
}

struct Sender {
    connection: SendRequest<Full<Bytes>>,
    to: SocketAddr,
    requests: Vec<Bytes>,
    first: usize,
    spans: u64,
    start: Instant,
    pause: Option<Duration>,
    until: Instant,
}

async fn send(mut sender: Sender) -> Answers {
    let mut answers = Answers::default();
    let uri = format!("http://{}{}", sender.to, otlp_relay::otlp::TRACES_METHOD);
    let mut next = sender.requests.iter().cycle().skip(sender.first).cloned();
    for number in 0_u32.. {
        if let Some(pause) = sender.pause {
            // At a rate the next request has its time, whatever the last one took: waiting shows in the answer times.
            let due = sender.start + pause.mul_f64(f64::from(number));
            sleep_until(due).await;
        }
        if Instant::now() >= sender.until {
            break;
        }
        let body = next
            .next()
            .expect("the requests are sent in turn, without an end");
        let request = Request::post(&uri)
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .body(Full::new(body))
            .unwrap();
        let sent = Instant::now();
        sender.connection.ready().await.unwrap();
        let response = sender.connection.send_request(request).await.unwrap();
        let head_status = response.headers().get("grpc-status").cloned();
        let body = response.into_body().collect().await.unwrap();
        let status = head_status.or_else(|| body.trailers()?.get("grpc-status").cloned());
        answers.took.push(sent.elapsed());
        if status.is_some_and(|status| status == "0") {
            answers.accepted += sender.spans;
        } else {
            answers.refused += sender.spans;
        }
    }
    answers
}

async fn connect(to: SocketAddr) -> SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(to).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection ends with its sender"
    )]
    tokio::spawn(connection);
    sender
}

/// A gRPC message: flag, length, bytes.
fn framed(request: &ExportTraceServiceRequest) -> Bytes {
    let length = request.encoded_len();
    let mut frame = BytesMut::with_capacity(length + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap());
    request.encode(&mut frame).unwrap();
    frame.freeze()
}
