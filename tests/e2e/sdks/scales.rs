//! A TCP proxy that weighs what a client sends. Whether it compresses is to be seen nowhere else: what a client does not know
//! how to do, it leaves out without a word.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

#[derive(Debug)]
pub(super) struct Scales {
    address: SocketAddr,
    bytes: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Scales {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = Arc::default();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, to, Arc::clone(&bytes)));
        Self {
            address,
            bytes,
            _server: server,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed towards the server, over all connections.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Dropping the set ends the connections in it.
async fn serve(listener: TcpListener, to: SocketAddr, bytes: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let (from, _) = listener.accept().await.unwrap();
        connections.spawn(pass(from, to, Arc::clone(&bytes)));
    }
}

async fn pass(from: TcpStream, to: SocketAddr, bytes: Arc<AtomicUsize>) {
    let to = TcpStream::connect(to).await.unwrap();
    from.set_nodelay(true).unwrap();
    to.set_nodelay(true).unwrap();
    let (mut sent, mut told) = from.into_split();
    let (mut answers, mut requests) = to.into_split();
    let there = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = sent.read(&mut buffer).await {
            bytes.fetch_add(read, Ordering::Relaxed);
            if requests.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        drop(requests.shutdown().await); // whoever has gone needs not be told
    };
    let back = async {
        drop(copy(&mut answers, &mut told).await);
        drop(told.shutdown().await);
    };
    tokio::join!(there, back);
}
