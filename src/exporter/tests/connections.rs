//! Connections that fail, hang or move: A29, A95, and starting before the destination does.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use super::*;

const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A resolver whose answer the test changes.
fn movable(addresses: Vec<Ipv4Addr>) -> (Resolver, Arc<Mutex<Vec<Ipv4Addr>>>) {
    let addresses = Arc::new(Mutex::new(addresses));
    let looked_up = Arc::clone(&addresses);
    let resolver = Resolver::Given(Arc::new(move |name| {
        assert_eq!(name, "jaeger.test");
        let addresses = looked_up.lock().unwrap();
        if addresses.is_empty() {
            return Err(std::io::Error::other("no such name"));
        }
        Ok(addresses.iter().copied().map(IpAddr::V4).collect())
    }));
    (resolver, addresses)
}

fn named(port: u16, protocol: Protocol, timeout: Duration) -> Options {
    let mut options = options(&format!("http://jaeger.test:{port}"));
    options.protocol = protocol;
    options.timeout = timeout;
    options.batch.delay = Duration::from_millis(5);
    options.retry.first = Duration::from_millis(20);
    options.retry.max = Duration::from_millis(200);
    options
}

#[tokio::test]
async fn a95_a_name_that_moves_from_a_mute_listener_is_followed_within_one_deadline() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = FakeBackend::start_at((SECOND, 0).into()).await;
        let port = backend.address().port();
        let (_, _mute) = mute_at((FIRST, port).into()).await;
        let (resolver, addresses) = movable(vec![FIRST]);
        let deadline = Duration::from_millis(500);
        let rig = Rig::start_with(named(port, protocol, deadline), resolver);
        rig.push(&["a"]).await;
        eventually("the mute one let an attempt time out", || {
            rig.exporter.status().down.is_some()
        })
        .await;
        let error = rig.exporter.status().down.unwrap().reason;
        assert!(error.contains("no answer within"), "{error}");

        let moved = Instant::now();
        *addresses.lock().unwrap() = vec![SECOND];
        assert_eq!(rig.settled().await.exported, 1);
        let took = moved.elapsed();
        assert!(took < deadline + Duration::from_secs(3), "{took:?}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn a29_an_established_connection_that_goes_mute_is_replaced() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = FakeBackend::start().await;
        let mut options = quick(&backend, protocol);
        let deadline = Duration::from_millis(300);
        options.timeout = deadline;
        let rig = Rig::start(options);
        rig.push(&["a"]).await;
        rig.settled().await;
        assert_eq!(backend.connections(), 1);
        backend.script([Answer::Mute]);
        let mute = Instant::now();
        rig.push(&["b"]).await;
        assert_eq!(rig.settled().await.exported, 2);
        let took = mute.elapsed();
        // The case: twice the deadline; ten times as much where machines are shared.
        assert!((deadline..20 * deadline).contains(&took), "{took:?}");
        assert_eq!(backend.connections(), 2, "the next attempt came by another");
        rig.finish().await;
    }
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = FakeBackend::start().await;
        let rig = Rig::start(quick(&backend, protocol));
        for count in 1..=20 {
            rig.push(&["a"]).await;
            assert_eq!(rig.settled().await.exported, count);
        }
        assert_eq!(backend.connections(), 1);
        rig.finish().await;
    }
}

#[tokio::test]
async fn a95_all_addresses_of_a_name_are_used() {
    let first = FakeBackend::start_at((FIRST, 0).into()).await;
    let port = first.address().port();
    let second = FakeBackend::start_at((SECOND, port).into()).await;
    let (resolver, _) = movable(vec![FIRST, SECOND]);
    let options = named(port, Protocol::Grpc, Duration::from_millis(50));
    let rig = Rig::start_with(options, resolver);
    // Each timeout makes a new connection, which goes to one of the two at random.
    let both = || first.connections() > 0 && second.connections() > 0;
    first.answer(Answer::Mute);
    second.answer(Answer::Mute);
    rig.push(&["a"]).await;
    eventually("both were tried", both).await;
    first.answer(Answer::Take);
    second.answer(Answer::Take);
    rig.settled().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_dead_address_beside_a_live_one_does_not_stop_delivery() {
    let backend = FakeBackend::start_at((SECOND, 0).into()).await;
    let port = backend.address().port();
    let (resolver, _) = movable(vec![FIRST, SECOND]);
    let options = named(port, Protocol::Grpc, Duration::from_secs(5));
    let rig = Rig::start_with(options, resolver);
    rig.push(&["a"]).await;
    assert_eq!(rig.settled().await.exported, 1);
    assert_eq!(rig.exporter.status().last_error, None);
    rig.finish().await;
}

#[tokio::test]
async fn the_relay_accepts_before_its_destination_exists_and_after_it_is_gone() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let probe = FakeBackend::start().await;
        let address: SocketAddr = probe.address();
        let options = quick(&probe, protocol);
        drop(probe);
        let rig = Rig::start(options);
        rig.push(&["early"]).await;
        eventually("it is down", || rig.exporter.status().down.is_some()).await;
        let reason = rig.exporter.status().down.unwrap().reason;
        assert!(reason.contains("Connection refused"), "{reason}");

        let backend = start_again(address).await;
        backend.wait_for_spans(1).await;
        rig.settled().await;
        drop(backend);
        rig.push(&["between"]).await;
        eventually("it is down again", || rig.exporter.status().down.is_some()).await;

        let backend = start_again(address).await;
        backend.wait_for_spans(1).await;
        assert_eq!(backend.names(), ["between"]);
        rig.settled().await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_an_outage() {
    let backend = FakeBackend::start_at((SECOND, 0).into()).await;
    let port = backend.address().port();
    let (resolver, addresses) = movable(Vec::new());
    let options = named(port, Protocol::Grpc, Duration::from_secs(1));
    let rig = Rig::start_with(options, resolver);
    rig.push(&["a"]).await;
    eventually("it is down", || rig.exporter.status().down.is_some()).await;
    let reason = rig.exporter.status().down.unwrap().reason;
    let advice = "is jaeger.test spelled right, and in one network with the relay?";
    assert!(reason.ends_with(advice), "{reason}");
    *addresses.lock().unwrap() = vec![SECOND];
    assert_eq!(rig.settled().await.exported, 1);
    rig.finish().await;
}

/// Listens where another has just stopped.
async fn start_again(address: SocketAddr) -> FakeBackend {
    FakeBackend::start_at(address).await
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_no_task() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (address, _mute) = mute_at((FIRST, 0).into()).await;
        let mut options = options(&format!("http://{address}"));
        options.protocol = protocol;
        options.batch.delay = Duration::ZERO;
        options.timeout = Duration::from_millis(100);
        options.queue.bytes_max = 1 << 30;
        let rig = Rig::start(options);
        let name = "n".repeat(10_000);
        rig.push(&[name.as_str(); 300]).await;
        eventually("it is down", || rig.exporter.status().down.is_some()).await;
        rig.exporter.drain(Instant::now()).await;
        let account = rig.finish().await;
        assert_eq!(account.lost[&crate::metrics::Loss::Shutdown], 300);
    }
}
