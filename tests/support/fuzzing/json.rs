//! The JSON reader against a tolerant model: `serde_json` says what is JSON, the model what it stands for, and prost reads what
//! was written.
//!
//! Where the model is not sure (numbers spelled in ways that nobody sends, escapes where nobody writes any) it says nothing;
//! what always holds is checked for any text.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp_relay::{
    json::{Wrong, bytes_max, transcode},
    wire,
};
use prost::Message;

use super::{
    json_model::{self, Read},
    json_tree::Tree,
    objects::{flatten, same},
};

/// The target: a body as it comes, repaired as the receiver does it where it is no UTF-8.
pub fn fuzz_body(body: &[u8]) {
    check(&String::from_utf8_lossy(body));
}

/// What holds of any text; and what a model says of it, where it is JSON.
pub fn check(text: &str) {
    let tree = Tree::of(text);
    let expected = tree.as_ref().map(json_model::request);
    let bound = bytes_max(text.len());
    match transcode(text, Vec::with_capacity(bound)) {
        Ok(transcoded) => {
            assert!(transcoded.message.len() <= bound, "{text}");
            assert!(
                transcoded.message.capacity() <= bound,
                "it stays in its room"
            );
            assert!(wire::count(&transcoded.message).is_ok(), "{text}");
            match expected {
                Some(Ok(expected)) => {
                    let rejects = transcoded.mistake.is_some();
                    assert_eq!(rejects, expected.rejects, "{text}");
                    let found = strictly(&transcoded.message);
                    assert!(
                        same(&flatten(&found), &flatten(&expected.request)),
                        "{found:?}\n{expected:?}\n{text}"
                    );
                }
                Some(Err(Read::Wrong)) => panic!("what the model cannot read was read: {text}"),
                Some(Err(Read::Unsure)) | None => {}
            }
        }
        Err(mistake) => {
            assert_ne!(mistake.what, Wrong::TooLong, "{text}");
            assert!(mistake.at <= text.len(), "{text}");
            if let Some(Ok(_)) = expected {
                panic!("{mistake}, but the model reads it: {text}");
            }
            if tree.is_some() {
                let syntax = matches!(mistake.what, Wrong::Syntax { .. });
                assert!(!syntax, "{mistake}, but it is JSON: {text}");
            }
        }
    }
}

/// What is left when the spans that were marked as unreadable are taken out.
fn strictly(message: &[u8]) -> ExportTraceServiceRequest {
    let repaired = wire::repair(&[message.to_vec().into()]);
    assert_eq!(repaired.strings_repaired, 0, "the text was UTF-8");
    ExportTraceServiceRequest::decode(&repaired.segments.concat()[..]).unwrap()
}
