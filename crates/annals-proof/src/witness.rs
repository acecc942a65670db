//! Witnesses: parties that cosign the checkpoints of other logs, and remember what they cosigned.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use annals::{FileSystem, RealFileSystem, StoreFile};
use parking_lot::Mutex;

use crate::apart::refuse_inside;
use crate::error::{CheckError, FormatError, ProofError};
use crate::hash::{TreeHash, hex};
use crate::note::checkpoint::Checkpoint;
use crate::note::key::{KeyKind, LogKey, VerifierKey};
use crate::note::request::ConsistencyProof;
use crate::proofs::directory::{Anchor, Directory};
use crate::sha256::sha256;
use crate::sync_name::sync_name_if_possible;

/// The last checkpoint of a log that a witness cosigned.
struct Memory {
    size: u64,
    root: TreeHash,
    /// The time of the cosignature, in seconds since 1970 UTC; 0 if another key of the witness made it.
    time: u64,
}

/// The name of the file that is locked while the witness is open.
const LOCK: &str = "LOCK";

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
    /// The request does not show that the log continues what this witness cosigned before. The proof may be wrong. If
    /// the owner of the log has no better one, the two checkpoints contradict each other.
    #[error(
        "the request does not show that the log continues what this witness cosigned at size {size}: {problem}. If its \
         owner has no proof that holds, the log has two histories: keep both checkpoints"
    )]
    Contradiction {
        /// The size that was last cosigned.
        size: u64,
        /// The reason why the proof does not hold.
        problem: CheckError,
    },
    /// The clock of this machine went back. A cosignature states what the witness had seen at its time, so an earlier
    /// time would contradict the last cosignature.
    #[error(
        "the clock went back: it is at {now} s since 1970, and this witness cosigned the log {origin} at {cosigned} s; \
         set the clock. If the clock was ahead then, go on with a new key and a new directory"
    )]
    ClockWentBack {
        /// The origin of the log.
        origin: String,
        /// The time of the last cosignature, in seconds since 1970 UTC.
        cosigned: u64,
        /// The time of this one.
        now: u64,
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
    directory: Directory,
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
    /// [`ProofError`], also if another process has it open, the directory is that of a store, or one of `logs` is the key
    /// of a witness or has the key of this one.
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
        let (path, logs) = (path.as_ref(), logs.into_iter().collect::<Vec<_>>());
        if let Some(other) = logs.iter().find(|key| key.kind() != KeyKind::Log) {
            let problem = format!("{other} is the key of a witness");
            return Err(FormatError::new("vkey of a log", problem).into());
        }
        if let Some(own) = logs.iter().find(|log| log.has_key_of(&key.vkey())) {
            let problem = format!(
                "{own} has the witness's own key; a cosignature by the log's key is worth nothing: give the witness a key \
                 of its own"
            );
            return Err(FormatError::new("vkey of a log", problem).into());
        }
        refuse_inside(path)?;
        let directory = Directory::open(files, path, true)?;
        let directory = directory.ok_or_else(|| ProofError::NoProofs { path: path.to_owned() })?;
        let lock = lock(&directory).map_err(ProofError::io("lock", path))?;
        // A process that was killed may have left a directory, or a log's directory in it, whose name is not durable.
        directory.handle.sync().map_err(ProofError::io("sync", path))?;
        sync_name_if_possible(files, path).map_err(ProofError::io("sync the name of", path))?;
        Ok(Self { directory, key, logs, cosigns: Mutex::new(()), _lock: lock })
    }

    /// Returns the file in which the last checkpoint of a log is stored. A web server can publish it as it is.
    #[must_use]
    pub fn file(&self, origin: &str) -> PathBuf {
        self.directory.path.join(directory_name(origin)).join(CHECKPOINT)
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
    /// As [`cosign`](Self::cosign), and [`WitnessError::ClockWentBack`] if the time is earlier than that of the last
    /// cosignature for the log.
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
        let directory = self.directory.subdirectory(&directory_name(origin))?;
        let Memory { size, root, time: cosigned } = self.remembered(&directory, origin, &known)?;
        if request.old() != size {
            return Err(WitnessError::Stale { size });
        }
        if let Err(problem) = request.check(&root) {
            // A request from a larger size to a smaller one proves nothing, and contradicts nothing.
            return Err(if size == 0 || checkpoint.size() < size {
                problem.into()
            } else {
                WitnessError::Contradiction { size, problem }
            });
        }
        if time < cosigned {
            return Err(WitnessError::ClockWentBack {
                origin: origin.to_owned(),
                cosigned,
                now: time,
            });
        }
        let line = checkpoint.cosign(&self.key, time);
        let mut cosigned = checkpoint.clone();
        cosigned.add_cosignature(&line, &self.key.witness_vkey())?;
        directory.write(CHECKPOINT, &cosigned.to_string(), Anchor::Durable)?;
        if size == 0 {
            // An earlier attempt may have created the log's directory and failed to sync its name.
            let synced = self.directory.handle.sync();
            synced.map_err(ProofError::io("sync", &self.directory.path))?;
        }
        Ok(line)
    }

    /// Returns what was last cosigned of a log. A damaged memory is an error: a witness that forgets is none.
    fn remembered(
        &self,
        directory: &Directory,
        origin: &str,
        known: &[VerifierKey],
    ) -> Result<Memory, ProofError> {
        let Some(text) = directory.read(CHECKPOINT)? else {
            return Ok(Memory { size: 0, root: TreeHash::of_nothing(), time: 0 });
        };
        let damaged = |problem: String| ProofError::Damaged {
            path: directory.path.join(CHECKPOINT),
            problem,
        };
        let checkpoint: Checkpoint =
            text.parse().map_err(|error: FormatError| damaged(error.to_string()))?;
        if checkpoint.origin() != origin {
            return Err(damaged(format!("it is of the log {}", checkpoint.origin())));
        }
        // A changed digit would look like a log with two histories, and accuse its owner.
        let wrong = |error: CheckError| damaged(error.to_string());
        if checkpoint.signatures(known).map_err(wrong)?.is_empty() {
            return Err(damaged(format!("no given key of {origin} has signed it")));
        }
        let own = checkpoint.signatures(&[self.key.witness_vkey()]).map_err(wrong)?;
        let time = own.first().and_then(|signed| signed.time).unwrap_or(0);
        Ok(Memory { size: checkpoint.size(), root: *checkpoint.root(), time })
    }
}

fn directory_name(origin: &str) -> String {
    hex(&sha256(origin.as_bytes()))
}

fn lock(directory: &Directory) -> std::io::Result<Box<dyn StoreFile>> {
    let in_use = "another process has the witness's memory open";
    let in_use = || std::io::Error::new(std::io::ErrorKind::WouldBlock, in_use);
    directory.try_lock(LOCK)?.ok_or_else(in_use)
}
