//! One request, from its head to its answer. Every way out of here is an answer or a counted refusal, also when the client
//! goes away or the code panics.

use std::{
    convert::Infallible,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Request, Response, header::ORIGIN, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::{
    Options, Peer, Shared,
    activity::Activity,
    answer::{AnswerBody, Dialect},
    arriving::Arriving,
    cors,
    decompress::Compression,
    grpc,
    health::{Asked, HealthBody, WATCHES_MAX},
    http as otlp_http,
    intake::Whole,
    refusals::{Agent, Client},
    room::{Room, shutting_down},
    route::{Route, route},
    sending::{Held, Sending},
    transcoding::transcoded,
    unwind::catch_unwinding,
};
use crate::{
    metrics::{Misdirected, Transport},
    pipeline::{Origin, Receipt},
    request::{Reason, Refusal},
};

/// Answers the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
}

/// A request that has no answer yet: dropped like that, it counts as one whose client went away.
struct Unanswered<'a> {
    shared: &'a Shared,
    client: Client,
    since: Instant,
    /// The bytes of its body that have arrived.
    bytes: AtomicU64,
    held: Held,
    answered: bool,
}

impl hyper::service::Service<Request<Incoming>> for Exchange {
    type Response = Response<Sending>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let holding = Held {
            busy: Some(self.activity.begin(!request.body().is_end_stream())),
            slot: None,
        };
        let exchange = self.clone();
        Box::pin(async move { Ok(exchange.answer(request, holding).await) })
    }
}

impl Exchange {
    async fn answer(&self, request: Request<Incoming>, holding: Held) -> Response<Sending> {
        let (head, body) = request.into_parts();
        let origin = head.headers.get(ORIGIN).and_then(|origin| {
            cors::allowed(origin, &self.shared.options.load().cors_allowed_origins)
        });
        let mut response = self.route(head, body, holding, origin.is_some()).await;
        if let Some(origin) = origin {
            cors::expose(response.headers_mut(), origin);
        }
        response
    }

    async fn route(
        &self,
        head: Parts,
        body: Incoming,
        holding: Held,
        page_may_send: bool,
    ) -> Response<Sending> {
        let since = Instant::now();
        let shared = &*self.shared;
        let (dialect, route) = route(&head);
        let client = Client {
            peer: self.peer.address,
            agent: Agent::of(&head.headers),
            dialect,
        };
        let mut unanswered = Unanswered {
            shared,
            client,
            since,
            bytes: AtomicU64::new(0),
            held: holding,
            answered: false,
        };
        match route {
            Err(refusal) => unanswered.refuse(&refusal),
            Ok(Route::Preflight) if page_may_send => {
                unanswered.answer(cors::preflight(&head.headers))
            }
            Ok(Route::Preflight) => unanswered.refuse(&cors::not_allowed(&head.headers)),
            Ok(Route::Health(asked)) => {
                drop(head);
                self.answer_health(unanswered, asked, body).await
            }
            Ok(Route::Traces(misdirected)) => {
                self.note_misdirected(&unanswered.client, misdirected);
                let taken = catch_unwinding(pin!(self.take(&mut unanswered, head, body))).await;
                let taken = taken.unwrap_or_else(|_panicked| Err(panicked()));
                shared
                    .metrics
                    .ingested(dialect.transport(), since.elapsed());
                match taken {
                    Ok(receipt) => unanswered.accept(receipt),
                    Err(refusal) => unanswered.refuse(&refusal),
                }
            }
        }
    }

    /// Collects the body and hands it over.
    async fn take(
        &self,
        unanswered: &mut Unanswered<'_>,
        head: Parts,
        body: Incoming,
    ) -> Result<Receipt, Refusal> {
        let shared = &*self.shared;
        let dialect = unanswered.client.dialect;
        if shared.stopping.begun.is_cancelled() {
            return Err(shutting_down());
        }
        let options = shared.options.load_full();
        let slot = shared.requests.take(options.requests_max);
        unanswered.held.slot = Some(slot.ok_or_else(|| too_many_requests(&options))?);
        let body = Arriving::new(body, &unanswered.bytes, &self.activity);
        let room = self.room(&options, dialect, &head.headers, unanswered.since);
        let compression = compression(dialect, &head.headers)?;
        drop(head); // nothing pays for it while the request waits, and it may have many kilobytes
        let body_deadline = unanswered.since + options.body_timeout;
        let whole = tokio::select! {
            biased;
            whole = collect(dialect, compression, body, &room) => whole?,
            () = sleep_until(body_deadline) => return Err(too_slow(options.body_timeout)),
            () = shared.stopping.bodies.cancelled() => return Err(shutting_down()),
        };
        let origin = Origin {
            transport: dialect.transport(),
            peer: self.peer.address,
        };
        let (whole, mistake) = match dialect {
            Dialect::Json => {
                let from_json = transcoded(whole, &room).await?;
                (from_json.whole, from_json.mistake)
            }
            Dialect::Grpc | Dialect::Protobuf => (whole, None),
        };
        let counted = whole.counted()?;
        let taking = pin!(shared.pipeline.take(counted, origin, room.deadline));
        let taken = room.wait(taking).await?;
        let mut receipt = taken.map_err(|refusal| room.told(refusal))?;
        if let Some(mistake) = mistake {
            let first = format!("; the first that could not be read: {mistake}");
            receipt.message.push_str(&first);
        }
        Ok(receipt)
    }

