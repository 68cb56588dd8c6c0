//! More connections, streams, names and half-hearted clients than anybody needs: caps hold with a clear close, series stay
//! few, and honest clients go on as before (acceptance cases A17, A93 and A97).

use std::{net::SocketAddr, time::Duration};

use bytes::BytesMut;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    floods::{HEADERS, opened, put_frame},
    load::{Offer, Over, Sender, Told, all_taken},
    relay::{Launch, PATIENCE, Relay, figure},
    support::{
        client::{http, post},
        generate::request,
    },
    witness::Witness,
};

const STREAMS_MAX: u32 = 16;
/// Senders of ever new names at once.
const SENDING: u64 = 16;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A byte from each of those who are slow on purpose.
const DRIBBLES_EVERY: Duration = Duration::from_millis(500);
/// How long throughput is measured. Shorter than the timeout, so that the crowd is there.
const MEASURED: Duration = Duration::from_secs(2);
/// RFC 9113, 7: the stream was refused before anything was done.
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// The requests of honest clients that are answered in a while.
async fn throughput(relay: &Relay, series: u64) -> usize {
    let offer = Offer {
        senders: 4,
        spans: 10,
        pause: Duration::from_millis(10),
        series,
    };
    all_taken(relay, offer, sleep(MEASURED)).await.len()
}

