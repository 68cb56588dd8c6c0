//! Sends what the queue of one destination holds, and settles the account of every span.

pub mod options;

pub use options::{Compression, Options, Protocol, Retry, Tls};
