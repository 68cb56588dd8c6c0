//! Reconfiguration, removal, shutdown, faults: what is queued always gets a fate.

use tonic::Code;

use super::*;
use std::sync::Mutex;

use crate::metrics::{Levels, Loss, QueueLevel};

#[tokio::test]
async fn a_new_endpoint_and_new_limits_apply_to_what_is_queued() {
    let old = FakeBackend::start().await;
    let new = FakeBackend::start().await;
    old.answer(Answer::Grpc(Code::Unavailable, None));
    let options = quick(&old, Protocol::Grpc);
    let rig = Rig::start(options.clone());
    let large = "x".repeat(20_000);
    rig.push(&["a", "b", "c", &large]).await;
    old.wait_for_requests(2).await;

    let mut changed = quick(&new, Protocol::Http);
    changed.batch.spans = 2;
    changed.batch.bytes_max = 10_000;
    rig.exporter.reconfigure(changed).unwrap();
    let account = rig.settled().await;
    assert_eq!((account.exported, account.lost[&Loss::TooLarge]), (3, 1));
    assert_eq!(new.names(), ["a", "b", "c"]);
    assert!(new.received().iter().all(|message| message.spans <= 2));
    assert_eq!(rig.exporter.status().endpoint, new.endpoint());
    rig.finish().await;
}

#[tokio::test]
async fn equal_options_keep_the_connection() {
    let backend = FakeBackend::start().await;
    let options = quick(&backend, Protocol::Grpc);
    let rig = Rig::start(options.clone());
    for count in 1..=3 {
        rig.push(&["a"]).await;
        assert_eq!(rig.settled().await.exported, count);
        rig.exporter.reconfigure(options.clone()).unwrap();
    }
    assert_eq!(backend.connections(), 1);
    rig.finish().await;
}

#[tokio::test]
async fn options_that_cannot_be_used_change_nothing() {
    let backend = FakeBackend::start().await;
    let options = quick(&backend, Protocol::Grpc);
    let rig = Rig::start(options.clone());
    let mut unusable = options;
    unusable.endpoint = "https://jaeger:4317".parse().unwrap();
    unusable.tls.ca = Some(Arc::from(&b"nonsense"[..]));
    let error = rig.exporter.reconfigure(unusable).unwrap_err();
    assert!(error.to_string().starts_with("ca_file"), "{error}");
    rig.push(&["a"]).await;
    assert_eq!(rig.settled().await.exported, 1);
    rig.finish().await;
}

#[tokio::test]
async fn a_removed_destination_takes_what_it_holds_and_ends() {
    let backend = FakeBackend::start().await;
    backend.script([Answer::Grpc(Code::Unavailable, None)]);
    let rig = Rig::start(quick(&backend, Protocol::Grpc));
    rig.push(&["a"]).await;
    rig.exporter.remove();
    eventually("it ended", || rig.exporter.has_ended()).await;
    assert_eq!(backend.names(), ["a"]);
    let account = rig.account();
    assert_eq!((account.exported, account.held), (1, 0));
    assert!(rig.queues.gauges().is_empty(), "its queue is gone");
    assert_eq!(shown_up(&rig), None);
    rig.finish().await;
}

/// What the metrics say of whether it is up.
fn shown_up(rig: &Rig) -> Option<String> {
    let queues = rig.queues.gauges().into_iter().map(|(name, _)| QueueLevel {
        destination: name,
        payloads: 0,
        payloads_max: 0,
        spans: 0,
        bytes: 0,
        bytes_max: 0,
    });
    let page = rig.metrics.render(&Levels {
        queues: queues.collect(),
        ..Levels::default()
    });
    let series = "otlp_relay_destination_up{destination=\"jaeger\"} ";
    let value = page.lines().find_map(|line| line.strip_prefix(series))?;
    Some(value.to_owned())
}

