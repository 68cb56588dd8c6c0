//! A TCP proxy that measures the gRPC messages of the clients behind it and passes every byte as it came; large messages
//! come late, as over a slow network.
//!
//! What a client sends in one request is to be seen nowhere else: the relay answers for spans, and destinations get
//! batches of its own making.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    task::JoinSet,
    time::sleep,
};

/// `PRI * HTTP/2.0` and what follows it, before the first frame.
const PREFACE_BYTES: usize = 24;
/// Length, type, flags, stream.
const FRAME_HEAD_BYTES: usize = 9;
/// Compressed or not, and the length: the head of a gRPC message.
const MESSAGE_HEAD_BYTES: usize = 5;
/// What is held: far above a full request of Milvus' Go part, which has 160 KB.
const LARGE_BYTES: usize = 1 << 20;
const DATA: u8 = 0;
const PADDED: u8 = 0x8;

#[derive(Debug)]
pub(crate) struct Tap {
    address: SocketAddr,
    largest: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Tap {
    /// Measures what goes to `to`, and holds large messages for as long as `hold`.
    pub(crate) async fn start(to: SocketAddr, hold: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let largest = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&largest);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (from, _) = listener.accept().await.unwrap();
                connections.spawn(pass(from, to, Arc::clone(&seen), hold));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            largest,
            _server: server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of the largest message that has begun.
    pub(crate) fn largest_message(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }
}

async fn pass(from: TcpStream, to: SocketAddr, largest: Arc<AtomicUsize>, hold: Duration) {
    let Ok(to) = TcpStream::connect(to).await else {
        return;
    };
    from.set_nodelay(true).unwrap();
    to.set_nodelay(true).unwrap();
    let (request, mut answer_to) = from.into_split();
    let (mut answer, request_to) = to.into_split();
    // Either side that ends takes the connection with it; an error is that of the peer, who sees it as well.
    tokio::select! {
        _ = frames(request, request_to, &largest, hold) => {}
        _ = copy(&mut answer, &mut answer_to) => {}
    }
}

/// Passes frame by frame, and reads the length that each stream's first DATA frame begins with.
async fn frames(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    largest: &AtomicUsize,
    hold: Duration,
) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut to = BufWriter::new(to);
    let mut bytes = vec![0; PREFACE_BYTES];
    from.read_exact(&mut bytes).await?;
    to.write_all(&bytes).await?;
    let mut begun = HashSet::new();
    loop {
        let mut head = [0; FRAME_HEAD_BYTES];
        from.read_exact(&mut head).await?;
        let [l1, l2, l3, kind, flags, stream @ ..] = head;
        bytes.resize(u32::from_be_bytes([0, l1, l2, l3]) as usize, 0);
        from.read_exact(&mut bytes).await?;
        if kind == DATA && bytes.len() >= MESSAGE_HEAD_BYTES && begun.insert(stream) {
            assert_eq!(flags & PADDED, 0, "grpc-go and grpc++ never pad");
            let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
            largest.fetch_max(length, Ordering::Relaxed);
            if length >= LARGE_BYTES {
                sleep(hold).await;
            }
        }
        to.write_all(&head).await?;
        to.write_all(&bytes).await?;
        to.flush().await?;
    }
}
