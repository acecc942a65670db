//! Keeps published directories and keys apart from stores. A store is backed up and copied whole, and a web server shows
//! every file in a published directory.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::error::ProofError;

/// A file that marks a directory: its name, and a text in its first bytes.
type Mark = (&'static str, &'static str);

/// The files that mark the directory of a store in files, of one in RocksDB, and of proofs.
const STORES: [Mark; 3] =
    [("store.json", "\"store_id\""), ("CURRENT", "MANIFEST-"), ("log.json", "\"annals_proofs\"")];

/// The file that marks the memory of a witness, too.
const LOCK: Mark = ("LOCK", "");

/// How much of a file is looked at.
const START_BYTES: u64 = 1 << 10;

/// How a file with a secret key begins.
const SECRET: &[u8] = b"PRIVATE+KEY+";

/// Refuses a path in the directory of a store or of proofs.
pub(crate) fn refuse_inside(path: &Path) -> Result<(), ProofError> {
    refuse_beside(path, &STORES)
}

/// Refuses to publish to a directory that annals uses for something else, and to one with a store or a secret key in it.
pub(crate) fn refuse_to_publish(path: &Path) -> Result<(), ProofError> {
    let [store, rocksdb, proofs] = STORES;
    refuse_beside(path, &[store, rocksdb, proofs, LOCK])?;
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(ProofError::io("list", path))?,
    };
    for entry in entries {
        let entry = entry.map_err(ProofError::io("list", path))?.path();
        let shown = if [store, rocksdb].iter().any(|mark| is_marked(&entry, mark)) {
            "store"
        } else if is_secret(&entry) {
            "secret key"
        } else {
            continue;
        };
        let problem = format!(
            "it has the {shown} {}, which a web server would show; publish to a directory of its own",
            entry.display()
        );
        return Err(misplaced(path, problem));
    }
    Ok(())
}

fn refuse_beside(path: &Path, marks: &[Mark]) -> Result<(), ProofError> {
    let absolute = std::path::absolute(path).map_err(ProofError::io("find", path))?;
    // Links are followed as far as the path exists.
    let existing = absolute.ancestors().find_map(|above| above.canonicalize().ok());
    for above in existing.iter().flat_map(|existing| existing.ancestors()) {
        if let Some((name, _)) = marks.iter().find(|mark| is_marked(above, mark)) {
            let problem = format!(
                "it is in a directory that annals uses, because {} is there; give a path outside of it",
                above.join(name).display()
            );
            return Err(misplaced(path, problem));
        }
    }
    Ok(())
}

fn is_marked(directory: &Path, (name, text): &Mark) -> bool {
    let start = start(&directory.join(name));
    start.is_some_and(|start| String::from_utf8_lossy(&start).contains(text))
}

fn is_secret(path: &Path) -> bool {
    start(path).is_some_and(|start| start.starts_with(SECRET))
}

/// Returns the first bytes of a file; `None` if it is not a file, or cannot be read.
fn start(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    let file = path.is_file().then(|| fs::File::open(path)).and_then(Result::ok)?;
    file.take(START_BYTES).read_to_end(&mut start).ok()?;
    Some(start)
}

fn misplaced(path: &Path, problem: String) -> ProofError {
    ProofError::Misplaced { path: PathBuf::from(path), problem }
}
