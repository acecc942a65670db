//! How a Journal is opened.

use std::sync::Arc;

use super::fs::{FileSystem, RealFileSystem};
use crate::OpenError;

/// When an append to a Journal returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the disk: survives loss of power. The default.
    #[default]
    Sync,
    /// When the operating system has it: survives the end of the process, not loss of power. It is synced when its
    /// segment is sealed, by [`sync`](crate::EventStore::sync), and on close.
    Buffered,
}

/// Settings of a Journal; each is fine as it is.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    pub(super) segment_bytes: u64,
    pub(super) durability: Durability,
    pub(super) file_system: Arc<dyn FileSystem>,
}

/// The least size of a segment, in bytes.
const MIN_SEGMENT_BYTES: u64 = 4 << 10;
/// The greatest size of a segment, in bytes: positions in it take 4 bytes, and a last batch may reach beyond it.
const MAX_SEGMENT_BYTES: u64 = 2 << 30;

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            durability: Durability::Sync,
            file_system: Arc::new(RealFileSystem),
        }
    }
}

impl JournalOptions {
    /// The size, in bytes, at which a segment is sealed and the next begun: 64 MiB by default, 4 KiB to 2 GiB. The
    /// batch that reaches it is still the segment's.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// When an append returns: [`Durability::Sync`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The file system: the operating system's by default.
    #[must_use]
    pub fn file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        if (MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return Ok(());
        }
        Err(OpenError::BadOption {
            name: "segment_bytes",
            value: self.segment_bytes.to_string(),
            expected: format!("{MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES} bytes"),
        })
    }
}
