//! What is new in a request that is sent again. It is written over the encoded bytes, so that nothing is encoded anew.

use super::requests::{SERVICE, SPANS_PER_TRACE, service};

/// What changes from one sending to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// Nothing: requests made beforehand are sent in turn.
    Nothing,
    /// Every trace gets an id that was never sent before.
    TraceIds,
    /// The service is another of so many.
    Services(u32),
}

/// Where it stands in one encoded request.
#[derive(Debug)]
pub(crate) struct Places {
    fresh: Fresh,
    /// The trace ids, one a span.
    trace_ids: Vec<usize>,
    service: usize,
    /// Drawn from; senders start apart from each other.
    next: u64,
}

impl Places {
    pub(crate) fn find(fresh: Fresh, encoded: &[u8], sender: usize) -> Self {
        let trace_ids = match fresh {
            Fresh::TraceIds => trace_ids(encoded),
            Fresh::Nothing | Fresh::Services(_) => Vec::new(),
        };
        let service = match fresh {
            Fresh::Services(_) => position(encoded, 0, SERVICE.as_bytes()).expect("it is there"),
            Fresh::Nothing | Fresh::TraceIds => 0,
        };
        Self {
            fresh,
            trace_ids,
            service,
            next: (sender as u64) << 40,
        }
    }

    /// Writes over the request what shall be new in it.
    pub(crate) fn renew(&mut self, encoded: &mut [u8]) {
        match self.fresh {
            Fresh::Nothing => {}
            Fresh::TraceIds => {
                for trace in self.trace_ids.chunks(SPANS_PER_TRACE) {
                    let id = [mixed(self.next), mixed(self.next + 1)].map(u64::to_be_bytes);
                    self.next += 2;
                    for at in trace {
                        encoded[*at..at + 16].copy_from_slice(id.as_flattened());
                    }
                }
            }
            Fresh::Services(count) => {
                let name = service(mixed(self.next) as u32 % count);
                self.next += 1;
                encoded[self.service..self.service + name.len()].copy_from_slice(name.as_bytes());
            }
        }
    }
}

/// The trace id is a generated span's first field, and its span id the second.
fn trace_ids(encoded: &[u8]) -> Vec<usize> {
    const TRACE_ID: [u8; 2] = [0x0a, 16];
    const SPAN_ID: [u8; 2] = [0x12, 8];
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = position(encoded, from, &TRACE_ID) {
        let id = at + TRACE_ID.len();
        let is_id = encoded[id..].get(16..18) == Some(&SPAN_ID);
        from = if is_id { id + 16 } else { id };
        found.extend(is_id.then_some(id));
    }
    found
}

fn position(within: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let mut windows = within[from..].windows(wanted.len());
    windows
        .position(|window| window == wanted)
        .map(|at| from + at)
}

/// `SplitMix64`: as good as random in every bit, which samplers may look at, and never the same twice.
pub(crate) fn mixed(number: u64) -> u64 {
    // From one on: of 0 it would make 0, which is no id.
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
