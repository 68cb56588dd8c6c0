//! Requests through the door: what is indexed, what is left out, what is refused.
