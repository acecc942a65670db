//! A segment: a file of frames, mapped, and the index that finds events in it.
//!
//! ```text
//!   file  ┌ 0 "annals.l" │ 8 format │ 12 checksum of 16..64 │ 16 store id │ 32 first offset
//!         │ 40 time of the event before it, ms │ 48 zeroes
//!         └ 64 frame, frame, …, zeroes to the end of the file
//! ```
//! The last segment is the active one: its index grows in memory. The others are sealed: their files never change
//! again, and their indexes are files too ([`super::sealed`]).

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use annals_base::SegmentedList;
use bytes::Bytes;

use super::directory::{Directory, FORMAT};
use super::frame::{Fault, FrameHead, check_frame, check_record};
use super::fs::UNFINISHED;
use super::recovery::rebuild_index;
use super::sealed::SealedIndex;
use super::{FileSystem, StoreFile};
use crate::index::{Kind, LiveIndex, Lookup, Names, Posting, u32_at, u64_at};
use crate::labels::Name;
use crate::{Corruption, RawEvent};

/// Bytes of a segment file's head.
pub(crate) const SEGMENT_HEAD: usize = 64;

const MAGIC: &[u8; 8] = b"annals.l";

/// What a segment file's head says, beyond what its name and store say already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentHead {
    pub(crate) time_before_ms: u64,
}

/// Where all checksums of a segment's frames begin.
pub(crate) fn seed(store_id: &[u8; 16], first: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(store_id), &first.to_le_bytes())
}

/// Makes the file of the segment that begins at `first`, durable under its name.
pub(crate) fn create(
    system: &dyn FileSystem,
    directory: &Directory,
    first: u64,
    time_before_ms: u64,
) -> io::Result<Box<dyn StoreFile>> {
    let path = directory.log(first);
    let unfinished = path.with_added_extension(UNFINISHED);
    let made = make(system, directory, first, time_before_ms, &unfinished);
    if made.is_err() {
        // The error that is told is the first; what is left over is removed when the store is next opened.
        let _ = system.remove(&unfinished);
    }
    let file = made?;
    system.rename(&unfinished, &path)?;
    system.sync_directory(&directory.path)?;
    Ok(file)
}

fn make(
    system: &dyn FileSystem,
    directory: &Directory,
    first: u64,
    time_before_ms: u64,
    path: &std::path::Path,
) -> io::Result<Box<dyn StoreFile>> {
    let mut head = [0; SEGMENT_HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&u32::try_from(FORMAT).unwrap_or(u32::MAX).to_le_bytes());
    head[16..32].copy_from_slice(&directory.store_id);
    head[32..40].copy_from_slice(&first.to_le_bytes());
    head[40..48].copy_from_slice(&time_before_ms.to_le_bytes());
    let checksum = crc32c::crc32c(&head[16..]);
    head[12..16].copy_from_slice(&checksum.to_le_bytes());
    let file = match system.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            system.remove(path)?;
            system.create(path)?
        }
        created => created?,
    };
    file.write_at(&head, 0)?;
    file.sync()?;
    Ok(file)
}

/// Checks a segment file's head.
pub(crate) fn check_head(
    bytes: &[u8],
    store_id: &[u8; 16],
    first: u64,
) -> Result<SegmentHead, Fault> {
    let fault =
        |position, expected: String, found: String| Err(Fault { position, expected, found });
    let Some(head) = bytes.first_chunk::<SEGMENT_HEAD>() else {
        return fault(
            0,
            format!("a head of {SEGMENT_HEAD} bytes"),
            format!("{} bytes", bytes.len()),
        );
    };
    if &head[..8] != MAGIC {
        return fault(
            0,
            "the beginning of a segment, \"annals.l\"".into(),
            format!("{:02x?}", &head[..8]),
        );
    }
    let (stored, computed) = (u32_at(head, 12), crc32c::crc32c(&head[16..]));
    if stored != computed {
        return fault(12, format!("checksum {computed:08x}"), format!("{stored:08x}"));
    }
    if u64::from(u32_at(head, 8)) != FORMAT {
        return fault(8, format!("format {FORMAT}"), format!("format {}", u32_at(head, 8)));
    }
    if &head[16..32] != store_id {
        let id = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).unwrap_or_default().to_string();
        return fault(
            16,
            format!("a segment of store {}", id(store_id)),
            format!("one of store {}", id(&head[16..32])),
        );
    }
    if u64_at(head, 32) != first {
        return fault(
            32,
            format!("the segment that begins at offset {first}, as its name says"),
            u64_at(head, 32).to_string(),
        );
    }
    Ok(SegmentHead { time_before_ms: u64_at(head, 40) })
}

/// A segment as readers have it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) seed: u32,
    /// The mapped file. Only what is below the head is ever looked at.
    pub(crate) bytes: Bytes,
    pub(crate) index: SegmentIndex,
}

/// How events are found in a segment.
#[derive(Debug)]
pub(crate) enum SegmentIndex {
    Live(LiveSegmentIndex),
    Sealed(SealedIndex, OnceLock<Result<LiveSegmentIndex, Corruption>>),
}

