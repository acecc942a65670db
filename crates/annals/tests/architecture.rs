//! What docs/ARCHITECTURE.md promises of the source itself.

use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/").to_owned()
}

#[test]
fn only_the_base_has_unsafe_code() {
    let mut seen = 0;
    for entry in fs::read_dir(crates()).expect("crates/ is listed") {
        let root = entry.expect("an entry").path();
        for file in ["src/lib.rs", "src/main.rs"].map(|file| root.join(file)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let forbids = text.contains("#![forbid(unsafe_code)]");
            assert!(
                forbids || root.ends_with("annals-base"),
                "{} forbids unsafe code",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "the crates were found");
}

/// The floors of `annals`, from the ground; a file may name only what lies below it.
const FLOORS: [&str; 32] = [
    "limits",
    "little_endian",
    "local",
    "crc32c",
    "error",
    "tags",
    "name",
    "labels",
    "raw",
    "event",
    "codec",
    "query",
    "snapshot",
    "index",
    "stats",
    "histogram",
    "meters",
    "head",
    "backend",
    "encode",
    "commit",
    "memory",
    "journal",
    "events",
    "subscription",
    "store",
    "projection",
    "live",
    "decision",
    "given",
    "lib",
    "fuzzing",
];

/// Adds the files of a folder and of those in it, if there is one.
fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() { add_files(&path, files) } else { files.push(path) }
    }
}

#[test]
fn arrows_point_down() {
    let source = crates().join("annals/src");
    for (floor, name) in FLOORS.iter().enumerate() {
        let single = source.join(format!("{name}.rs"));
        let mut files = vec![single];
        add_files(&source.join(name), &mut files);
        for file in files.iter().filter(|file| file.exists()) {
            let text = fs::read_to_string(file).expect("the file is read");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for above in &FLOORS[floor + 1..] {
                let arrow = format!("crate::{above}::");
                assert!(!code.contains(&arrow), "{} looks up, to {above}", file.display());
            }
        }
    }
}
