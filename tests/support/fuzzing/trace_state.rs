//! Any bytes as a tracestate: what sampling reads of it, decides by it and writes into it. A reader of its own says what the
//! first member `ot` holds.

use std::hash::{DefaultHasher, Hasher};

use otlp_relay::{
    sampling::{Decision, Sampler, Threshold, ThresholdChange, rewrite_trace_state},
    wire::{ResourceView, ScopeView, SpanView},
};

use super::steps::snapshot;

/// The most that a `th` adds: its name, its digits and what parts it from its neighbours.
const ADDED_BYTES_MAX: usize = ";th:".len() + 14;

thread_local! {
    /// Keep a tenth, half, and everything.
    static SAMPLERS: [std::sync::Arc<Sampler>; 3] = [0.1, 0.5, 1.0].map(|fraction| {
        snapshot(&format!("default: {{ sample_fraction: {fraction} }}"), "[]").sampler
    });
}

/// What the member `ot` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    threshold: Option<u64>,
    randomness: Option<u64>,
}

/// The target: a tracestate as it is, whatever it is, of a trace whose id it decides about.
pub fn fuzz_body(trace_state: &[u8]) {
    let mut hasher = DefaultHasher::new();
    hasher.write(trace_state);
    let hash = hasher.finish();
    let threshold = Threshold(hash >> 8);
    for change in [ThresholdChange::Set(threshold), ThresholdChange::Erase] {
        check_rewritten(trace_state, change);
    }
    let mut trace_id = [1; 16];
    trace_id[8..].copy_from_slice(&hash.to_be_bytes());
    check_decisions(&trace_id, trace_state);
}

/// What was set is read again, or nothing changed; everything else stays.
fn check_rewritten(trace_state: &[u8], change: ThresholdChange) -> Vec<u8> {
    let mut out = b"left over".to_vec();
    rewrite_trace_state(trace_state, ThresholdChange::None, &mut out);
    assert_eq!(out, trace_state, "nothing changes");

    rewrite_trace_state(trace_state, change, &mut out);
    assert!(out.len() <= trace_state.len() + ADDED_BYTES_MAX);
    let (before, after) = (said(trace_state), said(&out));
    if let Some(before) = before {
        let after = after.unwrap_or_default();
        assert_eq!(before.randomness, after.randomness);
        match change {
            ThresholdChange::Set(threshold) => {
                let too_long = after.threshold.is_none() && trace_state.len() > 200;
                assert!(after.threshold == Some(threshold.0) || too_long);
            }
            ThresholdChange::Erase => assert_eq!(after.threshold, None),
            ThresholdChange::None => unreachable!("it was one of two"),
        }
        let others = |text| members(text).filter(|member| !member.starts_with(b"ot="));
        assert!(others(trace_state).eq(others(&out)));
    } else {
        assert_eq!(out, trace_state, "what cannot be read stays");
    }
    let mut again = Vec::new();
    rewrite_trace_state(&out, change, &mut again);
    assert_eq!(again, out, "once is enough");
    out
}

/// Consistent sampling: keep when R ≥ T; the threshold is only ever raised; of two fractions the smaller keeps no more.
fn check_decisions(trace_id: &[u8; 16], trace_state: &[u8]) {
    let decisions = SAMPLERS.with(|samplers| {
        [0, 1, 2].map(|index: usize| decide(&samplers[index], trace_id, trace_state))
    });
    for pair in decisions.windows(2) {
        assert!(!pair[0].keep || pair[1].keep, "{decisions:?}");
    }
    assert!(decisions[2].keep, "everything is kept");
    let said = said(trace_state).unwrap_or_default();
    let low = u64::from_be_bytes(*trace_id.last_chunk().unwrap()) & ((1 << 56) - 1);
    let randomness = said.randomness.unwrap_or(low);
    let is_true = said.threshold.is_some_and(|arrived| randomness >= arrived);
    for decision in decisions.into_iter().filter(|decision| decision.keep) {
        match decision.threshold {
            ThresholdChange::Set(raised) => {
                assert!(is_true || said.randomness.is_some());
                assert!(randomness >= raised.0, "{raised:?}");
                assert!(!is_true || Some(raised.0) > said.threshold, "{raised:?}");
                check_rewritten(trace_state, decision.threshold);
            }
            ThresholdChange::Erase => assert!(said.threshold.is_some() && !is_true),
            ThresholdChange::None => assert!(is_true || said.threshold.is_none()),
        }
    }
}

fn decide(sampler: &Sampler, trace_id: &[u8; 16], trace_state: &[u8]) -> Decision {
    let mut deciding = sampler.deciding();
    deciding.enter_resource(ResourceView::default());
    deciding.enter_scope(ScopeView::default());
    deciding.decide(SpanView {
        message: &[],
        trace_id,
        span_id: &[1; 8],
        trace_state,
        name: &[],
    })
}

// === the reader ===

/// What the first member `ot` says; `None` where there is none, or it or the list breaks the grammar.
fn said(trace_state: &[u8]) -> Option<Said> {
    if members(trace_state).count() > 32 {
        return None;
    }
    let member = members(trace_state).find(|member| member.starts_with(b"ot="))?;
    let value = std::str::from_utf8(&member[3..]).ok()?;
    if value.len() > 256 {
        return None;
    }
    let mut said = Said::default();
    for pair in value.split(';') {
        let (key, value) = pair.split_once(':')?;
        let mut letters = key.chars();
        let named = letters.next()?.is_ascii_lowercase()
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        let valued = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !named || !value.chars().all(valued) {
            return None;
        }
        match key {
            "th" => said.threshold = hexadecimal(value, 1),
            "rv" => said.randomness = hexadecimal(value, 14),
            _ => {}
        }
    }
    Some(said)
}

/// At least so many digits, and 14 at most, zeros behind them.
fn hexadecimal(digits: &str, at_least: usize) -> Option<u64> {
    let lower = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
    if !(at_least..=14).contains(&digits.len()) || !digits.chars().all(lower) {
        return None;
    }
    u64::from_str_radix(&format!("{digits:0<14}"), 16).ok()
}

fn members(trace_state: &[u8]) -> impl Iterator<Item = &[u8]> {
    trace_state
        .split(|byte| *byte == b',')
        .map(|member| {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let start = member.iter().position(|byte| !blank(byte));
            let end = member.iter().rposition(|byte| !blank(byte));
            start
                .zip(end)
                .map_or(&[][..], |(start, end)| &member[start..=end])
        })
        .filter(|member| !member.is_empty())
}
