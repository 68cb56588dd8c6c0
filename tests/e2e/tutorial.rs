//! Milvus and its tutorial's client, everything kept: the trace in Jaeger is what left the relay, whole.

use crate::{
    milvus::{self, FLUSHED_AFTER, Milvus},
    stage::{KEEP_ALL, Stage},
};

/// A run has some 190 spans; far fewer would be a client that was not instrumented.
const SPANS_MIN: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_trace_arrives_whole() {
    let stage = Stage::start("tutorial", KEEP_ALL).await;
    let milvus = Milvus::start(&stage.folder, stage.relay.grpc()).await;

    let trace = milvus::tutorial(&stage.folder, stage.relay.grpc()).await;

    let services = ["milvus-client", "standalone", "segcore"];
    let spans = stage.whole_trace(trace, &services, FLUSHED_AFTER).await;
    assert!(spans.len() >= SPANS_MIN, "{} spans", spans.len());
    stage.assert_same_trace(trace, &spans).await;
    drop(milvus);
    stage.relay.delivered().await;
    stage.assert_same_spans(&stage.sink.traces()).await;
    let ledger = stage.finish().await;
    assert_eq!(
        (ledger.refused, ledger.rejected, ledger.sampled_out),
        (0, 0, 0)
    );
    println!(
        "{} spans in the tutorial's trace, {} in all",
        spans.len(),
        ledger.received
    );
}
