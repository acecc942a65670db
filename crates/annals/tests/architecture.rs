//! What docs/ARCHITECTURE.md promises of the source itself.

use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/").to_owned()
}

/// The crates whose roots do not forbid unsafe code, and the files that may have it.
const UNSAFE: [(&str, &[&str]); 2] = [
    ("annals-base", &["segment.rs", "shared.rs", "mapped.rs", "writeback.rs", "writer.rs"]),
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

/// The floors of `annals`, from the ground; a file may name only what lies below it.
const FLOORS: [&str; 33] = [
    "limits",
    "little_endian",
    "crc32c",
    "error",
    "tags",
    "name",
    "labels",
    "raw",
    "event",
    "json",
    "codec",
    "query",
    "snapshot",
    "index",
    "stats",
    "histogram",
    "meters",
    "head",
    "backend",
    "read_back",
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
    "testing",
    "lib",
    "fuzzing",
];

#[test]
fn arrows_point_down() {
    let source = crates().join("annals/src");
    for (floor, name) in FLOORS.iter().enumerate() {
        let single = source.join(format!("{name}.rs"));
        let mut files = sources(&source.join(name));
        files.push(single);
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
