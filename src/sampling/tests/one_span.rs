//! One span: consistent probability, tracestates good and bad, both settings of randomness.

use super::*;

/// A trace id whose low 56 bits are `randomness`.
fn with_randomness(randomness: u64) -> [u8; 16] {
    trace_id(0x0102_0304_0506_0708, 0x0900_0000_0000_0000 | randomness)
}

/// A trace that the hash keeps at one half, and one that it drops.
fn kept_and_dropped_by_hash() -> [[u8; 16]; 2] {
    let half = keeping(0.5, Randomness::Hash, 0);
    let mut numbers = Numbers(1);
    [true, false].map(|keep| {
        std::iter::repeat_with(|| numbers.trace_id())
            .find(|id| decide(&half, *id, "").keep == keep)
            .expect("one of two is found")
    })
}

#[test]
fn a76_the_threshold_is_that_of_arriving_probability_times_fraction() {
    const MOST: u64 = (1 << 56) - 1;
    // Randomness, tracestate, fraction, and the tracestate afterwards of what is kept.
    let cases = [
        // `th`: R from the trace id.
        (MOST, "ot=th:c", 0.5, Some("ot=th:e")),
        (0xe0_0000_0000_0000, "ot=th:c", 0.5, Some("ot=th:e")),
        (0xdf_ffff_ffff_ffff, "ot=th:c", 0.5, None),
        (MOST, "ot=th:fd70a4", 0.1, Some("ot=th:ffbe77")),
        (MOST, "ot=th:0", 0.1, Some("ot=th:e666")),
        (MOST, "ot=th:0", 0.9999, Some("ot=th:00068dc")),
        // `rv` without `th` arrives with probability 1.
        (
            0,
            "ot=rv:80000000000000",
            0.5,
            Some("ot=rv:80000000000000;th:8"),
        ),
        (MOST, "ot=rv:7fffffffffffff", 0.5, None),
        // `rv` goes before the trace id.
        (
            0,
            "ot=th:c;rv:e0000000000000",
            0.5,
            Some("ot=rv:e0000000000000;th:e"),
        ),
        // 1 neither adds nor changes `th`.
        (MOST, "ot=th:c", 1.0, Some("ot=th:c")),
        (0, "ot=rv:00000000000000", 1.0, Some("ot=rv:00000000000000")),
        (MOST, "a=1 ,ot=th:c", 1.0, Some("a=1 ,ot=th:c")),
        // 0 drops everything.
        (MOST, "ot=th:c", 0.0, None),
        (MOST, "ot=rv:ffffffffffffff", 0.0, None),
        // Rounding to four digits would lower it: it stays.
        (MOST, "ot=th:80003", 0.999_999, Some("ot=th:80003")),
        // Below 2^-56 nothing is left.
        (MOST, "ot=th:ffffffffffffff", 0.5, None),
        (
            MOST,
            "ot=th:ffffffffffffff",
            1.0,
            Some("ot=th:ffffffffffffff"),
        ),
        // Other vendors' members and other sub-keys pass.
        (
            MOST,
            "a=1,ot=x:y;th:c,b=2",
            0.5,
            Some("ot=th:e;x:y,a=1,b=2"),
        ),
    ];
    for (randomness, trace_state, fraction, expected) in cases {
        let sampler = keeping(fraction, Randomness::Auto, 0);
        let decision = decide(&sampler, with_randomness(randomness), trace_state);
        let found = decision.keep.then(|| after(trace_state, decision));
        assert_eq!(
            found.as_deref(),
            expected,
            "{randomness:x} {trace_state} {fraction}"
        );
    }
}

#[test]
fn a79_an_untrue_threshold_is_erased_and_the_span_treated_as_without_it() {
    let [kept, dropped] = kept_and_dropped_by_hash();
    // Both have a randomness below this threshold, or the test has bad luck with its ids.
    let lie = "ot=th:ffffffffffffff";
    // Trace id, tracestate, fraction, and the tracestate afterwards of what is kept.
    let cases = [
        (kept, lie, 0.5, Some("")),
        (dropped, lie, 0.5, None),
        (dropped, lie, 1.0, Some("")),
        (
            dropped,
            "v=1, ot=th:ffffffffffffff;x:y",
            1.0,
            Some("ot=x:y,v=1"),
        ),
        (kept, lie, 0.0, None),
        // Its `rv` is kept and used, whatever the hash says.
        (
            kept,
            "ot=rv:80000000000000;th:c",
            0.5,
            Some("ot=rv:80000000000000;th:8"),
        ),
        (
            dropped,
            "ot=rv:80000000000000;th:c",
            0.5,
            Some("ot=rv:80000000000000;th:8"),
        ),
        (kept, "ot=rv:7fffffffffffff;th:c", 0.5, None),
        (
            dropped,
            "ot=rv:7fffffffffffff;th:c",
            1.0,
            Some("ot=rv:7fffffffffffff"),
        ),
    ];
    for (id, trace_state, fraction, expected) in cases {
        let decision = decide(&keeping(fraction, Randomness::Auto, 0), id, trace_state);
        let found = decision.keep.then(|| after(trace_state, decision));
        assert_eq!(found.as_deref(), expected, "{trace_state} {fraction}");
    }
}

