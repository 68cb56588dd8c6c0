//! Steady load to a healthy destination: every span that was taken arrives once, and equal (acceptance case A01).

use std::collections::BTreeMap;

use prost::Message;
use tokio::task::JoinSet;

use crate::{
    load::{Over, Sender, Told},
    relay::Launch,
    support::{
        client::{deflate, gzip, zstd},
        fake_backend::FakeBackend,
        generate::{flatten, request},
    },
};

const REQUESTS: u64 = 2_000;
const SPANS: u64 = 50;
/// Each sends its share, one request after the other.
const SENDERS: u64 = 8;
/// A compressor.
type Encode = fn(&[u8]) -> Vec<u8>;
const ENCODINGS: [(Option<&str>, Encode); 4] = [
    (None, <[u8]>::to_vec),
    (Some("gzip"), gzip),
    (Some("deflate"), deflate),
    (Some("zstd"), zstd),
];

#[tokio::test(flavor = "multi_thread")]
async fn a01_two_thousand_requests_arrive_once_and_equal() {
    let backend = FakeBackend::start().await;
    let endpoint = backend.endpoint();
    let settings = format!("destinations: {{ jaeger: {{ endpoint: \"{endpoint}\" }} }}\n");
    let relay = Launch::new("steady", &settings).start().await;
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let (over, to) = match number % 2 {
            0 => (Over::Grpc, relay.grpc()),
            _ => (Over::Http, relay.http()),
        };
        let (encoding, encode) = ENCODINGS[usize::try_from(number / 2).unwrap()];
        senders.spawn(async move {
            let sender = Sender::new(over, to);
            for turn in 0..REQUESTS / SENDERS {
                let first = (number * REQUESTS / SENDERS + turn) * SPANS;
                let body = encode(&request("load", first, SPANS).encode_to_vec());
                let told = sender.send_encoded(body.into(), encoding).await;
                assert_eq!(told, Told::Taken, "{over:?} {encoding:?}");
            }
        });
    }
    senders.join_all().await;
    let ledger = relay.until_settled().await;
    let all = REQUESTS * SPANS;
    assert_eq!((ledger.received, ledger.exported()), (all, all));

    let mut came = BTreeMap::new();
    for message in backend.taken() {
        for span in flatten(&message) {
            let number = u64::from_be_bytes(span.4.span_id[..].try_into().unwrap()) - 1;
            assert!(came.insert(number, span).is_none(), "{number} came twice");
        }
    }
    assert_eq!(came.len() as u64, all);
    for first in (0..all).step_by(usize::try_from(SPANS).unwrap()) {
        for (number, sent) in (first..).zip(flatten(&request("load", first, SPANS))) {
            assert_eq!(came[&number], sent);
        }
    }
    assert!(relay.stop().await.status.success());
}
