//! `grpc.health.v1`: whether the relay serves, for whoever asks once or watches. tonic-health answers; this file bounds it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower_service::Service;

use crate::otlp;

/// The methods of the service.
pub(super) const CHECK_METHOD: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH_METHOD: &str = "/grpc.health.v1.Health/Watch";

/// The empty name stands for the server as a whole (gRPC health checking protocol).
const WHOLE_SERVER: &str = "";

/// A request holds the name of one service, in bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 4096;

/// Watches at the same time at most, over all connections, each of which one lasts as long as. Chosen by eye: a quarter of
/// the usual maximum of connections.
pub(super) const WATCHES_MAX: usize = 256;

/// What is asked of the health service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The status at this moment.
    Check,
    /// The status from now on, until the connection ends.
    Watch,
}

/// The health service and the status it tells.
#[derive(Clone)]
pub(super) struct Health {
    reporter: HealthReporter,
    service: HealthServer<HealthService>,
}

/// An answer of the health service. It ends when `end` is cancelled, so that a watch does not outlast a connection.
pub(super) struct HealthBody {
    body: tonic::body::Body,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Health {
    /// Serving, all of it.
    pub(super) async fn serving() -> Self {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let health = Self {
            reporter,
            service: HealthServer::new(service).max_decoding_message_size(REQUEST_BYTES_MAX),
        };
        health.tell(ServingStatus::Serving).await;
        health
    }

    /// From now on, not serving: watches hear of it.
    pub(super) async fn not_serving(&self) {
        self.tell(ServingStatus::NotServing).await;
    }

    /// Answers a check or a watch.
    pub(super) async fn answer(
        &self,
        asked: Asked,
        body: Incoming,
        end: CancellationToken,
    ) -> Response<HealthBody> {
        let method = match asked {
            Asked::Check => CHECK_METHOD,
            Asked::Watch => WATCH_METHOD,
        };
        let mut request = Request::new(body);
        *request.uri_mut() = Uri::from_static(method);
        let response = match self.service.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        response.map(|body| HealthBody {
            body,
            end: Box::pin(end.cancelled_owned()),
            ended: false,
        })
    }

    async fn tell(&self, status: ServingStatus) {
        for service in [WHOLE_SERVER, otlp::TRACES_SERVICE] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

impl Body for HealthBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // The body first: what it has to say is said before it ends.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if self.end.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Status::new(Code::Unavailable, "the relay is stopping")
            .add_header(&mut trailers)
            .expect("a percent-encoded message is a header value");
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl fmt::Debug for HealthBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthBody").finish_non_exhaustive()
    }
}
