//! Files for a dispute: evidence of what a log contains, and of a log that contradicts itself.
//!
//! ```text
//!   strict     JSON of one form: no unknown and no duplicate members, bounded lists
//!   evidence   checkpoint, events, proofs        fork   two checkpoints that cannot both be true
//! ```

#[expect(
    clippy::module_inception,
    reason = "the file of the format that the folder is named after"
)]
pub(crate) mod evidence;
pub(crate) mod fork;
pub(crate) mod strict;
