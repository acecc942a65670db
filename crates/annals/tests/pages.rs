//! The pages of the project: what a reader sees on the web is what the tests compile, and their links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns README.md and the other pages beside it, those in `docs/` and `docs/adr/`, and the READMEs of the crates.
fn pages() -> Vec<PathBuf> {
    let root = Path::new("../..");
    let folders = ["", "docs", "docs/adr"].map(|folder| root.join(folder));
    let docs = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let docs = docs.map(|entry| entry.unwrap().path());
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let readmes = crates.map(|entry| entry.unwrap().path().join("README.md"));
    let pages = docs.chain(readmes);
    let pages: Vec<_> =
        pages.filter(|page| page.extension().is_some_and(|end| end == "md")).collect();
    pages.into_iter().filter(|page| page.exists()).collect()
}

/// rustdoc hides a line of an example that begins with `# `. Other readers of Markdown show it.
#[test]
fn no_example_of_a_page_has_hidden_lines() {
    let mut hidden = Vec::new();
    let mut is_rust = false;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                is_rust = language.starts_with("rust");
            } else if is_rust && (line.trim() == "#" || line.trim_start().starts_with("# ")) {
                hidden.push(format!("{}:{number}: {line}", page.display()));
            }
        }
        assert!(!is_rust, "{} ends inside an example", page.display());
    }
    assert!(hidden.is_empty(), "{}", hidden.join("\n"));
}

/// A crate compiles the code of a page if its `lib.rs` includes the page as documentation.
#[test]
fn the_code_of_each_page_is_compiled() {
    let root = Path::new("../..");
    let mut included = BTreeSet::new();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let source = entry.unwrap().path().join("src");
        let text = fs::read_to_string(source.join("lib.rs")).unwrap();
        let pages = text.split("include_str!(\"").skip(1);
        let pages = pages.filter_map(|rest| rest.split_once("\")"));
        included.extend(pages.map(|(page, _)| source.join(page).canonicalize().unwrap()));
    }
    for page in pages() {
        let has_code = fs::read_to_string(&page).unwrap().contains("\n```rust");
        let is_compiled = included.contains(&page.canonicalize().unwrap());
        assert!(is_compiled || !has_code, "no crate compiles the code of {}", page.display());
    }
}

/// Returns the lines of a page that are not in a block of code, without their code spans.
fn prose(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Returns the anchor of a heading: lower case, dashes instead of spaces, without punctuation.
fn anchor(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    // A link in a heading counts with its text only.
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn anchors_are_those_of_the_web() {
    assert_eq!(anchor("A sealed segment's index"), "a-sealed-segments-index");
    assert_eq!(anchor("Ordinals, owned subscriptions, `a` b"), "ordinals-owned-subscriptions-a-b");
    assert_eq!(anchor("The [chain](x.md) rule"), "the-chain-rule");
}

/// Returns the anchors of a page.
fn anchors(page: &Path) -> BTreeSet<String> {
    let lines = prose(page);
    let headings = lines.iter().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Returns the targets of the links in a text, without those in code spans.
fn links(text: &str) -> Vec<String> {
    let without_code: Vec<&str> = text.split('`').step_by(2).collect();
    let text = without_code.join("`");
    let ends = text.split("](").skip(1);
    ends.filter_map(|end| end.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn links_lead_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        for target in links(&prose(&page).join("\n")) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let is_page = path.extension().is_some_and(|end| end == "md");
            let leads = path.exists()
                && (heading.is_empty() || !is_page || anchors(&path).contains(heading));
            if !leads {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