#[tokio::test]
async fn whether_it_is_up_is_unknown_until_something_came_back() {
    for (answer, shown) in [
        (Answer::Take, "1"),
        (Answer::Grpc(Code::Unknown, None), "1"),
        (Answer::Grpc(Code::Unavailable, None), "0"),
        (Answer::Grpc(Code::NotFound, None), "0"),
    ] {
        let backend = FakeBackend::start().await;
        backend.answer(answer);
        let rig = Rig::start(quick(&backend, Protocol::Grpc));
        assert_eq!(shown_up(&rig), None);
        rig.push(&["a"]).await;
        eventually("something came back", || shown_up(&rig).is_some()).await;
        eventually("it shows", || shown_up(&rig).as_deref() == Some(shown)).await;
        backend.answer(Answer::Take);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_handle_that_is_dropped_removes_its_destination() {
    let backend = FakeBackend::start().await;
    let rig = Rig::start(quick(&backend, Protocol::Grpc));
    rig.push(&["a"]).await;
    drop(rig.exporter);
    backend.wait_for_spans(1).await;
    rig.tasks.close();
    timeout(PATIENCE, rig.tasks.wait()).await.unwrap();
    assert_eq!(rig.metrics.ledger().totals().imbalance(), None);
    assert_eq!(rig.budget.used_total(), 0);
}

#[tokio::test]
async fn at_shutdown_the_queue_is_flushed_with_retries() {
    let backend = FakeBackend::start().await;
    let mut options = quick(&backend, Protocol::Grpc);
    options.retry.first = Duration::from_secs(60);
    options.retry.max = Duration::from_secs(60);
    options.batch.delay = Duration::from_secs(60);
    options.batch.spans = 10;
    let rig = Rig::start(options);
    backend.script([Answer::Grpc(Code::Unavailable, None)]);
    rig.push(&nameless(10)).await;
    backend.wait_for_requests(1).await;
    rig.push(&nameless(3)).await;

    let started = Instant::now();
    rig.exporter.drain(started + Duration::from_secs(8)).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "no backoff holds it"
    );
    let account = rig.finish().await;
    assert_eq!((account.exported, account.lost_total()), (13, 0));
}

#[tokio::test]
async fn at_the_deadline_what_is_left_is_lost_and_counted() {
    for answer in [Answer::Mute, Answer::Grpc(Code::Unavailable, None)] {
        let backend = FakeBackend::start().await;
        backend.answer(answer);
        let mut options = quick(&backend, Protocol::Grpc);
        options.batch.spans = 10;
        let rig = Rig::start(options);
        for _ in 0..20 {
            rig.push(&nameless(10)).await;
        }
        let deadline = Duration::from_millis(700);
        let started = Instant::now();
        rig.exporter.drain(started + deadline).await;
        assert!(started.elapsed() >= deadline);
        assert!(started.elapsed() < deadline + Duration::from_millis(500));
        let account = rig.finish().await;
        assert_eq!((account.exported, account.lost[&Loss::Shutdown]), (0, 200));
    }
}

#[tokio::test]
async fn after_the_drain_nothing_more_is_admitted() {
    let backend = FakeBackend::start().await;
    let rig = Rig::start(quick(&backend, Protocol::Grpc));
    rig.exporter.drain(Instant::now() + PATIENCE).await;
    let payload = payload(&rig.budget, &["late"]);
    let admitted = rig
        .queues
        .admit(Transport::Grpc, tally(1), Some(payload), Instant::now())
        .await;
    assert_eq!(admitted, Err(queue::Full));
    rig.finish().await;
}

#[tokio::test]
async fn what_is_too_old_expires_also_in_the_queue() {
    let backend = FakeBackend::start().await;
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    let mut options = quick(&backend, Protocol::Grpc);
    options.batch.spans = 1;
    options.retry.give_up_after = Some(Duration::from_millis(150));
    let rig = Rig::start(options);
    for _ in 0..50 {
        rig.push(&["a"]).await;
    }
    let account = rig.settled().await;
    assert_eq!(account.lost[&Loss::Expired], 50);
    assert!(backend.received().len() < 50, "down, it is only probed");
    rig.finish().await;
}

#[tokio::test]
async fn the_trace_store_hears_what_became_of_its_samples() {
    let backend = FakeBackend::start().await;
    backend.script([Answer::Grpc(Code::Unknown, None)]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let mut options = quick(&backend, Protocol::Grpc);
    options.batch.spans = 3;
    options.batch.delay = PATIENCE;
    let rig = Rig::start_telling(options, move |samples, name, word| {
        let line = format!("{samples:?} {name} {word}");
        told.lock().unwrap().push(line);
    });
    for samples in [[Some(1), None, Some(2)], [Some(3), Some(4), Some(5)]] {
        for sample in samples {
            rig.push_sampled(sample).await;
        }
        rig.settled().await;
    }
    let expected = [
        "[1, 2] jaeger rejected: UNKNOWN: as scripted",
        "[3, 4, 5] jaeger delivered",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
    rig.finish().await;
}

#[tokio::test]
async fn a28_a_fault_in_the_task_costs_what_it_held_and_is_started_again() {
    let backend = FakeBackend::start().await;
    let fault = |_: Box<[u64]>, _: &Arc<str>, _: &str| panic!("a fault, on purpose");
    let rig = Rig::start_telling(quick(&backend, Protocol::Grpc), fault);
    for sample in [Some(1), None] {
        rig.push_sampled(sample).await;
        rig.settled().await;
    }
    let account = rig.finish().await;
    assert_eq!((account.exported, account.lost[&Loss::Internal]), (1, 1));
}

#[tokio::test]
async fn after_a_fault_nothing_is_told_of_the_task_that_failed() {
    let backend = FakeBackend::start().await;
    backend.answer(Answer::Grpc(Code::Unavailable, None));
    let mut options = quick(&backend, Protocol::Grpc);
    options.retry.give_up_after = Some(Duration::from_millis(100));
    let rig = Rig::start_telling(options, |_, _, _| panic!("a fault, on purpose"));
    rig.push_sampled(Some(1)).await;
    eventually("it is down", || rig.exporter.status().down.is_some()).await;
    let account = rig.settled().await;
    assert_eq!(account.lost_total(), 1);
    eventually("it starts anew", || rig.exporter.status().down.is_none()).await;
    rig.finish().await;
}
