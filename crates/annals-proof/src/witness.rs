//! Witnesses: parties that cosign the checkpoints of other logs, and remember what they cosigned.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use annals::{FileSystem, RealFileSystem, StoreFile};
use parking_lot::Mutex;

use crate::error::{CheckError, ProofError};
use crate::hash::{TreeHash, hex};
use crate::note::checkpoint::Checkpoint;
use crate::note::key::{KeyKind, LogKey, VerifierKey};
use crate::note::request::ConsistencyProof;
use crate::proofs::place::{Anchor, Place};
use crate::sha256::sha256;
use crate::sync_name::sync_name_if_possible;

/// The name of the file that a witness stores for each log.
const CHECKPOINT: &str = "checkpoint";

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The log is not one that this witness knows.
    #[error("this witness does not know the log {origin}; give its vkey")]
    UnknownLog {
        /// The origin of the checkpoint.
        origin: String,
    },
    /// The request begins at another size than the one that was last cosigned. A new request from `size` on may
    /// succeed.
    #[error(
        "this witness last cosigned size {size}, and the request begins at another; request from {size} on"
    )]
    Stale {
        /// The size that was last cosigned.
        size: u64,
    },
    /// The log contradicts what this witness cosigned before.
    #[error(
        "the log contradicts what this witness cosigned at size {size}: {problem}. Keep both checkpoints"
    )]
    Contradiction {
        /// The size that was last cosigned.
        size: u64,
        /// What does not hold.
        problem: CheckError,
    },
    /// A signature or a proof does not hold.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The witness's memory cannot be read or written, or another process uses it.
    #[error(transparent)]
    Memory(#[from] ProofError),
}

/// A witness: cosigns the checkpoints of the logs that it knows, if each continues the one before. It remembers the
/// last checkpoint of each log durably, before it returns a cosignature. Threads may share it: it cosigns one
/// checkpoint at a time.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_proof::{LogKey, Proofs, Witness};
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("seat-sold").build()?)?;
/// let alice = LogKey::generate("example.com/alice")?;
/// let proofs = Proofs::in_memory(&store, "example.com/alice")?;
/// let request = proofs.prove_consistency(0, &proofs.checkpoint(&alice)?)?;
///
/// let bob = LogKey::generate("example.com/bob")?;
/// let directory = tempfile::tempdir()?;
/// let line = Witness::open(directory.path(), bob.clone(), [alice.vkey()])?.cosign(&request)?;
/// proofs.add_receipt(&line, &bob.witness_vkey())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Witness {
    place: Place,
    key: LogKey,
    logs: Vec<VerifierKey>,
    /// Held from the look at the memory until it is written: of two threads, the second sees what the first cosigned.
    cosigns: Mutex<()>,
    /// Held while the witness is open: two processes must not cosign from one memory.
    _lock: Box<dyn StoreFile>,
}

impl Witness {
    /// Opens the witness's memory in the directory `path`, which is created if it does not exist.
    ///
    /// # Errors
    /// [`ProofError`], also if another process has it open.
    pub fn open(
        path: impl AsRef<Path>,
        key: LogKey,
        logs: impl IntoIterator<Item = VerifierKey>,
    ) -> Result<Self, ProofError> {
        Self::open_on(&RealFileSystem, path, key, logs)
    }