/// A client that says so much, goes on byte by byte, or not at all, and waits until it is closed.
async fn half_hearted(to: SocketAddr, begins: &'static [u8], dribbles: bool) -> Duration {
    let mut socket = TcpStream::connect(to).await.unwrap();
    let start = Instant::now();
    // It may be closed at any time: that is what is waited for.
    drop(socket.write_all(begins).await);
    let mut buffer = [0; 256];
    loop {
        match timeout(DRIBBLES_EVERY, socket.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return start.elapsed(),
            Err(_) if dribbles => drop(socket.write_all(b"x").await),
            Ok(Ok(_)) | Err(_) => {}
        }
        assert!(start.elapsed() < PATIENCE, "{begins:?} is not closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_a97_crowds_are_closed_and_honest_clients_go_on() {
    let connections_max = figure(200, 1_024);
    let beyond = figure(200, 1_000);
    let witness = Witness::start().await;
    let settings = format!(
        "receivers: {{ connections_max: {connections_max}, streams_max: {STREAMS_MAX}, header_timeout: {0}s, body_timeout: {0}s }}\n{1}",
        HEADER_TIMEOUT.as_secs(),
        witness.as_destination("")
    );
    let relay = Launch::new("crowds", &settings).start().await;
    let alone = throughput(&relay, 0).await;

    let beginnings: [(&[u8], bool); 6] = [
        (b"", false),
        (b"PRI * HTTP/2.0\r\n\r\nSM", false),
        (b"\x16\x03\x01\x02", false),
        (b"POST /v1/traces HTTP/1.1\r\nx: ", true),
        (b"POST /v1/traces HTTP/1.1\r\nhost: r\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9999\r\n\r\n", true),
        (b"POST /v1/traces HTTP/1.1\r\nhost: r\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nfff\r\n", true),
    ];
    // Room is left for the honest clients' own.
    let mut crowd = JoinSet::new();
    for number in 0..connections_max - 20 {
        let to = relay.ports()[number % 2];
        let (begins, dribbles) = beginnings[number % beginnings.len()];
        crowd.spawn(half_hearted(to, begins, dribbles));
    }
    let deadline = Instant::now() + PATIENCE;
    while relay.descriptors() < connections_max * 4 / 5 {
        assert!(Instant::now() < deadline, "the crowd does not come");
        sleep(Duration::from_millis(5)).await;
    }
    let beside_crowd = throughput(&relay, 1).await;
    let closed = crowd.join_all().await;
    let (soonest, latest) = (closed.iter().min().unwrap(), closed.iter().max().unwrap());
    println!(
        "{alone} requests alone, {beside_crowd} beside {} that are closed after {soonest:?} to {latest:?}",
        closed.len()
    );
    assert!(
        *latest < PATIENCE.min(HEADER_TIMEOUT * figure(10, 2)),
        "{latest:?}"
    );
    let share = figure(0.5, 0.8);
    assert!(
        beside_crowd as f64 >= alone as f64 * share,
        "{beside_crowd} of {alone}"
    );

    // Beyond the cap: a clear close, at once, and counted.
    let counted = async |relay: &Relay| {
        relay
            .metric("otlp_relay_refusals_total", "reason=\"connections\"")
            .await
    };
    assert!(counted(&relay).await < 0.5, "so far nobody was too many");
    let mut open = Vec::new();
    for number in 0..connections_max + beyond {
        open.push(TcpStream::connect(relay.ports()[number % 2]).await.unwrap());
    }
    let deadline = Instant::now() + PATIENCE;
    while counted(&relay).await < beyond as f64 - 0.5 {
        assert!(
            Instant::now() < deadline,
            "{} closed",
            counted(&relay).await
        );
    }
    drop(open);
    let took = until_there_is_room(&relay).await;
    println!("{took:?} until there is room again");

    one_stream_too_many(&relay).await;
    relay.until_settled().await;
    assert!(relay.stop().await.status.success());
}

/// How long it takes until a new client is served.
async fn until_there_is_room(relay: &Relay) -> Duration {
    let start = Instant::now();
    let body = request("load", 1 << 62, 10).encode_to_vec();
    while Sender::new(Over::Http, relay.http())
        .send(body.clone().into())
        .await
        != Told::Taken
    {
        assert!(start.elapsed() < PATIENCE, "no room");
    }
    start.elapsed()
}

/// A client that has not heard of the limit is told of it, and its other streams go on.
async fn one_stream_too_many(relay: &Relay) {
    let mut bytes: BytesMut = opened();
    for stream in 0..=STREAMS_MAX {
        // END_HEADERS; POST, http, /: the body does not come.
        put_frame(
            &mut bytes,
            HEADERS,
            4,
            stream * 2 + 1,
            &crate::floods::otlp_head(),
        );
    }
    let mut socket = TcpStream::connect(relay.grpc()).await.unwrap();
    socket.write_all(&bytes).await.unwrap();
    let mut answers = Vec::new();
    let last = (STREAMS_MAX * 2 + 1).to_be_bytes();
    let reset = [&[0, 0, 4, 3, 0][..], &last, &REFUSED_STREAM].concat();
    let reading = async {
        while !answers.windows(reset.len()).any(|window| window == reset) {
            assert!(
                socket.read_buf(&mut answers).await.unwrap() > 0,
                "{answers:?}"
            );
        }
    };
    timeout(PATIENCE, reading).await.expect("it is refused");
    let resets = answers.windows(5).filter(|head| head[..4] == reset[..4]);
    assert_eq!(resets.count(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a93_ever_new_names_make_no_ever_new_series() {
    // Three rounds of so many: a hundred thousand in all.
    let names = figure(1_500, 34_000);
    let witness = Witness::start().await;
    let relay = Launch::new("names", &witness.as_destination(""))
        .start()
        .await;
    let series = async |relay: &Relay| {
        let page = String::from_utf8(relay.get("/metrics").await.body).unwrap();
        page.lines().filter(|line| !line.starts_with('#')).count()
    };
    let mut counts = Vec::new();
    let sender = Sender::new(Over::Grpc, relay.grpc());
    for round in 0..3 {
        let mut sending = JoinSet::new();
        for part in 0..SENDING {
            let (sender, http_port) = (sender.clone(), relay.http());
            sending.spawn(async move {
                for number in
                    (round * names..(round + 1) * names).filter(|number| number % SENDING == part)
                {
                    let body = request(&format!("service-{number}"), number * 2, 1).encode_to_vec();
                    assert_eq!(sender.send(body.into()).await, Told::Taken);
                    if number % 10 == 0 {
                        let head = post(&format!("/path-{number}"), &["content-length: 0"]);
                        let head = head
                            .replace("POST", &format!("METHOD{number}"))
                            .replace("user-agent: test", &format!("user-agent: agent-{number}"));
                        http(http_port, &head, b"").await;
                    }
                }
            });
        }
        sending.join_all().await;
        counts.push(series(&relay).await);
    }
    let others = relay
        .metric("otlp_relay_service_spans_total", "service=\"other\"")
        .await;
    println!("{counts:?} series, {others} spans of other services");
    assert!(counts[0] < 1_000 && counts[2] <= counts[0], "{counts:?}");
    assert!(others >= 3.0 * names as f64 - 100.0, "{others}");
    // Every one of these spans has a resource of its own, which keeps the witness busy for longer than others do.
    for _ in 0..9 {
        let held = relay.ledger().await.held();
        if held > 0 {
            relay
                .until("some more are delivered", |ledger| {
                    ledger.held() <= held / 2
                })
                .await;
        }
    }
    relay.until_settled().await;
    assert!(relay.stop().await.status.success());
}
