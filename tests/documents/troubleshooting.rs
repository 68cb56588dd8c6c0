//! `docs/TROUBLESHOOTING.md` quotes what the relay says: its configurations are loaded and its requests are sent, and what comes
//! of them is what stands there. What the relay says of a destination is held by the sentences in the source.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use otlp_relay::{exporter::Resolver, relay::Relay};
use tokio_util::sync::CancellationToken;

use super::{examples::blocks, load, text, try_load};

const DOCUMENT: &str = "docs/TROUBLESHOOTING.md";

#[test]
fn its_configurations_have_the_mistakes_that_it_shows() {
    let document = text(DOCUMENT);
    let configurations = blocks(&document, "yaml");
    assert_eq!(configurations.len(), 3);
    for configuration in configurations {
        let is_policies = configuration.starts_with("# policies.yaml");
        let main = if is_policies {
            "sampling: { policy_file: policies.yaml }"
        } else {
            configuration
        };
        let invalid = try_load("otlp-relay.yaml", &[], &|path| {
            let is_main = path == Path::new("otlp-relay.yaml");
            Ok(if is_main { main } else { configuration }.into())
        });
        let found = invalid.unwrap_err().to_string();
        let found: Vec<_> = found
            .lines()
            .filter(|line| line.contains("mistake"))
            .collect();
        assert!(!found.is_empty(), "{configuration}");
        for line in found {
            assert!(document.contains(line), "{line}");
        }
    }
}

/// Path, content type and body of each request that the document shows, or tells of.
fn requests(document: &str) -> Vec<(bool, String)> {
    let json = "application/json";
    let base64 = document.split("-d '").find(|rest| rest.contains("W47/"));
    let base64 = base64.unwrap().split('\'').next().unwrap();
    let request = |path: &str, content_type: &str, length: usize, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let form = "application/x-www-form-urlencoded";
    vec![
        (false, request("/v1/trace", json, 2, "{}")),
        (false, request("/v1/metrics", json, 2, "{}")),
        (false, request("/v1/traces", json, 20_000_000, "")),
        (false, request("/v1/traces", form, 2, "{}")),
        (false, request("/v1/traces", json, base64.len(), base64)),
        (true, request("/v1/traces", json, 2, "{}")),
    ]
}

#[tokio::test]
async fn its_requests_get_the_answers_that_it_shows() {
    const CONFIG: &str = "receivers: { grpc: { listen: 127.0.0.1:0 }, http: { listen: 127.0.0.1:0 } }\n\
        admin: { listen: 127.0.0.1:0 }\n";
    let config = || load("relay.yaml", &[], &|_| Ok(CONFIG.into()));
    let (load, set_log) = (Box::new(move || Ok(config())), Box::new(|_| ()));
    let relay = Relay::bind(config(), load, set_log, Resolver::System).unwrap();
    let addresses = relay.addresses();
    let (http, admin) = (addresses.http.unwrap(), addresses.admin);
    let stop = CancellationToken::new();
    let asking = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || {
            let _stop = stop.drop_guard();
            let document = text(DOCUMENT);
            for (to_admin, request) in requests(&document) {
                let answer = ask(if to_admin { admin } else { http }, &request);
                assert!(document.contains(&answer), "{request}\n{answer}");
            }
        }
    });
    relay.run(stop).await.unwrap();
    asking.await.unwrap();
}

/// The body of the answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.trim().to_owned()
}

#[test]
fn what_it_quotes_of_other_lines_is_in_the_source() {
    let document = text(DOCUMENT);
    for (file, sentences) in [
        (
            "src/exporter/client/advice.rs",
            &[
                "spelled right, and in one network with the relay?",
                "is it running, and is that its port?",
                "it does not answer in TLS: if it is plain, write http://",
                "it does not answer in ",
                "http if this is its port for OTLP/HTTP (usually 4318)",
                "; if it speaks TLS, write https://",
            ][..],
        ),
        ("src/exporter/report.rs", &["destination is down"]),
        (
            "src/pipeline.rs",
            &[
                "the queue of a required destination is full, and no room came free in time: come again; if it stays so, the destination is down or too slow, as the relay's log and /api/v1/destinations say, or queue.bytes_max is too small",
            ],
        ),
        (
            "src/receiver/refusals.rs",
            &[
                "it speaks TLS and this port is plain: set trace.otlp.secure: false in milvus.yaml, or http:// in the endpoint of another client",
                "closed a connection",
            ],
        ),
        (
            "src/relay/listeners.rs",
            &["is in use by another program (a Jaeger or a Collector on the same machine"],
        ),
    ] {
        let source = text(file);
        for sentence in sentences {
            assert!(source.contains(sentence), "{file}: {sentence}");
            assert!(document.contains(sentence), "{DOCUMENT}: {sentence}");
        }
    }
}
