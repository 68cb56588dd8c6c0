//! The frame that gRPC puts around a message: a flag byte, four bytes of length, the message (gRPC over HTTP/2,
//! "Length-Prefixed-Message"). No I/O: chunks go in as they arrive, parts come out.
//!
//! A unary call has exactly one message. Nothing is allocated for an announced length.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::request::{Reason, Refusal};

/// The flag byte and the length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Reads the one message of a call.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Announced lengths above this are refused, in bytes.
    message_bytes_max: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Some bytes of the prefix are there.
    Prefix {
        bytes: [u8; PREFIX_BYTES],
        have: usize,
    },
    /// So many bytes of the message are missing.
    Message { missing: usize },
}

/// A part of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The message begins.
    Prefix(Prefix),
    /// Some of its bytes, never none.
    Payload(Bytes),
}

/// What the prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Whether the message is compressed as `grpc-encoding` says.
    pub(super) compressed: bool,
    /// The bytes of the message as sent.
    pub(super) length: usize,
}

impl FrameReader {
    /// Expects a prefix.
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            state: State::Prefix {
                bytes: [0; PREFIX_BYTES],
                have: 0,
            },
        }
    }

    /// Takes the next part off `chunk`; `None` when more bytes are needed, and then `chunk` is empty.
    pub(super) fn read(&mut self, chunk: &mut Bytes) -> Result<Option<Part>, Refusal> {
        match &mut self.state {
            State::Prefix { bytes, have } => {
                let taken = chunk.len().min(PREFIX_BYTES - *have);
                chunk.copy_to_slice(&mut bytes[*have..*have + taken]);
                *have += taken;
                if *have < PREFIX_BYTES {
                    return Ok(None);
                }
                let prefix = parse(*bytes, self.message_bytes_max)?;
                self.state = State::Message {
                    missing: prefix.length,
                };
                Ok(Some(Part::Prefix(prefix)))
            }
            State::Message { .. } if chunk.is_empty() => Ok(None),
            State::Message { missing: 0 } => Err(broken(
                "bytes follow the message: a unary call has exactly one",
            )),
            State::Message { missing } => {
                let taken = chunk.len().min(*missing);
                *missing -= taken;
                Ok(Some(Part::Payload(chunk.split_to(taken))))
            }
        }
    }

    /// The call has ended: whether its message was whole.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.state {
            State::Message { missing: 0 } => Ok(()),
            State::Message { missing } => Err(broken(format!(
                "the call ended {missing} bytes before its message did"
            ))),
            State::Prefix { .. } => Err(broken("the call ended without a message")),
        }
    }
}

fn parse(bytes: [u8; PREFIX_BYTES], message_bytes_max: usize) -> Result<Prefix, Refusal> {
    let [flag, length @ ..] = bytes;
    let compressed = match flag {
        0 => false,
        1 => true,
        _ => {
            return Err(broken(format!(
                "the flag of a message is 0 or 1, not {flag}"
            )));
        }
    };
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > message_bytes_max {
        return Err(Refusal::new(
            Reason::TooLarge,
            format!(
                "the message has {length} bytes, more than {message_bytes_max}: send smaller batches, or raise receivers.request_bytes_max"
            ),
        ));
    }
    Ok(Prefix { compressed, length })
}

fn broken(what: impl fmt::Display) -> Refusal {
    Refusal::new(
        Reason::BrokenFrame,
        format!("{what}: the frame is made by the client's gRPC library, or damaged by a proxy"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 300;

    /// Feeds `bytes` in chunks of `step` and returns the prefix and the payload.
    fn read_all(bytes: &[u8], step: usize) -> Result<(Option<Prefix>, Vec<u8>), Reason> {
        let mut reader = FrameReader::new(MAX);
        let (mut prefix, mut payload) = (None, Vec::new());
        let mut feed = || {
            for chunk in bytes.chunks(step) {
                let mut chunk = Bytes::copy_from_slice(chunk);
                while let Some(part) = reader.read(&mut chunk)? {
                    match part {
                        Part::Prefix(found) => prefix = Some(found),
                        Part::Payload(bytes) => payload.extend_from_slice(&bytes),
                    }
                }
            }
            Ok(())
        };
        feed()
            .and_then(|()| reader.finish())
            .map_err(|refusal: Refusal| refusal.reason)?;
        Ok((prefix, payload))
    }

    fn frame(flag: u8, announced: u32, payload: &[u8]) -> Vec<u8> {
        [&[flag][..], &announced.to_be_bytes(), payload].concat()
    }

    #[test]
    fn a_message_arrives_in_any_chunks() {
        let payload: Vec<u8> = (0..=255).collect();
        for flag in [0, 1] {
            let bytes = frame(flag, 256, &payload);
            let prefix = Prefix {
                compressed: flag == 1,
                length: 256,
            };
            for step in 1..=bytes.len() {
                assert_eq!(
                    read_all(&bytes, step),
                    Ok((Some(prefix), payload.clone())),
                    "{step}"
                );
            }
        }
        assert!(read_all(&frame(0, 0, &[]), 1).is_ok());
    }

    #[test]
    fn broken_frames_are_told_apart() {
        let cases: [(Vec<u8>, Reason); 9] = [
            (vec![], Reason::BrokenFrame),
            (vec![0, 0, 0, 0], Reason::BrokenFrame),
            (frame(7, 1, b"a"), Reason::BrokenFrame),
            (frame(0, 2, b"a"), Reason::BrokenFrame),
            (frame(0, 1, b"ab"), Reason::BrokenFrame),
            (frame(0, 0, b"a"), Reason::BrokenFrame),
            (
                [frame(0, 1, b"a"), frame(0, 1, b"a")].concat(),
                Reason::BrokenFrame,
            ),
            (frame(0, 301, &[]), Reason::TooLarge),
            (frame(1, u32::MAX, &[]), Reason::TooLarge),
        ];
        for (bytes, reason) in cases {
            for step in [1, 3, 1000] {
                assert_eq!(read_all(&bytes, step), Err(reason), "{bytes:?} by {step}");
            }
        }
        assert!(
            read_all(&frame(0, 300, &[1; 300]), 7).is_ok(),
            "the limit itself is taken"
        );
    }
}
