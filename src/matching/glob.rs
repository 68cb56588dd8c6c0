//! Globs over bytes: `*` is any run of characters, also none and across `/`; `?` is one character; everything else, case
//! included, is itself.
//!
//! It knows nothing of what it is matched against. Invariant: the time is at most pattern times text, whatever they are.

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob {
    pattern: Box<[u8]>,
    literal: bool,
}

impl Glob {
    /// Every string is a glob.
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.as_bytes().into(),
            literal: !pattern.contains(['*', '?']),
        }
    }

    /// Whether all of `text` matches. It need not be UTF-8: a byte that is not counts as a character of its own.
    pub fn matches(&self, text: &[u8]) -> bool {
        if self.literal {
            return *self.pattern == *text;
        }
        matches(&self.pattern, text)
    }

    /// Whether one of `globs` matches.
    pub fn any_matches(globs: &[Self], text: &[u8]) -> bool {
        globs.iter().any(|glob| glob.matches(text))
    }
}

/// Two positions advance together; on a difference the last `*` takes one byte more. Earlier ones need not be tried again:
/// whatever they could give up, the last one can take.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern_rest, mut text_rest) = (pattern, text);
    // What follows the last `*`, and where the text after its present run starts.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern_rest, text_rest) {
            ([], []) => return true,
            ([b'*', after @ ..], _) => {
                last_star = Some((after, text_rest));
                pattern_rest = after;
                continue;
            }
            ([b'?', after @ ..], [_, rest @ ..]) => {
                pattern_rest = after;
                text_rest = skip_continuation(rest);
                continue;
            }
            ([wanted, after @ ..], [found, rest @ ..]) if wanted == found => {
                (pattern_rest, text_rest) = (after, rest);
                continue;
            }
            _ => {}
        }
        let Some((after, [_, run_end @ ..])) = last_star else {
            return false;
        };
        last_star = Some((after, run_end));
        (pattern_rest, text_rest) = (after, run_end);
    }
}

/// Without the bytes that continue a character in UTF-8.
fn skip_continuation(mut text: &[u8]) -> &[u8] {
    while let [0x80..0xc0, rest @ ..] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let cases = [
            // Literals.
            ("Search", "Search", true),
            ("Search", "search", false),
            ("Search", "Search ", false),
            ("", "", true),
            ("", "a", false),
            // `*` is any run, also none, also across `/`.
            ("*", "", true),
            ("*", "milvus.proto.milvus.MilvusService/Search", true),
            (
                "grpc.health.v1.Health/*",
                "grpc.health.v1.Health/Check",
                true,
            ),
            ("grpc.health.v1.Health/*", "grpc.health.v1.Health/", true),
            ("grpc.health.v1.Health/*", "grpc.health.v1.Health", false),
            (
                "milvus.*/Search",
                "milvus.proto.milvus.MilvusService/Search",
                true,
            ),
            ("*/Search", "milvus.proto.milvus.MilvusService/Search", true),
            (
                "*/Search",
                "milvus.proto.milvus.MilvusService/HybridSearch",
                false,
            ),
            ("*Search*", "Search", true),
            ("*Search*", "HybridSearchV2", true),
            ("*Search*", "Hybridsearch", false),
            ("a*", "ba", false),
            ("*a", "ab", false),
            ("**", "anything", true),
            // The last `*` has to give way more than once, and to the text's end.
            ("*ab*ab", "ababab", true),
            ("*ab*ab", "abxabx", false),
            ("a*b*c", "a-b-b-c-c", true),
            ("a*b*c", "a-c-b", false),
            ("*aab", "aaaaaab", true),
            // `?` is one character, however long its UTF-8 is.
            ("prod_?", "prod_1", true),
            ("prod_?", "prod_", false),
            ("prod_?", "prod_12", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*??", "€", false),
            ("?*?", "a€", true),
            // Nothing else is special.
            ("a.c", "abc", false),
            ("[ab]", "a", false),
            ("[ab]", "[ab]", true),
            ("{a,b}", "a", false),
            ("\\*", "\\anything", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Glob::new(pattern).matches(text.as_bytes()),
                expected,
                "{pattern:?} against {text:?}"
            );
        }
    }

    #[test]
    fn broken_utf8_is_matched_byte_by_byte() {
        assert!(Glob::new("a*b").matches(b"a\xff\xfeb"));
        assert!(Glob::new("a?b").matches(b"a\xffb"));
    }

    #[test]
    fn a_hostile_text_costs_no_more_than_pattern_times_text() {
        // Given a pattern on which naive backtracking takes exponential time.
        let glob = Glob::new(&"*a".repeat(30));
        // Then a text that just fails still ends at once.
        assert!(!glob.matches(&[b'a'; 10_000].map(|_| b'b')));
        assert!(!Glob::new(&format!("{}b", "*a".repeat(30))).matches(&[b'a'; 10_000]));
    }
}
