//! The door and the steps against the same done on decoded objects: what policies keep, what edits change, and what all of it
//! takes of the budget.

use std::{cell::LazyCell, time::Duration};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use otlp_relay::{
    budget::{Budget, Denied, Permit, Use},
    document::{self, Findings, Node},
    enrichment::Enricher,
    processor::{Processed, Snapshot},
    request::{Counted, Request},
    sampling::{Randomness, Sampler},
    wire::{self, Checks},
};
use prost::Message;
use tokio::{runtime::Runtime, time::Instant};

use super::objects::{Flat, assert_same, filtered, flatten, is_usable};

/// Twice the largest body, its index, and all that the edits below can make of it.
const BUDGET_BYTES: usize = 64 << 20;

/// Policies and edits, and what a model of both says.
struct Way {
    snapshot: Snapshot,
    /// Whether a span is kept, where that does not depend on a hash.
    keeps: Option<fn(&Flat) -> bool>,
    /// What the edits make of a span that is kept; none where only the account is checked.
    edit: Option<fn(&mut Flat)>,
}

/// Half of all traces, as they came.
const HALF: &str = "default: { sample_fraction: 0.5 }";

/// Every kind of condition, each deciding for sure.
const RULES: &str = "
default: { sample_fraction: 1 }
services: { segcore: { sample_fraction: 0 } }
rules:
  - { name: errors, match: { status: error }, sample_fraction: 1 }
  - { name: slow, match: { duration_min: 1ms, scope: 'otel*' }, sample_fraction: 0 }
  - { name: name, match: { span: '*Query*' }, sample_fraction: 0 }
  - { name: text, match: { attributes: { 'rpc.system': 'g*' } }, sample_fraction: 0 }
  - { name: number, match: { attributes: { 'net.peer.port': 21123 } }, sample_fraction: 0 }
  - { name: kind, match: { kind: [client, consumer], resource_attributes: { NodeID: 7 } }, sample_fraction: 0 }
";

/// Edits that a line does on objects.
const EDITS: &str = "
- { on: resource, set: { env: prod } }
- { on: span, remove: ['rpc.*'], set: { relay: here } }
";

/// All that edits can do: only the account is checked here, `enrichment` has a model of them.
const ALL_EDITS: &str = "
- { on: resource, set_if_absent: { a: 1 }, rename: { host.name: host }, remove: ['process.*'] }
- { on: span, match: { service: standalone }, hash: ['net.*'], mask: { '[a-f]+': 'yyyy' }, truncate_bytes: 40 }
- { on: event, set: { seen: true }, rename: { message.id: id }, mask: { 'E.': '' } }
";

thread_local! {
    static WAYS: LazyCell<[Way; 4]> = LazyCell::new(ways);
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().unwrap()
    });
}

/// The target: a body as it is, whatever it is, in one of four ways. Its length decides which, so that seeds need no form of
/// their own.
pub fn fuzz_body(body: &[u8]) {
    WAYS.with(|ways| ways[body.len() % ways.len()].check(body));
}

/// The same in all ways, for who has fewer bodies.
pub fn fuzz_every_way(body: &[u8]) {
    WAYS.with(|ways| ways.iter().for_each(|way| way.check(body)));
}

fn ways() -> [Way; 4] {
    let way = |policies, edits, keeps, edit| Way {
        snapshot: snapshot(policies, edits),
        keeps,
        edit,
    };
    let untouched: fn(&mut Flat) = |_| {};
    [
        way(HALF, "[]", None, Some(untouched)),
        way(RULES, "[]", Some(keeps_by_rules), Some(untouched)),
        way("{}", EDITS, Some(|_| true), Some(edited)),
        way(HALF, ALL_EDITS, None, None),
    ]
}

impl Way {
    fn check(&self, body: &[u8]) {
        let budget = Budget::new(BUDGET_BYTES, BUDGET_BYTES / 4);
        let body = Bytes::copy_from_slice(body);
        let permit = budget.try_claim(body.len(), Use::Bodies).unwrap();
        if let Ok(counted) = Counted::new(body.clone(), permit) {
            let received = counted.spans();
            let processed = process(&self.snapshot, counted).expect("the budget is large");
            check_account(received, &processed);
            if let Ok(request) = ExportTraceServiceRequest::decode(&body[..]) {
                self.compare(&request, &processed);
            }
        }
        assert_eq!(budget.used_total(), 0, "all bytes came back");
    }

    fn compare(&self, request: &ExportTraceServiceRequest, processed: &Processed) {
        if let Some(keeps) = self.keeps {
            let flat = flatten(request);
            let usable = flat.iter().filter(|flat| is_usable(&flat.4));
            let expected: Vec<bool> = usable.map(keeps).collect();
            let decisions = processed.decisions.iter();
            let found: Vec<bool> = decisions.map(|decision| decision.keep).collect();
            assert_eq!(found, expected);
        }
        if let Some(edit) = self.edit {
            let mut expected = flatten(&kept(request, processed));
            expected.iter_mut().for_each(edit);
            let found = flatten(&decoded(processed));
            assert_same(&without_trace_state(found), &without_trace_state(expected));
        }
    }
}

