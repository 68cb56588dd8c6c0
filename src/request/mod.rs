//! A request that passed the door: scanned bytes, where its spans are, and the permit that pays for them.

mod refusal;

pub use refusal::{MESSAGE_BYTES_MAX, Reason, Refusal, Row};
