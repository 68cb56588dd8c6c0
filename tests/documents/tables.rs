//! The README's tables, and those of other documents: each stands between two comments that name it, and is made from the code.
//!
//! A table that differs fails with the whole table to paste; with `UPDATE_DOCUMENTS` set it is written instead.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    time::Duration,
};

use otlp_relay::{
    config::{self, Preset},
    exporter::Resolver,
    metrics::{self, Loss, Misdirected},
    relay::Relay,
    request::Reason,
};
use tokio_util::sync::CancellationToken;

use super::{README, at, entries, load, strings, text, yaml};

/// Set to anything: the tables are written, not compared.
const UPDATE: &str = "UPDATE_DOCUMENTS";

/// One test writes a document at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What stands between the comments `<!-- name -->` and `<!-- /name -->`.
fn region<'a>(whole: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (_, rest) = whole
        .split_once(&open)
        .unwrap_or_else(|| panic!("there is no {open}"));
    let (inner, _) = rest
        .split_once(&close)
        .unwrap_or_else(|| panic!("there is no {close}"));
    inner
}

/// The README's table `name` is `expected`, or becomes it.
fn check(name: &str, expected: &str) {
    check_in(README, name, expected);
}

/// The same in another document.
pub(super) fn check_in(document: &str, name: &str, expected: &str) {
    let guard = WRITING.lock();
    let whole_document = text(document);
    let found = region(&whole_document, name);
    if found == expected {
        return;
    }
    if std::env::var_os(UPDATE).is_some() {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let whole = |table: &str| [&open, table, &close].concat();
        let written = whole_document.replace(&whole(found), &whole(expected));
        fs::write(document, written).unwrap();
        return;
    }
    drop(guard);
    let known: Vec<_> = found.lines().collect();
    let changed: Vec<_> = expected
        .lines()
        .filter(|line| !known.contains(line))
        .collect();
    let wanted: Vec<_> = expected.lines().collect();
    let stale: Vec<_> = known
        .into_iter()
        .filter(|line| !wanted.contains(line))
        .collect();
    panic!(
        "{document}, table {name}: run `{UPDATE}=1 cargo test --test documents`, or paste\n{}\n\nin place of\n{}\n\nthe whole table:\n{expected}",
        changed.join("\n"),
        stale.join("\n"),
    );
}

pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::new();
    let mut line = |cells: Vec<String>| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(out, "| {} |", cells.join(" | ")).unwrap();
    };
    line(head.iter().map(|&cell| cell.to_owned()).collect());
    line(vec!["---".to_owned(); head.len()]);
    rows.into_iter().for_each(&mut line);
    out
}

pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The cells of a table's rows, without its head.
fn rows(name: &str) -> Vec<Vec<String>> {
    let readme = text(README);
    let cells = |line: &str| {
        let line = line.trim_matches('|').replace("\\|", "\u{0}");
        let cells = line
            .split('|')
            .map(|cell| cell.trim().replace('\u{0}', "|"));
        cells.collect()
    };
    region(&readme, name).lines().skip(2).map(cells).collect()
}

#[test]
fn settings() {
    let rows = config::keys().iter().map(|key| {
        let default = match key.default {
            Preset::Value(value) => code(value),
            Preset::Computed(words) => words.to_owned(),
            Preset::Required => "required".to_owned(),
        };
        vec![
            code(key.path),
            default,
            key.kind.in_words(),
            key.meaning.to_owned(),
        ]
    });
    let head = ["key", "default", "allowed", "meaning"];
    check("settings", &table(&head, rows));
}

#[test]
fn metrics_names() {
    let rows = metrics::names().iter().map(|name| {
        let labels: Vec<_> = name.labels.iter().map(|label| code(label)).collect();
        vec![
            code(name.name),
            name.kind_word().to_owned(),
            labels.join(", "),
            name.meaning.to_owned(),
        ]
    });
    let head = ["name", "type", "labels", "meaning"];
    check("metrics", &table(&head, rows));
}

/// What `check` says of a Collector's components.
#[test]
fn collector() {
    let rows = config::collector::parts().iter().map(|part| {
        let kinds: Vec<_> = part.kinds.iter().map(|kind| code(kind)).collect();
        vec![
            part.section.to_owned(),
            kinds.join(", "),
            part.is.to_owned(),
        ]
    });
    check(
        "collector",
        &table(&["section", "component", "otlp-relay"], rows),
    );
}

