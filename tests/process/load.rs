//! Senders that remember what they were told of each request: every success is an obligation.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic_types::StatusExt;

use crate::{
    relay::Relay,
    support::{client::frame, generate},
};

/// Above the 7 s that a relay may hold an answer back, and what a loaded machine adds.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// A sender that finds nobody there tries again after this long.
const PAUSE_AFTER_NOBODY: Duration = Duration::from_millis(10);
/// How far the numbers of two senders' spans are apart.
const NUMBERS_PER_SENDER: u64 = 1 << 40;

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Grpc,
    Http,
}

/// What a sender was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// All of it was taken.
    Taken,
    /// There is no room; to come again after this long.
    ComeAgain(Duration),
    /// It is too large, and never to be sent again.
    TooLarge,
    /// Anything else that was answered.
    Other(String),
    /// Nothing: the connection broke, or there was nobody.
    Nothing,
}

/// One client, with the connections it keeps.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    over: Over,
    to: SocketAddr,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) first: u64,
    pub(crate) spans: u64,
    pub(crate) told: Told,
    pub(crate) took: Duration,
}

/// Load that goes on until it is stopped.
#[derive(Debug)]
pub(crate) struct Load {
    stop: CancellationToken,
    senders: JoinSet<Vec<Sent>>,
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// One after the other gRPC and HTTP; each waits for its answer.
    pub(crate) senders: u64,
    /// In each request.
    pub(crate) spans: u64,
    /// Between an answer and the next request.
    pub(crate) pause: Duration,
    /// Differs between loads to one witness.
    pub(crate) series: u64,
}

// === impl Sender ===

