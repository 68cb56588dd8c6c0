//! The origins of web pages that may send spans.

use super::settings::Settings;
use crate::document::Findings;

/// As they are written, each checked: one that no browser sends would allow nobody.
pub(super) fn origins(settings: &Settings, findings: &mut Findings) -> Option<Vec<String>> {
    let path = "receivers.http.cors_allowed_origins";
    let origins = settings.texts(path)?;
    for origin in origins.iter().filter(|origin| !is_origin(origin)) {
        let message = format!(
            "`{origin}` is no origin: write a scheme, a host and, where it is not the scheme's own, a port, in lower case and \
             without a path, such as `https://shop.example`, or `*` for all"
        );
        findings.mistake(&settings.place(path), path, message);
    }
    Some(origins.to_vec())
}

/// Whether a browser could send it (Fetch, "`Origin` header"), or it stands for all.
fn is_origin(text: &str) -> bool {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".:-_[]+".contains(c);
    let Some((scheme, host)) = text.split_once("://") else {
        return matches!(text, "*" | "null");
    };
    [scheme, host]
        .iter()
        .all(|part| !part.is_empty() && part.chars().all(usable))
}
