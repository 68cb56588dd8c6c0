//! Milvus with more than 4 MiB in one request: Jaeger would refuse it whole, and Milvus would not send it again.

use std::time::Duration;

use crate::{
    milvus::{self, FLUSHED_AFTER, Milvus},
    parts::{eventually, settled},
    stage::{KEEP_ALL, Stage},
    tap::Tap,
};

/// What Jaeger takes at most.
const JAEGER_BYTES_MAX: usize = 4 << 20;
/// The relay's own limit, `batch.bytes_max`.
const BATCH_BYTES_MAX: usize = 3584 << 10;
/// Some 150 events in a span. Above about 21,000 rows Milvus indexes what grows, and a search has no events any more.
const ROWS: u32 = 20_000;
const SEARCHES: u32 = 2_000;
/// Milvus' C++ part reports every five seconds, and a request of 512 spans passes the limit. When a busy machine does not
/// manage so many searches in that time, they come together while the report before is held; Milvus waits 10 s for it.
const HOLD: Duration = Duration::from_secs(8);
const RUNS_MAX: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_4_mib_arrives_in_pieces() {
    let stage = Stage::start("oversize", KEEP_ALL).await;
    let tap = Tap::start(stage.relay.grpc(), HOLD).await;
    let milvus = Milvus::start(&stage.folder, tap.address()).await;

    for _ in 0..RUNS_MAX {
        milvus::grow(&stage.folder, ROWS, SEARCHES).await;
        if tap.largest_message() > JAEGER_BYTES_MAX {
            break;
        }
    }
    let (quiet, within) = (FLUSHED_AFTER + HOLD, FLUSHED_AFTER * 8);
    let spans = || stage.sink.count_of("segcore");
    eventually("spans of segcore", within, async || {
        (spans() > 0).then_some(())
    })
    .await;
    settled("the last of segcore", quiet, within, spans).await;
    // An idle Milvus goes on reporting; without it, what there is can be compared.
    drop(milvus);
    stage.relay.delivered().await;

    let segcore = spans();
    let request = tap.largest_message();
    assert!(
        request > JAEGER_BYTES_MAX,
        "Milvus' largest request had only {request} bytes"
    );
    let message = stage.sink.largest_message();
    assert!(message <= BATCH_BYTES_MAX, "a message of {message} bytes");
    stage.assert_same_spans(&stage.sink.traces()).await;
    let ledger = stage.finish().await;
    assert_eq!((ledger.refused, ledger.rejected), (0, 0));
    println!(
        "{} spans, {segcore} of segcore; Milvus' largest request {request} bytes, the relay's {message}",
        ledger.received
    );
}
