//! The commands, one per file.

pub(crate) mod append;
pub(crate) mod completions;
pub(crate) mod consumers;
pub(crate) mod copy;
pub(crate) mod count;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod proof;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod salvage;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "channels")]
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod tags;
pub(crate) mod tail;
pub(crate) mod types;
pub(crate) mod verify;
