//! Closed steps over a request: sample, enrich, and write what is kept as a payload.
