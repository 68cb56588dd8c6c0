//! What a fake destination writes for each [`Answer`].

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Answer, encoding::compress, serve::Fault};

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, Infallible>;

pub(super) async fn write(
    answer: Answer,
    is_grpc: bool,
    encoding: Option<&str>,
) -> Result<Response<Body>, Fault> {
    match answer {
        Answer::Take | Answer::TakeAfter(_) => Ok(success(None, is_grpc, encoding)),
        Answer::Partial(rejected_spans, message) => {
            let partial = ExportTracePartialSuccess {
                rejected_spans,
                error_message: message.to_owned(),
            };
            Ok(success(Some(partial), is_grpc, encoding))
        }
        Answer::Grpc(code, retry_after) => Ok(grpc_error(code, retry_after)),
        Answer::Http(status, headers, body) => {
            let mut response = Response::new(Full::new(body).boxed());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                let value = HeaderValue::try_from(value).unwrap();
                let name = HeaderName::from_static(name);
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
        Answer::NoTrailers => {
            let message = Full::new(framed(&[], None)).boxed();
            Ok(grpc_response(message))
        }
        Answer::Reset(reason) => Err(Fault::Reset(reason.into())),
        Answer::Mute => std::future::pending().await,
        Answer::Endless => Ok(Response::new(Endless.boxed())),
        Answer::HeadOnly(status) => {
            let mut response = Response::new(Silent.boxed());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        }
    }
}

fn success(
    partial_success: Option<ExportTracePartialSuccess>,
    is_grpc: bool,
    encoding: Option<&str>,
) -> Response<Body> {
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    if !is_grpc {
        let mut response = Response::new(Full::from(compress(&message, encoding)).boxed());
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/x-protobuf"),
        );
        if let Some(encoding) = encoding {
            headers.insert("content-encoding", HeaderValue::try_from(encoding).unwrap());
        }
        return response;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed(&message, encoding)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = grpc_response(body.boxed());
    if let Some(encoding) = encoding {
        // A Go server answers in the encoding of the request, whether it was advertised or not.
        let encoding = HeaderValue::try_from(encoding).unwrap();
        response.headers_mut().insert("grpc-encoding", encoding);
    }
    response
}

fn grpc_error(code: tonic::Code, retry_after: Option<Duration>) -> Response<Body> {
    let mut details = ErrorDetails::new();
    if let Some(retry_after) = retry_after {
        details.set_retry_info(Some(retry_after));
    }
    let status = tonic::Status::with_error_details(code, "as scripted", details);
    let mut response = grpc_response(Full::default().boxed());
    status.add_header(response.headers_mut()).unwrap();
    response
}

fn grpc_response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    response
}

fn framed(message: &[u8], encoding: Option<&str>) -> Bytes {
    let message = compress(message, encoding);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(encoding.is_some())], &length[..], &message]
        .concat()
        .into()
}

/// A body without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let zeros = Bytes::from_static(&[0; 16 * 1024]);
        Poll::Ready(Some(Ok(http_body::Frame::data(zeros))))
    }
}

/// A body that never comes.
struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}
