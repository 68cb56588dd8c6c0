//! What a process says of itself on a port: one GET, and one number of a Prometheus page.
//!
//! It blocks the thread, so it is for the time before and after a load.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Everybody answers at once; who is stuck says nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The body of an answer; none where there is no good one.
pub(crate) fn get(from: SocketAddr, path: &str) -> Option<String> {
    let mut socket = TcpStream::connect(from).ok()?;
    socket.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    (status == "200").then(|| body.to_owned())
}

/// The sum over the labels that are wanted; none where the metric is missing.
pub(crate) fn metric(page: &str, name: &str, wanted: impl Fn(&str) -> bool) -> Option<u64> {
    let mut sum = None;
    for line in page.lines() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        let rest = rest.strip_prefix("_total").unwrap_or(rest);
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        if wanted(labels) {
            let value: f64 = value.trim().parse().ok()?;
            *sum.get_or_insert(0) += value as u64;
        }
    }
    sum
}
