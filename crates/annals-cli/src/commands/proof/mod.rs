//! The commands about proofs.
//!
//! ```text
//!   key         annals key             prove      annals prove          witness    annals witness
//!   checkpoint  annals checkpoint      check      annals check          publish    annals publish
//!   files       reads their files
//! ```

pub(crate) mod check;
pub(crate) mod checkpoint;
pub(crate) mod files;
pub(crate) mod key;
pub(crate) mod prove;
pub(crate) mod publish;
pub(crate) mod witness;