// === what the property tests use as well ===

/// Policies and edits, as users write them.
pub fn snapshot(policies: &str, edits: &str) -> Snapshot {
    let mut findings = Findings::default();
    let policies = node(policies, &mut findings);
    let sampler = Sampler::read(&policies, Randomness::Auto, 0, &mut findings);
    let edits = node(edits, &mut findings);
    let key: Option<&[u8]> = Some(b"0123456789abcdef");
    let enricher = Enricher::read(&edits, "enrichment", key, &mut findings);
    assert!(!findings.any_mistake(), "{findings:?}");
    Snapshot {
        sampler: sampler.into(),
        enricher: enricher.into(),
    }
}

fn node(text: &str, findings: &mut Findings) -> Node {
    document::parse("fuzzing.yaml", text, findings).unwrap()
}

/// Admits and processes a body that was counted, and checks that what it pins is paid for.
pub fn process(snapshot: &Snapshot, counted: Counted) -> Result<Processed, Denied> {
    let checks = Checks {
        wanted: snapshot.wanted(),
        message_bytes_max: usize::MAX,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    let processing = async {
        let mut request = Request::admit(counted, &checks, deadline).await.unwrap();
        let processed = snapshot.process(&mut request, deadline).await?;
        let permit: Permit = request.into_permit();
        assert!(processed.pinned <= permit.bytes());
        Ok(processed)
    };
    RUNTIME.with(|runtime| runtime.block_on(processing))
}

/// What leaves.
pub fn decoded(processed: &Processed) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&processed.segments.concat()[..]).unwrap()
}

/// What the request would be with only those spans that `processed` kept.
pub fn kept(
    request: &ExportTraceServiceRequest,
    processed: &Processed,
) -> ExportTraceServiceRequest {
    let mut decisions = processed.decisions.iter();
    let kept = filtered(request, |_| decisions.next().unwrap().keep);
    let more = decisions.next();
    assert!(more.is_none(), "one decision for each usable span");
    kept
}

/// A tracestate that is written anew is another target's matter.
pub fn without_trace_state(mut flat: Vec<Flat>) -> Vec<Flat> {
    for (.., span) in &mut flat {
        span.trace_state.clear();
    }
    flat
}

/// Each of the spans received has one fate, and what leaves is what is said to leave.
pub fn check_account(received: u64, processed: &Processed) {
    let fates = processed.kept + processed.sampled_out + processed.unusable.total();
    assert_eq!(fates, received);
    let policies = processed.policies.iter();
    let counted = policies.fold((0, 0), |(kept, dropped), count| {
        (kept + count.kept, dropped + count.dropped)
    });
    assert_eq!(counted, (processed.kept, processed.sampled_out));
    let services = processed.services.iter();
    let counted = services.fold((0, 0), |(kept, dropped), count| {
        (kept + count.kept, dropped + count.dropped)
    });
    assert_eq!(counted, (processed.kept, processed.sampled_out));
    let message = processed.segments.concat();
    let counts = wire::count(&message).expect("what leaves is a message");
    assert_eq!(counts.spans as u64, processed.kept);
}

// === the models ===

fn keeps_by_rules((resource, _, scope, _, span): &Flat) -> bool {
    let service = first(&resource.attributes, "service.name");
    let is = |value: Option<&Value>, number: i32| match value {
        Some(Value::IntValue(found)) => *found == i64::from(number),
        Some(Value::DoubleValue(found)) => found.to_bits() == f64::from(number).to_bits(),
        _ => false,
    };
    let starts_with = |value: Option<&Value>, start| matches!(value, Some(Value::StringValue(text)) if text.starts_with(start));
    let status = span.status.as_ref().map_or(0, |status| status.code);
    if status == 2 {
        return true;
    }
    let dropped = (duration_nanos(span) >= 1_000_000 && scope.name.starts_with("otel"))
        || span.name.contains("Query")
        || starts_with(first(&span.attributes, "rpc.system"), "g")
        || is(first(&span.attributes, "net.peer.port"), 21_123)
        || ([3, 5].contains(&span.kind) && is(first(&resource.attributes, "NodeID"), 7))
        || service == Some(&Value::StringValue("segcore".to_owned()));
    !dropped
}

fn duration_nanos(span: &Span) -> u64 {
    span.end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano)
}

fn edited((resource, .., span): &mut Flat) {
    set(&mut resource.attributes, "env", "prod");
    set(&mut span.attributes, "relay", "here");
    span.attributes
        .retain(|attribute| !attribute.key.starts_with("rpc."));
}

/// The value of the first attribute with `key`.
fn first<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

/// Puts it in the place of the first one with this key, and takes the others out.
fn set(attributes: &mut Vec<KeyValue>, key: &str, text: &str) {
    let value = Some(Value::StringValue(text.into()));
    let new = KeyValue {
        key: key.into(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    };
    let at = attributes
        .iter()
        .position(|attribute| attribute.key == key)
        .unwrap_or(attributes.len());
    attributes.retain(|attribute| attribute.key != key);
    attributes.insert(at, new);
}
