//! The cases of h2spec that the relay may fail, each with its reason: what `h2spec` excuses, and what
//! `docs/CONFORMANCE.md` lists.
//!
//! Only facts, so that the test of the documents can read them without the parts of a scenario.
#![allow(
    dead_code,
    reason = "the scenario needs other columns than the documents"
)]

#[derive(Debug)]
pub(crate) struct Exception {
    /// The case as h2spec's command line names it: section of the RFC and number.
    pub(crate) case: &'static str,
    pub(crate) stimulus: &'static str,
    pub(crate) excuse: Excuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// What is no HTTP/2 preface is HTTP/1.1, on every port.
    Http1,
    /// h2spec takes the protocol's smallest limit for ours.
    LargerFrames,
    /// The head of h2spec's request is refused before what it does wrong has come.
    AnsweredFirst,
}

/// What h2spec sends has no content type, or is a GET: both are answered by their heads alone.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        case: "http2/3.5/2",
        stimulus: "an invalid preface",
        excuse: Excuse::Http1,
    },
    Exception {
        case: "http2/4.2/3",
        stimulus: "a HEADERS frame of 20 kB",
        excuse: Excuse::LargerFrames,
    },
    answered_first("http2/5.1/8", "DATA after RST_STREAM"),
    answered_first("http2/5.1/9", "HEADERS after RST_STREAM"),
    answered_first("http2/6.9.1/3", "a stream's window above 2^31-1"),
    answered_first("http2/8.1/1", "trailers that do not end the stream"),
    answered_first("http2/8.1.2.1/3", "a pseudo-header field as trailer"),
    answered_first("http2/8.1.2.6/1", "less DATA than `content-length` says"),
    answered_first(
        "http2/8.1.2.6/2",
        "less DATA, in several frames, than `content-length` says",
    ),
];

const fn answered_first(case: &'static str, stimulus: &'static str) -> Exception {
    Exception {
        case,
        stimulus,
        excuse: Excuse::AnsweredFirst,
    }
}

// === impl Excuse ===

impl Excuse {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Http1 => {
                "Each port understands both protocols by a connection's first bytes. What is no preface of HTTP/2 is \
                 HTTP/1.1, and refused and closed as that; h2spec wants the end without an answer."
            }
            Self::LargerFrames => {
                "We announce frames of 120 KiB, and a head that is too long is answered 431; h2spec takes 16 KiB for \
                 everybody's limit. Asked again with a frame above ours, it is satisfied."
            }
            Self::AnsweredFirst => {
                "h2spec's request is refused by its head (405, or 415 without a content type). The answer may be \
                 complete before what is wrong comes, and such a stream is closed. Asked again, the fault is \
                 sometimes first, and h2spec satisfied."
            }
        }
    }
}
