//! Shares over many traces, behind other samplers and in series. The numbers are the same in every run, so a share within
//! five standard deviations once is so always.

use super::*;

/// Five standard deviations of a count of `trials` with probability `share`, and one for rounding.
fn tolerance(trials: f64, share: f64) -> f64 {
    5.0 * (trials * share * (1.0 - share)).sqrt() + 1.0
}

#[track_caller]
fn assert_share(kept: u32, trials: u32, share: f64, what: &str) {
    let (kept, trials) = (f64::from(kept), f64::from(trials));
    let off = (kept - trials * share).abs();
    assert!(
        off <= tolerance(trials, share),
        "{what}: kept {kept} of {trials}, not {share}"
    );
}

#[test]
fn a77_shares_are_right_and_sets_are_nested() {
    const TRACES: u32 = 100_000;
    let fractions = [0.001, 0.01, 0.1, 0.5, 1.0];
    // Given spans without a tracestate, with `th`, and with `rv` alone.
    for form in ["", "th", "rv"] {
        let samplers = fractions.map(|fraction| keeping(fraction, Randomness::Auto, 0));
        let mut numbers = Numbers(3);
        let mut kept = [0; 5];
        for _ in 0..TRACES {
            let id = numbers.trace_id();
            let state = match form {
                "th" => "ot=th:0".to_owned(),
                "rv" => format!("ot=rv:{:014x}", numbers.next() >> 8),
                _ => String::new(),
            };
            // When each fraction decides, then what a smaller one keeps a larger one keeps too.
            let decisions = samplers
                .each_ref()
                .map(|sampler| decide(sampler, id, &state).keep);
            assert!(decisions.is_sorted(), "{id:02x?} {state}: {decisions:?}");
            for (count, keep) in kept.iter_mut().zip(decisions) {
                *count += u32::from(keep);
            }
        }
        for (count, fraction) in kept.into_iter().zip(fractions) {
            assert_share(count, TRACES, fraction, form);
        }
    }
}

/// The lower half of a trace id that a head sampler of this kind keeps at `ratio`, as the SDKs do: small ones.
fn kept_by_head(head: &str, ratio: f64, numbers: &mut Numbers) -> [u8; 16] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a ratio of 64 bits"
    )]
    let mut small = |bits: u32| ((numbers.next() >> (64 - bits)) as f64 * ratio) as u64;
    match head {
        // BE64(id[8..16]) >> 1 < ratio * 2^63, and Python's without the shift.
        "Go" => {
            let low = small(63) << 1;
            trace_id(numbers.next(), low | (numbers.next() & 1))
        }
        // |int64(low)| < ratio * 2^63.
        "Java" => {
            let low = small(63).cast_signed();
            let low = if numbers.next() & 1 == 0 { low } else { -low };
            trace_id(numbers.next(), low.cast_unsigned())
        }
        // The exclusive or of the four 32-bit words < ratio * 2^32.
        _ => {
            let xor = small(32);
            let (high, third) = (numbers.next(), numbers.next() >> 32);
            let last = xor ^ (high >> 32) ^ (high & 0xffff_ffff) ^ third;
            trace_id(high, (third << 32) | last)
        }
    }
}

/// Milvus samples by Go's `TraceIDRatioBased`, which keeps small ids and writes no `th`. A relay that kept the large ones
/// would keep 0 of these rows' traces.
#[test]
fn a36_behind_the_fractions_of_milvus_a_relay_keeps_its_own_fraction() {
    const TRACES: u32 = 20_000;
    for head in ["Go", "Java", "JavaScript"] {
        for ratio in [0.5, 0.1, 0.01, 0.003, 0.001, 0.0005] {
            let fractions = [0.9, 0.5, 0.1];
            let samplers = fractions.map(|fraction| keeping(fraction, Randomness::Auto, 0));
            let mut numbers = Numbers(4);
            let mut kept = [0; 3];
            for _ in 0..TRACES {
                let id = kept_by_head(head, ratio, &mut numbers);
                for (count, sampler) in kept.iter_mut().zip(&samplers) {
                    *count += u32::from(decide(sampler, id, "").keep);
                }
            }
            for (count, fraction) in kept.into_iter().zip(fractions) {
                assert_share(count, TRACES, fraction, &format!("{head} at {ratio}"));
            }
        }
    }
}

