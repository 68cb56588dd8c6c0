//! Where a fuzz target's inputs begin, and the same inputs for its stable twin: the seeds written by hand in `fuzz/seeds`, what was
//! found in `fuzz/findings`, and whatever else the caller has; each as it is, and changed at random a few dozen times.
//!
//! It runs one function over them and knows no target. What is random comes of the seed's own bytes, so that a failure comes again.

use std::{
    cell::Cell,
    fs,
    hash::{DefaultHasher, Hasher},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    path::Path,
    sync::Once,
};

/// How often each seed is changed. Enough to reach what any change reaches, and the twins together stay below ten seconds.
const MUTATIONS: usize = 48;

/// Seeds above this many bytes are changed only a few times, so that they do not take all the time.
const LARGE_BYTES: usize = 64 * 1024;
const MUTATIONS_OF_LARGE: usize = 2;

/// Runs `body` over all inputs of a target: its files, `more`, and what both are changed to. A failure names the input, as a file
/// that the fuzz target takes.
pub fn for_each(target: &str, more: &[Vec<u8>], body: impl Fn(&[u8])) {
    let seeds = files("seeds", target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    count_panics();
    let mut inputs = [seeds, files("findings", target), more.to_vec()].concat();
    inputs.push(Vec::new());
    for (index, seed) in inputs.iter().enumerate() {
        run(target, seed, &body);
        let other = &inputs[(index + 1) % inputs.len()];
        let mut random = Random::of(seed);
        let mutations = if seed.len() > LARGE_BYTES {
            MUTATIONS_OF_LARGE
        } else {
            MUTATIONS
        };
        for _ in 0..mutations {
            run(target, &random.changed(seed, other), &body);
        }
    }
}

/// The files in one of the target's folders, in the order of their names.
fn files(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let Ok(entries) = fs::read_dir(fuzz.join(folder).join(target)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

thread_local! {
    /// The panics of this thread, those included that somebody caught.
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
}

fn run(target: &str, input: &[u8], body: &impl Fn(&[u8])) {
    let panics = PANICS.get();
    let ended = catch_unwind(AssertUnwindSafe(|| body(input)));
    if ended.is_err() || PANICS.get() > panics {
        let mut hasher = DefaultHasher::new();
        hasher.write(input);
        let name = format!("otlp-relay-{target}-{:016x}", hasher.finish());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, input).unwrap();
        panic!(
            "{target} fails on the {} bytes in {}",
            input.len(),
            path.display()
        );
    }
}

/// Numbers that look random (splitmix64), and what they change.
struct Random(u64);

impl Random {
    fn of(seed: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(seed);
        Self(hasher.finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        let bounded = self.next() % bound.max(1) as u64;
        usize::try_from(bounded).unwrap()
    }

    /// `seed` with one to four changes, as a fuzzer makes them.
    fn changed(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(6) {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, self.next().to_le_bytes()[0]),
                3 => {
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(64)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
                4 => {
                    let odd = [0, 1, 0x7f, 0x80, 0xff][self.below(5)];
                    bytes[at..end].fill(odd);
                }
                _ => bytes[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 1 << self.below(8)),
            }
        }
        bytes
    }
}