#[test]
fn without_th_and_rv_the_hash_decides_and_nothing_is_written() {
    let long = format!("ot=th:0;x:{}", "a".repeat(256));
    let many = format!("{}ot=th:0", "v=1,".repeat(32));
    let bad = [
        "",
        "ot=",
        "ot=p:8;r:62",
        "v=1,w=2",
        "ot=th:xyz",
        "ot=th:000000000000000",
        "ot=th:C",
        "ot=rv:ffffffffffffF",
        "ot=rv:fffffffffffff",
        "ot=th:0;é:1",
        "ét",
        long.as_str(),
        many.as_str(),
    ];
    let [kept, dropped] = kept_and_dropped_by_hash();
    for randomness in [Randomness::Auto, Randomness::Hash] {
        let half = keeping(0.5, randomness, 0);
        for trace_state in bad {
            for (id, keep) in [(kept, true), (dropped, false)] {
                let decision = decide(&half, id, trace_state);
                assert_eq!(decision.keep, keep, "{trace_state}");
                assert_eq!(decision.threshold, ThresholdChange::None, "{trace_state}");
            }
        }
    }
}

#[test]
fn randomness_hash_decides_by_the_hash_and_erases_th_below_1() {
    let [kept, dropped] = kept_and_dropped_by_hash();
    let state = "v=1,ot=rv:00000000000000;th:0";
    let cases = [
        (kept, 0.5, Some("ot=rv:00000000000000,v=1")),
        (dropped, 0.5, None),
        (dropped, 1.0, Some(state)),
        (kept, 0.0, None),
    ];
    for (id, fraction, expected) in cases {
        let decision = decide(&keeping(fraction, Randomness::Hash, 0), id, state);
        let found = decision.keep.then(|| after(state, decision));
        assert_eq!(found.as_deref(), expected, "{fraction}");
    }
}

#[test]
fn a_trace_that_comes_half_with_th_is_torn_by_auto_and_whole_by_hash() {
    // Given traces whose Go half carries `th`, and whose C++ half lost the tracestate.
    let randomness = [Randomness::Auto, Randomness::Hash];
    let samplers = randomness.map(|randomness| keeping(0.5, randomness, 0));
    let mut numbers = Numbers(2);
    let mut torn = [0, 0];
    let mut kept = [0, 0];
    for _ in 0..1000 {
        let id = numbers.trace_id();
        // Of what passed a head sampler at one half: R is at least that.
        let with_th = format!("ot=rv:{:014x};th:8", (1 << 55) | (numbers.next() >> 9));
        for (index, half) in samplers.iter().enumerate() {
            // When both halves are decided.
            let [go, cpp] = [with_th.as_str(), ""].map(|state| decide(half, id, state));
            torn[index] += u32::from(go.keep != cpp.keep);
            kept[index] += u32::from(go.keep) + u32::from(cpp.keep);
            if randomness[index] == Randomness::Hash && go.keep {
                assert!(
                    !after(&with_th, go).contains("th:"),
                    "the probability is unknown now"
                );
            }
        }
    }
    // Then both keep half of the spans; auto tears every second trace, hash none.
    assert_eq!(torn[1], 0);
    assert!((400..600).contains(&torn[0]), "{torn:?}");
    assert!(
        kept.iter().all(|kept| (900..1100).contains(kept)),
        "{kept:?}"
    );
}

#[test]
fn keep_all_keeps_all_and_erases_only_what_is_untrue() {
    let all = Sampler::keep_all(Randomness::Auto, 0);
    let id = with_randomness(1);
    for (state, expected) in [
        ("", ""),
        ("a=1", "a=1"),
        ("ot=th:0", "ot=th:0"),
        ("ot=th:8", ""),
    ] {
        let decision = decide(&all, id, state);
        assert!(decision.keep);
        assert_eq!(after(state, decision), expected);
    }
}

#[test]
fn keep_all_by_hash_passes_every_tracestate() {
    let all = Sampler::keep_all(Randomness::Hash, 0);
    for state in ["", "a=1", "ot=th:0", "ot=th:8"] {
        let decision = decide(&all, with_randomness(1), state);
        assert!(decision.keep);
        assert_eq!(after(state, decision), state);
    }
}

#[test]
fn the_hash_is_xxh3_of_the_whole_trace_id() {
    // Replicas and later releases must agree on these.
    let id = *b"\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c";
    for (seed, hash) in XXH3_OF_ID {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the fractions lie well beside it"
        )]
        let share = hash as f64 / 18_446_744_073_709_551_616.0;
        for (fraction, keep) in [(share * 0.9999, false), (share * 1.0001, true)] {
            let decision = decide(&keeping(fraction, Randomness::Auto, seed), id, "");
            assert_eq!(decision.keep, keep, "seed {seed} at {fraction}");
        }
    }
}

/// By the reference implementation of xxHash.
const XXH3_OF_ID: [(u64, u64); 3] = [
    (0, 0xbfd1_4c1b_f7c4_44f0),
    (1, 0x5499_a88b_d20c_4280),
    (u64::MAX, 0xceff_b344_65c6_45b9),
];
