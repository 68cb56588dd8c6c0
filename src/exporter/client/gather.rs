//! Gathers what a connection writes: HTTP/2 writes each frame by itself, and a message has dozens.
//!
//! A copy of 16 KiB costs less than a system call that wakes the destination for them. Invariant: what was written waits
//! for nothing but the next poll of its connection, which is asked for when it is put off.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// What is gathered on one connection at most, in bytes: eight frames. Twice as much gave nothing more.
const GATHERED_BYTES_MAX: usize = 128 * 1024;

/// A connector whose connections gather.
#[derive(Clone, Debug)]
pub(super) struct Gathering<C>(pub(super) C);

/// A connection that gathers.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    inner: T,
    buffer: Vec<u8>,
    /// So much of the buffer is written.
    written: usize,
    /// Nothing was added since a flush was put off.
    put_off: bool,
}

impl<C> Service<Uri> for Gathering<C>
where
    C: Service<Uri, Future: Send + 'static>,
{
    type Response = Gathered<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move { connecting.await.map(Gathered::new) })
    }
}

impl<T> Gathered<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            written: 0,
            put_off: false,
        }
    }
}

impl<T: Write + Unpin> Gathered<T> {
    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let rest = &self.buffer[self.written..];
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.buffer.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Gathered<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if self.buffer.len() + bytes > GATHERED_BYTES_MAX {
            ready!(self.write_out(cx))?;
        }
        if bytes > GATHERED_BYTES_MAX {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        }
        for slice in slices {
            self.buffer.extend_from_slice(slice);
        }
        self.put_off = false;
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// HTTP/2 flushes after each frame, and once more whenever its connection is polled: the first is put off to the second.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() && !self.put_off {
            self.put_off = true;
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.write_out(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_out(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T: Read + Unpin> Read for Gathered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: Connection> Connection for Gathered<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use super::*;

    /// A socket that takes so much at once, and every other time nothing yet.
    #[derive(Debug)]
    struct Narrow {
        takes: usize,
        is_ready: bool,
        written: Vec<u8>,
        writes: usize,
        flushes: usize,
    }

    impl Write for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.is_ready = !self.is_ready;
            if self.is_ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = self.takes.min(bytes.len());
            self.written.extend_from_slice(&bytes[..taken]);
            self.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn into_socket_that_takes(takes: usize) -> Gathered<Narrow> {
        Gathered::new(Narrow {
            takes,
            is_ready: false,
            written: Vec::new(),
            writes: 0,
            flushes: 0,
        })
    }

    /// As HTTP/2 does: each frame in two pieces, and a flush after it.
    async fn write_frame(connection: &mut Gathered<Narrow>, frame: &[u8]) {
        let mut left = frame;
        while !left.is_empty() {
            let (head, payload) = left.split_at(left.len().min(9));
            let slices = [IoSlice::new(head), IoSlice::new(payload)];
            let written =
                poll_fn(|cx| Pin::new(&mut *connection).poll_write_vectored(cx, &slices)).await;
            left = &left[written.unwrap()..];
        }
        flush(connection).await;
    }

    async fn flush(connection: &mut Gathered<Narrow>) {
        let flushed = poll_fn(|cx| Pin::new(&mut *connection).poll_flush(cx)).await;
        flushed.unwrap();
    }

    fn frames(count: u8, bytes: usize) -> Vec<Vec<u8>> {
        (0..count).map(|fill| vec![fill; bytes]).collect()
    }

    #[tokio::test]
    async fn frames_of_one_poll_leave_together_at_the_next() {
        let mut connection = into_socket_that_takes(usize::MAX);
        let frames = frames(7, 16 * 1024 + 9);
        for frame in &frames {
            write_frame(&mut connection, frame).await;
        }
        assert_eq!(connection.inner.writes, 0);
        flush(&mut connection).await;
        assert_eq!((connection.inner.writes, connection.inner.flushes), (1, 1));
        assert_eq!(connection.inner.written, frames.concat());
    }

    #[tokio::test]
    async fn nothing_is_lost_or_reordered_whatever_the_socket_takes() {
        for (takes, bytes) in [
            (1_000, 300),
            (70_000, 16 * 1024 + 9),
            (usize::MAX, GATHERED_BYTES_MAX / 2 + 1),
            (50_000, GATHERED_BYTES_MAX + 1),
        ] {
            let mut connection = into_socket_that_takes(takes);
            let frames = frames(40, bytes);
            for frame in &frames {
                write_frame(&mut connection, frame).await;
                assert!(connection.buffer.len() <= GATHERED_BYTES_MAX);
            }
            poll_fn(|cx| Pin::new(&mut connection).poll_shutdown(cx))
                .await
                .unwrap();
            assert!(connection.inner.written == frames.concat(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn what_is_put_off_is_asked_for() {
        #[derive(Default)]
        struct Wakes(AtomicUsize);
        impl Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let wakes = Arc::new(Wakes::default());
        let counting = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&counting);
        let mut connection = into_socket_that_takes(usize::MAX);
        let written = Pin::new(&mut connection).poll_write(&mut cx, b"frame");
        assert!(matches!(written, Poll::Ready(Ok(5))));
        assert!(Pin::new(&mut connection).poll_flush(&mut cx).is_ready());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "a poll is asked for");
        // The socket takes nothing yet, and asks for the next poll itself.
        assert!(Pin::new(&mut connection).poll_flush(&mut cx).is_pending());
        assert!(Pin::new(&mut connection).poll_flush(&mut cx).is_ready());
        assert_eq!(connection.inner.written, b"frame");
        assert!(Pin::new(&mut connection).poll_flush(&mut cx).is_ready());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "and no further one");
    }
}
