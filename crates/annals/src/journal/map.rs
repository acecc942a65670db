//! Mapping a store's files. This is the one place outside `annals-base` with `unsafe` code, since the Journal keeps the
//! contract of [`MappedFile::map`].
//!
//! # How the contract is kept
//! * **Bytes that a reader may read are never rewritten.** The writer appends behind the head and erases only bytes
//!   that it never published. A follower may have seen such bytes, though: those of a commit whose sync failed. A
//!   follower therefore lends from the mapping only what the log itself reports as durable, and all else from a copy
//!   ([`Tail`](super::segment::file::Tail)). Index files are written under another name and never change
//!   once they have their own.
//! * **Files are not cut below what a reader may read.** The writer cuts a segment's file only behind its last frame. A
//!   follower reads new bytes through the file, not through the mapping.
//! * **No other program changes the files.** The lock excludes other writers. That no other program changes or cuts the
//!   files of a store is an assumption, stated in docs/DURABILITY.md.
#![allow(unsafe_code)]

use std::io::{self, ErrorKind};

use annals_base::MappedFile;
use bytes::Bytes;

use super::fs::StoreFile;

/// The file with the number of memory mappings that a Linux process may have.
#[cfg(target_os = "linux")]
const MAPPINGS: &str = "/proc/sys/vm/max_map_count";

/// Maps the first `size` bytes of a store's file.
pub(super) fn map(file: &dyn StoreFile, size: u64) -> io::Result<Bytes> {
    let size = usize::try_from(size).map_err(|_| ErrorKind::FileTooLarge)?;
    // SAFETY: it is a file of a store, whose bytes do not change, as the module's documentation explains.
    let mapped = unsafe { MappedFile::map(&file.file()?, size) };
    mapped.map(Bytes::from_owner).map_err(no_mapping)
}

/// Maps the whole of a store's file. A writer may cut the file once in the meantime.
pub(super) fn map_all(file: &dyn StoreFile) -> io::Result<Bytes> {
    match map(file, file.size()?) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => map(file, file.size()?),
        mapped => mapped,
    }
}

/// Names the limit that was reached, since the system only reports that memory is lacking.
fn no_mapping(error: io::Error) -> io::Error {
    #[cfg(target_os = "linux")]
    if error.kind() == ErrorKind::OutOfMemory {
        let limit = std::fs::read_to_string(MAPPINGS).unwrap_or_default();
        let text = format!(
            "the system cannot map the file ({error}). Probably no memory mapping is left for this process: every segment \
             takes two, and the limit, vm.max_map_count, is {}. Raise it (`sysctl -w vm.max_map_count=NUMBER`), or use \
             larger segments (segment_bytes). A limit on the process's memory (ulimit -v) can be the cause, too",
            limit.trim()
        );
        return io::Error::new(ErrorKind::OutOfMemory, text);
    }
    error
}
