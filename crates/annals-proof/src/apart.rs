//! Keeps published directories and keys apart from stores. A store is backed up and copied whole, and a web server shows
//! every file in a published directory.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::error::ProofError;

/// The files that mark the directory of a store in files, of one in RocksDB, and of proofs.
const STORES: [&str; 3] = ["store.json", "CURRENT", "log.json"];

/// The file that marks the memory of a witness, too.
const LOCK: &str = "LOCK";

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
        let shown = if [store, rocksdb].iter().any(|name| entry.join(name).is_file()) {
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

fn refuse_beside(path: &Path, marks: &[&str]) -> Result<(), ProofError> {
    let absolute = std::path::absolute(path).map_err(ProofError::io("find", path))?;
    // Links are followed as far as the path exists.
    let existing = absolute.ancestors().find_map(|above| above.canonicalize().ok());
    for above in existing.iter().flat_map(|existing| existing.ancestors()) {
        if let Some(mark) = marks.iter().find(|mark| above.join(mark).is_file()) {
            let problem = format!(
                "it is in a directory that annals uses, because {} is there; give a path outside of it",
                above.join(mark).display()
            );
            return Err(misplaced(path, problem));
        }
    }
    Ok(())
}

fn is_secret(path: &Path) -> bool {
    let mut start = [0; SECRET.len()];
    path.is_file()
        && fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *SECRET
}

fn misplaced(path: &Path, problem: String) -> ProofError {
    ProofError::Misplaced { path: PathBuf::from(path), problem }
}
