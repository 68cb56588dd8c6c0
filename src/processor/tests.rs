//! What the steps take beside what the door has paid for; what they do is compared with objects in `tests/it/steps.rs`.

use crate::{request::NOTES_BYTES_PER_SPAN, sampling::Decision};

#[test]
fn what_is_noted_about_a_span_is_what_was_paid_for() {
    assert!(size_of::<Decision>() <= NOTES_BYTES_PER_SPAN);
}
