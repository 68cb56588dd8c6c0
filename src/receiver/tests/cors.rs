//! Web pages that send spans (acceptance case A107).

use super::{
    Setup, UnderTest,
    client::{http, http_traces, post},
    spans,
};

const PAGE: &str = "origin: https://shop.example";
const OTHER: &str = "origin: https://evil.example";
const ASKS: [&str; 2] = [
    "access-control-request-method: POST",
    "access-control-request-headers: content-type,x-team",
];

async fn with_origins(origins: &[&str]) -> UnderTest {
    let mut setup = Setup::default();
    setup.options.cors_allowed_origins = origins.iter().map(ToString::to_string).collect();
    setup.start().await
}

fn preflight(path: &str, origin: &str) -> String {
    post(path, &[&[origin], &ASKS[..]].concat()).replacen("POST", "OPTIONS", 1)
}

#[tokio::test]
async fn a107_a_page_that_may_send_is_told_so_and_no_other() {
    let relay = with_origins(&["https://shop.example", "http://localhost:3000"]).await;
    for port in relay.ports() {
        for path in ["/v1/traces", "/"] {
            let answer = http(port, &preflight(path, PAGE), b"").await;
            assert_eq!((answer.status, answer.body.len()), (204, 0));
            for (header, expected) in [
                ("access-control-allow-origin", Some("https://shop.example")),
                ("access-control-allow-methods", Some("post")), // the helper's lower case
                ("access-control-allow-headers", Some("content-type,x-team")),
                ("access-control-allow-credentials", None),
                ("vary", Some("origin")),
            ] {
                assert_eq!(answer.header(header), expected, "{header}");
            }
        }
        let answer = http(port, &preflight("/v1/traces", OTHER), b"").await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let (_, message) = answer.rpc_status();
        assert!(message.contains("cors_allowed_origins"), "{message}");
    }
    relay.finish().await;
}

#[tokio::test]
async fn a107_answers_are_readable_for_the_page_whether_taken_or_refused() {
    let relay = with_origins(&["https://shop.example"]).await;
    for (body, status) in [(spans(1).to_vec(), 200), (vec![0xff], 400)] {
        let answer = http_traces(relay.http, &[PAGE], &body).await;
        assert_eq!(answer.status, status);
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://shop.example"));
        let exposed = answer.header("access-control-expose-headers");
        assert_eq!(exposed, Some("retry-after"));
    }
    let answer = http_traces(relay.http, &[OTHER], &spans(1)).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    relay.finish().await;
}

#[tokio::test]
async fn a107_any_page_may_be_allowed_and_none_is_by_default() {
    let relay = with_origins(&["*"]).await;
    let answer = http(relay.http, &preflight("/v1/traces", OTHER), b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("vary"), None);
    relay.finish().await;

    let relay = UnderTest::start().await;
    let answer = http(relay.http, &preflight("/v1/traces", PAGE), b"").await;
    assert_eq!(answer.status, 405);
    let answer = http_traces(relay.http, &[PAGE], &spans(1)).await;
    assert_eq!(
        answer.status, 200,
        "it is the browser that protects its user"
    );
    assert_eq!(answer.header("access-control-allow-origin"), None);
    relay.finish().await;
}
