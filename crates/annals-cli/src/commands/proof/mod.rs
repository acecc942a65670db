//! The commands about proofs.
//!
//! ```text
//!   key         annals key             prove      annals prove          witness    annals witness
//!   checkpoint  annals checkpoint      check      annals check          publish    annals publish
//!   fork        annals fork            lines      what a file proves    channels   evidence of channels
//!   files       reads their files
//! ```

#[cfg(feature = "channels")]
mod channels;
pub(crate) mod check;
pub(crate) mod checkpoint;
pub(crate) mod files;
pub(crate) mod fork;
pub(crate) mod key;
mod lines;
pub(crate) mod prove;
pub(crate) mod publish;
pub(crate) mod witness;
