//! Endpoints: from what is written to a URL, or to what should be written instead.

use http::Uri;

use crate::exporter;

/// The usual ports, for endpoints that name none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The host and port of a destination, for reaching it.
pub fn host_and_port(options: &exporter::Options) -> (String, u16) {
    let host = options.endpoint.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    (bare.to_owned(), port(&options.endpoint))
}

/// Reads an endpoint. The error says what to write instead.
pub(super) fn parse(written: &str) -> Result<Uri, String> {
    let example = "allowed: a URL such as http://jaeger:4317";
    // What could be a password or a token is not repeated.
    if written.contains('@') {
        return Err(
            "a user or password in the URL; put it into headers_files: { authorization: FILE }, \
             and write an `@` that belongs to the path as %40"
                .to_owned(),
        );
    }
    if written.contains(['?', '#']) {
        return Err(format!("the URL has a query or fragment; {example}"));
    }
    let Some((scheme, _)) = written.split_once("://") else {
        let message = format!(
            "`{written}` has no scheme: write http://{written}, or https://{written} for TLS"
        );
        return Err(message);
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("found the scheme `{scheme}`; allowed: http, https"));
    }
    let uri: Uri = written
        .parse()
        .map_err(|error| format!("`{written}` is no URL ({error}); {example}"))?;
    let port_is_number = uri.authority().is_some_and(|authority| {
        authority.port().is_none_or(|port| port.as_u16() != 0)
            && authority.port().is_some() == host_has_port(authority.as_str())
    });
    if uri.host().is_none_or(str::is_empty) || !port_is_number {
        return Err(format!(
            "`{written}` lacks a host or a usable port; {example}"
        ));
    }
    Ok(uri)
}

/// Whether something follows the host, brackets of an IPv6 address aside; `Uri` passes over ports above 65535.
fn host_has_port(authority: &str) -> bool {
    authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest)
        .contains(':')
}

/// The port, written or usual.
pub(super) fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("https") {
        HTTPS_PORT
    } else {
        HTTP_PORT
    };
    uri.port_u16().unwrap_or(usual)
}
