//! One connection, from its first byte until it is closed: sniffed, charged for its window, driven by hyper, timed.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    rt::Executor,
    server::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::{
    Options, Peer, Shared,
    activity::{Activity, Patience},
    exchange::Exchange,
    refusals::Turned,
    sniff::{Protocol, Rewound, Sniffed, TLS_ALERT, sniff},
    windows::Window,
};

/// The head of a request at most, in bytes: hyper's own default for HTTP/2, and what gRPC's libraries allow.
pub(super) const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// One HTTP/2 frame has at most this share of the window, and never less than the protocol's smallest limit, in bytes. Each
/// frame is read and copied by itself, and a sender waits for nothing between them. gRPC's C core, Java and Rust look at the
/// setting; Go sends 16 KiB whatever it says.
const FRAME_SHARE: u32 = 8;
const FRAME_BYTES_MIN: u32 = 16 * 1024;

/// HTTP/2 starts with this window, in bytes; what is less takes effect only after the first requests.
const WINDOW_BYTES_MIN: u32 = 65_535;

/// What hyper reads ahead on HTTP/1 at most, in bytes; less where the window is narrow.
const READ_AHEAD_MAX: usize = 256 * 1024;

/// What waits to be sent on one HTTP/2 stream at most, in bytes. An answer has a few kilobytes.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// Streams that were reset before they were looked at, at most (rapid reset, CVE-2023-44487), and streams that we had to
/// reset because of the peer's faults (CVE-2025-8671); beyond either, GOAWAY. 20 and 1024 are h2's and hyper's defaults;
/// no honest client comes near 128.
const PENDING_RESETS_MAX: usize = 20;
const LOCAL_RESETS_MAX: usize = 128;

/// A connection that was asked to end is dropped after this long.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// After an answer that came before the whole request, what still arrives is read for this long at most, and as far as the
/// largest request goes. A socket that is closed with unread bytes is reset, and the reset can overtake the answer.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Serves one connection until it is closed.
pub(super) async fn run(mut socket: TcpStream, peer: Peer, shared: Arc<Shared>) {
    let options = shared.options.load_full();
    let sniffed = tokio::select! {
        sniffed = timeout(options.header_timeout, sniff(&mut socket)) => sniffed,
        () = shared.stopping.go_away.cancelled() => return,
    };
    match sniffed {
        Err(_elapsed) => {
            debug!(peer = %peer.address, "closed a connection that did not say anything");
        }
        Ok(Err(error)) => {
            debug!(peer = %peer.address, %error, "a connection broke at its beginning");
        }
        Ok(Ok(None)) => {} // a probe that only looks whether the port is open
        Ok(Ok(Some((Protocol::Tls, _)))) => {
            shared.refusals.turn_away(peer, Turned::Tls);
            alert(&mut socket).await;
        }
        Ok(Ok(Some((protocol, sniffed)))) => match Window::charge(&shared.budget) {
            None => shared.refusals.turn_away(peer, Turned::NoWindow),
            Some(window) => {
                let opened = Opened {
                    socket,
                    protocol,
                    sniffed,
                    window,
                };
                opened.serve(peer, &options, shared).await;
            }
        },
    }
}

/// Tells a TLS client in its own language that there is no TLS here.
async fn alert(socket: &mut TcpStream) {
    if socket.write_all(&TLS_ALERT).await.is_ok() {
        linger(socket).await;
    }
}

/// A connection whose protocol is known and whose window is paid for.
struct Opened {
    socket: TcpStream,
    protocol: Protocol,
    sniffed: Sniffed,
    window: Window,
}

impl Opened {
    async fn serve(self, peer: Peer, options: &Options, shared: Arc<Shared>) {
        let http1 = self.protocol != Protocol::Http2;
        let activity = Activity::new(Instant::now(), http1);
        let exchange = Exchange {
            shared: Arc::clone(&shared),
            peer,
            activity: Arc::clone(&activity),
        };
        let timed = http1.then(|| Arc::clone(&activity));
        let io = TokioIo::new(Rewound::new(self.socket, self.sniffed, timed));
        let connection = if http1 {
            Connection::Http1(Box::new(
                http1_builder(&self.window).serve_connection(io, exchange),
            ))
        } else {
            let tasks = Tasks(shared.tasks.clone());
            let builder = http2_builder(tasks, &self.window, options);
            Connection::Http2(Box::new(InTurn {
                connection: builder.serve_connection(io, exchange),
                is_due: false,
            }))
        };
        let patience = Patience {
            head: options.header_timeout,
            answer: options.body_timeout,
            idle: options.idle_timeout,
        };
        let socket = drive(connection, &activity, patience, peer, &shared).await;
        drop(self.window);
        if let Some(mut socket) = socket {
            linger(&mut socket).await;
        }
    }
}

fn http1_builder(window: &Window) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None) // hyper's would also end idle connections; `drive` tells the two apart
        .max_header_size(HEAD_BYTES_MAX as usize)
        .max_buf_size(window.bytes().min(READ_AHEAD_MAX));
    builder
}

