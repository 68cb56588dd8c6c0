//! `otlp-relay healthcheck`: asks a running relay how it is, for images that have no shell and no curl.
//!
//! A few lines of HTTP/1.1 over a blocking socket: a runtime and a client library would be most of the time this takes.
//! Invariant: it ends by its deadline whatever the other side does.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use http::Uri;
use tokio::time::Instant;

/// The whole check takes at most this long, below the 30 s that Docker waits for.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
/// Of an answer so many bytes are read: the reasons of `/readyz` are far shorter.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Where the admin port that listens on `listen` is asked from the same machine.
pub(super) fn url_of(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// Asks the admin port at `url` for `/livez`, or `/readyz` when `ready`. What it answered, or what is wrong with it: exit
/// codes 0 and 1.
pub(super) fn healthcheck(url: &str, ready: bool, deadline: Duration) -> Result<String, String> {
    let end = Instant::now() + deadline;
    let target = Target::of(url, ready)?;
    let answer = target.ask(end).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("{url} gave no answer within {deadline:?}")
        }
        _ => format!("{url} could not be asked: {error}"),
    })?;
    let (status, body) = read_answer(&answer).ok_or_else(|| {
        format!("{url} answered something that is no HTTP: is it the admin port?")
    })?;
    match status {
        200 => Ok(body),
        _ => Err(format!("{url} answered {status}: {body}")),
    }
}

/// What is asked of whom.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn of(url: &str, ready: bool) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "{url:?} {what}: give the admin port as http://HOST:PORT, such as http://127.0.0.1:8888"
            )
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("does not start with http://"));
        }
        let host = uri.host().ok_or_else(|| wrong("names no host"))?;
        let path = if ready { "/readyz" } else { "/livez" };
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: format!("{}{path}", uri.path().trim_end_matches('/')),
        })
    }

    /// The beginning of the answer, as far as it came by `end`.
    fn ask(&self, end: Instant) -> io::Result<Vec<u8>> {
        let mut stream = self.connect(end)?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n",
            self.path, self.host, self.port
        );
        stream.set_write_timeout(Some(remaining(end)?))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = vec![0; ANSWER_BYTES_MAX];
        let mut filled = 0;
        while filled < answer.len() {
            stream.set_read_timeout(Some(remaining(end)?))?;
            match stream.read(&mut answer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        answer.truncate(filled);
        Ok(answer)
    }

    /// To the first of the host's addresses that takes the connection: `localhost` may have two.
    fn connect(&self, end: Instant) -> io::Result<TcpStream> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut failed = io::Error::other("the host has no address");
        for address in (host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, remaining(end)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn remaining(end: Instant) -> io::Result<Duration> {
    let remaining = end.saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(remaining)
}

/// The status and the body of an HTTP answer.
fn read_answer(answer: &[u8]) -> Option<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// A server that answers one connection like this, and then holds it open.
    fn server(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url_of(listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            if answer.is_empty() {
                // The client gives up first.
                assert_eq!(stream.read(&mut request[count..]).unwrap(), 0);
            }
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        (url, asked)
    }

    #[test]
    fn a_good_answer_is_good_and_any_other_says_why() {
        for (answer, ready, expected) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
                false,
                Ok("ok"),
            ),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: starting\n",
                true,
                Err("answered 503: not ready: starting"),
            ),
            ("SSH-2.0-OpenSSH\r\n", false, Err("no HTTP")),
            ("HTTP/1.1 200", false, Err("no HTTP")),
        ] {
            let (url, asked) = server(answer);
            let found = healthcheck(&url, ready, Duration::from_secs(10));
            match expected {
                Ok(body) => assert_eq!(found.as_deref(), Ok(body)),
                Err(part) => assert!(found.as_ref().unwrap_err().contains(part), "{found:?}"),
            }
            let request = asked.join().unwrap();
            let path = if ready { "/readyz" } else { "/livez" };
            assert!(request.starts_with(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:")));
        }
    }

    #[test]
    fn a_server_that_says_nothing_ends_by_the_deadline() {
        let (url, asked) = server("");
        let found = healthcheck(&url, false, Duration::from_millis(50));
        assert!(found.unwrap_err().contains("no answer within 50ms"));
        asked.join().unwrap();
    }

    #[test]
    fn nobody_there_is_said_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url_of(listener.local_addr().unwrap());
        drop(listener);
        let found = healthcheck(&url, false, Duration::from_secs(10)).unwrap_err();
        assert!(found.contains("could not be asked"), "{found}");
    }

    #[test]
    fn urls_are_read_and_wrong_ones_explained() {
        let path =
            |url| Target::of(url, true).map(|target| (target.host, target.port, target.path));
        for (url, host, port, expected) in [
            ("http://127.0.0.1:8888", "127.0.0.1", 8888, "/readyz"),
            ("http://relay/", "relay", 80, "/readyz"),
            ("http://[::1]:1/base/", "[::1]", 1, "/base/readyz"),
        ] {
            assert_eq!(path(url), Ok((host.to_owned(), port, expected.to_owned())));
        }
        for wrong in [
            "",
            "127.0.0.1:8888",
            "https://127.0.0.1:8888",
            "localhost",
            "http://",
        ] {
            let message = path(wrong).unwrap_err();
            assert!(message.contains("http://127.0.0.1:8888"), "{message}");
        }
    }

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        for (listen, url) in [
            ("0.0.0.0:8888", "http://127.0.0.1:8888"),
            ("[::]:8888", "http://[::1]:8888"),
            ("10.0.0.7:1", "http://10.0.0.7:1"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()), url);
        }
    }
}