/// An index in memory: of the active segment, or rebuilt.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegmentIndex {
    /// Where each event's record starts.
    pub(crate) positions: SegmentedList<u32>,
    pub(crate) names: LiveIndex,
}

impl SegmentIndex {
    pub(crate) fn sealed(index: SealedIndex) -> Self {
        Self::Sealed(index, OnceLock::new())
    }
}

/// The index of a segment once its checksums have been looked at.
pub(crate) enum CheckedIndex<'a> {
    Live(&'a LiveSegmentIndex),
    Sealed(&'a SealedIndex),
}

impl Segment {
    /// The index, of which `kinds` will be asked: as sealed if its checksums are right, else rebuilt from the log.
    pub(crate) fn index(&self, kinds: &[Kind]) -> Result<CheckedIndex<'_>, Corruption> {
        match &self.index {
            SegmentIndex::Live(index) => Ok(CheckedIndex::Live(index)),
            SegmentIndex::Sealed(index, rebuilt) => {
                if rebuilt.get().is_none() && index.is_whole(kinds) {
                    return Ok(CheckedIndex::Sealed(index));
                }
                let make = || {
                    tracing::warn!(segment = %self.path.display(), "its index is damaged; rebuilding it in memory");
                    rebuild_index(self, self.first + index.count())
                };
                rebuilt
                    .get_or_init(make)
                    .as_ref()
                    .map(CheckedIndex::Live)
                    .map_err(Corruption::clone)
            }
        }
    }

    /// The event at `offset`, which is one of the segment's, and when it was recorded.
    pub(crate) fn read(&self, offset: u64) -> Result<(RawEvent, u64), Corruption> {
        let index = self.index(&[])?;
        let place = u32::try_from(offset - self.first).unwrap_or(u32::MAX);
        self.read_at(index.position(place), offset, &mut None)
    }

    /// The event at `offset`, whose record starts at `position`. `frame` remembers the frame that was checked last,
    /// where it starts and its time, so that one of many events is checked once.
    pub(crate) fn read_at(
        &self,
        position: usize,
        offset: u64,
        frame: &mut Option<(usize, u64)>,
    ) -> Result<(RawEvent, u64), Corruption> {
        let corrupt = |fault: Fault| self.corruption(fault, offset);
        let body = check_record(&self.bytes, position, offset, self.first).map_err(corrupt)?;
        let start = position.checked_sub(u32_at(&self.bytes, position + 12) as usize);
        let time_ms = match *frame {
            Some((known, time_ms)) if start == Some(known) => time_ms,
            _ => {
                let start = start.unwrap_or(0);
                let head = FrameHead::read(&self.bytes, start, self.seed).map_err(corrupt)?;
                if !(head.first..head.end()).contains(&offset) {
                    let expected = format!("the frame of offset {offset}");
                    let found = format!("the frame of {}..{}", head.first, head.end());
                    return Err(corrupt(Fault { position: position + 12, expected, found }));
                }
                *frame = Some((start, head.time_ms));
                head.time_ms
            }
        };
        let event = RawEvent::from_body(self.bytes.slice_ref(body)).map_err(|problem| {
            let expected = "the body of an event".to_owned();
            corrupt(Fault { position: position + 16, expected, found: problem.to_owned() })
        })?;
        Ok((event, time_ms))
    }

    /// Checks the frame at `position` of the mapped bytes, up to where it ends.
    pub(crate) fn check_frame<'a>(
        &'a self,
        position: usize,
        see: impl FnMut(super::frame::Record<'a>),
    ) -> Result<FrameHead, Fault> {
        check_frame(
            self.bytes.get(position..).unwrap_or_default(),
            position,
            self.seed,
            self.first,
            see,
        )
    }

    pub(crate) fn corruption(&self, fault: Fault, offset: u64) -> Corruption {
        Corruption {
            file: self.path.clone(),
            position: fault.position as u64,
            offset,
            expected: fault.expected,
            found: fault.found,
        }
    }
}

impl CheckedIndex<'_> {
    /// Where the record of the event at this place starts; 0, where none is, if there is no such event.
    pub(crate) fn position(&self, place: u32) -> usize {
        match self {
            Self::Live(index) => {
                index.positions.get(place as usize).map_or(0, |&position| position as usize)
            }
            Self::Sealed(index) => index.position(place),
        }
    }

    /// Shows every name of a kind with the offsets of its events.
    pub(crate) fn for_each_name(&self, kind: Kind, mut see: impl FnMut(&str, Posting<'_>)) {
        match self {
            Self::Live(index) => {
                let names: &Names = index.names.names(kind);
                names.iter().for_each(|(name, posting)| see(name, posting));
            }
            Self::Sealed(index) => index.for_each_name(kind, see),
        }
    }
}

impl Lookup for CheckedIndex<'_> {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        match self {
            Self::Live(index) => index.names.posting(kind, name),
            Self::Sealed(index) => index.posting(kind, name),
        }
    }
}
