//! Loopback addresses that nobody listens on, and that no outgoing connection takes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range that the kernel takes for outgoing connections (from 32768): a port of that range could be gone
/// before its program listens.
const PORTS: std::ops::Range<u16> = 22_000..32_000;

/// An address for a program that is about to start.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 97).expect("below 97") * 100;
    for _ in 0..PORTS.len() {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(spread);
        let port = PORTS.start + step % (PORTS.end - PORTS.start);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("every port of {PORTS:?} is taken");
}
