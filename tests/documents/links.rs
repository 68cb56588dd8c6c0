//! Links in the documents: files that exist, headings that exist.

use std::path::Path;

use super::text;

const DOCUMENTS: [&str; 7] = [
    "README.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/CONFORMANCE.md",
    "docs/PERFORMANCE.md",
    "docs/TROUBLESHOOTING.md",
    "tests/corpus/README.md",
];

#[test]
fn every_relative_link_leads_somewhere() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = text(document);
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = Path::new(document).with_file_name(file);
            let here = file.is_empty();
            assert!(here || path.exists(), "{document}: {target} leads nowhere");
            if !heading.is_empty() {
                let there = if here {
                    text.clone()
                } else {
                    super::text(path.to_str().unwrap())
                };
                assert!(
                    headings(&there).any(|found| found == heading),
                    "{document}: {target}: no such heading"
                );
            }
        }
    }
    assert!(seen > 5, "the links were not found");
}

/// What stands in the parentheses of `[…](…)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
}

/// Headings as GitHub makes anchors of them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn links_and_headings_are_seen() {
    let text = "# The *way* of a request\n[a](b.md#c), [d](#the-way-of-a-request)\n";
    assert_eq!(
        targets(text).collect::<Vec<_>>(),
        ["b.md#c", "#the-way-of-a-request"]
    );
    assert_eq!(headings(text).collect::<Vec<_>>(), ["the-way-of-a-request"]);
}