impl Sender {
    pub(crate) fn new(over: Over, to: SocketAddr) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http2_only(over == Over::Grpc);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true); // else a body waits for the acknowledgement of its head
        Self {
            client: builder.build(connector),
            over,
            to,
        }
    }

    /// Sends one body as it is.
    pub(crate) async fn send(&self, body: Bytes) -> Told {
        self.send_encoded(body, None).await
    }

    /// Sends one body that is encoded so.
    pub(crate) async fn send_encoded(&self, body: Bytes, encoding: Option<&str>) -> Told {
        let to = self.to;
        let request = match self.over {
            Over::Grpc => {
                let path = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
                let request = Request::post(format!("http://{to}/{path}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers");
                let request = match encoding {
                    Some(encoding) => request.header("grpc-encoding", encoding),
                    None => request,
                };
                request.body(Full::new(frame(u8::from(encoding.is_some()), &body)))
            }
            Over::Http => {
                let request = Request::post(format!("http://{to}/v1/traces"))
                    .header("content-type", "application/x-protobuf");
                let request = match encoding {
                    Some(encoding) => request.header("content-encoding", encoding),
                    None => request,
                };
                request.body(Full::new(body))
            }
        };
        let answer = timeout(ANSWER_MAX, self.exchange(request.unwrap()));
        answer
            .await
            .expect("an answer in time")
            .unwrap_or(Told::Nothing)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Option<Told> {
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        if self.over == Over::Http {
            let after = head.headers.get("retry-after");
            let after = after.map(|value| value.to_str().unwrap().parse().unwrap());
            return Some(match (head.status, after) {
                (StatusCode::OK, None) if body.to_bytes().is_empty() => Told::Taken,
                (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
                    Told::ComeAgain(Duration::from_secs(seconds))
                }
                (StatusCode::PAYLOAD_TOO_LARGE, None) => Told::TooLarge,
                (status, after) => Told::Other(format!("{status}, {after:?}")),
            });
        }
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = tonic::Status::from_header_map(&trailers)
            .or_else(|| tonic::Status::from_header_map(&head.headers))?;
        let again = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        Some(match (status.code(), again) {
            (tonic::Code::Ok, None) if body.to_bytes()[..] == [0; 5] => Told::Taken,
            (tonic::Code::Unavailable, Some(delay)) => Told::ComeAgain(delay),
            (tonic::Code::ResourceExhausted, None) => Told::TooLarge,
            (code, again) => Told::Other(format!("{code:?} {again:?}: {}", status.message())),
        })
    }
}

// === impl Load ===

impl Load {
    pub(crate) fn start(relay: &Relay, offer: Offer) -> Self {
        let stop = CancellationToken::new();
        let mut senders = JoinSet::new();
        for number in 0..offer.senders {
            let sender = if number % 2 == 0 {
                Sender::new(Over::Grpc, relay.grpc())
            } else {
                Sender::new(Over::Http, relay.http())
            };
            let first = (offer.series * offer.senders + number) * NUMBERS_PER_SENDER;
            senders.spawn(send_until(sender, offer, first, stop.clone()));
        }
        Self { stop, senders }
    }

    /// No new requests; returns when the last one is answered.
    pub(crate) async fn stop(self) -> Vec<Sent> {
        self.stop.cancel();
        let sent = self.senders.join_all().await;
        sent.into_iter().flatten().collect()
    }
}

/// Sends until this has happened; all of it has to be taken.
pub(crate) async fn all_taken(
    relay: &Relay,
    offer: Offer,
    meanwhile: impl Future<Output = ()>,
) -> Vec<Sent> {
    let load = Load::start(relay, offer);
    meanwhile.await;
    let sent = load.stop().await;
    assert_only_told(&sent, |told| *told == Told::Taken);
    sent
}

async fn send_until(
    sender: Sender,
    offer: Offer,
    mut first: u64,
    stop: CancellationToken,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut request = generate::request("load", first, offer.spans);
    while !stop.is_cancelled() {
        renumber(&mut request, first);
        let start = Instant::now();
        let told = sender.send(request.encode_to_vec().into()).await;
        let pause = match told {
            Told::Nothing => offer.pause.max(PAUSE_AFTER_NOBODY),
            _ => offer.pause,
        };
        sent.push(Sent {
            first,
            spans: offer.spans,
            told,
            took: start.elapsed(),
        });
        first += offer.spans;
        if !pause.is_zero() {
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }
    sent
}

/// The same spans with other numbers: cheaper than new ones.
fn renumber(
    request: &mut opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest,
    first: u64,
) {
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    for (number, span) in (first..).zip(spans) {
        span.trace_id = generate::trace_id(number / 8);
        span.span_id = (number + 1).to_be_bytes().to_vec();
    }
}

// === what came of it ===

/// The requests of which this was told.
pub(crate) fn told(sent: &[Sent], is: impl Fn(&Told) -> bool) -> impl Iterator<Item = &Sent> {
    sent.iter().filter(move |sent| is(&sent.told))
}

/// The spans of the requests of which this was told.
pub(crate) fn spans(sent: &[Sent], is: impl Fn(&Told) -> bool) -> u64 {
    told(sent, is).map(|sent| sent.spans).sum()
}

/// The requests that were taken, and of which not every span has come, each with the number of its spans that have not.
pub(crate) fn missing<'a>(sent: &'a [Sent], seen: &HashMap<u64, u32>) -> Vec<(&'a Sent, u64)> {
    let taken = told(sent, |told| *told == Told::Taken);
    taken
        .filter_map(|sent| {
            let numbers = sent.first..sent.first + sent.spans;
            let missing = numbers.filter(|number| !seen.contains_key(number)).count() as u64;
            (missing > 0).then_some((sent, missing))
        })
        .collect()
}

/// Spans that came and that nobody sent.
pub(crate) fn invented(sent: &[Sent], seen: &HashMap<u64, u32>) -> usize {
    let sent: std::collections::HashSet<u64> = sent
        .iter()
        .flat_map(|sent| sent.first..sent.first + sent.spans)
        .collect();
    seen.keys().filter(|number| !sent.contains(number)).count()
}

/// Fails where anything was answered that no table has for a sound request.
pub(crate) fn assert_only_told(sent: &[Sent], allowed: impl Fn(&Told) -> bool) {
    let odd: Vec<_> = told(sent, |told| !allowed(told)).take(3).collect();
    assert!(odd.is_empty(), "{odd:?}");
    for sent in sent {
        if let Told::ComeAgain(delay) = sent.told {
            let second = Duration::from_secs(1);
            assert!((second..=5 * second).contains(&delay), "{delay:?}");
        }
    }
}

/// Whether a request was taken or refused for want of room.
pub(crate) fn taken_or_refused(told: &Told) -> bool {
    matches!(told, Told::Taken | Told::ComeAgain(_))
}
