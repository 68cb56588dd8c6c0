//! The tables of tested clients and of h2spec's exceptions in `docs/CONFORMANCE.md`, and that the versions it names are the
//! ones that are installed.

use super::{
    conformance::DOCUMENT,
    exceptions::{EXCEPTIONS, Excuse},
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
    assert!(text(DOCUMENT).contains("h2spec 2.2.1 "));
    assert!(text("tests/e2e/h2spec/tool/go.mod").contains("/h2spec v2.2.1+incompatible"));
}

#[test]
fn every_exception_of_h2spec_is_listed() {
    let excuses = [Excuse::Http1, Excuse::LargerFrames, Excuse::AnsweredFirst];
    let rows = excuses.map(|excuse| {
        let listed = EXCEPTIONS
            .iter()
            .filter(|exception| exception.excuse == excuse);
        let cases = listed.map(|exception| {
            let case = exception.case.trim_start_matches("http2/");
            format!("{case} ({})", exception.stimulus)
        });
        vec![
            cases.collect::<Vec<_>>().join(", "),
            excuse.in_words().to_owned(),
        ]
    });
    check_in(
        DOCUMENT,
        "h2spec",
        &table(&["case", "why it may fail"], rows),
    );
}
