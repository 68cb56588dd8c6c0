//! What to change when a destination cannot be spoken to: the usual mistakes in an endpoint, told by the kind of the error.
//!
//! It reads types, never the text of an error. Most of what goes wrong is no mistake, and gets no advice.

use std::{error::Error, io};

use http::{Uri, uri::Scheme};

use super::resolver::Unresolved;
use crate::exporter::Protocol;

/// The sources of an error that are looked at: more than any library nests.
const SOURCES_MAX: usize = 16;

/// What whoever configured this endpoint may have to change. `has_answered`: the destination has answered before, so it
/// speaks what it is spoken to.
pub(super) fn advice(
    error: &(dyn Error + 'static),
    endpoint: &Uri,
    protocol: Protocol,
    has_answered: bool,
) -> Option<String> {
    let authority = endpoint
        .authority()
        .map_or("", |authority| authority.as_str());
    let host = endpoint.host().unwrap_or_default();
    if find::<Unresolved>(error).is_some() {
        return Some(format!(
            "is {host} spelled right, and in one network with the relay?"
        ));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return about_tls(tls, authority);
    }
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if find::<io::Error>(error).is_some_and(refused) {
        return Some(format!(
            "nothing listens at {authority}: is it running, and is that its port?"
        ));
    }
    let is_mute = find::<hyper::Error>(error).is_some_and(|error| !error.is_timeout());
    (is_mute && !has_answered).then(|| about_protocol(endpoint, protocol))
}

fn about_tls(error: &rustls::Error, authority: &str) -> Option<String> {
    match error {
        rustls::Error::InvalidMessage(_) => Some(format!(
            "it does not answer in TLS: if it is plain, write http://{authority} in the endpoint"
        )),
        rustls::Error::AlertReceived(_) => Some(format!(
            "it refuses this TLS: if it is plain, write http://{authority} in the endpoint; if it asks for a certificate, \
             set tls.cert_file and tls.key_file"
        )),
        rustls::Error::InvalidCertificate(_) => Some(
            "set tls.ca_file to whoever signed its certificate, or tls.server_name to the name in it".to_owned(),
        ),
        _ => None,
    }
}

fn about_protocol(endpoint: &Uri, protocol: Protocol) -> String {
    let authority = endpoint
        .authority()
        .map_or("", |authority| authority.as_str());
    let (spoken, other) = match protocol {
        Protocol::Grpc => (
            "gRPC",
            "http if this is its port for OTLP/HTTP (usually 4318)",
        ),
        Protocol::Http => (
            "HTTP/1.1",
            "grpc if this is its port for OTLP/gRPC (usually 4317)",
        ),
    };
    let tls = if endpoint.scheme() == Some(&Scheme::HTTPS) {
        String::new()
    } else {
        format!("; if it speaks TLS, write https://{authority} in the endpoint")
    };
    format!("it does not answer in {spoken}: set protocol: {other}{tls}")
}

/// The first source of this type, also inside errors of I/O, which hide theirs.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    for _ in 0..SOURCES_MAX {
        let error = next?;
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let hidden = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match hidden {
            Some(hidden) => Some(hidden),
            None => error.source(),
        };
    }
    None
}
