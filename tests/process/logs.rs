//! Everything that a relay logs, read for what must not be there: secrets, escape sequences, floods of lines (acceptance
//! case A108).

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    load::{Over, Sender},
    relay::{Launch, Relay, figure},
    support::{
        client::{http, post},
        fake_backend::{Answer, FakeBackend},
        generate::{attribute, request},
    },
};

/// Each is planted in another place, and has this within.
const SECRET: &str = "s3cr3t";
/// A title for the terminal, a colour, and the one-character form of the same (C1).
const ESCAPES: &str = "\u{1b}]0;pwned\u{7}\u{1b}[31m\u{9b}31m";
/// At most so many lines of one kind in each ten seconds (product.md); the case allows ten.
const LINES_PER_PERIOD: usize = 5;
const PERIOD: Duration = Duration::from_secs(10);
const STORM: usize = 300;

fn settings(backend: &FakeBackend, log: &str) -> String {
    format!(
        "log: {{ {log} }}
admin: {{ token_file: admin.token }}
batch: {{ delay: 5ms }}
enrichment:
  - on: resource
    set: {{ set.by.configuration: enriched-{SECRET} }}
destinations:
  jaeger:
    endpoint: \"{}\"
    headers: {{ x-api-key: header-{SECRET} }}
    headers_files: {{ authorization: destination.token }}
    retry: {{ first: 5ms, max: 10ms }}
",
        backend.endpoint()
    )
}

/// Requests with secrets and escapes wherever a stranger can put some, sound ones and broken ones.
async fn provoke(relay: &Relay) {
    let mut sound = request("service", 0, 2);
    sound.resource_spans[0].scope_spans[0].spans[0].name = format!("name-{SECRET}{ESCAPES}");
    let attributes = &mut sound.resource_spans[0].scope_spans[0].spans[0].attributes;
    attributes.push(attribute("password", &format!("value-{SECRET}{ESCAPES}")));
    let mut unusable = sound.clone();
    unusable.resource_spans[0].scope_spans[0].spans[0]
        .trace_id
        .clear();
    let (sound, unusable) = (sound.encode_to_vec(), unusable.encode_to_vec());
    let broken = &sound[1..];
    let secrets = [
        format!("authorization: Bearer client-{SECRET}"),
        format!("cookie: session={SECRET}"),
        format!("x-api-key: {SECRET}"),
        format!("baggage: user={SECRET}"),
        "user-agent: agent\u{9b}31m".to_owned(),
    ];
    for port in relay.ports() {
        for path in [
            format!("/v1/traces?api_key={SECRET}"),
            format!("/v1/unknown%1b%5B31m?token={SECRET}"),
        ] {
            for body in [&sound, &unusable, broken] {
                let length = format!("content-length: {}", body.len());
                let mut headers = vec!["content-type: application/x-protobuf", &length];
                headers.extend(secrets.iter().map(String::as_str));
                http(port, &post(&path, &headers), body).await;
            }
        }
        let odd = ["content-type: text/\u{9b}31m", "content-length: 0"];
        http(port, &post("/v1/traces", &odd), b"").await;
    }
    for _ in 0..STORM {
        Sender::new(Over::Http, relay.http())
            .send("broken".into())
            .await;
    }
}

/// The admin port, with the wrong and the right token.
async fn ask_admin(relay: &Relay) {
    let host = relay.admin();
    for token in [format!("wrong-{SECRET}"), format!("admin-{SECRET}")] {
        for line in [
            "GET /api/v1/config",
            "POST /api/v1/reload",
            "GET /api/v1/ledger",
        ] {
            let head = format!(
                "{line}?token={SECRET} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
            );
            let answer = http(host, &head, b"").await;
            let body = String::from_utf8(answer.body).unwrap();
            assert!(
                !body.contains(SECRET) || body.contains("enriched-"),
                "{line}: {body}"
            );
            assert!(
                !body.contains(&format!("header-{SECRET}")),
                "{line}: {body}"
            );
        }
    }
}

