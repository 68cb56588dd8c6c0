//! The admin port over real sockets, and the guard's rules in tables.

use std::{net::Ipv4Addr, sync::Mutex, time::Duration};

use arc_swap::ArcSwap;
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{guard::Guard, serve::CONNECTIONS_MAX, *};
use crate::{
    exporter::Down,
    metrics::{Tally, Transport},
    queue, store,
};

fn options(allowed_hosts: &[&str], token: Option<&str>) -> Arc<ArcSwap<Options>> {
    Arc::new(ArcSwap::from_pointee(Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        allowed_hosts: allowed_hosts.iter().map(|&host| host.to_owned()).collect(),
        token: token.map(str::to_owned),
    }))
}

fn status_of(guard: &Guard, request: http::request::Builder) -> u16 {
    let (head, ()) = request.body(()).unwrap().into_parts();
    match guard.check(&head) {
        Ok(()) => 200,
        Err(denied) => denied.status.as_u16(),
    }
}

#[test]
fn a22_hosts_that_are_not_ours_are_misdirected() {
    let options = options(&["relay.example", "relay.example.org:8888"], None);
    let guard = Guard::new(
        options,
        "127.0.0.1:8888".parse().unwrap(),
        Some("box7".into()),
    );
    for (host, expected) in [
        ("localhost", 200),
        ("LOCALHOST:8888", 200),
        ("localhost.", 200),
        ("relay.localhost:8888", 200),
        ("127.0.0.1:8888", 200),
        ("10.1.2.3", 200),
        ("[::1]:8888", 200),
        ("box7:8888", 200),
        ("relay.example", 200),
        ("Relay.Example:9", 200),
        ("relay.example.org:8888", 200),
        ("relay.example.org:9", 421),
        ("relay.example.org", 421),
        ("evil.test", 421),
        ("localhost.evil.test", 421),
        ("evillocalhost", 421),
        ("127.0.0.1.evil.test", 421),
        ("127.0.0.1@evil.test", 421),
        ("evil.test@127.0.0.1", 421),
        ("1.2.3", 421),
        ("[::1", 421),
        ("", 421),
    ] {
        let get = |path| Request::get(path).header("host", host);
        assert_eq!(status_of(&guard, get("/api/v1/ledger")), expected, "{host}");
        assert_eq!(status_of(&guard, get("/")), expected, "{host}");
        for open in ["/metrics", "/livez", "/readyz"] {
            assert_eq!(status_of(&guard, get(open)), 200, "{host} {open}");
        }
    }
    assert_eq!(status_of(&guard, Request::get("/")), 421, "no host at all");
    let two = Request::get("/")
        .header("host", "localhost")
        .header("host", "evil.test");
    assert_eq!(status_of(&guard, two), 421);
    let absolute = Request::get("http://evil.test/").header("host", "localhost");
    assert_eq!(status_of(&guard, absolute), 421);
}

#[test]
fn a19_changes_need_a_loopback_address_or_the_token() {
    const WITHOUT: Option<&str> = None;
    for (address, token, authorization, expected) in [
        ("127.0.0.1:1", None, WITHOUT, 200),
        ("[::1]:1", None, WITHOUT, 200),
        ("[::ffff:127.0.0.1]:1", None, WITHOUT, 200),
        ("0.0.0.0:1", None, WITHOUT, 403),
        ("10.0.0.7:1", None, Some("Bearer guess"), 403),
        ("127.0.0.1:1", Some("secret"), WITHOUT, 401),
        ("0.0.0.0:1", Some("secret"), WITHOUT, 401),
        ("0.0.0.0:1", Some("secret"), Some("Bearer secret"), 200),
        ("0.0.0.0:1", Some("secret"), Some("bearer secret"), 200),
        ("0.0.0.0:1", Some("secret"), Some("Bearer secre"), 401),
        ("0.0.0.0:1", Some("secret"), Some("Bearer secrets"), 401),
        ("0.0.0.0:1", Some("secret"), Some("Bearer "), 401),
        ("0.0.0.0:1", Some("secret"), Some("Basic secret"), 401),
        ("0.0.0.0:1", Some("secret"), Some("secret"), 401),
    ] {
        let guard = Guard::new(options(&[], token), address.parse().unwrap(), None);
        let with = |mut request: http::request::Builder| {
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            request.header("host", "10.0.0.7")
        };
        let what = format!("{address} {token:?} {authorization:?}");
        let post = with(Request::post("/api/v1/reload"));
        assert_eq!(status_of(&guard, post), expected, "{what}");
        let get = with(Request::get("/api/v1/config"));
        assert_eq!(status_of(&guard, get), 200, "{what}");
    }
}

