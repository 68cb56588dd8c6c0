//! Policies and edits from the YAML that users write.

use std::sync::Arc;

use otlp_relay::{
    document::{self, Findings, Node},
    enrichment::Enricher,
    processor::Snapshot,
    sampling::{Randomness, Sampler},
};

/// A document; it must be without mistakes.
pub fn node(text: &str) -> Node {
    let mut findings = Findings::default();
    let node = document::parse("test.yaml", text, &mut findings);
    assert!(!findings.any_mistake(), "{findings:?}");
    node.unwrap()
}

/// A sampler of these policies.
pub fn sampler(policies: &str, randomness: Randomness) -> Sampler {
    let mut findings = Findings::default();
    let sampler = Sampler::read(&node(policies), randomness, 0, &mut findings);
    assert!(!findings.any_mistake(), "{findings:?}");
    sampler
}

/// The edits of this list.
pub fn enricher(list: &str) -> Enricher {
    let mut findings = Findings::default();
    let enricher = Enricher::read(
        &node(list),
        "enrichment",
        Some(b"0123456789abcdef"),
        &mut findings,
    );
    assert!(!findings.any_mistake(), "{findings:?}");
    enricher
}

/// Both.
pub fn snapshot(policies: &str, enrichment: &str) -> Snapshot {
    Snapshot {
        sampler: Arc::new(sampler(policies, Randomness::Auto)),
        enricher: Arc::new(enricher(enrichment)),
    }
}
