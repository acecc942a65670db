//! The bytes of a commit, as docs/RECORD.md specifies them.
//!
//! ```text
//!   hash     the hash of a commit            body     batches and their events, a genesis, an epoch
//!   header   the 256 bytes before each part  commit   a header and a whole body
//!   entry    one part of a commit, in a slot
//! ```

pub(crate) mod body;
pub(crate) mod commit;
pub(crate) mod entry;
pub(crate) mod hash;
pub(crate) mod header;
