//! Signed notes, and what is written as one: C2SP's signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof, the
//! body of tlog-witness, and tlog-policy.
//!
//! ```text
//!   note         a text with signature lines        key         keys, key files, vkeys
//!   checkpoint   origin, size and root, signed      policy      whose signatures are enough
//!   tlog_proof   an inclusion proof as a text       request     a consistency proof, as a witness takes it
//!   checks       counts signatures
//! ```

pub(crate) mod checkpoint;
pub(crate) mod checks;
pub(crate) mod key;
#[expect(
    clippy::module_inception,
    reason = "the file of the format that the folder is named after"
)]
pub(crate) mod note;
pub(crate) mod policy;
pub(crate) mod request;
pub(crate) mod tlog_proof;