    fn room(
        &self,
        options: &Options,
        dialect: Dialect,
        headers: &HeaderMap,
        since: Instant,
    ) -> Room {
        let patience = match dialect {
            Dialect::Grpc => grpc::patience(headers),
            Dialect::Protobuf | Dialect::Json => None,
        };
        let wait = patience.map_or(options.wait_max, |patience| patience.min(options.wait_max));
        Room {
            budget: self.shared.budget.clone(),
            request_bytes_max: options.request_bytes_max,
            deadline: since + wait,
            wait,
            stop: self.shared.stopping.begun.clone(),
        }
    }

    async fn answer_health(
        &self,
        mut unanswered: Unanswered<'_>,
        asked: Asked,
        body: Incoming,
    ) -> Response<Sending> {
        let shared = &*self.shared;
        let options = shared.options.load_full();
        // Checks have places of their own: a relay whose requests all wait for room is alive.
        let slot = match asked {
            Asked::Check => shared.checks.take(options.requests_max),
            Asked::Watch => shared.watches.take(WATCHES_MAX),
        };
        if slot.is_none() {
            return unanswered.refuse(&too_many_of(asked));
        }
        unanswered.held.slot = slot;
        let end = shared.stopping.go_away.clone();
        let answering = shared.health.answer(asked, body, end);
        let body_timeout = options.body_timeout;
        match tokio::time::timeout(body_timeout, answering).await {
            Ok(response) if asked == Asked::Watch => unanswered.watch(response),
            Ok(response) => unanswered.answer(response.map(AnswerBody::Health)),
            Err(_elapsed) => unanswered.refuse(&too_slow(body_timeout)),
        }
    }

    fn note_misdirected(&self, client: &Client, path: Option<Misdirected>) {
        let port = match (self.peer.expected, client.dialect.transport()) {
            (Transport::Http, Transport::Grpc) => Some(Misdirected::GrpcOnHttpPort),
            (Transport::Grpc, Transport::Http) => Some(Misdirected::HttpOnGrpcPort),
            _ => None,
        };
        for kind in [port, path].into_iter().flatten() {
            self.shared.refusals.misdirected(client, kind);
        }
    }
}

fn compression(dialect: Dialect, headers: &HeaderMap) -> Result<Compression, Refusal> {
    match dialect.transport() {
        Transport::Grpc => grpc::compression(headers),
        Transport::Http => otlp_http::compression(headers),
    }
}

async fn collect(
    dialect: Dialect,
    compression: Compression,
    body: Arriving<'_>,
    room: &Room,
) -> Result<Whole, Refusal> {
    match dialect.transport() {
        Transport::Grpc => grpc::collect(compression, body, room).await,
        Transport::Http => otlp_http::collect(compression, body, room).await,
    }
}

fn too_many_requests(options: &Options) -> Refusal {
    let requests_max = options.requests_max;
    Refusal::new(
        Reason::Full,
        format!(
            "{requests_max} requests are under way: come again; if it stays so, raise receivers.requests_max"
        ),
    )
}

fn too_many_of(asked: Asked) -> Refusal {
    let what = match asked {
        Asked::Check => "checks",
        Asked::Watch => "watches",
    };
    Refusal::new(
        Reason::Full,
        format!("too many health {what} are open; come again later"),
    )
}

fn too_slow(timeout: Duration) -> Refusal {
    Refusal::new(
        Reason::TooSlow,
        format!(
            "the body was not whole within {} ms: send smaller batches, or raise receivers.body_timeout",
            timeout.as_millis()
        ),
    )
}

fn panicked() -> Refusal {
    Refusal::new(
        Reason::Internal,
        "a fault of the relay: its log has the message of the panic, which is worth a bug report",
    )
}

// === impl Unanswered ===

impl Unanswered<'_> {
    fn accept(self, receipt: Receipt) -> Response<Sending> {
        if receipt.rejected_spans > 0 {
            self.shared.refusals.reject(&self.client, &receipt);
        }
        let response = self.client.dialect.accepted(receipt);
        self.answer(response)
    }

    fn refuse(self, refusal: &Refusal) -> Response<Sending> {
        self.count(refusal);
        let response = self.client.dialect.refused(refusal);
        self.answer(response)
    }

    fn count(&self, refusal: &Refusal) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.shared.refusals.refuse(&self.client, refusal, bytes);
    }

    fn answer(mut self, response: Response<AnswerBody>) -> Response<Sending> {
        self.answered = true;
        let mut held = mem::take(&mut self.held);
        if let Some(busy) = &mut held.busy {
            busy.answered(Instant::now());
        }
        response.map(|body| Sending::new(body, held))
    }

    /// A watch is under way for as long as its connection.
    fn watch(mut self, response: Response<HealthBody>) -> Response<Sending> {
        self.answered = true;
        let held = mem::take(&mut self.held);
        response.map(|body| Sending::new(AnswerBody::Health(body), held))
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let refusal = Refusal::new(
                Reason::Cancelled,
                "the client went away before it was answered: its timeout may be shorter than queue.wait_max",
            );
            self.count(&refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No permit pays for it, and every request has one.
    const FUTURE_BYTES_MAX: usize = 5 * 1024;

    #[test]
    fn the_future_of_a_request_is_small_beside_its_body() {
        fn bytes<F>(_: fn(&'static Exchange, Request<Incoming>, Held) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = bytes(Exchange::answer);
        assert!(bytes <= FUTURE_BYTES_MAX, "{bytes}");
    }
}
