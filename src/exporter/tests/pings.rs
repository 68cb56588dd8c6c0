//! Pings: none are sent, however long a connection is idle or a call under way, and a server that has had too many of somebody's
//! is asked again over a new connection (acceptance case A75).

use std::{net::SocketAddr, sync::Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// What Go servers allow once in this long, and the case asks not to go below.
const PING_EVERY_MIN: Duration = Duration::from_mins(5);

/// SETTINGS, then GOAWAY of `ENHANCE_YOUR_CALM`, as Go servers answer pings (RFC 9113, 6.5 and 6.8; gRPC, "keepalive").
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const TOO_MANY_PINGS: &[u8] = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";

const PREFACE_BYTES: usize = 24;
const PING: u8 = 6;
const ACK: u8 = 1;

/// The way to a destination, with a record of what was sent on each connection.
struct Tap {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Tap {
    /// Whoever connects first is told that it pinged too much.
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&sent);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((from, _)) = listener.accept().await {
                record.lock().unwrap().push(Vec::new());
                connections.spawn(pass(from, to, Arc::clone(&record), number));
                number += 1;
            }
        });
        Self {
            address,
            sent,
            _tasks: tasks,
        }
    }

    /// The pings that are no answers to pings, on all connections.
    fn pings(&self) -> usize {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .map(|bytes| pings(&bytes[PREFACE_BYTES..]))
            .sum()
    }
}

async fn pass(
    mut from: TcpStream,
    to: SocketAddr,
    record: Arc<Mutex<Vec<Vec<u8>>>>,
    number: usize,
) {
    let mut buffer = vec![0; 16 * 1024];
    if number == 0 {
        from.write_all(SETTINGS).await.unwrap();
        while record.lock().unwrap()[0].len() < 200 {
            let count = from.read(&mut buffer).await.unwrap();
            record.lock().unwrap()[0].extend(&buffer[..count]);
        }
        from.write_all(TOO_MANY_PINGS).await.unwrap();
        return;
    }
    let mut to = TcpStream::connect(to).await.unwrap();
    let (mut answers, mut requests) = to.split();
    let (mut reader, mut writer) = from.split();
    let forward = async {
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            record.lock().unwrap()[number].extend(&buffer[..count]);
            requests.write_all(&buffer[..count]).await.unwrap();
        }
    };
    let back = tokio::io::copy(&mut answers, &mut writer);
    tokio::select! {
        () = forward => {}
        _ = back => {}
    }
}

fn pings(mut frames: &[u8]) -> usize {
    let mut count = 0;
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = frames {
        count += usize::from(*kind == PING && flags & ACK == 0);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        frames = rest.get(length..).unwrap_or_default();
    }
    count
}

#[test]
fn a_ping_would_be_seen() {
    let question = [&[0, 0, 8, PING, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
    let answer = [&[0, 0, 8, PING, ACK, 0, 0, 0, 0][..], &[7; 8]].concat();
    assert_eq!(
        pings(&[SETTINGS, &question, &answer, TOO_MANY_PINGS, &question].concat()),
        2
    );
}

#[tokio::test]
async fn a75_no_pings_are_sent_and_enhance_your_calm_is_no_verdict() {
    let backend = FakeBackend::start().await;
    let tap = Tap::start(backend.address()).await;
    let mut options = quick(&backend, Protocol::Grpc);
    options.endpoint = format!("http://{}", tap.address).parse().unwrap();
    options.timeout = 10 * PING_EVERY_MIN;
    let rig = Rig::start(options);
    rig.push(&["told to be calm"]).await;
    assert_eq!(
        rig.settled().await.exported,
        1,
        "asked again, on a new connection"
    );

    // Idle for longer than any keepalive, and then with a call under way for as long.
    pass_time().await;
    backend.script([Answer::Mute]);
    rig.push(&["never answered"]).await;
    backend.wait_for_requests(2).await;
    pass_time().await;
    rig.push(&["something after it"]).await;
    backend.wait_for_requests(3).await;
    assert_eq!(tap.pings(), 0);
    backend.answer(Answer::Take);
    rig.exporter
        .drain(Instant::now() + Duration::from_millis(100))
        .await;
    assert_eq!((rig.account().exported, rig.account().lost_total()), (2, 1));
    rig.finish().await;
}

/// Twice the time between two pings goes by, for every clock but the sockets'.
async fn pass_time() {
    tokio::time::pause();
    for _ in 0..20 {
        tokio::time::advance(PING_EVERY_MIN / 10).await;
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
}
