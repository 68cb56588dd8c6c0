//! The server of a fake destination: reads each request whole, lets the script decide, and keeps the records.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Buf;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Answer, Received, State,
    answer::{Body, write},
    encoding::{decompress, encoding},
    spans,
};

/// Ends a request without an answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// As it was scripted; the server resets with the reason in it.
    Reset(h2::Error),
    /// The request was cut short.
    Body(hyper::Error),
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Reset(error) => Some(error),
            Self::Body(error) => Some(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.records.lock().unwrap().connections += 1;
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A connection that ends badly is the peer's affair, or was scripted.
            drop(serve_connection(stream, state).await);
        });
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<State>) -> hyper::Result<()> {
    let mut first = [0; 3];
    let is_http2 = loop {
        match stream.peek(&mut first).await {
            Ok(3) => break &first == b"PRI",
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => sleep(Duration::from_millis(1)).await,
        }
    };
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { respond(request, &state).await }
    });
    let stream = TokioIo::new(stream);
    if is_http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, service)
            .await
    }
}

async fn respond(request: Request<Incoming>, state: &State) -> Result<Response<Body>, Fault> {
    let is_grpc = request.version() == Version::HTTP_2
        && request
            .headers()
            .get("content-type")
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let received = receive(request, is_grpc).await.map_err(Fault::Body)?;
    let encoding = encoding(&received.headers, is_grpc);
    let answer = {
        let scripted = state.script.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| (state.judge.lock().unwrap())(&received))
    };
    let _under_way = UnderWay::new(state, &received);
    state
        .records
        .lock()
        .unwrap()
        .received
        .push(received.clone());
    state.changed.send_replace(());
    if let Answer::TakeAfter(delay) = answer {
        sleep(delay).await;
    }
    let taken = matches!(
        answer,
        Answer::Take | Answer::TakeAfter(_) | Answer::Partial(..) | Answer::Endless
    );
    if taken {
        state.records.lock().unwrap().taken.push(received.request);
        state.changed.send_replace(());
    }
    write(answer, is_grpc, encoding.as_deref()).await
}

async fn receive(request: Request<Incoming>, is_grpc: bool) -> hyper::Result<Received> {
    let (head, body) = request.into_parts();
    let mut message = body.collect().await?.to_bytes();
    let mut encoding = encoding(&head.headers, is_grpc);
    if is_grpc {
        let compressed = message.get_u8() != 0;
        encoding = encoding.filter(|_| compressed);
        let length = message.get_u32() as usize;
        assert_eq!(length, message.len(), "one message in one request");
    }
    let message = decompress(&message, encoding.as_deref());
    // Broken strings are received, too: only the judge may find fault.
    let request = ExportTraceServiceRequest::decode(&message[..]).unwrap_or_default();
    Ok(Received {
        at: Instant::now(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        message_bytes: message.len(),
        spans: spans(request.clone()).len(),
        request,
    })
}

/// Counts a request as under way while it lives.
struct UnderWay<'a> {
    state: &'a State,
    spans: usize,
}

impl<'a> UnderWay<'a> {
    fn new(state: &'a State, received: &Received) -> Self {
        let spans = received.spans;
        let mut records = state.records.lock().unwrap();
        records.spans_under_way += spans;
        records.requests_under_way += 1;
        records.spans_under_way_max = records.spans_under_way_max.max(records.spans_under_way);
        records.requests_under_way_max = records
            .requests_under_way_max
            .max(records.requests_under_way);
        Self { state, spans }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut records = self.state.records.lock().unwrap();
        records.spans_under_way -= self.spans;
        records.requests_under_way -= 1;
    }
}
