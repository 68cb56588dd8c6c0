//! The table of tested clients in `docs/CONFORMANCE.md`, and that the versions it names are the ones that are installed.

use super::{
    conformance::DOCUMENT,
    sdks::{CLIENTS, Protocol},
    tables::{check_in, code, table},
    text,
};

#[test]
fn every_tested_client_is_listed() {
    let rows = CLIENTS.iter().map(|client| {
        let (version, ..) = client.sdk.pinned();
        vec![
            format!("{} {version}", client.sdk.language()),
            match client.protocol {
                Protocol::Grpc => "gRPC".to_owned(),
                http => code(http.name()),
            },
            client.refused.in_words().to_owned(),
        ]
    });
    let head = ["OpenTelemetry for", "exporter", "refused for 3 s"];
    check_in(DOCUMENT, "clients", &table(&head, rows));
}

#[test]
fn the_listed_versions_are_installed() {
    for client in CLIENTS {
        let (version, file, pin) = client.sdk.pinned();
        assert!(pin.contains(version), "{pin} is not {version}");
        assert!(text(file).contains(pin), "{file} does not say {pin}");
    }
}
