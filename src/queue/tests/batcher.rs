//! Tests of the batcher.

use super::*;

const OPTIONS: BatchOptions = BatchOptions {
    spans: 4,
    bytes: 10_000,
    bytes_max: 20_000,
    delay: Duration::from_millis(200),
};
const LIMITS: Limits = Limits {
    spans: 4,
    bytes_max: 20_000,
    bytes_learned: 20_000,
};

struct Bench {
    house: House,
    queue: Queue,
    batcher: Batcher,
}

impl Bench {
    fn new(options: BatchOptions, limits: Limits) -> Self {
        let house = House::new();
        Self {
            queue: house.open("jaeger", 1000, true),
            batcher: Batcher::new(options, limits),
            house,
        }
    }

    async fn push(&mut self, names: &[&str]) -> u64 {
        let payload = payload(&self.house.budget, names);
        self.house.admit(payload).await.unwrap();
        self.batcher.push(self.queue.try_pop().unwrap())
    }

    /// The spans of the batch that has ended, settled.
    fn take(&mut self) -> Option<u64> {
        let batch = self.batcher.take(Instant::now())?;
        let spans = batch.parcels.iter().map(|parcel| parcel.spans).sum();
        assert_eq!(batch.spans, spans);
        for parcel in batch.parcels {
            parcel.settle(Fate::Exported);
        }
        Some(spans)
    }
}

#[tokio::test(start_paused = true)]
async fn a71_a_batch_ends_at_its_spans_or_its_delay() {
    let mut bench = Bench::new(OPTIONS, LIMITS);
    bench.push(&["a"; 3]).await;
    assert_eq!(bench.take(), None);
    advance(Duration::from_millis(199)).await;
    assert_eq!(bench.take(), None);
    advance(Duration::from_millis(1)).await;
    assert_eq!(bench.take(), Some(3));

    for _ in 0..9 {
        bench.push(&["a"]).await;
    }
    assert_eq!(
        (bench.take(), bench.take(), bench.take()),
        (Some(4), Some(4), None)
    );
    advance(OPTIONS.delay).await;
    assert_eq!((bench.take(), bench.take()), (Some(1), None));
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_at_its_bytes() {
    let one = request(&["a"]).len();
    let options = BatchOptions {
        bytes: 2 * one,
        ..OPTIONS
    };
    let mut bench = Bench::new(options, LIMITS);
    bench.push(&["a"]).await;
    assert_eq!(bench.take(), None);
    bench.push(&["a"]).await;
    bench.push(&["a"]).await;
    assert_eq!((bench.take(), bench.take()), (Some(2), None));
    advance(OPTIONS.delay).await;
    assert_eq!(bench.take(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_the_parcel_that_reaches_its_bytes() {
    let one = request(&["a"]).len();
    for (bytes, parcels) in [(2 * one - 1, 2), (2 * one, 2), (2 * one + 1, 3)] {
        let mut bench = Bench::new(BatchOptions { bytes, ..OPTIONS }, LIMITS);
        for _ in 1..parcels {
            bench.push(&["a"]).await;
            assert_eq!(bench.take(), None, "{bytes}");
        }
        bench.push(&["a"]).await;
        let ended = bench.take();
        assert!(ended.is_some(), "{bytes}");
        advance(OPTIONS.delay).await;
        bench.take();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_as_many_bytes_as_it_may_have() {
    let one = request(&["a"]).len();
    for (bytes_max, too_large) in [(one - 1, 1), (one, 0), (one + 1, 0)] {
        let limits = Limits {
            bytes_max,
            bytes_learned: bytes_max,
            ..LIMITS
        };
        let mut bench = Bench::new(OPTIONS, limits);
        assert_eq!(bench.push(&["a"]).await, too_large, "{bytes_max}");
        advance(OPTIONS.delay).await;
        assert_eq!(bench.take(), (too_large == 0).then_some(1), "{bytes_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn parcels_stay_whole_where_they_can_and_are_cut_where_they_must() {
    let mut bench = Bench::new(OPTIONS, LIMITS);
    bench.push(&["a"; 3]).await;
    bench.push(&["b"; 3]).await;
    assert_eq!((bench.take(), bench.take()), (Some(3), None));
    advance(OPTIONS.delay).await;
    assert_eq!(bench.take(), Some(3));
    assert_eq!(bench.push(&["c"; 9]).await, 0);
    assert_eq!(
        (bench.take(), bench.take(), bench.take()),
        (Some(4), Some(4), None)
    );
    advance(OPTIONS.delay).await;
    assert_eq!(bench.take(), Some(1));
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn a_span_that_fits_no_message_is_lost_alone() {
    let large = "x".repeat(30_000);
    let mut bench = Bench::new(OPTIONS, LIMITS);
    assert_eq!(bench.push(&["a", &large, "b"]).await, 1);
    advance(OPTIONS.delay).await;
    assert_eq!(bench.take(), Some(2));
    let totals = bench.house.ledger.totals();
    assert_eq!(totals.destinations["jaeger"].lost[&Loss::TooLarge], 1);
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn a_learned_limit_cuts_but_loses_nothing() {
    let large = "x".repeat(3_000);
    let limits = Limits {
        bytes_learned: 1_000,
        ..LIMITS
    };
    let mut bench = Bench::new(OPTIONS, limits);
    assert_eq!(bench.push(&["a", &large, "b", "c"]).await, 0);
    let mut spans = 0;
    while let Some(batch) = bench.batcher.take_front() {
        assert!(batch.bytes <= 1_000 || batch.spans == 1, "{batch:?}");
        for parcel in batch.parcels {
            spans += parcel.spans;
            parcel.settle(Fate::Exported);
        }
    }
    assert_eq!(spans, 4);
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn lower_limits_cut_what_is_held() {
    let mut bench = Bench::new(OPTIONS, LIMITS);
    bench.push(&["a"; 4]).await;
    let limits = Limits { spans: 2, ..LIMITS };
    assert_eq!(bench.batcher.reconfigure(OPTIONS, limits), 0);
    assert_eq!(
        (bench.take(), bench.take(), bench.take()),
        (Some(2), Some(2), None)
    );
    bench.push(&["a"]).await;
    bench.batcher.end_at_once();
    assert_eq!(bench.take(), Some(1));
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_taken_out() {
    let mut bench = Bench::new(OPTIONS, LIMITS);
    bench.push(&["a"]).await;
    let first = Instant::now();
    advance(Duration::from_secs(1)).await;
    bench.push(&["b"]).await;
    let old = bench.batcher.take_accepted_by(first);
    assert_eq!(old.len(), 1);
    for parcel in old {
        parcel.settle(Fate::Lost(Loss::Expired));
    }
    advance(OPTIONS.delay).await;
    assert_eq!(bench.take(), Some(1));
    bench.house.assert_balanced(0, "jaeger");
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_it_lacks() {
    let one = request(&["a"]).len();
    let mut bench = Bench::new(OPTIONS, LIMITS);
    assert_eq!(bench.batcher.missing(), Missing::ANYTHING);
    bench.push(&["a"]).await;
    let missing = Missing {
        spans: 3,
        bytes: OPTIONS.bytes - one,
    };
    assert_eq!(bench.batcher.missing(), missing);
    bench.push(&["a"; 3]).await;
    assert_eq!(bench.batcher.missing().spans, 0);
    assert_eq!((bench.take(), bench.take()), (Some(4), None));
    assert_eq!(bench.batcher.missing(), Missing::ANYTHING);
}