/// A destination whose own words are hostile, and that fails again and again.
async fn fail(relay: &Relay, backend: &FakeBackend) {
    let body = request("service", 0, 2).encode_to_vec();
    let hostile = Answer::Http(
        200,
        vec![
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", "14".to_owned()),
            ("grpc-message", "down %1B]0;pwned%07%1B[31m".to_owned()),
        ],
        bytes::Bytes::new(),
    );
    for answer in [hostile, Answer::Grpc(Code::Unavailable, None)] {
        let (before, started) = (backend.received().len(), Instant::now());
        backend.answer(answer);
        let sender = Sender::new(Over::Grpc, relay.grpc());
        sender.send(body.clone().into()).await;
        while backend.received().len() < before + 50 && started.elapsed() < PERIOD {
            sleep(Duration::from_millis(10)).await;
        }
        backend.answer(Answer::Take);
        relay.until_settled().await;
    }
}

/// Fails for a line that a terminal or a reader of secrets could be harmed by.
fn assert_harmless(log: &str) {
    for line in log.lines() {
        assert!(!line.contains(SECRET), "a secret: {line}");
        let raw = line.chars().find(|&c| c.is_control() && c != '\t');
        assert_eq!(raw, None, "a control character: {line:?}");
        assert!(!line.contains("pwned\u{7}"), "{line:?}");
    }
}

/// What a line is about, without time and other fields: its words, and the reason of a refusal.
fn kind(line: &str) -> String {
    if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
        return format!("{} {}", line["message"], line["reason"]);
    }
    let is_field = |word: &&str| word.contains('=');
    let words = line.split_whitespace().skip(1);
    let message: Vec<_> = words.clone().take_while(|word| !is_field(word)).collect();
    let reason = words.clone().find(|word| word.starts_with("reason="));
    format!("{} {}", message.join(" "), reason.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a108_no_log_line_has_a_secret_or_an_escape_and_no_storm_fills_the_log() {
    // What the libraries say at the finest level is looked through for secrets, too; only the relay's own lines are counted.
    let [finest, usual] = ["level: trace", "level: info"];
    for (format, level) in [
        ("text", usual),
        ("json", usual),
        ("text", finest),
        ("json", finest),
    ] {
        let log = format!("format: {format}, {level}");
        let backend = FakeBackend::start().await;
        let launch = Launch::new(
            &format!("logs-{format}-{}", &level[7..]),
            &settings(&backend, &log),
        )
        .admin_token(&format!("admin-{SECRET}"));
        let folder = launch.folder();
        for (file, secret) in [
            ("admin.token", "admin"),
            ("destination.token", "destination"),
        ] {
            std::fs::write(folder.join(file), format!("{secret}-{SECRET}")).unwrap();
        }
        let started = Instant::now();
        let relay = launch.start().await;
        for _ in 0..figure(1, 5) {
            provoke(&relay).await;
            ask_admin(&relay).await;
            fail(&relay, &backend).await;
        }
        // Reloads: once with a mistake in a line that has a secret, once with none.
        let good = settings(&backend, &log);
        relay.write(
            "otlp-relay.yaml",
            &good.replace("x-api-key: header", "x-api-key: [ header"),
        );
        relay.signal("HUP");
        sleep(Duration::from_millis(200)).await;
        relay.write(
            "otlp-relay.yaml",
            &good.replace("5ms, max", "5 ms of s3, max"),
        );
        relay.signal("HUP");
        sleep(Duration::from_millis(200)).await;
        relay.write("otlp-relay.yaml", &good);
        relay.signal("HUP");
        let periods = started.elapsed().as_secs() / PERIOD.as_secs() + 2;
        let received = backend.received();
        let key = received[0].headers["x-api-key"].to_str().unwrap();
        assert!(key.contains(SECRET), "else none was configured");
        let ended = relay.stop().await;
        assert!(ended.log.contains("refused a request"), "{}", ended.log);
        assert_harmless(&ended.log);
        let mut kinds = BTreeMap::<String, usize>::new();
        for line in ended.log.lines() {
            *kinds.entry(kind(line)).or_default() += 1;
        }
        if level == finest {
            continue;
        }
        println!("{kinds:#?}");
        let most = usize::try_from(periods).unwrap() * LINES_PER_PERIOD;
        for (kind, lines) in kinds {
            assert!(lines <= most, "{lines} lines of {kind:?}");
        }
    }
}