#[test]
fn a23_another_sites_page_changes_nothing() {
    let guard = Guard::new(options(&[], None), "127.0.0.1:1".parse().unwrap(), None);
    for (name, value, expected) in [
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "http://127.0.0.1:1", 200),
        ("origin", "http://127.0.0.1:2", 403),
        ("origin", "https://127.0.0.1:1", 403),
        ("origin", "http://evil.test", 403),
        ("origin", "null", 403),
        ("content-type", "application/json", 200),
        ("content-type", "Application/JSON; charset=utf-8", 200),
        ("content-type", "application/x-www-form-urlencoded", 403),
        ("content-type", "multipart/form-data; boundary=x", 403),
        ("content-type", "text/plain", 403),
        ("content-length", "65536", 200),
        ("content-length", "65537", 413),
    ] {
        let post = Request::post("/api/v1/reload").header("host", "127.0.0.1:1");
        let post = post.header(name, value);
        assert_eq!(status_of(&guard, post), expected, "{name}: {value}");
    }
    // What is set wins over what is merely absent.
    let post = Request::post("/api/v1/reload")
        .header("host", "127.0.0.1:1")
        .header("origin", "http://127.0.0.1:1")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(status_of(&guard, post), 403);
}

#[test]
fn a_token_is_never_printed() {
    let guard = Guard::new(
        options(&[], Some("planted")),
        "127.0.0.1:1".parse().unwrap(),
        None,
    );
    assert!(!format!("{guard:?}").contains("planted"));
}

// === over sockets ===

struct Served {
    address: SocketAddr,
    state: State,
    facts: Arc<Mutex<Facts>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _queue: queue::Queue,
}