fn http2_builder(tasks: Tasks, window: &Window, options: &Options) -> http2::Builder<Tasks> {
    let window = u32::try_from(window.bytes()).expect("a window has a megabyte at most");
    // While it arrives, a frame takes memory beside the window that is announced: both together are what is paid for.
    let frame = (window / FRAME_SHARE).max(FRAME_BYTES_MIN);
    let window = (window - frame).max(WINDOW_BYTES_MIN);
    let mut builder = http2::Builder::new(tasks);
    builder
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .max_concurrent_streams(options.streams_max)
        .max_frame_size(frame)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX);
    builder
}

/// Spawns the streams of an HTTP/2 connection where a stop waits for them.
#[derive(Clone, Debug)]
struct Tasks(TaskTracker);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// A connection as hyper drives it.
enum Connection {
    Http1(Box<http1::Connection<TokioIo<Rewound>, Exchange>>),
    Http2(Box<InTurn>),
}

/// An HTTP/2 connection that lets the tasks go first which are ready when it is woken. The first answer wakes the connection,
/// and tokio runs next what was woken last: each answer would be written by itself, which took 15 % of the CPU of requests of
/// 64 spans.
struct InTurn {
    connection: http2::Connection<TokioIo<Rewound>, Exchange, Tasks>,
    /// It is at the end of the line, and polled when it comes up.
    is_due: bool,
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1(connection) => connection.poll_without_shutdown(cx),
            Self::Http2(connection) => connection.poll(cx),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Http1(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            Self::Http2(in_turn) => Pin::new(&mut in_turn.connection).graceful_shutdown(),
        }
    }

    /// The socket alone, on HTTP/1. On HTTP/2 a stream is refused by itself, and GOAWAY says what was not read.
    fn into_socket(self) -> Option<TcpStream> {
        match self {
            Self::Http1(connection) => Some(connection.into_parts().io.into_inner().into_socket()),
            Self::Http2(_) => None,
        }
    }
}

impl InTurn {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.is_due = !self.is_due;
        if self.is_due {
            // A task that wakes itself goes to the end of the line.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.connection).poll(cx)
    }
}

/// What can happen to a connection.
enum Event {
    /// hyper is done with it.
    Ended(hyper::Result<()>),
    /// No request for too long, a head for too long, or an answer that its client does not take.
    Expired,
    /// The receivers stop.
    GoAway,
}

/// Drives a connection until it ends, or is ended. Returns the socket where bytes that nobody wants may still arrive.
async fn drive(
    mut connection: Connection,
    activity: &Activity,
    patience: Patience,
    peer: Peer,
    shared: &Shared,
) -> Option<TcpStream> {
    let mut alarm = pin!(sleep_until(Instant::now() + patience.idle));
    let mut ending = false;
    loop {
        let event = tokio::select! {
            biased;
            event = progress(&mut connection, activity, patience, ending, alarm.as_mut()) => event,
            () = shared.stopping.go_away.cancelled(), if !ending => Event::GoAway,
        };
        match event {
            Event::Ended(result) => {
                // A head that hyper could not read was refused by hyper, whatever follows it.
                let unread = activity.is_unread() || result.is_err();
                if let Err(error) = result {
                    debug!(peer = %peer.address, %error, "a connection ended with an error");
                }
                return connection.into_socket().filter(|_| unread);
            }
            Event::Expired if ending => return None,
            Event::Expired => {
                ending = true;
                connection.end();
                alarm.as_mut().reset(Instant::now() + CLOSE_GRACE);
            }
            Event::GoAway => {
                // No alarm of its own: the stop has one, and requests under way keep their time until then.
                ending = true;
                connection.end();
                alarm.as_mut().reset(Instant::now() + patience.idle);
            }
        }
    }
}

/// Polls the connection, and sets the alarm for when it would have been unused for too long.
async fn progress(
    connection: &mut Connection,
    activity: &Activity,
    patience: Patience,
    ending: bool,
    mut alarm: Pin<&mut Sleep>,
) -> Event {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = connection.poll(cx) {
            return Poll::Ready(Event::Ended(result));
        }
        // The alarm may ring too early, when a request has come since it was set, and is then set anew; it is never late.
        loop {
            let closes_at = activity.closes_at(patience).filter(|_| !ending);
            if let Some(closes_at) = closes_at
                && closes_at < alarm.deadline()
            {
                alarm.as_mut().reset(closes_at);
            }
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            if ending || closes_at.is_some_and(|closes_at| closes_at <= now) {
                return Poll::Ready(Event::Expired);
            }
            alarm
                .as_mut()
                .reset(closes_at.unwrap_or(now + patience.idle));
        }
    })
    .await
}

/// Ends our side and reads what the peer still sends, until it ends its side.
async fn linger(socket: &mut TcpStream) {
    let reading = async {
        socket.shutdown().await?;
        let mut buffer = vec![0; 8 * 1024]; // on the heap: few connections come this far, and each has this future
        let mut read = 0;
        while read < LINGER_BYTES_MAX {
            match socket.read(&mut buffer).await? {
                0 => break,
                more => read += more,
            }
        }
        io::Result::Ok(())
    };
    if !matches!(timeout(LINGER_MAX, reading).await, Ok(Ok(()))) {
        debug!("a connection was closed before its peer had ended it");
    }
}
