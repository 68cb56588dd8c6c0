//! A wall clock that jumps by hours and by years while a destination is waited for: no busy loop, no hang, no span touched
//! (acceptance case A96).

use std::{path::Path, process::Command, time::Duration};

use prost::Message;
use tokio::time::{Instant, sleep};

use crate::{
    load::{Over, Sender, Told},
    relay::{Launch, PATIENCE, Relay},
    support::{
        fake_backend::{Answer, FakeBackend},
        generate::{flatten, request},
    },
};

const SPANS: u64 = 10;
const HOUR: i64 = 3_600;
const YEARS: i64 = 10 * 366 * 24 * HOUR;
/// How long a destination is failing on each side of a jump.
const FAILING: Duration = Duration::from_millis(700);

/// The library that shifts the clock, made by the C compiler that linked this test.
fn library(folder: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/clock.c");
    let library = folder.join("clock.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl"])
        .status();
    assert!(made.unwrap().success(), "cc makes {}", library.display());
    library.to_str().unwrap().to_owned()
}

/// What a destination answers that will take more in two seconds, by its own clock.
fn later() -> Answer {
    let date = std::time::SystemTime::now() + Duration::from_secs(2);
    let headers = vec![("retry-after", httpdate::fmt_http_date(date))];
    Answer::Http(503, headers, bytes::Bytes::new())
}

async fn send(relay: &Relay, number: u64) {
    let sender = Sender::new(Over::Grpc, relay.grpc());
    let body = request("load", number * SPANS, SPANS).encode_to_vec();
    assert_eq!(sender.send(body.into()).await, Told::Taken);
}

/// The year of the last line that it has logged, after a request that it logs.
async fn year(relay: &Relay, jump: u64) -> i32 {
    let sender = Sender::new(Over::Http, relay.http());
    // Another reason for each, because of each a few are logged in ten seconds.
    let told = match jump % 4 {
        0 => sender.send_encoded("a".into(), None).await,
        1 => sender.send_encoded("a".into(), Some("br")).await,
        2 => sender.send_encoded("a".into(), Some("gzip")).await,
        _ => sender.send_encoded("\u{a}".into(), None).await,
    };
    assert!(matches!(told, Told::Other(_)), "{told:?}");
    let log = relay.log();
    let mut refusals = log
        .lines()
        .filter(|line| line.contains("refused a request"));
    refusals.next_back().unwrap()[..4].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a96_a_wall_clock_that_jumps_stops_nothing_and_changes_no_span() {
    let backend = FakeBackend::start().await;
    let settings = format!(
        "batch: {{ delay: 5ms }}\ndestinations:\n  jaeger: {{ endpoint: \"{}\", protocol: http, retry: {{ first: 100ms, max: 1s }} }}\n",
        backend.endpoint()
    );
    let launch = Launch::new("clock", &settings);
    let folder = launch.folder();
    let shift = folder.join("shift");
    std::fs::write(&shift, "0").unwrap();
    let launch = launch
        .variable("LD_PRELOAD", &library(&folder))
        .variable("CLOCK_SHIFT", shift.to_str().unwrap());
    let mut relay = launch.start().await;
    let now = year(&relay, 0).await;
    let mut sent = 0;
    for (jump, seconds) in (1..).zip([HOUR, -HOUR, YEARS, -YEARS, 0]) {
        backend.answer(later());
        send(&relay, sent).await;
        backend
            .wait_for_requests(backend.received().len() + 1)
            .await;
        let (cpu, requests) = (relay.cpu(), backend.received().len());
        relay.write("shift", &seconds.to_string());
        sleep(FAILING).await; // it waits meanwhile, and does nothing else
        let (cpu, requests) = (
            relay.cpu().saturating_sub(cpu),
            backend.received().len() - requests,
        );
        println!("{seconds} s: {cpu:?} on the CPU, {requests} attempts");
        assert!(cpu < FAILING / 2, "{seconds}: busy for {cpu:?}");
        assert!(requests <= 8, "{seconds}: {requests} attempts");

        backend.answer(Answer::Take);
        let back = Instant::now();
        send(&relay, sent + 1).await;
        sent += 2;
        relay.until_settled().await;
        assert!(
            back.elapsed() < PATIENCE / 2,
            "{seconds}: {:?}",
            back.elapsed()
        );
        assert_eq!(relay.get("/readyz").await.status, 200);
        assert_eq!(relay.get("/api/v1/traces").await.status, 200);
        let years = i32::try_from(seconds / YEARS).unwrap() * 10;
        let found = year(&relay, jump).await;
        assert!((found - now - years).abs() <= 1, "{seconds}: it is {found}");
        relay.assert_running();
    }
    let taken = backend.taken();
    let mut came: Vec<_> = taken.iter().flat_map(flatten).collect();
    came.sort_by(|one, other| one.4.span_id.cmp(&other.4.span_id));
    assert_eq!(came, flatten(&request("load", 0, sent * SPANS)));
    assert!(relay.stop().await.status.success());
}