/// The situations are prose, and belong to the labels.
#[test]
fn refusals() {
    let situations = [
        ("malformed", "the body is no OTLP request"),
        (
            "broken_frame",
            "the gRPC frame around the message is broken",
        ),
        (
            "too_large",
            "over `receivers.request_bytes_max`, before or after decompression, or larger than the whole budget",
        ),
        ("full", "no room until the deadline"),
        ("shutting_down", "the relay is stopping"),
        (
            "unknown_encoding",
            "a compression other than gzip, deflate and zstd",
        ),
        (
            "unknown_content_type",
            "a content type that is neither protobuf, JSON nor gRPC",
        ),
        ("wrong_method", "an HTTP method other than POST"),
        ("unknown_path", "a path or gRPC method that does not exist"),
        ("other_signal", "metrics or logs"),
        ("too_slow", "the body did not arrive in time"),
        ("cancelled", "the client went away before it was answered"),
        ("internal", "a fault of the relay"),
    ];
    let rows = Reason::ALL.map(|reason| {
        let row = reason.row();
        let (_, situation) = situations
            .into_iter()
            .find(|(label, _)| *label == row.label)
            .unwrap_or_else(|| panic!("say in this test what {} is", row.label));
        vec![
            situation.to_owned(),
            code(&upper_snake(&format!("{:?}", row.code))),
            row.status.to_string(),
            if row.retry { "yes" } else { "no" }.to_owned(),
            code(row.label),
        ]
    });
    let head = ["situation", "gRPC", "HTTP", "come again", "label `reason`"];
    check("refusals", &table(&head, rows));
}

/// As the gRPC specification spells a code.
fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_uppercase());
    }
    out
}

#[test]
fn losses() {
    let described: Vec<_> = rows("losses")
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect();
    assert_eq!(described, Loss::ALL.map(|loss| code(loss.label())));
}

#[test]
fn alerts() {
    let rules = yaml("docker/prometheus/alerts.yml");
    let named: Vec<_> = super::alerts::rules(&rules)
        .iter()
        .map(|rule| code(super::string(at(rule, &["alert"]))))
        .collect();
    let described: Vec<_> = rows("alerts")
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect();
    assert_eq!(
        described, named,
        "{README} against docker/prometheus/alerts.yml"
    );
}

#[test]
fn misdirections_are_told() {
    let readme = text(README);
    for path in ["/v1/traces/", "/v1/traces/v1/traces"] {
        assert!(readme.contains(&code(path)), "{path}");
    }
    // A new kind needs a sentence in "What a client is told".
    assert_eq!(Misdirected::ALL.len(), 6);
}

/// The ports in the compose file's comment and in the README are those of the compose file.
#[test]
fn the_ports_of_the_compose_file_are_told() {
    let readme = text(README);
    let compose = yaml("docker/compose.yaml");
    for service in entries(at(&compose, &["services"])) {
        for mapping in strings(at(&service.node, &["ports"])) {
            let host = mapping.trim_start_matches("127.0.0.1:");
            let port = host.split(':').next().unwrap();
            let told = readme.contains(&format!("localhost:{port}"));
            // Of Milvus' two ports the second is its own health and metrics.
            assert!(told || port == "9091", "{}: {mapping}", service.key);
        }
    }
}

/// The index that the admin port itself shows.
#[tokio::test]
async fn admin() {
    const CONFIG: &str = "receivers: { grpc: { listen: 127.0.0.1:0 }, http: { listen: 127.0.0.1:0 } }\n\
        admin: { listen: 127.0.0.1:0 }\n";
    let config = || load("relay.yaml", &[], &|_| Ok(CONFIG.into()));
    let (load, set_log) = (Box::new(move || Ok(config())), Box::new(|_| ()));
    let relay = Relay::bind(config(), load, set_log, Resolver::System).unwrap();
    let address = relay.addresses().admin;
    let stop = CancellationToken::new();
    let asking = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || {
            let _stop = stop.drop_guard();
            get(address, "/")
        }
    });
    relay.run(stop).await.unwrap();
    let index = asking.await.unwrap();
    let rows: Vec<_> = index.lines().filter_map(index_row).collect();
    assert!(rows.len() > 5, "{index}");
    check("admin", &table(&["method", "path", "what it is"], rows));
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// `  GET  /metrics               metrics for Prometheus`
fn index_row(line: &str) -> Option<Vec<String>> {
    let (method, rest) = line.trim().split_once(char::is_whitespace)?;
    let (path, meaning) = rest.trim().split_once(char::is_whitespace)?;
    let is_row = matches!(method, "GET" | "POST") && path.starts_with('/');
    is_row.then(|| vec![method.to_owned(), code(path), meaning.trim().to_owned()])
}

/// Every command that the program has, with every flag, and no others.
#[test]
fn commands() {
    let program = |arguments: &[&str]| super::examples::help(arguments);
    let help = program(&[]);
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let listed: Vec<_> = listed
        .lines()
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let mut described = Vec::new();
    for row in rows("commands") {
        let usage = row[0].trim_matches('`').replace(['[', ']'], "");
        let mut words = usage.split_whitespace().skip(1);
        let command = words.next().unwrap().to_owned();
        let help = program(&[&command]);
        assert_eq!(flags(&usage), flags(&help), "{README}, {command}");
        described.push(command);
    }
    assert_eq!(described, listed, "{README}, table commands");
}

/// The flags that a usage or a help names, but for those that every command has.
fn flags(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words
        .filter(|word| word.starts_with("--") && *word != "--help")
        .collect()
}
