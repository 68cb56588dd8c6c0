//! Sampling as a whole: from a policy file and messages to decisions. The modules are the test plan.

/// One span: consistent probability, tracestates good and bad, both settings of randomness.
mod one_span;
/// What a policy file may hold, and every mistake in one.
mod policy_file;
/// Which policy a span falls under.
mod precedence;
/// Shares over many traces, behind other samplers and in series.
mod shares;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, Status},
};
use prost::Message;

use super::*;
use crate::{
    document,
    wire::{ResourceView, ScopeView, SpanView},
};

/// Reads policies, and returns what was found with them.
fn read(text: &str, randomness: Randomness, seed: u64) -> (Sampler, Vec<String>) {
    let mut findings = document::Findings::default();
    let node = document::parse("p.yaml", text, &mut findings).expect("a test's YAML is YAML");
    let sampler = Sampler::read(&node, randomness, seed, &mut findings);
    (
        sampler,
        findings.0.iter().map(ToString::to_string).collect(),
    )
}

/// Policies without a mistake.
fn sampler(text: &str, randomness: Randomness, seed: u64) -> Sampler {
    let (sampler, findings) = read(text, randomness, seed);
    let mistakes: Vec<_> = findings
        .iter()
        .filter(|line| line.contains("mistake"))
        .collect();
    assert!(mistakes.is_empty(), "{text}: {mistakes:?}");
    sampler
}

/// Only a default.
fn keeping(fraction: f64, randomness: Randomness, seed: u64) -> Sampler {
    sampler(
        &format!("default: {{ sample_fraction: {fraction} }}"),
        randomness,
        seed,
    )
}

/// Decides a span of which only the trace id and the tracestate matter.
fn decide(sampler: &Sampler, trace_id: [u8; 16], trace_state: &str) -> Decision {
    let mut deciding = sampler.deciding();
    deciding.enter_resource(ResourceView::default());
    deciding.enter_scope(ScopeView::default());
    deciding.decide(SpanView {
        message: &[],
        trace_id: &trace_id,
        span_id: &[1; 8],
        trace_state: trace_state.as_bytes(),
        name: b"span",
    })
}

/// A tracestate after the decision that was made by it.
fn after(trace_state: &str, decision: Decision) -> String {
    let mut out = Vec::new();
    rewrite_trace_state(trace_state.as_bytes(), decision.threshold, &mut out);
    String::from_utf8(out).expect("what came in is UTF-8")
}

/// A stream of numbers as good as random, the same in every run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn trace_id(&mut self) -> [u8; 16] {
        trace_id(self.next(), self.next())
    }
}

fn trace_id(high: u64, low: u64) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}
