//! JSON as a tree that forgets nothing: members in their order, also those of one name, and numbers as they are spelled.
//!
//! `serde_json` decides what is JSON; what it takes needs no second look, so this only follows the brackets.

use serde::de::IgnoredAny;

/// A value.
#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Bool(bool),
    /// As it is spelled.
    Number(String),
    /// What it stands for; none where half of a surrogate pair stands alone. And whether it is spelled with escapes.
    String(Option<String>, bool),
    Array(Vec<Tree>),
    Object(Vec<(Tree, Tree)>),
}

impl Tree {
    /// The tree of a text; `None` for one that is no JSON, or nested too deep for a reader that is used to it.
    pub fn of(text: &str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let mut depth = 0_usize;
        let mut deepest = 0;
        let mut quoted = false;
        let mut escaped = false;
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        (deepest <= usize::from(otlp_relay::json::DEPTH_MAX)).then(|| Rest(text).value())
    }
}

/// What is left of a text that is JSON.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn value(&mut self) -> Tree {
        match self.peek() {
            b'{' => Tree::Object(self.parts(b'}', |rest| {
                let key = rest.value();
                rest.take(1);
                (key, rest.value())
            })),
            b'[' => Tree::Array(self.parts(b']', Self::value)),
            b'"' => {
                let bytes = self.0.as_bytes();
                let mut end = 1;
                while bytes[end] != b'"' {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                let quoted = self.take(end + 1);
                let text = serde_json::from_str(quoted).ok();
                Tree::String(text, quoted.contains('\\'))
            }
            _ => {
                let end = self
                    .0
                    .find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c));
                match self.take(end.unwrap_or(self.0.len())) {
                    "null" => Tree::Null,
                    "true" => Tree::Bool(true),
                    "false" => Tree::Bool(false),
                    spelled => Tree::Number(spelled.to_owned()),
                }
            }
        }
    }

    fn parts<T>(&mut self, end: u8, mut part: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut parts = Vec::new();
        self.take(1);
        while self.peek() != end {
            parts.push(part(self));
            if self.peek() == b',' {
                self.take(1);
            }
        }
        self.take(1);
        parts
    }

    fn peek(&mut self) -> u8 {
        self.0 = self.0.trim_ascii_start();
        self.0.as_bytes()[0]
    }

    fn take(&mut self, bytes: usize) -> &str {
        self.0 = self.0.trim_ascii_start();
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }
}
