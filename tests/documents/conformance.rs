//! `docs/CONFORMANCE.md`: which acceptance case is tested where, made from the tests' own names. A test that carries a case's
//! number stands for it; what the tests of a case leave out is said here, with its reason.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    tables::{check_in, code, table},
    text,
};

pub(super) const DOCUMENT: &str = "docs/CONFORMANCE.md";

/// The cases that are to be tested, and what each is about.
const CASES: &[(u8, &str)] = &[
    (1, "steady load arrives once and equal"),
    (2, "an outage of the destination loses nothing"),
    (3, "a full queue refuses and tells when to come again"),
    (4, "a slow destination delays and does not cascade"),
    (5, "kill -9 under load"),
    (7, "SIGTERM with a healthy destination drains"),
    (8, "SIGTERM with a dead one ends in time and counts"),
    (9, "ten times the load within the budget"),
    (10, "gzip bombs"),
    (11, "the size limit to the byte"),
    (12, "random, cut and flipped bytes"),
    (13, "values nested a million deep"),
    (14, "no file descriptors left"),
    (15, "rapid reset"),
    (16, "floods of frames"),
    (17, "slow heads, bodies and readers; mute sockets"),
    (18, "a destination with endless or broken answers"),
    (19, "what listens by default, and who may change anything"),
    (22, "foreign hosts on the admin port"),
    (23, "foreign pages on the admin port"),
    (28, "panics"),
    (29, "a path that goes mute"),
    (31, "what is retried"),
    (32, "what is not"),
    (33, "RESOURCE_EXHAUSTED and 413"),
    (34, "HTTP statuses of a destination"),
    (35, "a destination's partial success"),
    (36, "sampling behind Milvus' own fractions"),
    (38, "health and metrics under load"),
    (39, "HTTP with protobuf"),
    (40, "HTTP with JSON: the official example"),
    (41, "HTTP with JSON: every dialect"),
    (42, "HTTP encodings"),
    (43, "errors are a Status in the request's encoding"),
    (44, "methods, paths, content types"),
    (45, "empty requests over HTTP"),
    (46, "empty requests over gRPC"),
    (47, "partial success"),
    (48, "all spans unusable"),
    (49, "warnings"),
    (50, "broken UTF-8"),
    (51, "gRPC encodings"),
    (52, "broken gRPC frames"),
    (53, "other content types on gRPC's path"),
    (54, "the client's own deadline"),
    (55, "clients that cancel"),
    (56, "unknown methods, metrics and logs"),
    (57, "health, and watching it"),
    (59, "the size of answers"),
    (60, "every field comes out as it went in"),
    (61, "unknown fields stay"),
    (62, "resources and scopes are not merged wrongly"),
    (63, "odd values pass"),
    (64, "fields of profiles pass"),
    (65, "real SDKs"),
    (66, "real SDKs while there is no room"),
    (67, "kept-alive connections"),
    (68, "chunked, pipelined, Expect, HTTP/2 on both ports"),
    (69, "h2spec"),
    (70, "messages over a destination's limit"),
    (71, "batches"),
    (72, "wishes to wait"),
    (73, "a 2xx with any body"),
    (74, "redirects"),
    (75, "pings"),
    (76, "thresholds and tracestate to the bit"),
    (77, "shares are right and nested"),
    (78, "relays in series"),
    (79, "broken tracestates"),
    (92, "metrics under a scrape"),
    (93, "bounded series"),
    (95, "a name that moves"),
    (96, "a clock that jumps"),
    (97, "limits of connections and streams"),
    (98, "every wrong key"),
    (99, "ten minutes of faults"),
    (103, "the accounts of budget and queues in any order"),
    (106, "request smuggling"),
    (107, "CORS"),
    (108, "secrets and escapes in logs"),
];

/// What of a case its tests leave out, and why.
const BESIDE: &[(u8, &str)] = &[
    (
        9,
        "a cgroup's limit: setting one takes rights that a test does not have; the gauge and the resident memory are compared with the bound",
    ),
    (
        12,
        "longer runs and other entry points: those are fuzz targets",
    ),
    (
        16,
        "closed at once, for SETTINGS and PING: each is answered as HTTP/2 asks, and without a request the connection ends at `idle_timeout`",
    ),
    (
        18,
        "no rise at all: four answers at once are buffered up to 4 MiB each",
    ),
    (
        28,
        "a panic of the sampler: nothing can be made to panic there; it runs within the same guard as the handler",
    ),
    (
        54,
        "refused at once, to the millisecond: 50 ms are below the 500 ms that are kept for the answer, so there is no wait",
    ),
    (
        60,
        "a decoder in Python: real SDKs and Jaeger are in the end-to-end tests",
    ),
    (
        64,
        "a count of them: attributes that no policy and no edit asks for are not looked at",
    ),
    (75, "an interval that doubles: no pings are sent at all"),
    (
        77,
        "a million ids: a hundred thousand in each of three forms, with bounds to match",
    ),
    (
        95,
        "the hosts file or a name server: the resolver is passed in",
    ),
    (
        96,
        "libfaketime: a library of a few lines shifts the wall clock of the process instead",
    ),
    (
        97,
        "one hostile connection that floods: it is in A15, with the times of the others",
    ),
    (
        106,
        "both lengths refused with 400: chunks decide, and the connection ends (RFC 9112, 6.3); a line feed alone refused: it ends a line (RFC 9112, 2.2). hyper's parser allows no other choice",
    ),
    (
        108,
        "the logs of all other tests: one run has planted secrets and escapes everywhere, at every level",
    ),
];

#[test]
fn every_case_has_its_tests_and_says_what_they_leave_out() {
    let tests = tests_by_case();
    let mut wrong = Vec::new();
    let rows = CASES.iter().map(|(case, about)| {
        let left_out = BESIDE.iter().find(|(of, _)| of == case);
        let left_out = left_out.map_or_else(String::new, |(_, what)| format!("; not: {what}"));
        let found = tests.get(case).map(|tests| tests.join(", "));
        let where_it_is = found.unwrap_or_else(|| {
            wrong.push(format!("A{case:02} has no test"));
            String::new()
        }) + &left_out;
        vec![format!("A{case:02}"), (*about).to_owned(), where_it_is]
    });
    let made = table(&["case", "what", "tests"], rows.collect::<Vec<_>>());
    for case in tests.keys() {
        if !CASES.iter().any(|(known, _)| known == case) {
            wrong.push(format!("A{case:02} has tests and is no case"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_in(DOCUMENT, "cases", &made);
}

/// The tests whose names begin with a case's number, or with several.
fn tests_by_case() -> BTreeMap<u8, Vec<String>> {
    let mut found = BTreeMap::<u8, Vec<String>>::new();
    let mut folders = vec![Path::new("src").to_owned(), Path::new("tests").to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    for path in files {
        let path = path.to_str().unwrap();
        for line in text(path).lines() {
            let Some((_, rest)) = line.trim_start().split_once("fn a") else {
                continue;
            };
            let name = format!("a{}", rest.split('(').next().unwrap_or_default());
            let cases: Vec<u8> = name.split('_').map_while(case_of).collect();
            for case in cases {
                let link = format!("{} in [{path}](../{path})", code(&name));
                found.entry(case).or_default().push(link);
            }
        }
    }
    found
}

/// `a07` is 7; words are no cases.
fn case_of(word: &str) -> Option<u8> {
    let digits = word.strip_prefix('a')?;
    (digits.len() >= 2).then(|| digits.parse().ok())?
}
