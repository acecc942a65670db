//! The proofs of a log: signing checkpoints, proving, verifying.
//!
//! ```text
//!   directory  an open directory of files                   nodes      the files with the nodes of the tree
//!   leaves     hashes events of the log                     reader     any node, from the files and the log
//!   state      the tree as far as it is hashed              open       finds the state again, and what contradicts it
//!   proofs     the face: `Proofs`                           evidence   builds evidence files
//!   verify     hashes the whole log again                   follow     a thread that hashes new events
//!   publish    the tiles for tlog-tiles clients              site       the directory in which they are published
//!   tile_files the names and bytes of published files        agree      compares the log with a party's checkpoint
//!   options    how the proofs of a log are opened
//! ```

pub(crate) mod agree;
pub(crate) mod directory;
pub(crate) mod evidence;
pub(crate) mod follow;
pub(crate) mod leaves;
pub(crate) mod nodes;
pub(crate) mod open;
pub(crate) mod options;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod proofs;
pub(crate) mod publish;
pub(crate) mod reader;
mod site;
pub(crate) mod state;
mod tile_files;
pub(crate) mod verify;
