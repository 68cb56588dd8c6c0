//! A TCP proxy that can be cut and restored: the way to a destination, as it fails between two machines.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::ports::free_address;

#[derive(Debug)]
pub(crate) struct Cut {
    address: SocketAddr,
    open: watch::Sender<bool>,
    _server: JoinSet<()>,
}

impl Cut {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let address = free_address();
        let (open, opened) = watch::channel(true);
        let mut server = JoinSet::new();
        server.spawn(serve(address, to, opened));
        Self {
            address,
            open,
            _server: server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and refuses new ones.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn restore(&self) {
        self.open.send_replace(true);
    }
}

/// The listener is there only while the way is open, so that a connection over a way that is cut is refused.
async fn serve(address: SocketAddr, to: SocketAddr, mut open: watch::Receiver<bool>) {
    while open.wait_for(|open| *open).await.is_ok() {
        let listener = TcpListener::bind(address).await.unwrap();
        // Dropping the set ends the connections in it.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (from, _) = accepted.unwrap();
                    connections.spawn(pass(from, to));
                }
                Some(_) = connections.join_next() => {}
                cut = open.wait_for(|open| !*open) => match cut {
                    Ok(_) => break,
                    Err(_) => return, // the scenario has ended
                },
            }
        }
    }
}

/// A connection that cannot be passed on ends like one whose server has gone.
async fn pass(mut from: TcpStream, to: SocketAddr) {
    if let Ok(mut to) = TcpStream::connect(to).await {
        from.set_nodelay(true).unwrap();
        to.set_nodelay(true).unwrap();
        drop(copy_bidirectional(&mut from, &mut to).await);
    }
}