/// What the relay would know.
struct Facts {
    phase: Phase,
    down: Option<Down>,
    reload: Result<u64, Vec<String>>,
    reloads: u32,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

fn status(down: Option<Down>) -> DestinationStatus {
    DestinationStatus {
        name: "jaeger".into(),
        endpoint: "http://jaeger:4317".into(),
        required: true,
        down,
        last_error: None,
        last_delivery: None,
        learned_bytes_max: Some(4 << 20),
    }
}

impl Served {
    fn new() -> Self {
        let facts = Arc::new(Mutex::new(Facts {
            phase: Phase::Running,
            down: None,
            reload: Ok(2),
            reloads: 0,
        }));
        let metrics = Metrics::default();
        let queues = Queues::new(metrics.ledger().clone());
        let bounds = queue::Options {
            bytes_max: 1000,
            required: true,
        };
        let queue = queues.open("jaeger".into(), bounds);
        let (store, keeper) = Store::new(store::Options { bytes_max: 1 << 20 });
        let (phase, downs, reloads) = (facts.clone(), facts.clone(), facts.clone());
        let state = State {
            metrics,
            budget: Budget::new(1 << 20, 0),
            queues,
            store,
            phase: Arc::new(move || phase.lock().unwrap().phase),
            destinations: Arc::new(move || vec![status(downs.lock().unwrap().down.clone())]),
            policies: Arc::new(|| serde_json::json!([{ "name": "default", "fraction": 1.0 }])),
            config: Arc::new(|| serde_json::json!({ "admin": { "token_file": "***" } })),
            reload: Arc::new(move || {
                let mut facts = reloads.lock().unwrap();
                facts.reloads += 1;
                let result = facts.reload.clone();
                Box::pin(async move { result })
            }),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(keeper.run(stop.clone()));
        let server = Server::new(listener, options(&[], None), state.clone()).unwrap();
        let stopped = stop.clone();
        tasks.spawn(async move { server.run(stopped).await.unwrap() });
        tasks.close();
        Self {
            address,
            state,
            facts,
            stop,
            tasks,
            _queue: queue,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"))
            .await
    }

    /// Sends a head that lacks its last empty line.
    async fn ask(&self, head: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        Answer {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

#[tokio::test]
async fn a107_every_path_of_the_index_is_served_with_safe_headers() {
    let served = Served::new();
    let index = served.get("/").await;
    assert_eq!(index.status, 200);
    let paths: Vec<&str> = index
        .body
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("GET ")?
                .split_ascii_whitespace()
                .next()
        })
        .collect();
    assert_eq!(paths.len(), 9, "{}", index.body);
    for path in paths {
        let path = path.replace("{id}", &"1".repeat(32));
        let answer = served.get(&path).await;
        let expected = if path.ends_with("111") { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{path}");
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(header), "{path} lacks {header}");
        }
        assert!(!answer.head.contains("access-control"), "{path}");
    }
    served.end().await;
}

#[tokio::test]
async fn documents_say_what_the_relay_knows() {
    let served = Served::new();
    let tally = Tally {
        received: 3,
        forwarded: 3,
        ..Tally::default()
    };
    let jaeger: Arc<str> = "jaeger".into();
    served
        .state
        .metrics
        .ledger()
        .accept(Transport::Grpc, tally, [&jaeger]);
    served.facts.lock().unwrap().down = Some(Down {
        reason: "connection refused".into(),
        since: tokio::time::Instant::now(),
    });

    let ledger = served.get("/api/v1/ledger").await.json();
    assert_eq!(ledger["accepted"], 3);
    assert_eq!(ledger["destinations"]["jaeger"]["held"], 3);
    assert_eq!(ledger["transports"]["grpc"]["accepted"], 3);
    assert_eq!(
        (&ledger["balanced"], &ledger["imbalance"]),
        (&true.into(), &().into())
    );

    let destinations = served.get("/api/v1/destinations").await.json();
    let destination = &destinations["destinations"][0];
    assert_eq!(
        (&destination["up"], &destination["required"]),
        (&false.into(), &true.into())
    );
    assert_eq!(destination["reason"], "connection refused");
    assert_eq!(destination["learned_message_bytes_max"], 4 << 20);
    assert_eq!(destination["queue"]["bytes_max"], 1000);

    let metrics = served.get("/metrics").await;
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    for part in [
        r#"otlp_relay_spans_held{destination="jaeger"} 3"#,
        r#"otlp_relay_queue_bytes_max{destination="jaeger"} 1000"#,
        "otlp_relay_budget_bytes_max 1048576",
        "otlp_relay_store_bytes 0",
    ] {
        assert!(metrics.body.contains(part), "{part}");
    }
    assert_eq!(
        served.get("/api/v1/policies").await.json()[0]["name"],
        "default"
    );
    assert_eq!(
        served.get("/api/v1/config").await.json()["admin"]["token_file"],
        "***"
    );
    served.end().await;
}

#[tokio::test]
async fn readiness_is_told_with_its_reason() {
    let served = Served::new();
    let ready = served.get("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (200, "ready\n"));
    served.facts.lock().unwrap().phase = Phase::ShuttingDown;
    let unready = served.get("/readyz").await;
    assert_eq!(
        (unready.status, &*unready.body),
        (503, "not ready: shutting down\n")
    );
    assert_eq!(served.get("/livez").await.status, 200);
    served.end().await;
}

#[tokio::test]
async fn a_reload_is_done_once_or_its_mistakes_are_listed() {
    let served = Served::new();
    let post = "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n";
    let done = served.ask(&format!("{post}Content-Length: 0\r\n")).await;
    assert_eq!((done.status, &done.json()["generation"]), (200, &2.into()));
    served.facts.lock().unwrap().reload = Err(vec!["relay.yaml:3: queue.bytes_max".into()]);
    let refused = served.ask(&format!("{post}Content-Length: 0\r\n")).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["mistakes"][0],
        "relay.yaml:3: queue.bytes_max"
    );
    let foreign = served
        .ask(&format!("{post}Origin: http://evil.test\r\n"))
        .await;
    assert_eq!(foreign.status, 403);
    assert!(
        foreign.json()["error"]
            .as_str()
            .unwrap()
            .contains("another site")
    );
    assert_eq!(
        served.facts.lock().unwrap().reloads,
        2,
        "what was turned away did nothing"
    );
    served.end().await;
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let served = Served::new();
    for (head, status, part) in [
        ("GET /nothing @", 404, "GET / lists"),
        (
            "POST /v1/traces @Content-Type: application/x-protobuf\r\nContent-Length: 200000\r\n",
            404,
            "ports of the receivers, 4317 and 4318",
        ),
        ("GET /api/v1/reload @", 405, "use POST"),
        ("POST /metrics @", 405, "use GET"),
        ("DELETE /api/v1/traces @", 405, "use GET"),
        (
            "OPTIONS /api/v1/reload @Origin: http://evil.test\r\n",
            403,
            "another site",
        ),
        ("GET /api/v1/ledger %", 421, "allowed_hosts"),
        ("GET /api/v1/traces/xyz @", 400, "32 hexadecimal"),
        ("GET /api/v1/traces?limit=x @", 400, "whole number"),
        ("GET /api/v1/traces?limits=1 @", 400, "whole number"),
        ("GET /api/v1/traces?limit=501 @", 400, "at most 500"),
        (
            "POST /api/v1/reload @Content-Length: 65537\r\n",
            413,
            "65536",
        ),
    ] {
        let head = head.replace('@', "HTTP/1.1\r\nHost: localhost\r\n");
        let head = head.replace('%', "HTTP/1.1\r\nHost: evil.test\r\n");
        let answer = served.ask(&head).await;
        assert_eq!(answer.status, status, "{head}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(part), "{head}: {error}");
        if status == 405 {
            assert!(
                answer.head.contains("\r\nallow: "),
                "{head}: {}",
                answer.head
            );
        }
    }
    served.end().await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_cut() {
    let served = Served::new();
    let chunked = "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let chunk = format!("11000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x11000));
    stream.write_all(chunk.as_bytes()).await.ok();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(served.facts.lock().unwrap().reloads, 0);
    served.end().await;
}

#[tokio::test]
async fn an_absent_trace_is_explained() {
    let served = Served::new();
    let path = format!("/api/v1/traces/{}", "1".repeat(32));
    let told = |answer: Answer| answer.json()["error"].as_str().unwrap().to_owned();
    assert!(told(served.get(&path).await).contains("did not come here"));
    served.state.store.resize(store::Options { bytes_max: 0 });
    assert!(told(served.get(&path).await).contains("store is off"));
    let list = served.get("/api/v1/traces").await.json();
    assert_eq!(
        (&list["store"]["on"], &list["traces"]),
        (&false.into(), &serde_json::json!([]))
    );
    served.end().await;
}

#[tokio::test]
async fn garbage_and_mute_connections_leave_the_port_alive() {
    let served = Served::new();
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\xff\xff\xff\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for bytes in garbage {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{bytes:?}"
        );
    }
    let mut huge = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    huge.write_all(head.as_bytes()).await.ok();
    let mut answer = [0; 12];
    huge.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    let mute = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(served.get("/livez").await.status, 200);
    // The mute connection does not hold up the end.
    let end = tokio::time::timeout(Duration::from_secs(1), served.end());
    assert!(end.await.is_ok());
    drop(mute);
}

#[tokio::test]
async fn those_who_hold_all_places_keep_nobody_out() {
    let served = Served::new();
    let mut mute = Vec::new();
    for _ in 0..CONNECTIONS_MAX + 2 {
        mute.push(TcpStream::connect(served.address).await.unwrap());
    }
    let soon = Duration::from_secs(5);
    let live = tokio::time::timeout(soon, served.get("/livez")).await;
    assert_eq!(live.expect("it is answered at once").status, 200);
    // The oldest have gone for it, and no others.
    for cut in &mut mute[..3] {
        let end = tokio::time::timeout(soon, cut.read(&mut [0])).await;
        assert_eq!(end.expect("it is cut").unwrap_or(0), 0);
    }
    let rest = mute[3..].iter().map(|open| open.try_read(&mut [0]));
    for open in rest {
        assert_eq!(open.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    served.end().await;
}

#[tokio::test]
async fn it_runs_on_a_runtime_of_its_own() {
    let served = Served::new();
    let state = served.state.clone();
    let stop = served.stop.clone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let another = Server::new(listener, options(&[], None), state).unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(another.run(stop))
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
    served.end().await;
    thread.join().unwrap().unwrap();
}
