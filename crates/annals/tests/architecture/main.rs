//! The promises of docs/ARCHITECTURE.md about the source itself.

mod circles;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use circles::{circles, path_of};
use source::Source;

fn crates() -> PathBuf {
    PathBuf::from("..")
}

/// The roots of all crates: the crate's name, with `main` for its program, and the file.
fn roots() -> Vec<(String, PathBuf)> {
    let mut roots = Vec::new();
    for entry in fs::read_dir(crates()).expect("crates/ is listed") {
        let directory = entry.expect("an entry").path();
        let name = directory.file_name().expect("a name").to_string_lossy().into_owned();
        for (file, suffix) in [("src/lib.rs", ""), ("src/main.rs", " main")] {
            let file = directory.join(file);
            if file.exists() {
                roots.push((format!("{name}{suffix}"), file));
            }
        }
    }
    roots.sort();
    assert!(roots.len() >= 8, "the crates were found: {roots:?}");
    roots
}

/// The crates whose roots do not forbid unsafe code, and the files that may have it.
const UNSAFE: [(&str, &[&str]); 2] = [
    (
        "annals-base",
        &[
            "leader_queue.rs",
            "ms_clock.rs",
            "segment.rs",
            "shared.rs",
            "shared_ref.rs",
            "mapped.rs",
            "prefault.rs",
            "prefetch.rs",
            "process_id.rs",
            "sha256/sixteen.rs",
            "sha256/two.rs",
            "writeback.rs",
            "writer.rs",
        ],
    ),
    ("annals", &["journal/map.rs"]),
];

/// Every Rust file below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn unsafe_code_is_where_it_may_be() {
    let mut seen = 0;
    for entry in fs::read_dir(crates()).expect("crates/ is listed") {
        let root = entry.expect("an entry").path();
        let name = root.file_name().expect("a name").to_string_lossy().into_owned();
        let may = UNSAFE.iter().find(|(may, _)| *may == name).map(|(_, files)| *files);
        for file in ["src/lib.rs", "src/main.rs"].map(|file| root.join(file)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let forbids = text.contains("#![forbid(unsafe_code)]");
            assert!(forbids || may.is_some(), "{} forbids unsafe code", file.display());
            seen += 1;
        }
        for file in sources(&root.join("src")) {
            let text = fs::read_to_string(&file).expect("the file is read");
            let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
            let has = code.into_iter().any(|line| {
                ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait"]
                    .iter()
                    .any(|kind| line.contains(kind))
            });
            let listed = may.unwrap_or_default().iter().any(|may| file.ends_with(may));
            assert!(!has || listed, "{} has unsafe code", file.display());
        }
    }
    assert!(seen >= 4, "the crates were found");
}

/// A test binary that Cargo built in one clone also runs in another one that has the same target directory.
#[test]
fn no_code_contains_the_directory_that_it_was_built_in() {
    // In two parts, so that the test does not find itself.
    let built_in = ["env!(\"CARGO_", "MANIFEST_DIR\")"].concat();
    for file in sources(&crates()) {
        let text = fs::read_to_string(&file).expect("the file is read");
        assert!(!text.contains(&built_in), "{}: use a path from its package", file.display());
    }
}

#[test]
fn nothing_in_a_folder_depends_on_itself_in_a_circle() {
    let mut found = Vec::new();
    for (name, file) in roots() {
        for circle in circles(&Source::read(&file)) {
            let parts = circle.parts.join(" ");
            found.push(format!("{name}: {}/{{{parts}}}: {:#?}", circle.folder, circle.arrows));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn imports_are_read_whatever_their_form() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        (
            "lib.rs",
            "mod low; mod high; mod rooms; pub use low::{Low, deep::*}; pub use rooms::Inner as Room; mod apart;",
        ),
        ("low/mod.rs", "pub(crate) mod deep; pub struct Low;"),
        ("low/deep.rs", "pub struct Deep; pub fn call() { let _ = [crate::high::up(1)]; }"),
        // Through the face, under another name, in a macro and in an attribute.
        (
            "high.rs",
            "use crate::{Deep as D, Room}; fn f() { m!(super::apart::X) } #[serde(with = \"crate::low::Low\")] struct S; pub fn up(_: u8) {}",
        ),
        ("rooms/mod.rs", "mod one; mod two; pub use one::Inner;"),
        (
            "rooms/one.rs",
            "pub struct Inner; use super::two::{self, Two}; #[cfg(test)] mod tests { use crate::high::up; }",
        ),
        (
            "rooms/two.rs",
            "pub struct Two; impl Two { fn f() -> impl Sized + use<> { super::Inner; std::mem::drop(1) } }",
        ),
        ("apart.rs", "use std::{fmt, io::{self, Read}}; /// crate::low::Low\nfn f() {}"),
    ];
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
        fs::write(path, text).expect("it is written");
    }
    let source = Source::read(&directory.path().join("lib.rs"));
    let named = |(from, to)| format!("{} {}", path_of(&source, from), path_of(&source, to));
    let arrows: BTreeSet<String> = source.arrows().into_iter().map(named).collect();
    let expected = [
        "high apart",
        "high low",
        "high low/deep",
        "high rooms/one",
        "low/deep high",
        "rooms/one rooms/two",
        "rooms/two rooms/one",
    ];
    assert_eq!(arrows.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let circles: Vec<_> = circles(&source)
        .into_iter()
        .map(|circle| (circle.folder, circle.parts.join(" ")))
        .collect();
    assert_eq!(circles, [(String::new(), "high low".into()), ("rooms".into(), "one two".into())]);
}

/// The modules of `annals` from the ground, as the table in docs/ARCHITECTURE.md has them: a row is a floor, and in a
/// row each module comes after those before it.
fn floors() -> Vec<String> {
    let page = fs::read_to_string("../../docs/ARCHITECTURE.md").expect("the page is read");
    let (_, table) = page.split_once("## The folders of `annals`").expect("the table");
    let rows = table.lines().skip_while(|line| !line.starts_with("| `"));
    let cells =
        rows.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(|name| name.trim_end_matches('/').to_owned()).collect()
}

#[test]
fn arrows_point_down() {
    let source = Source::read(&crates().join("annals/src/lib.rs"));
    let floors = floors();
    let floor = |name: &str| {
        let found = floors.iter().position(|floor| floor == name);
        found.unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no floor for the module {name}"))
    };
    for name in source.modules[0].children.keys().filter(|name| !name.starts_with("__")) {
        floor(name);
    }
    let mut up = BTreeSet::new();
    for (from, to) in source.arrows() {
        let (from, to) = (path_of(&source, from), path_of(&source, to));
        let [lower, upper] = [&from, &to].map(|path| path.split('/').next().unwrap_or_default());
        // The root's own file is only the face.
        if lower != upper && !lower.is_empty() && (upper.is_empty() || floor(lower) < floor(upper))
        {
            up.insert(format!("{from} looks up, to {to}"));
        }
    }
    assert!(up.is_empty(), "{up:#?}");
}