    /// Opens the witness's memory as [`open`](Self::open) does, on another file system.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        files: &dyn FileSystem,
        path: impl AsRef<Path>,
        key: LogKey,
        logs: impl IntoIterator<Item = VerifierKey>,
    ) -> Result<Self, ProofError> {
        let path = path.as_ref();
        let place = Place::open(files, path, true)?;
        let place = place.ok_or_else(|| ProofError::NoProofs { path: path.to_owned() })?;
        let lock = lock(&place).map_err(ProofError::io("lock", path))?;
        // A process that was killed may have left a directory, or a log's directory in it, whose name is not durable.
        place.directory.sync().map_err(ProofError::io("sync", path))?;
        sync_name_if_possible(files, path).map_err(ProofError::io("sync the name of", path))?;
        let logs = logs.into_iter().filter(|key| key.kind() == KeyKind::Log).collect();
        Ok(Self { place, key, logs, cosigns: Mutex::new(()), _lock: lock })
    }

    /// Returns the file in which the last checkpoint of a log is stored. A web server can publish it as it is.
    #[must_use]
    pub fn file(&self, origin: &str) -> PathBuf {
        self.place.path.join(directory(origin)).join(CHECKPOINT)
    }

    /// Cosigns the checkpoint of a request, now. Returns the signature line.
    ///
    /// # Errors
    /// [`WitnessError`]. No cosignature leaves the witness then.
    pub fn cosign(&self, request: &ConsistencyProof) -> Result<String, WitnessError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        self.cosign_at(request, now)
    }

    /// Cosigns as [`cosign`](Self::cosign) does, at a time in seconds since 1970 UTC.
    ///
    /// # Errors
    /// As [`cosign`](Self::cosign).
    pub fn cosign_at(&self, request: &ConsistencyProof, time: u64) -> Result<String, WitnessError> {
        let checkpoint = request.checkpoint();
        let origin = checkpoint.origin();
        let known: Vec<_> = self.logs.iter().filter(|key| key.name() == origin).cloned().collect();
        if known.is_empty() {
            return Err(WitnessError::UnknownLog { origin: origin.to_owned() });
        }
        if checkpoint.signatures(&known)?.is_empty() {
            return Err(CheckError::NotSigned { origin: origin.to_owned() }.into());
        }
        let _cosigns = self.cosigns.lock();
        let place = self.place.subdirectory(&directory(origin))?;
        let (size, root) = remembered(&place, origin)?;
        if request.old() != size {
            return Err(WitnessError::Stale { size });
        }
        if let Err(problem) = request.check(&root) {
            return Err(match size {
                0 => problem.into(),
                _ => WitnessError::Contradiction { size, problem },
            });
        }
        let line = checkpoint.cosign(&self.key, time);
        let mut cosigned = checkpoint.clone();
        cosigned.add_cosignature(&line, &self.key.witness_vkey())?;
        place.write(CHECKPOINT, &cosigned.to_string(), Anchor::Durable)?;
        if size == 0 {
            // An earlier attempt may have created the log's directory and failed to sync its name.
            let synced = self.place.directory.sync();
            synced.map_err(ProofError::io("sync", &self.place.path))?;
        }
        Ok(line)
    }
}

/// Returns the size and root that were last cosigned. A damaged memory is an error: a witness that forgets is none.
fn remembered(place: &Place, origin: &str) -> Result<(u64, TreeHash), ProofError> {
    let Some(text) = place.read(CHECKPOINT)? else { return Ok((0, TreeHash::of_nothing())) };
    let damaged =
        |problem: String| ProofError::Damaged { path: place.path.join(CHECKPOINT), problem };
    let checkpoint: Checkpoint =
        text.parse().map_err(|error: crate::FormatError| damaged(error.to_string()))?;
    if checkpoint.origin() != origin {
        return Err(damaged(format!("it is of the log {}", checkpoint.origin())));
    }
    Ok((checkpoint.size(), *checkpoint.root()))
}

fn directory(origin: &str) -> String {
    hex(&sha256(origin.as_bytes()))
}

fn lock(place: &Place) -> std::io::Result<Box<dyn StoreFile>> {
    let file = match place.directory.open("LOCK") {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            place.directory.create("LOCK")
        }
        opened => opened,
    }?;
    if file.try_lock()? {
        Ok(file)
    } else {
        Err(std::io::Error::new(
            std::io::ErrorKind::WouldBlock,
            "another process has the witness's memory open",
        ))
    }
}
