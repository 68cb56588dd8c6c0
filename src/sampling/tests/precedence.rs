//! Which policy a span falls under: the first rule that matches, else its service, else the default.

use super::*;

const POLICIES: &str = "
default: { sample_fraction: 0.5 }
services:
  standalone: { sample_fraction: 0.1 }
  segcore: { sampleFraction: 0.1 }
rules:
  - { name: health, match: { span: 'grpc.health.v1.Health/*' }, sample_fraction: 0 }
  - { name: quiet, match: { service: quiet }, sampleFraction: 0.25 }
  - { name: failed, match: { status: error }, sample_fraction: 1 }
  - { name: slow, match: { service: standalone, span: '*Search*', duration_min: 200ms }, sample_fraction: 1 }
  - { name: library, match: { scope: 'com.vendor.*' }, sample_fraction: 0.75 }
  - { name: logs, match: { resource_attributes: { tier: 3 }, attributes: { collection_name: 'logs_*' } }, sample_fraction: 0.01 }
";

/// What a test says of a span; the rest is nothing in particular.
#[derive(Clone, Copy, Default)]
struct Said {
    service: &'static str,
    tier: i64,
    scope: &'static str,
    name: &'static str,
    millis: u64,
    failed: bool,
    collection: &'static str,
}

struct Encoded {
    resource: Vec<u8>,
    scope: Vec<u8>,
    span: Vec<u8>,
    name: &'static str,
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

impl Said {
    fn encode(self) -> Encoded {
        let resource = Resource {
            attributes: vec![
                text("service.name", self.service),
                attribute("tier", Value::IntValue(self.tier)),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: self.scope.to_owned(),
            ..InstrumentationScope::default()
        };
        let span = Span {
            name: self.name.to_owned(),
            end_time_unix_nano: self.millis * 1_000_000,
            attributes: vec![text("collection_name", self.collection)],
            status: Some(Status {
                code: if self.failed { 2 } else { 0 },
                ..Status::default()
            }),
            ..Span::default()
        };
        Encoded {
            resource: resource.encode_to_vec(),
            scope: scope.encode_to_vec(),
            span: span.encode_to_vec(),
            name: self.name,
        }
    }
}

impl Encoded {
    fn resource(&self) -> ResourceView<'_> {
        ResourceView {
            message: &self.resource,
        }
    }

    fn scope(&self) -> ScopeView<'_> {
        ScopeView {
            message: &self.scope,
        }
    }

    fn span(&self) -> SpanView<'_> {
        SpanView {
            message: &self.span,
            trace_id: &[1; 16],
            span_id: &[1; 8],
            trace_state: &[],
            name: self.name.as_bytes(),
        }
    }
}

/// `said`, but for what `change` changes.
fn but(mut said: Said, change: impl FnOnce(&mut Said)) -> Said {
    change(&mut said);
    said
}

/// Spans of all kinds, and the policies they fall under.
fn cases() -> Vec<(Said, &'static str)> {
    let other = Said {
        service: "other",
        scope: "scope",
        name: "Insert",
        ..Said::default()
    };
    let milvus = but(other, |s| s.service = "standalone");
    let quiet = but(other, |s| s.service = "quiet");
    let health = |s: &mut Said| s.name = "grpc.health.v1.Health/Check";
    let search = |millis: u64| move |s: &mut Said| (s.name, s.millis) = ("HybridSearch", millis);
    let vendor = but(milvus, |s| s.scope = "com.vendor.db");
    let logs = but(milvus, |s| (s.tier, s.collection) = (3, "logs_1"));
    vec![
        (other, "default"),
        (but(other, |s| s.service = ""), "default"),
        (but(other, |s| s.service = "Standalone"), "default"),
        (milvus, "service standalone"),
        (but(other, |s| s.service = "segcore"), "service segcore"),
        (but(milvus, health), "rule health"),
        (but(but(milvus, health), |s| s.failed = true), "rule health"),
        (but(milvus, |s| s.failed = true), "rule failed"),
        (quiet, "rule quiet"),
        (but(quiet, |s| s.failed = true), "rule quiet"),
        (but(quiet, health), "rule health"),
        (but(milvus, search(200)), "rule slow"),
        (but(milvus, search(199)), "service standalone"),
        (but(other, search(200)), "default"),
        (vendor, "rule library"),
        (but(vendor, |s| s.failed = true), "rule failed"),
        (but(logs, |s| s.scope = "com.vendor.db"), "rule library"),
        (logs, "rule logs"),
        (but(logs, |s| s.tier = 2), "service standalone"),
        (but(logs, |s| s.collection = "books"), "service standalone"),
    ]
}

#[test]
fn the_first_rule_that_matches_goes_before_service_and_default() {
    let sampler = sampler(POLICIES, Randomness::Auto, 0);
    for (said, expected) in cases() {
        let encoded = said.encode();
        let mut deciding = sampler.deciding();
        deciding.enter_resource(encoded.resource());
        deciding.enter_scope(encoded.scope());
        let decision = deciding.decide(encoded.span());
        let policy = &sampler.policies()[usize::from(decision.policy)];
        assert_eq!(policy.name, expected, "{}", encoded.name);
        assert!(policy.fraction > 0.0 || !decision.keep);
    }
}

#[test]
fn one_request_may_hold_all_of_them_in_any_order() {
    // Given every span as a request's part, so that each resource and scope follows each other.
    let sampler = sampler(POLICIES, Randomness::Auto, 0);
    let encoded: Vec<_> = cases().iter().map(|(said, _)| said.encode()).collect();
    let mut deciding = sampler.deciding();
    for before in &encoded {
        for (encoded, (_, expected)) in encoded.iter().zip(cases()) {
            for one in [before, encoded] {
                // When each enters its resource and scope, also the same twice.
                deciding.enter_resource(one.resource());
                deciding.enter_scope(one.scope());
            }
            let decision = deciding.decide(encoded.span());
            // Then nothing of the one before is left.
            assert_eq!(
                sampler.policies()[usize::from(decision.policy)].name,
                expected
            );
        }
    }
}

#[test]
fn the_lists_of_candidates_never_grow() {
    let sampler = sampler(POLICIES, Randomness::Auto, 0);
    let encoded: Vec<_> = cases().iter().map(|(said, _)| said.encode()).collect();
    let mut deciding = sampler.deciding();
    let capacities = deciding.capacities();
    for one in &encoded {
        deciding.enter_resource(one.resource());
        deciding.enter_scope(one.scope());
        deciding.decide(one.span());
    }
    assert_eq!(deciding.capacities(), capacities);
}
