//! Who may ask the admin port what: decided over the head of a request, before any handler.
//!
//! Browsers are the danger on loopback: a page may be made to resolve its own name to this machine (DNS rebinding), or send
//! a POST across origins. Both are told by headers that no page can forge.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, StatusCode, header, request::Parts, uri::Authority};
use sha2::Sha256;

use super::Options;
use crate::otlp;

/// Paths that orchestrators and Prometheus ask under whatever name they know the relay by; they show no telemetry.
const OPEN_PATHS: [&str; 3] = ["/metrics", "/livez", "/readyz"];

/// Where OTLP is sent to by who mistook the port.
const OTLP_PATHS: [&str; 3] = [otlp::TRACES_PATH, otlp::METRICS_PATH, otlp::LOGS_PATH];

/// A body is at most this many bytes; nothing here reads one.
pub(super) const BODY_BYTES_MAX: u64 = 64 * 1024;

/// The rules of one listener; hosts and token are those in force when a request comes.
#[derive(Debug)]
pub(super) struct Guard {
    options: Arc<ArcSwap<Options>>,
    machine_name: Option<String>,
    is_loopback: bool,
}

/// A request was turned away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Guard {
    /// The rules for a listener at `address`.
    pub(super) fn new(
        options: Arc<ArcSwap<Options>>,
        address: SocketAddr,
        machine_name: Option<String>,
    ) -> Self {
        Self {
            options,
            machine_name,
            is_loopback: address.ip().to_canonical().is_loopback(),
        }
    }

    /// Whether a request with this head goes on.
    pub(super) fn check(&self, head: &Parts) -> Result<(), Denied> {
        // First: whatever else is wrong with it, this is what to change.
        if OTLP_PATHS.contains(&head.uri.path()) {
            return Err(Denied::new(
                StatusCode::NOT_FOUND,
                "this is the admin port: send OTLP to the ports of the receivers, 4317 and 4318 unless configured otherwise",
            ));
        }
        if !OPEN_PATHS.contains(&head.uri.path()) {
            self.check_host(head)?;
        }
        if announced_length(&head.headers) > BODY_BYTES_MAX {
            return Err(Denied::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body here is at most {BODY_BYTES_MAX} bytes"),
            ));
        }
        if head.method == Method::GET || head.method == Method::HEAD {
            return Ok(());
        }
        check_origin(&head.headers)?;
        check_content_type(&head.headers)?;
        self.check_token(&head.headers)
    }

    fn check_host(&self, head: &Parts) -> Result<(), Denied> {
        let mut hosts: Vec<&str> = head
            .uri
            .authority()
            .map(Authority::as_str)
            .into_iter()
            .collect();
        for value in head.headers.get_all(header::HOST) {
            hosts.push(value.to_str().unwrap_or(""));
        }
        if !hosts.is_empty() && hosts.iter().all(|host| self.is_ours(host)) {
            return Ok(());
        }
        let found = hosts.first().copied().unwrap_or("");
        Err(Denied::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "the Host {found:?} is not one of this relay's names: use localhost, an IP address, or the machine's own name, or add it to admin.allowed_hosts"
            ),
        ))
    }

    fn is_ours(&self, authority: &str) -> bool {
        let Ok(parsed) = authority.parse::<Authority>() else {
            return false;
        };
        // User information has no place in a Host header.
        if authority.contains('@') {
            return false;
        }
        let host = parsed.host().trim_end_matches('.');
        is_loopback_name(host)
            || is_address(host)
            || self
                .machine_name
                .as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(host))
            || self.options.load().allowed_hosts.iter().any(|allowed| {
                allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(authority)
            })
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let options = self.options.load();
        let Some(token) = &options.token else {
            if self.is_loopback {
                return Ok(());
            }
            return Err(Denied::new(
                StatusCode::FORBIDDEN,
                "on an address that others can reach, changes need a token: set admin.token_file",
            ));
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer);
        match given {
            Some(given) if is_same(token, given) => Ok(()),
            _ => Err(Denied::new(
                StatusCode::UNAUTHORIZED,
                "changes need the header `Authorization: Bearer TOKEN` with the token of admin.token_file",
            )),
        }
    }
}

/// The scheme's name is matched without regard to case (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_loopback_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn is_address(host: &str) -> bool {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4()),
    }
}

fn announced_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}

/// A browser says where a request comes from: by `Sec-Fetch-Site`, older ones by `Origin`. Other clients say neither.
fn check_origin(headers: &HeaderMap) -> Result<(), Denied> {
    let denied = || {
        Denied::new(
            StatusCode::FORBIDDEN,
            "a change may not be asked for by another site's page",
        )
    };
    if let Some(site) = headers.get("sec-fetch-site") {
        return match site.as_bytes() {
            b"same-origin" | b"none" => Ok(()),
            _ => Err(denied()),
        };
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://"));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match (origin, host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(denied()),
    }
}

/// A page can send forms and plain text anywhere without asking first; JSON it cannot.
fn check_content_type(headers: &HeaderMap) -> Result<(), Denied> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let media_type = value.to_str().unwrap_or("").split(';').next().unwrap_or("");
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Denied::new(
        StatusCode::FORBIDDEN,
        "send no body, or one with `Content-Type: application/json`",
    ))
}

/// Compares keyed hashes, so that it takes the same time whatever was guessed.
fn is_same(token: &str, given: &str) -> bool {
    hash(token)
        .verify_slice(&hash(given).finalize().into_bytes())
        .is_ok()
}

/// Keyed with a constant: this only makes all tokens equally long.
fn hash(token: &str) -> Hmac<Sha256> {
    let mut hash = Hmac::<Sha256>::new_from_slice(b"otlp-relay admin token")
        .expect("HMAC takes keys of any length");
    hash.update(token.as_bytes());
    hash
}

impl Denied {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}
