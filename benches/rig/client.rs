//! One connection to a relay: a prepared body goes out, and the verdict comes back.

use std::{io::Read, net::SocketAddr, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use hyper::{
    Response,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::{net::TcpStream, time::timeout};

use super::{
    pieces::Pieces,
    requests::{Supply, Transport},
};

/// The time-out that OTLP exporters have by default: after it the client has given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A gRPC message's flag and length.
const FRAME_HEAD_BYTES: usize = 5;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// But for so many spans that were rejected: a partial success.
    Accepted { rejected: u64 },
    /// Or not answered in time, or the connection broke.
    Refused,
}

/// An open connection. Over HTTP/2 its clones share it.
#[derive(Debug)]
pub(crate) enum Connection {
    Grpc(http2::SendRequest<Pieces>),
    Http(http1::SendRequest<Pieces>),
}

/// What every request to one relay has in common.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    to: SocketAddr,
    transport: Transport,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    pub(crate) fn new(to: SocketAddr, supply: &Supply) -> Self {
        let gzip = supply.gzip.then_some("gzip");
        let (path, headers): (_, [(&'static str, Option<&'static str>); 3]) = match supply.transport
        {
            Transport::Grpc => (
                otlp_relay::otlp::TRACES_METHOD,
                [
                    ("content-type", Some("application/grpc")),
                    ("te", Some("trailers")),
                    ("grpc-encoding", gzip),
                ],
            ),
            Transport::Http => (
                otlp_relay::otlp::TRACES_PATH,
                [
                    ("content-type", Some("application/x-protobuf")),
                    ("content-encoding", gzip),
                    ("host", Some("localhost")),
                ],
            ),
        };
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let name = HeaderName::from_static(name);
            Some((name, HeaderValue::from_static(value?)))
        });
        let uri = match supply.transport {
            Transport::Grpc => format!("http://{to}{path}"),
            Transport::Http => path.to_owned(),
        };
        Self {
            to,
            transport: supply.transport,
            uri: uri.parse().unwrap(),
            headers: headers.collect(),
        }
    }

    fn request(&self, body: Bytes) -> Request<Pieces> {
        let mut request = Request::new(match self.transport {
            Transport::Grpc => Pieces::frames(body),
            Transport::Http => Pieces::whole(body),
        });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub(crate) async fn connect(&self) -> std::io::Result<Connection> {
        let socket = TcpStream::connect(self.to).await?;
        socket.set_nodelay(true)?;
        let socket = TokioIo::new(socket);
        Ok(match self.transport {
            Transport::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .handshake(socket)
                    .await
                    .map_err(std::io::Error::other)?;
                run(connection);
                Connection::Grpc(sender)
            }
            Transport::Http => {
                let (sender, connection) = http1::handshake(socket)
                    .await
                    .map_err(std::io::Error::other)?;
                run(connection);
                Connection::Http(sender)
            }
        })
    }
}

fn run(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection ends with its sender"
    )]
    tokio::spawn(connection);
}

impl Connection {
    /// A second handle to the same connection; over HTTP/1.1 there is none.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Grpc(sender) => Some(Self::Grpc(sender.clone())),
            Self::Http(_) => None,
        }
    }

    /// Sends a request and reads its whole answer; a broken connection is opened again.
    pub(crate) async fn send(&mut self, head: &Head, body: Bytes) -> Verdict {
        let answered = timeout(ANSWER_WITHIN, self.exchange(head.request(body))).await;
        if let Ok(Ok(verdict)) = answered {
            return verdict;
        }
        // An HTTP/1.1 connection whose answer is still due cannot be used, an HTTP/2 one can.
        if (answered.is_ok() || head.transport == Transport::Http)
            && let Ok(again) = head.connect().await
        {
            *self = again;
        }
        Verdict::Refused
    }

    async fn exchange(&mut self, request: Request<Pieces>) -> hyper::Result<Verdict> {
        match self {
            Self::Grpc(sender) => {
                sender.ready().await?;
                grpc_verdict(sender.send_request(request).await?).await
            }
            Self::Http(sender) => {
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                let status = response.status();
                let answer = response.into_body().collect().await?.to_bytes();
                Ok(verdict(status.is_success(), &answer))
            }
        }
    }
}

/// The status is in the trailers, or in the head of an answer without a message.
async fn grpc_verdict(response: Response<Incoming>) -> hyper::Result<Verdict> {
    let ok = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status == "0");
    let at_head = ok(response.headers());
    let answer = response.into_body().collect().await?;
    let status = at_head.or_else(|| answer.trailers().and_then(ok));
    let answer = answer.to_bytes();
    // A server of gRPC for Go answers in the encoding of the request.
    let message = match answer.split_at_checked(FRAME_HEAD_BYTES) {
        Some(([1, ..], message)) => decompressed(message),
        Some((_, message)) => message.to_vec(),
        None => Vec::new(),
    };
    Ok(verdict(status == Some(true), &message))
}

fn decompressed(message: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // What is damaged will not be OTLP either.
    drop(GzDecoder::new(message).read_to_end(&mut plain));
    plain
}

/// An answer that is no OTLP is none.
fn verdict(accepted: bool, message: &[u8]) -> Verdict {
    match ExportTraceServiceResponse::decode(message) {
        Ok(answer) if accepted => Verdict::Accepted {
            rejected: answer
                .partial_success
                .map_or(0, |partial| partial.rejected_spans.unsigned_abs()),
        },
        _ => Verdict::Refused,
    }
}
