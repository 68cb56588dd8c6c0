//! Mistakes and warnings: what was found, where, and the nearest known name.
//!
//! It decides nothing: whoever reads a document says what is wrong with it.

use std::fmt;

use super::{Place, on_one_line};

/// Whether a finding stops the relay from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Mistake,
    /// It is worth a line.
    Warning,
}

/// Something wrong, or doubtful, in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops the relay.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The dotted path of the key, such as `batch.spans` or `rules[2].match.span`, on one line.
    pub key: String,
    /// In words, on one line: what was found, what is allowed, what to change.
    pub message: String,
    /// The nearest known name, for an unknown one.
    pub nearest: Option<String>,
}

/// All findings of one reading, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Reports a mistake.
    pub fn mistake(&mut self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Mistake, place, &key.into(), &message.into(), None);
    }

    /// Reports a warning.
    pub fn warning(&mut self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, place, &key.into(), &message.into(), None);
    }

    /// Reports a name that is not one of `known` as a mistake, with the nearest of them.
    pub fn unknown(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        message: impl Into<String>,
        name: &str,
        known: &[&str],
    ) {
        let nearest = nearest(name, known).map(on_one_line);
        self.push(
            Severity::Mistake,
            place,
            &key.into(),
            &message.into(),
            nearest,
        );
    }

    /// Whether there is anything that stops the relay.
    pub fn any_mistake(&self) -> bool {
        self.count(Severity::Mistake) > 0
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    /// Puts them into the order of their files and lines; findings of one line keep their order.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
    }

    fn push(
        &mut self,
        severity: Severity,
        place: &Place,
        key: &str,
        message: &str,
        nearest: Option<String>,
    ) {
        self.0.push(Finding {
            severity,
            place: place.clone(),
            key: on_one_line(key),
            message: on_one_line(message),
            nearest,
        });
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mistake => "mistake",
            Self::Warning => "warning",
        })
    }
}

/// One line: `otlp-relay.yaml:12: mistake: batch.span: unknown key; did you mean `spans`?`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.place, self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// One finding a line.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// Names less alike than this are not offered; chosen by eye: `span` finds `spans`, `queue` does not find `store`.
const SIMILARITY_MIN: f64 = 0.7;

/// The one of `known` that is most like `name`, if any is alike.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (likeness(&name, candidate), *candidate))
        .filter(|(score, _)| *score >= SIMILARITY_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// 1 for the same name. Jaro and Winkler's measure likes a common beginning and knows nothing of two letters swapped in a
/// short name, so one such slip is enough by itself: `tsl` finds `tls`.
fn likeness(name: &str, candidate: &str) -> f64 {
    let by_letters = strsim::jaro_winkler(name, candidate);
    let one_slip = name.len() > 2 && strsim::damerau_levenshtein(name, candidate) == 1;
    by_letters.max(if one_slip { SIMILARITY_MIN } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_when_it_is_near() {
        let known = ["spans", "bytes", "bytes_max", "tls", "retry"];
        let cases = [
            ("span", Some("spans")),
            ("Spans", Some("spans")),
            ("byte_max", Some("bytes_max")),
            ("bytesmax", Some("bytes_max")),
            ("tsl", Some("tls")),
            ("retires", Some("retry")),
            ("queue", None),
            ("x", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
        assert_eq!(nearest("a", &[]), None);
    }
}
