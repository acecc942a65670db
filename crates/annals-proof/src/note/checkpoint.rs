//! Checkpoints (C2SP tlog-checkpoint): what a log contains at a size, signed by its owner, and cosigned by others
//! (C2SP tlog-cosignature).

use std::fmt;
use std::str::FromStr;

use super::checks::SignatureChecks;
use super::key::{KeyKind, LogKey, VerifierKey};
use super::note::{Note, SignatureLine, is_name};
use crate::error::{CheckError, FormatError};
use crate::hash::TreeHash;
use crate::tree::check::MAX_SIZE;

/// A signed statement: the log with this origin has this many events, and its tree has this root.
///
/// A party that has a checkpoint can hold the log's owner to it. A parsed checkpoint is not verified yet.
///
/// ```
/// use annals_proof::{Checkpoint, LogKey, TreeHash};
///
/// let key = LogKey::from_seed("example.com/alice", &[7; 32])?;
/// let checkpoint = Checkpoint::sign(&key, 0, TreeHash::of_nothing());
/// let read: Checkpoint = checkpoint.to_string().parse()?;
/// read.verify(&key.vkey())?;
/// assert_eq!((read.origin(), read.size()), ("example.com/alice", 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: TreeHash,
    note: Note,
}

/// A valid signature of a known key on a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signed {
    /// The key.
    pub key: VerifierKey,
    /// The time of a cosignature, in seconds since 1970 UTC; `None` for the log's own signature.
    pub time: Option<u64>,
}

impl Checkpoint {
    /// Signs that the log named like the key has `size` events and this root. [`Proofs`](crate::Proofs) computes both;
    /// a program that signs others makes itself a liar.
    #[must_use]
    pub fn sign(key: &LogKey, size: u64, root: TreeHash) -> Self {
        let origin = key.name().to_owned();
        let note = key.sign(format!("{origin}\n{size}\n{root}\n"));
        Self { origin, size, root, note }
    }

    /// Returns the name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of events.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the tree.
    #[must_use]
    pub fn root(&self) -> &TreeHash {
        &self.root
    }

    /// Checks that the log's key signed it.
    ///
    /// # Errors
    /// [`CheckError::NotSigned`] without a signature of this key, and [`CheckError::BadSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), CheckError> {
        if key.name() != self.origin || key.kind() != KeyKind::Log {
            return Err(CheckError::NotSigned { origin: self.origin.clone() });
        }
        if self.signatures(std::slice::from_ref(key))?.is_empty() {
            return Err(CheckError::NotSigned { origin: self.origin.clone() });
        }
        Ok(())
    }

    /// Returns the signatures of known keys. Lines of other keys are passed over.
    ///
    /// # Errors
    /// [`CheckError::BadSignature`] if a line of a known key is not valid. The whole checkpoint is refused then.
    pub fn signatures(&self, keys: &[VerifierKey]) -> Result<Vec<Signed>, CheckError> {
        self.signatures_within(keys, &mut SignatureChecks::without_limit())
    }

    /// Returns the signatures of known keys as [`signatures`](Self::signatures) does. Counts those that are verified. A
    /// line that is there twice is verified once.
    pub(crate) fn signatures_within(
        &self,
        keys: &[VerifierKey],
        checks: &mut SignatureChecks,
    ) -> Result<Vec<Signed>, CheckError> {
        let (mut signed, lines) = (Vec::<Signed>::new(), &self.note.signatures);
        for (at, line) in lines.iter().enumerate() {
            if lines[..at].contains(line) {
                continue;
            }
            for key in keys.iter().filter(|key| key.made(line)) {
                checks.count()?;
                let time = key.verify(&self.note.text, line)?;
                if !signed.iter().any(|before| before.key == *key) {
                    signed.push(Signed { key: key.clone(), time });
                }
            }
        }
        Ok(signed)
    }

    /// Cosigns the checkpoint as a witness, at a time in seconds since 1970 UTC. Returns the signature line. A witness
    /// must remember what it cosigned: [`Witness`](crate::Witness) does.
    #[must_use]
    pub fn cosign(&self, key: &LogKey, time: u64) -> String {
        key.cosign(&self.note.text, time).to_string()
    }

    /// Returns the signature line of a key. `None` if the checkpoint has no line of this key.
    ///
    /// The line is not verified: [`signatures`](Self::signatures) does that.
    #[must_use]
    pub fn signature_line(&self, key: &VerifierKey) -> Option<String> {
        self.note.signatures.iter().find(|line| key.made(line)).map(ToString::to_string)
    }

    /// Adds a signature line that a witness returned. The line of another key replaces nothing; that of the same key
    /// replaces the older line.
    ///
    /// # Errors
    /// [`CheckError`] if the line is not valid, or not of this key, or the key is not the key of a witness; or if the
    /// checkpoint has 100 signature lines already.
    pub fn add_cosignature(&mut self, line: &str, key: &VerifierKey) -> Result<(), CheckError> {
        if key.kind() != KeyKind::Witness {
            return Err(CheckError::NotAWitness { name: key.name().to_owned() });
        }
        let line = SignatureLine::parse(line.strip_suffix('\n').unwrap_or(line))?;
        if !key.made(&line) {
            let (expected, found) = (key.to_string(), line.name);
            return Err(CheckError::OtherCosigner { expected, found });
        }
        key.verify(&self.note.text, &line)?;
        self.note.signatures.retain(|before| !key.made(before));
        Ok(self.note.add(line)?)
    }

    /// Adds the lines of `other`, a checkpoint with the same text, whose keys are not in this one, as far as there is
    /// room for them.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.note.text == other.note.text {
            for line in &other.note.signatures {
                let has = |own: &&SignatureLine| own.name == line.name && own.id == line.id;
                if !self.note.signatures.iter().any(|own| has(&own))
                    && self.note.add(line.clone()).is_err()
                {
                    return;
                }
            }
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl FromStr for Checkpoint {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let note = Note::parse(text)?;
        let invalid = |problem: &str| FormatError::new("checkpoint", problem);
        let lines: Vec<&str> = note.text.split('\n').collect();
        let &[origin, size, root, ""] = &lines[..] else {
            return Err(invalid(
                "it does not have exactly three lines before its signatures: origin, size, root",
            ));
        };
        if !is_name(origin) {
            return Err(invalid("its origin is not a valid name"));
        }
        let size = decimal(size)
            .filter(|size| *size <= MAX_SIZE)
            .ok_or_else(|| invalid("its size is not a number"))?;
        let root: TreeHash = root.parse()?;
        if size == 0 && root != TreeHash::of_nothing() {
            return Err(invalid("its size is 0, and its root is not that of the empty tree"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, note })
    }
}

/// Returns the number that `text` is in decimal, without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_decimal =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_decimal.then(|| text.parse().ok()).flatten()
}
