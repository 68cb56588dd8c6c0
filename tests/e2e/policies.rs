//! Milvus' fraction at 0, then raised by editing the policy file while Milvus, a load and the relay run.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use crate::{
    milvus::{self, FLUSHED_AFTER, Milvus},
    parts::eventually,
    stage::Stage,
};

const CLIENT_ONLY: &str = "services:
  standalone: { sample_fraction: 0 }
  segcore: { sample_fraction: 0 }
  milvus-client: { sample_fraction: 1.0 }
";
const ALL: &str = "services:
  standalone: { sample_fraction: 1.0 }
  segcore: { sample_fraction: 1.0 }
  milvus-client: { sample_fraction: 1.0 }
";
/// From the edit to the first decision by it.
const IN_FORCE_MAX: Duration = Duration::from_secs(2);
/// Milvus reports every five seconds.
const REPORT_MAX: Duration = Duration::from_secs(20);
/// The client's spans have arrived when it has ended.
const CLIENT_QUIET: Duration = Duration::from_secs(1);
/// Longer than the edit, the tutorial's run and the last report together.
const LOAD_SECONDS: u32 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn a_fraction_is_raised_while_everything_runs() {
    let stage = Stage::start("policies", CLIENT_ONLY).await;
    let _milvus = Milvus::start(&stage.folder, stage.relay.grpc()).await;

    only_the_clients_spans_arrive(&stage).await;

    let load = milvus::load(&stage.folder, LOAD_SECONDS, 2);
    let before = dropped(&stage).await;
    eventually("spans of the load", REPORT_MAX, async || {
        (dropped(&stage).await > before).then_some(())
    })
    .await;
    raise_the_fractions(&stage).await;
    let dropped_at_edit = dropped(&stage).await;

    let trace = milvus::tutorial(&stage.folder, stage.relay.grpc()).await;
    let services = ["milvus-client", "standalone", "segcore"];
    let spans = stage.whole_trace(trace, &services, FLUSHED_AFTER).await;
    stage.assert_same_trace(trace, &spans).await;
    load.succeeded(REPORT_MAX).await;
    assert!(
        (dropped(&stage).await - dropped_at_edit).abs() < 0.5,
        "dropped after the edit"
    );
    stage.finish().await;
}

async fn only_the_clients_spans_arrive(stage: &Stage) {
    let trace = milvus::tutorial(&stage.folder, stage.relay.grpc()).await;
    let spans = stage
        .whole_trace(trace, &["milvus-client"], CLIENT_QUIET)
        .await;
    // Milvus' own parts of the trace have reached the relay and have been decided.
    eventually("a report of segcore", REPORT_MAX, async || {
        let segcore = [r#"service="segcore""#, DROPPED];
        let count = stage.relay.metric(SERVICE_SPANS, &segcore).await;
        (count >= 1.0).then_some(())
    })
    .await;
    stage.relay.delivered().await;
    stage.assert_same_trace(trace, &spans).await;
    let client = [r#"service="milvus-client""#];
    let sent = stage.relay.metric(SERVICE_SPANS, &client).await;
    assert!(
        (sent - spans_f64(spans.len())).abs() < 0.5,
        "{sent} sent, {} kept",
        spans.len()
    );
    let services = stage.jaeger.services().await;
    assert_eq!(services, BTreeSet::from(["milvus-client".to_owned()]));
}

async fn raise_the_fractions(stage: &Stage) {
    let generation = stage.relay.metric(GENERATION, &[]).await;
    let edited = Instant::now();
    stage.relay.edit_policies(ALL);
    eventually("the new fractions in force", IN_FORCE_MAX, async || {
        (stage.relay.metric(GENERATION, &[]).await > generation).then_some(())
    })
    .await;
    println!("in force {:?} after the edit", edited.elapsed());
}

const GENERATION: &str = "otlp_relay_config_generation";
const SERVICE_SPANS: &str = "otlp_relay_service_spans_total";
const DROPPED: &str = r#"decision="sampled_out""#;

/// Milvus' spans that the policies have dropped so far.
async fn dropped(stage: &Stage) -> f64 {
    let standalone = [r#"service="standalone""#, DROPPED];
    let segcore = [r#"service="segcore""#, DROPPED];
    stage.relay.metric(SERVICE_SPANS, &standalone).await
        + stage.relay.metric(SERVICE_SPANS, &segcore).await
}

fn spans_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
