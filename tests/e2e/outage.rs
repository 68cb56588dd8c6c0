//! Jaeger away for 20 seconds under load: cut off, frozen, killed and started again.
//!
//! Nothing that was acknowledged may be missing, at the sink or, unless it was killed with all its memory, in Jaeger;
//! and while the queue drains, Jaeger may not drop what it answered OK.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    load::{Load, Sent},
    relay::{BUDGET_BYTES, STORE_BYTES},
    sink::SpanId,
    stage::{KEEP_ALL, Stage},
};

/// In spans a second. At the first a queue holds the whole outage; at the second it gets full.
const RATES: [u64; 2] = [2_000, 20_000];
const OUTAGE: Duration = Duration::from_secs(20);
/// Load before the outage, so that it hits a relay at work.
const LOAD_BEFORE_SECONDS: u64 = 2;
/// Load after the outage, so that what was held leaves beside what comes.
const LOAD_AFTER: Duration = Duration::from_secs(3);
/// From Jaeger's return until the queue is empty. It takes seconds; a machine with other work to do gets time.
const DRAIN_MAX: Duration = Duration::from_mins(1);
/// Of the process beyond what it has accounted for: code, allocator, connections.
const RSS_BESIDE_BYTES: u64 = 50 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Connections end and new ones are refused.
    Cut,
    /// Connections stay, and nobody answers.
    Freeze,
    /// The process is gone, and with it what it had stored.
    Kill,
}

/// What the load was told, in spans.
#[derive(Debug, Default)]
struct Answers {
    acknowledged: u64,
    refused: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_way_loses_nothing() {
    for rate in RATES {
        outage(Fault::Cut, rate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_jaeger_loses_nothing() {
    for rate in RATES {
        outage(Fault::Freeze, rate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_jaeger_gets_what_it_missed() {
    for rate in RATES {
        outage(Fault::Kill, rate).await;
    }
}

async fn outage(fault: Fault, rate: u64) {
    let scenario = format!("outage-{fault:?}-{rate}").to_lowercase();
    let mut stage = Stage::start(&scenario, KEEP_ALL).await;
    let mut load = Load::start(stage.relay.grpc(), rate);
    load.acknowledged(rate * LOAD_BEFORE_SECONDS).await;

    fault.begin(&mut stage).await;
    let began = Instant::now();
    sleep(OUTAGE).await; // what is tested is that it takes this long
    fault.end(&mut stage).await;
    let returned = Instant::now();
    sleep(LOAD_AFTER).await;
    let sent = load.stop().await;
    stage.relay.delivered().await;
    let drained = returned.elapsed();

    let answers = answers(&sent);
    println!("{answers:?}, drained {drained:?} after Jaeger's return");
    assert!(drained < DRAIN_MAX, "drained only after {drained:?}");
    assert_nothing_is_missing(&stage, fault, &sent, began).await;
    assert_bounded(&stage, rate, &answers);
    let ledger = stage.finish().await;
    assert_eq!(ledger.accepted, answers.acknowledged);
    assert_eq!(
        ledger.refused, answers.refused,
        "what was refused is counted"
    );
}

/// The sink has what was acknowledged, no more and no less. So has Jaeger; a new one has what was sent after the end of
/// the old one.
async fn assert_nothing_is_missing(stage: &Stage, fault: Fault, sent: &[Sent], began: Instant) {
    let acknowledged = sent.iter().filter(|sent| sent.acknowledged());
    let ids: BTreeSet<SpanId> = acknowledged.clone().flat_map(Sent::ids).collect();
    let at_sink = stage.sink.ids();
    assert_eq!(
        ids.difference(&at_sink).count(),
        0,
        "acknowledged, and not at the sink"
    );
    assert_eq!(
        at_sink.difference(&ids).count(),
        0,
        "at the sink, and not acknowledged"
    );
    let in_jaeger = acknowledged.filter(|sent| fault != Fault::Kill || sent.at > began);
    stage
        .assert_same_spans(&in_jaeger.map(Sent::trace).collect())
        .await;
}

fn assert_bounded(stage: &Stage, rate: u64, answers: &Answers) {
    let rss = stage.relay.rss_bytes_max();
    println!("RSS at most {} MiB", rss >> 20);
    assert!(
        rss <= BUDGET_BYTES + STORE_BYTES + RSS_BESIDE_BYTES,
        "{rss} bytes resident"
    );
    if rate == RATES[0] {
        assert_eq!(answers.refused, 0, "the whole outage fits the queue");
    }
}

/// Counts by answer. A relay that is full says so; nothing else goes wrong.
fn answers(sent: &[Sent]) -> Answers {
    let mut answers = Answers::default();
    for sent in sent {
        let spans = u64::try_from(sent.ids().count()).unwrap();
        match sent.answer {
            Code::Ok => answers.acknowledged += spans,
            Code::Unavailable => answers.refused += spans,
            other => panic!("trace {} was answered {other:?}", sent.number),
        }
    }
    answers
}

impl Fault {
    async fn begin(self, stage: &mut Stage) {
        match self {
            Self::Cut => stage.way.cut(),
            Self::Freeze => stage.jaeger.freeze(),
            Self::Kill => stage.jaeger.kill().await,
        }
    }

    async fn end(self, stage: &mut Stage) {
        match self {
            Self::Cut => stage.way.restore(),
            Self::Freeze => stage.jaeger.thaw(),
            Self::Kill => stage.jaeger.start_again().await,
        }
    }
}
