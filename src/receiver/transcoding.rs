//! A body in JSON becomes one in protobuf, before the pipeline sees it: the text and the message are held and paid for together
//! for that moment, and then the message alone.

use bytes::Bytes;

use super::{intake::Whole, room::Room};
use crate::{
    budget::Permit,
    json::{self, Mistake, Transcoded, Wrong},
    request::{Reason, Refusal},
};

/// Bytes that are no UTF-8 become U+FFFD, which takes up to so many for each of them.
const REPAIRED_BYTES_PER_BYTE: usize = 3;

/// A request that was JSON.
#[derive(Debug)]
pub(super) struct FromJson {
    pub(super) whole: Whole,
    /// The first thing in a span that could not be read, where there was one: the span is rejected.
    pub(super) mistake: Option<Mistake>,
}

/// Writes what `whole`, a body in JSON, stands for.
pub(super) async fn transcoded(whole: Whole, room: &Room) -> Result<FromJson, Refusal> {
    let Whole {
        bytes, mut permit, ..
    } = whole;
    if let Ok(text) = std::str::from_utf8(&bytes) {
        return write(text, permit, room).await;
    }
    // RFC 8259, 8.1 wants UTF-8; a span's odd string is no reason to lose a request.
    let repaired_bytes_max = bytes.len() * REPAIRED_BYTES_PER_BYTE;
    room.grow(&mut permit, repaired_bytes_max).await?;
    let mut text = String::with_capacity(repaired_bytes_max);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    drop(bytes);
    permit.shrink_to(text.capacity());
    write(&text, permit, room).await
}

async fn write(text: &str, mut permit: Permit, room: &Room) -> Result<FromJson, Refusal> {
    let bytes_max = json::bytes_max(text.len());
    room.grow(&mut permit, bytes_max).await?;
    let written = json::transcode(text, Vec::with_capacity(bytes_max));
    let Transcoded {
        mut message,
        mistake,
    } = written.map_err(|mistake| refusal(&mistake))?;
    // A message has a third of its text: the rest of the buffer would be pinned for as long as the request is queued.
    if message.len() < message.capacity() / 2 {
        message.shrink_to_fit();
    }
    permit.shrink_to(message.capacity());
    let bytes = Bytes::from(message);
    Ok(FromJson {
        whole: Whole::made(bytes, permit),
        mistake,
    })
}

fn refusal(mistake: &Mistake) -> Refusal {
    let reason = match mistake.what {
        Wrong::OtherSignal(_) => Reason::OtherSignal,
        Wrong::TooLong => Reason::TooLarge,
        Wrong::Syntax { .. } | Wrong::TooDeep | Wrong::Value { .. } => Reason::Malformed,
    };
    Refusal::new(reason, mistake.to_string())
}
