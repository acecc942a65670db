//! The state of the writer.

use std::io;
use std::sync::Arc;

use super::ahead::RoomAhead;
use crate::event::event::{Event, Recorded};
use crate::event::labels::Labels;
use crate::journal::directory::Directory;
use crate::journal::fs::StoreFile;
use crate::journal::fs::file_id::{self, FileId, Named};
use crate::journal::lock::Lock;
use crate::journal::log::Log;
use crate::journal::options::JournalOptions;
use crate::journal::recovery::active::Active;
use crate::journal::segment::file_names::log_name;
use crate::journal::segment::frame::FrameHead;
use crate::journal::segment::memory_index::IndexWriter;
use crate::journal::segment::segment::Segment;

/// The number of bytes up to which a commit is small. Room for small commits is filled with zeroes, and each is written
/// with one call.
pub(super) const SMALL_COMMIT: usize = 64 << 10;

/// The writing side of a Journal.
pub(crate) struct JournalTarget<E> {
    pub(super) log: Arc<Log>,
    pub(super) sealed: annals_base::ListWriter<Segment>,
    pub(super) options: JournalOptions,
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn StoreFile>,
    pub(super) index: IndexWriter,
    /// The position of the next commit in the segment's file.
    pub(super) end: usize,
    /// The position up to which room is allocated.
    pub(super) ready: usize,
    pub(super) ahead: RoomAhead,
    pub(super) next_offset: u64,
    /// The offset below which all events are durable.
    pub(super) durable: u64,
    pub(super) last_time_ms: u64,
    /// The number of bytes of the last commit.
    pub(super) last_commit: usize,
    pub(super) staged: Staged<E>,
    /// Held for as long as this process may write.
    pub(super) lock: Option<Lock>,
    /// The name of the active segment's file.
    pub(super) name: String,
    /// The identity of the active segment's file, if the system has one for files.
    pub(super) id: Option<FileId>,
    /// The time of the last commit after which the identity was checked.
    pub(super) seen_ms: u64,
}

/// The frames of the commit that is being built.
pub(super) struct Staged<E> {
    pub(super) bytes: Vec<u8>,
    /// The batches that are not in the index yet, each with the local offset of its first event. They are indexed while
    /// the disk writes, or earlier if a later batch of the same commit searches the index.
    pub(super) unindexed: Vec<(u32, Labels)>,
    /// The position in `bytes` where the last frame starts, and its head as far as it is known.
    pub(super) frame: Option<(usize, FrameHead)>,
    /// The heads of the last frame's records, one behind the other, for their checksum.
    pub(super) record_heads: Vec<u8>,
    pub(super) events: Vec<Recorded<E>>,
    /// The offsets and types of the events that a handle for another type appended. Together with `events`, these are
    /// all staged events.
    pub(super) foreign: Vec<(u64, Box<str>)>,
}

impl<E: Event> JournalTarget<E> {
    pub(crate) fn new(
        log: Arc<Log>,
        sealed: annals_base::ListWriter<Segment>,
        active: Active,
        options: JournalOptions,
        lock: Lock,
    ) -> io::Result<Self> {
        let Active { file, index, end, next_offset, last_time_ms, .. } = active;
        let segment = log.active.load_full();
        Ok(Self {
            name: log_name(segment.first),
            id: file.id()?,
            segment,
            log,
            sealed,
            options,
            file: file.into(),
            index,
            end,
            ready: end,
            ahead: RoomAhead::default(),
            next_offset,
            durable: next_offset,
            last_time_ms,
            last_commit: 0,
            staged: Staged {
                bytes: Vec::new(),
                unindexed: Vec::new(),
                frame: None,
                record_heads: Vec::new(),
                events: Vec::new(),
                foreign: Vec::new(),
            },
            lock: Some(lock),
            seen_ms: 0,
        })
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.log.directory
    }

    /// Fails if the active segment's file is not in the store any more: it was removed, or another file has its name.
    pub(super) fn check_file(&self) -> io::Result<()> {
        if file_id::compare(self.id, self.directory().handle.file_id(&self.name)?) == Named::Same {
            return Ok(());
        }
        let text = format!(
            "{} was removed, or replaced by another file, while the store was open",
            self.segment.path.display()
        );
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }
}
