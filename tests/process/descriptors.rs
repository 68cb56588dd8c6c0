//! No file descriptors left: the listener outlives it, says so a few times, and serves as soon as there are some again
//! (acceptance case A14).

use std::time::Duration;

use prost::Message;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    load::{Over, Sender, Told},
    relay::{Launch, PATIENCE, at_most, figure},
    support::generate::request,
    witness::Witness,
};

const DESCRIPTORS_MAX: u32 = 64;
const CONNECTIONS: usize = 200;
/// The case: until it serves again.
const SERVES_WITHIN: Duration = Duration::from_secs(1);
/// At most so many lines of one kind in ten seconds (product.md), and one more period for a machine that is slow.
const LINES_MAX: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a14_without_descriptors_the_listeners_live_and_serve_again_at_once() {
    let witness = Witness::start().await;
    let settings = witness.as_destination("");
    let mut relay = Launch::new("descriptors", &settings)
        .descriptors_max(DESCRIPTORS_MAX)
        .start()
        .await;
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let address = relay.ports()[number % 2];
        open.push(TcpStream::connect(address).await.unwrap());
    }
    let deadline = Instant::now() + PATIENCE;
    while !relay.log().contains("a connection was not accepted") {
        assert!(Instant::now() < deadline, "{}", relay.log());
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_secs(figure(1, 5))).await; // it goes on, and the log does not
    let lines = relay.log();
    let lines = lines
        .lines()
        .filter(|line| line.contains("a connection was not accepted"));
    let lines = lines.count();
    println!("{} descriptors, {lines} lines", relay.descriptors());
    assert!(
        relay.descriptors() >= DESCRIPTORS_MAX as usize - 1,
        "else nothing was short"
    );
    assert!(lines <= LINES_MAX, "{lines} lines");
    relay.assert_running();

    drop(open);
    let freed = Instant::now();
    for (number, port) in (0..).zip(relay.ports().repeat(2)) {
        let over = [Over::Grpc, Over::Http][usize::from(number > 1)];
        let body = request("load", number * 10, 10).encode_to_vec();
        let told = timeout(PATIENCE, Sender::new(over, port).send(body.into())).await;
        assert_eq!(told, Ok(Told::Taken), "{over:?}");
    }
    let took = freed.elapsed();
    println!("served again after {took:?}");
    assert!(took < at_most(SERVES_WITHIN), "{took:?}");
    assert_eq!(relay.get("/readyz").await.status, 200);
    let ledger = relay.until_settled().await;
    assert_eq!((ledger.received, ledger.exported()), (40, 40));
    assert!(relay.stop().await.status.success());
}
