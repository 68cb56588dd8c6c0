//! The first bytes of a connection tell which protocol it speaks, so that each port understands both.
//!
//! It reads no more than it needs to tell, and what it read is read again by whoever serves the connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use super::activity::Activity;

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS handshake record (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The alert that ends a TLS handshake: record type 21, version 3.1 as in a first record, two bytes, fatal,
/// `handshake_failure` (RFC 8446, 5.1 and 6).
pub(super) const TLS_ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 40];

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or 1.1, or nothing known: hyper answers 400.
    Http1,
    /// HTTP/2 with prior knowledge: its preface is whole.
    Http2,
    /// TLS, which this port does not speak.
    Tls,
}

/// The bytes that were read to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sniffed {
    bytes: [u8; HTTP2_PREFACE.len()],
    length: usize,
}

/// A socket from which the sniffed bytes are read again.
#[derive(Debug)]
pub(super) struct Rewound {
    socket: TcpStream,
    sniffed: Sniffed,
    at: usize,
    /// Told when bytes arrive, where heads are to be timed.
    activity: Option<Arc<Activity>>,
}

/// Reads until the protocol is known; `None` when the peer closed before.
pub(super) async fn sniff(socket: &mut TcpStream) -> io::Result<Option<(Protocol, Sniffed)>> {
    let mut sniffed = Sniffed {
        bytes: [0; HTTP2_PREFACE.len()],
        length: 0,
    };
    loop {
        let free = &mut sniffed.bytes[sniffed.length..];
        let read = socket.read(free).await?;
        if read == 0 {
            return Ok(None);
        }
        sniffed.length += read;
        if let Some(protocol) = protocol_of(&sniffed.bytes[..sniffed.length]) {
            return Ok(Some((protocol, sniffed)));
        }
    }
}

/// The protocol that begins like this; `None` while it could still be HTTP/2. The whole preface always decides.
fn protocol_of(start: &[u8]) -> Option<Protocol> {
    if start.first() == Some(&TLS_HANDSHAKE) {
        return Some(Protocol::Tls);
    }
    if !HTTP2_PREFACE.starts_with(start) {
        return Some(Protocol::Http1);
    }
    (start.len() == HTTP2_PREFACE.len()).then_some(Protocol::Http2)
}

// === impl Rewound ===

impl Rewound {
    /// Reads the sniffed bytes first, then the socket.
    pub(super) fn new(
        socket: TcpStream,
        sniffed: Sniffed,
        activity: Option<Arc<Activity>>,
    ) -> Self {
        Self {
            socket,
            sniffed,
            at: 0,
            activity,
        }
    }

    /// The socket alone.
    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = &this.sniffed.bytes[this.at..this.sniffed.length];
        if !rest.is_empty() {
            let taken = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..taken]);
            this.at += taken;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buffer);
        if let Some(activity) = &this.activity
            && buffer.filled().len() > before
        {
            activity.bytes_arrived(Instant::now());
        }
        read
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let cases: [(&[u8], Option<Protocol>); 7] = [
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (HTTP2_PREFACE, Some(Protocol::Http2)),
            (b"PRI * HTTP/1.1\r\n", Some(Protocol::Http1)),
            (b"POST /v1/traces HTTP/1.1", Some(Protocol::Http1)),
            (&[0x16], Some(Protocol::Tls)),
            (&[0x00, 0xff], Some(Protocol::Http1)),
        ];
        for (start, expected) in cases {
            assert_eq!(protocol_of(start), expected, "{start:?}");
        }
    }
}
