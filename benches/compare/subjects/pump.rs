//! What any relay costs at least: a process that reads bytes from one socket and writes them to another.
//!
//! It looks at nothing, so the destination sees the clients' own requests on connections of their own.

use std::{error::Error, net::SocketAddr, process::Command};

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Addresses, Setup, Work};
use crate::rig::requests::Transport;

/// This bench's argument that makes it a pump.
pub(crate) const ARGUMENT: &str = "--pump";
/// What is read at once.
const PIECE_BYTES: usize = 256 << 10;

pub(super) fn arguments(command: &mut Command, setup: &Setup, addresses: Addresses) {
    assert_eq!(
        (setup.work, setup.transport),
        (Work::Enrich, Transport::Grpc),
        "what it is sent is what it passes on"
    );
    let [from, to] = [addresses.grpc, setup.destination].map(|address| address.to_string());
    command.args([ARGUMENT, &from, &to]);
}

/// Copies until it is ended.
pub(crate) async fn run(listen: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    let to: SocketAddr = to.parse()?;
    let mut connections = JoinSet::new();
    loop {
        let (from, _) = listener.accept().await?;
        connections.spawn(pump(from, to));
    }
}

async fn pump(mut from: TcpStream, to: SocketAddr) -> std::io::Result<(u64, u64)> {
    let mut to = TcpStream::connect(to).await?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut from, &mut to, PIECE_BYTES, PIECE_BYTES).await
}
