//! Mapping a store's files: the one place outside of `annals-base` with `unsafe` code, since the Journal is what keeps the
//! contract of [`MappedFile::map`].
//!
//! # Why it is kept
//! * **Bytes that a reader may look at are never rewritten.** The writer appends behind the head and erases only what it
//!   never published. A follower lends from the mapping only what the log itself says is durable, and what it copied
//!   otherwise ([`Tail`](super::segment::file::Tail)), since the writer takes back a commit whose sync failed. Index and filter files
//!   are written under another name and never change once they have their own.
//! * **Files are not cut below what a reader may look at.** The writer cuts a segment's file only behind its last frame. A
//!   follower reads what is new through the file, not through the mapping.
//! * **Nobody else changes the files.** The lock keeps other writers out. That no other program changes or cuts the files of
//!   a store is an assumption that docs/DURABILITY.md states ("Nobody else changes, cuts or removes the store's files").
#![allow(unsafe_code)]

use std::io::{self, ErrorKind};

use annals_base::MappedFile;
use bytes::Bytes;

use super::fs::StoreFile;

/// The number of memory mappings that a process may have on Linux unless the system is told otherwise.
#[cfg(target_os = "linux")]
const MAPPINGS: &str = "/proc/sys/vm/max_map_count";

/// Maps the first `size` bytes of a store's file.
pub(super) fn map(file: &dyn StoreFile, size: u64) -> io::Result<Bytes> {
    let size = usize::try_from(size).map_err(|_| ErrorKind::FileTooLarge)?;
    // SAFETY: it is a file of a store, whose bytes stay as the module's documentation says.
    let mapped = unsafe { MappedFile::map(&file.file()?, size) };
    mapped.map(Bytes::from_owner).map_err(no_mapping)
}

/// Maps all of a store's file. A writer may cut it meanwhile, once.
pub(super) fn map_all(file: &dyn StoreFile) -> io::Result<Bytes> {
    match map(file, file.size()?) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => map(file, file.size()?),
        mapped => mapped,
    }
}

/// Names the limit that was reached where the system says no more than that memory is lacking.
fn no_mapping(error: io::Error) -> io::Error {
    #[cfg(target_os = "linux")]
    if error.kind() == ErrorKind::OutOfMemory {
        let limit = std::fs::read_to_string(MAPPINGS).unwrap_or_default();
        let text = format!(
            "the system has no memory mapping left for this process ({error}). Every segment takes two; the limit, \
             vm.max_map_count, is {}: raise it (`sysctl -w vm.max_map_count=NUMBER`; a program can also have larger segments: \
             segment_bytes)",
            limit.trim()
        );
        return io::Error::new(ErrorKind::OutOfMemory, text);
    }
    error
}
