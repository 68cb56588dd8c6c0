//! Clients that send just what a test says, byte for byte where it matters.

use std::{io::Write, net::SocketAddr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, Request, StatusCode};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tonic_types::pb;

/// What an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

// What these clients speak, spelled as their peers know it: they are used within the library's tests too.
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const GRPC: &str = "application/grpc";
const TRACES_PATH: &str = "/v1/traces";
const TRACES_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What came back over HTTP/1.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            (found == name).then_some(value.trim())
        })
    }

    /// The body as `google.rpc.Status`, whichever way it is written: code and message.
    pub fn rpc_status(&self) -> (i32, String) {
        match self.header("content-type") {
            Some(PROTOBUF) => {
                let status = pb::Status::decode(&self.body[..]).unwrap();
                (status.code, status.message)
            }
            Some(JSON) => {
                let status: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
                let code = status["code"].as_i64().unwrap();
                let message = status["message"].as_str().unwrap();
                (i32::try_from(code).unwrap(), message.to_owned())
            }
            other => panic!("no content type of a status: {other:?}"),
        }
    }
}

/// A connection that speaks HTTP/1.
pub struct HttpClient {
    pub socket: TcpStream,
    buffer: BytesMut,
}

impl HttpClient {
    pub async fn connect(address: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            buffer: BytesMut::new(),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The next answer.
    pub async fn answer(&mut self) -> HttpAnswer {
        timeout(PATIENCE, self.read_answer()).await.unwrap()
    }

    async fn read_answer(&mut self) -> HttpAnswer {
        let head_end = loop {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            assert!(self.read_more().await > 0, "closed without an answer");
        };
        let head = self.buffer.split_to(head_end);
        let head = String::from_utf8(head.to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = HttpAnswer {
            status,
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.read_more().await > 0, "closed within a body");
        }
        answer.body = self.buffer.split_to(length).to_vec();
        answer
    }

    async fn read_more(&mut self) -> usize {
        self.socket.read_buf(&mut self.buffer).await.unwrap()
    }

    /// Waits until the other side closes; what it still sends is returned.
    pub async fn closed(&mut self) -> Vec<u8> {
        let reading =
            async { while self.socket.read_buf(&mut self.buffer).await.unwrap_or(0) > 0 {} };
        timeout(PATIENCE, reading)
            .await
            .expect("it is closed in time");
        self.buffer.to_vec()
    }
}

/// The head of a POST with these header lines.
pub fn post(path: &str, headers: &[&str]) -> String {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: relay\r\nuser-agent: test\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head + "\r\n"
}

/// One request over a connection of its own.
pub async fn http(address: SocketAddr, head: &str, body: &[u8]) -> HttpAnswer {
    let mut client = HttpClient::connect(address).await;
    client.send(&[head.as_bytes(), body].concat()).await;
    client.answer().await
}

/// A whole protobuf body to the usual path, with more header lines.
pub async fn http_traces(address: SocketAddr, headers: &[&str], body: &[u8]) -> HttpAnswer {
    let length = format!("content-length: {}", body.len());
    let mut all = vec!["content-type: application/x-protobuf", length.as_str()];
    all.extend(headers);
    http(address, &post(TRACES_PATH, &all), body).await
}

/// What came back from a gRPC call.
#[derive(Debug)]
pub struct GrpcAnswer {
    pub http_status: StatusCode,
    pub headers: HeaderMap,
    pub data: Bytes,
    trailers: HeaderMap,
}

impl GrpcAnswer {
    fn field(&self, name: &str) -> Option<&str> {
        let found = self.trailers.get(name).or_else(|| self.headers.get(name))?;
        Some(found.to_str().unwrap())
    }

    pub fn code(&self) -> tonic::Code {
        let code = self
            .field("grpc-status")
            .expect("every answer has a status");
        tonic::Code::from_bytes(code.as_bytes())
    }

    /// The status as a gRPC client library reads it.
    pub fn status(&self) -> tonic::Status {
        tonic::Status::from_header_map(&self.headers)
            .or_else(|| tonic::Status::from_header_map(&self.trailers))
            .expect("every answer has a status")
    }
}

/// A connection that speaks HTTP/2.
pub struct GrpcClient {
    requests: h2::client::SendRequest<Bytes>,
    ping_pong: h2::PingPong,
    driving: JoinSet<Result<(), h2::Error>>,
}

/// A call that is under way.
pub struct GrpcCall {
    pub response: h2::client::ResponseFuture,
    pub stream: h2::SendStream<Bytes>,
}

impl GrpcClient {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &h2::client::Builder::new()).await
    }

    /// Connects with settings of its own.
    pub async fn connect_with(address: SocketAddr, settings: &h2::client::Builder) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let (requests, mut connection) = settings.handshake(socket).await.unwrap();
        let ping_pong = connection.ping_pong().expect("it is asked for once");
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        Self {
            requests,
            ping_pong,
            driving,
        }
    }

    /// Waits until the settings of the other side are known.
    pub async fn ready(&mut self) {
        let pong = self.ping_pong.ping(h2::Ping::opaque());
        timeout(PATIENCE, pong).await.unwrap().unwrap();
    }

    /// How many calls the other side takes at the same time.
    pub fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Begins a request with these headers.
    pub async fn begin(&mut self, request: http::request::Builder) -> GrpcCall {
        let request = request.body(()).unwrap();
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, stream) = requests.send_request(request, false).unwrap();
        GrpcCall { response, stream }
    }

    /// Begins an export with these further headers.
    pub async fn export(&mut self, headers: &[(&str, &str)]) -> GrpcCall {
        self.begin(grpc_request(TRACES_METHOD, headers)).await
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(mut self) -> Result<(), h2::Error> {
        drop(self.requests);
        let joined = timeout(PATIENCE, self.driving.join_next()).await;
        joined.expect("it is closed in time").unwrap().unwrap()
    }
}

impl GrpcCall {
    /// Sends bytes, and with `end` says that they were the last.
    pub fn send(&mut self, bytes: impl Into<Bytes>, end: bool) {
        self.stream.send_data(bytes.into(), end).unwrap();
    }

    /// Waits for the whole answer.
    pub async fn answer(self) -> GrpcAnswer {
        let answer = async {
            let (head, mut body) = self.response.await?.into_parts();
            let mut data = BytesMut::new();
            while let Some(chunk) = body.data().await {
                let chunk = chunk?;
                body.flow_control().release_capacity(chunk.len())?;
                data.put(chunk);
            }
            let trailers = body.trailers().await?.unwrap_or_default();
            Ok::<_, h2::Error>(GrpcAnswer {
                http_status: head.status,
                headers: head.headers,
                data: data.freeze(),
                trailers,
            })
        };
        timeout(PATIENCE, answer)
            .await
            .expect("an answer in time")
            .unwrap()
    }
}

/// The head of a gRPC call.
pub fn grpc_request(path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::post(format!("http://relay{path}"))
        .header("content-type", GRPC)
        .header("te", "trailers")
        .header("user-agent", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

/// One export over a connection of its own.
pub async fn grpc(
    address: SocketAddr,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> GrpcAnswer {
    let mut client = GrpcClient::connect(address).await;
    let mut call = client.export(headers).await;
    call.send(body, true);
    call.answer().await
}

/// A message in its frame.
pub fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(flag);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put(message);
    framed.freeze()
}

/// With zlib's header, as the name means.
pub fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// As a sender writes it that does not know how much there will be.
pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 1).unwrap()
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
