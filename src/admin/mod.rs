//! The admin port: metrics, health, the ledger, the policies in force, the newest traces, reload.

use std::net::SocketAddr;

/// What the admin server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Host names beyond loopback, IP addresses and the machine's own that requests may name.
    pub allowed_hosts: Vec<String>,
    /// The token that POST needs on a non-loopback address; never shown.
    pub token: Option<String>,
}