/// The test above can fail: a sampler by raw bits of the id keeps nothing behind a Milvus at 0.001.
#[test]
fn a_sampler_by_raw_bits_would_keep_nothing() {
    let half = keeping(0.5, Randomness::Auto, 0);
    let mut numbers = Numbers(5);
    let kept = (0..10_000).filter(|_| {
        let id = kept_by_head("Go", 0.001, &mut numbers);
        // As if the head had said `th:0`, so that R is the id's.
        decide(&half, id, "ot=th:0").keep
    });
    assert_eq!(kept.count(), 0);
}

#[test]
fn client_chosen_ids_are_sampled_as_evenly() {
    // Given ids that count up, and ids that differ in their first bytes alone.
    const TRACES: u32 = 100_000;
    let tenth = keeping(0.1, Randomness::Auto, 0);
    for shift in [0, 64, 104] {
        let ids = (1..=u128::from(TRACES)).map(|number| (number << shift).to_be_bytes());
        let kept = ids.filter(|id| decide(&tenth, *id, "").keep).count();
        assert_share(
            u32::try_from(kept).unwrap(),
            TRACES,
            0.1,
            &format!("<< {shift}"),
        );
    }
}

#[test]
fn a78_two_relays_in_series_keep_the_product_and_counts_stay_unbiased() {
    const TRACES: u32 = 100_000;
    for (first, second) in [
        (0.5, 0.5),
        (0.1, 0.5),
        (0.5, 0.1),
        (0.9, 0.03),
        (1.0, 0.2),
        (0.2, 1.0),
    ] {
        // Given two relays with different seeds, and spans with and without `th`.
        let relays = [
            keeping(first, Randomness::Auto, 0),
            keeping(second, Randomness::Auto, 1),
        ];
        for arriving in ["", "ot=th:0"] {
            let mut numbers = Numbers(6);
            let mut kept = 0;
            let mut adjusted_count = 0.0;
            for _ in 0..TRACES {
                // When a span passes both.
                let Some(state) = through(&relays, numbers.trace_id(), arriving) else {
                    continue;
                };
                kept += 1;
                adjusted_count += threshold_of(&state).map_or(0.0, |th| 1.0 / th.probability());
            }
            // Then the share is the product, and what is left still counts for all.
            let product = first * second;
            let what = format!("{first} then {second}, arriving as {arriving:?}");
            assert_share(kept, TRACES, product, &what);
            if !arriving.is_empty() {
                let error = (adjusted_count - f64::from(TRACES)).abs();
                let deviation = (f64::from(TRACES) * (1.0 - product) / product).sqrt();
                assert!(
                    error <= 5.0 * deviation + 10.0,
                    "{what}: counts as {adjusted_count}"
                );
            }
        }
    }
}

/// Sends a span through relays in series; its tracestate in the end, unless one dropped it.
fn through(relays: &[Sampler], id: [u8; 16], trace_state: &str) -> Option<String> {
    let mut state = trace_state.to_owned();
    for relay in relays {
        let decision = decide(relay, id, &state);
        if !decision.keep {
            return None;
        }
        let next = after(&state, decision);
        assert!(
            threshold_of(&next) >= threshold_of(&state),
            "`th` is never lowered"
        );
        state = next;
    }
    Some(state)
}

fn threshold_of(trace_state: &str) -> Option<Threshold> {
    trace_state::Arrival::read(trace_state.as_bytes()).threshold
}

#[test]
fn replicas_decide_alike_and_other_seeds_otherwise() {
    let replicas = [7, 7, 8].map(|seed| keeping(0.5, Randomness::Auto, seed));
    let mut numbers = Numbers(7);
    let mut alike = 0;
    for _ in 0..10_000 {
        let id = numbers.trace_id();
        let [one, two, other] = replicas
            .each_ref()
            .map(|replica| decide(replica, id, "").keep);
        assert_eq!(one, two);
        alike += u32::from(one == other);
    }
    assert_share(alike, 10_000, 0.5, "two seeds");
}

proptest::proptest! {
    #[test]
    fn a78_th_is_only_ever_raised(
        arrived in 0_u64..1 << 56,
        randomness in 0_u64..1 << 56,
        fraction in 0.0_f64..=1.0,
    ) {
        let sampler = keeping(fraction, Randomness::Auto, 0);
        let state = format!("ot=rv:{randomness:014x};th:{arrived:014x}");
        let decision = decide(&sampler, [1; 16], &state);
        if decision.keep && randomness >= arrived {
            let after = threshold_of(&after(&state, decision));
            proptest::prop_assert!(after >= Some(Threshold(arrived)));
            proptest::prop_assert!(after <= Some(Threshold(randomness)), "a kept span's `th` is true");
        }
    }
}
