//! Forks: two checkpoints of one log that cannot both be true. They convict the log's owner by themselves.

use serde::Deserialize;
use serde_json::json;

use super::strict::{Bounded, Object, Text, present};
use crate::base64;
use crate::entry::Entry;
use crate::error::{CheckError, FormatError};
use crate::hash::TreeHash;
use crate::note::checkpoint::Checkpoint;
use crate::note::key::VerifierKey;
use crate::note::tlog_proof::InclusionProof;
use crate::tree::check::check_inclusion;

/// The largest fork file, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Two checkpoints that one log signed and that contradict each other.
#[derive(Debug)]
pub struct Fork {
    a: Checkpoint,
    b: Checkpoint,
    entries: Option<[(Entry, Vec<TreeHash>); 2]>,
}

/// The facts that a fork proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkFound {
    /// The log.
    pub origin: String,
    /// The sizes of the two checkpoints.
    pub sizes: [u64; 2],
    /// The offset at which the log showed two different events, if the file proves it.
    pub offset: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkFile {
    annals_fork: u32,
    a: Text<Checkpoint>,
    b: Text<Checkpoint>,
    #[serde(default, deserialize_with = "present")]
    offset: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    entry_a: Option<Text<Entry>>,
    #[serde(default, deserialize_with = "present")]
    proof_a: Option<Bounded<Text<TreeHash>, 64>>,
    #[serde(default, deserialize_with = "present")]
    entry_b: Option<Text<Entry>>,
    #[serde(default, deserialize_with = "present")]
    proof_b: Option<Bounded<Text<TreeHash>, 64>>,
}

impl Fork {
    /// Returns the fork of two checkpoints with the same size and different roots.
    #[must_use]
    pub fn of_checkpoints(a: Checkpoint, b: Checkpoint) -> Self {
        Self { a, b, entries: None }
    }

    /// Returns the fork of two proofs of different events at the same offset.
    #[must_use]
    pub fn of_proofs(a: &InclusionProof, b: &InclusionProof) -> Self {
        let entry = |proof: &InclusionProof| (proof.entry().clone(), proof.hashes().to_vec());
        let (of_a, of_b) = (entry(a), entry(b));
        Self { a: a.checkpoint().clone(), b: b.checkpoint().clone(), entries: Some([of_a, of_b]) }
    }

    /// Reads a fork file. Checks only its form.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn from_json(json: &[u8]) -> Result<Self, FormatError> {
        let invalid = |problem: String| FormatError::new("fork", problem);
        if json.len() > MAX_BYTES {
            return Err(invalid("it has more than 1 MiB".to_owned()));
        }
        let file: Object<ForkFile> =
            serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        let file = file.0;
        if file.annals_fork != 1 {
            return Err(invalid(format!(
                "it has version {}; this program reads 1",
                file.annals_fork
            )));
        }
        let hashes =
            |list: Bounded<Text<TreeHash>, 64>| list.0.into_iter().map(|hash| hash.0).collect();
        let entries = match (file.offset, file.entry_a, file.proof_a, file.entry_b, file.proof_b) {
            (None, None, None, None, None) => None,
            (Some(offset), Some(a), Some(proof_a), Some(b), Some(proof_b))
                if a.0.offset() == offset && b.0.offset() == offset =>
            {
                Some([(a.0, hashes(proof_a)), (b.0, hashes(proof_b))])
            }
            _ => {
                return Err(invalid(
                    "it has only a part of the two entries, or of other offsets".to_owned(),
                ));
            }
        };
        Ok(Self { a: file.a.0, b: file.b.0, entries })
    }

    /// Returns the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut file = json!({"annals_fork": 1, "a": self.a.to_string(), "b": self.b.to_string()});
        if let Some([(a, proof_a), (b, proof_b)]) = &self.entries {
            let texts =
                |hashes: &[TreeHash]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
            file["offset"] = a.offset().into();
            file["entry_a"] = base64::encode(a.as_bytes()).into();
            file["proof_a"] = texts(proof_a).into();
            file["entry_b"] = base64::encode(b.as_bytes()).into();
            file["proof_b"] = texts(proof_b).into();
        }
        format!("{file}\n")
    }

    /// Checks that the log with this key signed both checkpoints, and that they contradict each other.
    ///
    /// # Errors
    /// [`CheckError`] if not. The file then convicts no owner.
    pub fn check(&self, key: &VerifierKey) -> Result<ForkFound, CheckError> {
        let (a, b) = (&self.a, &self.b);
        a.verify(key)?;
        b.verify(key)?;
        let found = |offset| ForkFound {
            origin: key.name().to_owned(),
            sizes: [a.size(), b.size()],
            offset,
        };
        let Some([(entry_a, proof_a), (entry_b, proof_b)]) = &self.entries else {
            return if a.size() == b.size() && a.root() != b.root() {
                Ok(found(None))
            } else {
                let text =
                    "the two checkpoints do not have one size and different roots".to_owned();
                Err(CheckError::Contradiction(text))
            };
        };
        if entry_a == entry_b || entry_a.offset() != entry_b.offset() {
            let text = "the two checkpoints are shown with the same event".to_owned();
            return Err(CheckError::Contradiction(text));
        }
        check_inclusion(&entry_a.leaf(), entry_a.offset(), a.size(), proof_a, a.root())?;
        check_inclusion(&entry_b.leaf(), entry_b.offset(), b.size(), proof_b, b.root())?;
        Ok(found(Some(entry_a.offset())))
    }
}
