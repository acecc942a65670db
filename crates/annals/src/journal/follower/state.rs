//! The state of the following thread, and the reasons why one of its steps may stop.

use std::io;
use std::sync::Arc;

use annals_base::{ListWriter, segmented_list};

use crate::backend::follower::FollowStop;
use crate::backend::head::publisher::HeadPublisher;
use crate::error::FollowError;
use crate::event::event::Event;
use crate::journal::fs::{StoreDirectory, StoreFile};
use crate::journal::log::Log;
use crate::journal::recovery::active::Active;
use crate::journal::segment::file::{Piece, SEGMENT_HEAD};
use crate::journal::segment::memory_index::IndexWriter;
use crate::journal::segment::segment::Segment;

/// The number of rounds without anything new after which the thread first checks the log for replacement and damage.
/// The number doubles with each check.
pub(super) const FIRST_LOOK_ROUNDS: u32 = 10;

/// The state of the following thread.
pub(super) struct Follow<E> {
    pub(super) log: Arc<Log>,
    pub(super) head: HeadPublisher<E>,
    pub(super) sealed: ListWriter<Segment>,
    /// The segment that is being read, as readers see it.
    pub(super) segment: Arc<Segment>,
    pub(super) file: Box<dyn StoreFile>,
    pub(super) index: IndexWriter,
    /// The position in the segment's file behind the last frame that was taken.
    pub(super) end: usize,
    pub(super) next_offset: u64,
    /// The offset below which the log reports all events as durable.
    pub(super) durable: u64,
    /// Copies of the frames that the mapping did not show yet, or that are not known to be durable.
    pub(super) pieces: Vec<Piece>,
    /// The number of `pieces` that are in `tail`.
    pub(super) listed: usize,
    /// The pieces as readers see them: the segment's tail.
    pub(super) tail: ListWriter<Piece>,
    /// The position and bytes of the last frame's head, or of the segment's head if it has no frame. Both must stay
    /// as they are.
    pub(super) anchor: (usize, Vec<u8>),
    pub(super) buffer: Vec<u8>,
    /// The head that was published last.
    pub(super) published: u64,
    /// The number of rounds in which a next segment existed but this one had no index file yet.
    pub(super) waited: u32,
    /// The number of rounds in a row without anything new.
    pub(super) idle: u32,
    /// The number of idle rounds after which the log is checked next.
    pub(super) look_after: u32,
}

impl<E: Event> Follow<E> {
    pub(super) fn new(
        log: Arc<Log>,
        head: HeadPublisher<E>,
        sealed: ListWriter<Segment>,
        active: Active,
        closed: u64,
    ) -> Self {
        let Active { file, index, end, next_offset, .. } = active;
        let segment = log.active.load_full();
        Self {
            anchor: (0, segment.bytes.slice(..SEGMENT_HEAD).to_vec()),
            segment,
            log,
            head,
            sealed,
            file,
            index,
            end,
            next_offset,
            durable: closed,
            pieces: Vec::new(),
            listed: 0,
            tail: segmented_list().0,
            buffer: Vec::new(),
            published: next_offset,
            waited: 0,
            idle: 0,
            look_after: FIRST_LOOK_ROUNDS,
        }
    }

    /// Returns the error for events that were read and are not in the log any more.
    pub(super) fn changed(&self) -> FollowStop {
        let path = self.log.directory.path.clone();
        match self.pieces.first() {
            Some(piece) => {
                FollowStop::Ended(FollowError::TakenBack { path, offset: piece.offsets.start })
            }
            None => self.replaced("its files were changed while it was open"),
        }
    }

    /// Returns the error for a store whose files are not the ones that were read.
    pub(super) fn replaced(&self, found: &str) -> FollowStop {
        let path = self.log.directory.path.clone();
        FollowStop::Ended(FollowError::Replaced { path, found: found.to_owned() })
    }
}

/// Returns whether a directory has a file of this name.
pub(super) fn exists(directory: &dyn StoreDirectory, name: &str) -> io::Result<bool> {
    match directory.open_read_only(name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
