//! The pages of the project: what a reader sees on the web is what the tests compile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::{Path, PathBuf};

/// Returns README.md, the pages in `docs/`, and the READMEs of the crates.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let readmes = crates.map(|entry| entry.unwrap().path().join("README.md"));
    let pages = docs.chain(readmes).chain([root.join("README.md")]);
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
