//! The index of a sealed segment as a file, which is read in place.
//!
//! ```text
//!   ┌ 0 "annals.i" │ 8 format │ 12 checksum of 16..112 │ 16 store id │ 32 first offset │ 40 events
//!   │ 48 positions, types, tags, ids: each start (4), size (4), checksum (4), zero (4)
//!   │ 60 the checksum of the frames, instead of the positions' zero
//!   │ 76, 92 the size and the checksum of the filter, instead of the zeroes of the types and the tags
//!   │ 108 the start of the checksums of blocks, instead of the zero of the ids; 0 in a file of an older annals
//!   └ 112 the four sections, the last with zeroes up to a multiple of 64; the checksums (see `blocks`); the filter
//!
//!   positions  of each event's record in the segment (4 each)
//!   a table    ┌ 0 names │ 4 slots (a power of two) │ 8 slot, slot, …: entry + 1, 0 empty (4 each)
//!              │ entries: upper half of the hash, start of the name, start and number of the offsets (4 each)
//!              │ names: size (1), bytes
//!              └ local offsets, ascending (4 each), from a multiple of 4
//!   filter     the Bloom filter of all names (see `bloom`): the last bytes of the file. An older annals wrote none.
//! ```
//! Every position and size takes 4 bytes, so an index file has less than 4 GiB. A segment is sealed before its index
//! could become larger (see `IndexLimits`). An older annals did not do so, and wrote larger files whose positions
//! wrapped. A file that is too large is therefore not valid, and the index of its segment stays in memory.
//!
//! The lookup of a name starts at slot `hash mod slots` and goes from slot to slot up to an empty one. The hash is
//! SipHash-1-3 of the name's bytes with the store id as key. What a lookup reads is verified block by block, when
//! a block is first read. In a file without checksums of blocks, a section is verified whole when it is first used.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::blocks::{CheckedBlocks, are_whole, checksums_of, checksums_size};
use super::bloom::{BLOCK, BloomFilter, filter_bytes, filter_of};
use super::file::FORMAT;
use super::file_names::index_name;
use super::memory_index::SegmentMemIndex;
use super::table_encoding::{ENTRY, encode_table, upper};
use crate::event::name::Hasher;
use crate::event::name::Name;
use crate::index::lookup::{Kind, Posting};
use crate::index::memory::MemIndex;
use crate::index::names::Totals;
use crate::journal::fs::StoreDirectory;
use crate::journal::fs::tools::write_all;
use crate::journal::map::map_all;
use crate::util::crc32c::crc32c;
use crate::util::little_endian::{u32_at, u64_at};
use crate::util::local_offset::local_size;

const MAGIC: &[u8; 8] = b"annals.i";
const HEAD: usize = 112;
/// The position in the head of the checksum of the segment's frames.
const FRAMES_CRC: usize = 60;
/// The position in the head of the size of the filter.
const FILTER_SIZE: usize = 76;
/// The position in the head of the checksum of the filter.
const FILTER_CRC: usize = 92;
/// The position in the head of the start of the checksums of blocks.
const BLOCKS_START: usize = 108;
const SECTIONS: usize = 4;

/// The most bytes of an index file, since positions in it take 4 bytes.
pub(crate) const MOST_INDEX_BYTES: u64 = u32::MAX as u64;

/// The mapped index of a sealed segment.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    bytes: Bytes,
    hasher: Hasher,
    count: u64,
    /// The blocks of the sections; `None` in a file of an older annals.
    blocks: Option<CheckedBlocks>,
    /// The sections that are verified whole because the file has no checksums of blocks.
    whole: [OnceLock<bool>; SECTIONS],
    /// Whether a part of the file that was used is damaged.
    damaged: AtomicBool,
}

/// Returns the number of the section of a kind of names. Section 0 has the positions.
fn section_of(kind: Kind) -> usize {
    match kind {
        Kind::Type => 1,
        Kind::Tag => 2,
        Kind::Id => 3,
    }
}

impl SealedIndex {
    /// Opens the index in these bytes. Returns `None` if they are not a valid index of this segment: `count` events
    /// from `first` on.
    pub(crate) fn open(bytes: Bytes, store_id: &[u8; 16], first: u64, count: u64) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD>()?;
        let right = bytes.len() as u64 <= MOST_INDEX_BYTES
            && u32::try_from(count).is_ok()
            && &head[..8] == MAGIC
            && u64::from(u32_at(head, 8)) == FORMAT
            && u32_at(head, 12) == crc32c(&head[16..])
            && &head[16..32] == store_id
            && u64_at(head, 32) == first
            && u64_at(head, 40) == count
            && (u32_at(head, FILTER_SIZE) as usize).is_multiple_of(BLOCK)
            && u32_at(head, FILTER_SIZE) as usize <= bytes.len();
        let blocks = match u32_at(head, BLOCKS_START) {
            0 => None,
            start => Some(CheckedBlocks::new(start as usize)),
        };
        let filter_size = u64::from(u32_at(head, FILTER_SIZE));
        let right = right
            && blocks.as_ref().is_none_or(|blocks| {
                let end = blocks.end() as u64;
                let checksums = checksums_size(end) + checksums_size(filter_size);
                end >= HEAD as u64 && end + checksums + filter_size == bytes.len() as u64
            });
        let (whole, damaged) = ([const { OnceLock::new() }; SECTIONS], AtomicBool::new(false));
        right.then_some(Self {
            bytes,
            hasher: Hasher::new(store_id),
            count,
            blocks,
            whole,
            damaged,
        })
    }

    /// Returns the hasher of its names.
    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Returns the number of events that it covers.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the [`frames_crc`](super::memory_index::IndexWriter::frames_crc) of the segment that it was built from;
    /// 0 if an older annals wrote it.
    pub(crate) fn frames_crc(&self) -> u32 {
        u32_at(&self.bytes, FRAMES_CRC)
    }

    /// Returns the size of the file in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether all checksums are right. Reads the whole file.
    pub(crate) fn is_whole(&self) -> bool {
        let blocks = self.blocks.as_ref().is_none_or(|blocks| {
            let (sections, rest) = self.bytes.split_at(blocks.end());
            let size = usize::try_from(checksums_size(sections.len() as u64));
            let checksums = size.ok().and_then(|size| rest.get(..size));
            checksums.is_some_and(|checksums| are_whole(sections, checksums))
        });
        (0..SECTIONS).all(|section| self.is_section_whole(section))
            && self.filter().is_whole()
            && blocks
    }

    fn is_section_whole(&self, section: usize) -> bool {
        let (start, size) = self.range_of(section);
        let bytes = self.bytes.get(start..start.saturating_add(size));
        bytes.is_some_and(|bytes| crc32c(bytes) == u32_at(&self.bytes, 48 + section * 16 + 8))
    }

    /// Returns whether a part of the file that was used is damaged. Then what was found in it may lack something.
    pub(crate) fn is_damaged(&self) -> bool {
        // Relaxed, paired with the store in `note_damage`: the same thread made that store, or it makes no difference.
        self.damaged.load(Ordering::Relaxed)
    }

    /// Notes that a part of the file is damaged.
    pub(crate) fn note_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed); // pairs with the load in `is_damaged`
    }

    /// Returns the filter of all names, without bits if an older annals wrote the file.
    pub(crate) fn filter(&self) -> BloomFilter {
        let size = u32_at(&self.bytes, FILTER_SIZE);
        let checksums = match self.blocks {
            Some(_) => usize::try_from(checksums_size(size.into())).unwrap_or_default(),
            None => 0,
        };
        let start = self.bytes.len() - size as usize - checksums;
        BloomFilter::new(self.bytes.slice(start..), size, u32_at(&self.bytes, FILTER_CRC))
    }

    /// Returns the position of the record of an event, or `None` if the file is damaged there.
    pub(crate) fn position(&self, local: u32) -> Option<usize> {
        Some(u32_at(self.part(0, local as usize * 4, 4)?, 0) as usize)
    }

    /// Returns what [`position`](Self::position) does. Verifies nothing in a file without checksums of blocks, where it
    /// would have to read all positions.
    pub(crate) fn likely_position(&self, local: u32) -> Option<usize> {
        match self.blocks {
            Some(_) => self.position(local),
            None => Some(u32_at(self.section(0), local as usize * 4) as usize),
        }
    }

    /// Returns the offsets of the events with this name. Returns `None`, too, if the file is damaged where they would
    /// be; then [`is_damaged`](Self::is_damaged).
    pub(crate) fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        Table::new(self, section_of(kind), true)?.posting(name)
    }

    /// Returns what [`posting`](Self::posting) does. Verifies nothing in a file without checksums of blocks, where it
    /// would have to read the whole table.
    pub(crate) fn likely_posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        Table::new(self, section_of(kind), self.blocks.is_some())?.posting(name)
    }

    /// Calls `see` with every name of a kind and the local offsets of its events. Leaves out those where the file is
    /// damaged; then [`is_damaged`](Self::is_damaged).
    pub(crate) fn for_each_name(&self, kind: Kind, mut see: impl FnMut(&str, Posting<'_>)) {
        let Some(table) = Table::new(self, section_of(kind), true) else { return };
        for entry in 0..table.names {
            let found = table.entry(entry).and_then(|entry| {
                Some((std::str::from_utf8(table.name(entry)?).ok()?, table.offsets(entry)?))
            });
            match found {
                Some((name, offsets)) => see(name, offsets),
                None => return self.note_damage(),
            }
        }
    }

    /// Returns `size` bytes of a section from `start` on, after they were verified. Notes damage, and returns `None`,
    /// if their checksum is wrong or they are outside of the section.
    #[inline]
    fn part(&self, section: usize, start: usize, size: usize) -> Option<&[u8]> {
        let (from, section_size) = self.range_of(section);
        let end = start.checked_add(size).filter(|&end| end <= section_size);
        let range = end.map(|end| from + start..from + end);
        let part = range.clone().and_then(|range| self.bytes.get(range));
        let (Some(range), Some(part)) = (range, part) else { return self.none_after_damage() };
        let is_whole = match &self.blocks {
            // The sections lie before the checksums.
            Some(blocks) => {
                range.is_empty()
                    || range.end <= blocks.end() && blocks.are_whole(&self.bytes, &range)
            }
            None => *self.whole[section].get_or_init(|| self.is_section_whole(section)),
        };
        if is_whole { Some(part) } else { self.none_after_damage() }
    }

    /// Notes damage and returns nothing.
    #[cold]
    fn none_after_damage(&self) -> Option<&[u8]> {
        self.note_damage();
        None
    }

    fn range_of(&self, section: usize) -> (usize, usize) {
        let at = 48 + section * 16;
        (u32_at(&self.bytes, at) as usize, u32_at(&self.bytes, at + 4) as usize)
    }

    fn section(&self, section: usize) -> &[u8] {
        let (start, size) = self.range_of(section);
        self.bytes.get(start..start.saturating_add(size)).unwrap_or_default()
    }
}

/// A table of names, read in place.
struct Table<'a> {
    index: &'a SealedIndex,
    section: usize,
    names: u32,
    slots: u32,
    /// Whether what is read is verified.
    checked: bool,
}

impl<'a> Table<'a> {
    /// Returns the table of a section. Notes damage and returns `None` if it cannot be one.
    fn new(index: &'a SealedIndex, section: usize, checked: bool) -> Option<Self> {
        let mut table = Self { index, section, names: 0, slots: 0, checked };
        let head = table.part(0, 8)?;
        (table.names, table.slots) = (u32_at(head, 0), u32_at(head, 4));
        // An entry is never reached if it is not in the section.
        if !table.slots.is_power_of_two() {
            index.note_damage();
            return None;
        }
        Some(table)
    }

    fn part(&self, start: usize, size: usize) -> Option<&'a [u8]> {
        if self.checked {
            return self.index.part(self.section, start, size);
        }
        self.index.section(self.section).get(start..start.checked_add(size)?)
    }

    fn posting(&self, name: Name<'_>) -> Option<Posting<'a>> {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
        let start = name.hash as u32;
        for step in 0..self.slots {
            let slot = start.wrapping_add(step) & (self.slots - 1);
            let entry = match u32_at(self.part(8 + slot as usize * 4, 4)?, 0) {
                0 => return None,
                entry => self.entry(entry - 1)?,
            };
            if u32_at(entry, 0) == upper(name.hash) && self.name(entry)? == name.text.as_bytes() {
                return self.offsets(entry);
            }
        }
        None
    }

    fn entry(&self, entry: u32) -> Option<&'a [u8]> {
        self.part(8 + self.slots as usize * 4 + entry as usize * ENTRY, ENTRY)
    }

    fn name(&self, entry: &[u8]) -> Option<&'a [u8]> {
        let start = u32_at(entry, 4) as usize;
        let size = usize::from(self.part(start, 1)?[0]);
        self.part(start + 1, size)
    }

    fn offsets(&self, entry: &[u8]) -> Option<Posting<'a>> {
        let (start, count) = (u32_at(entry, 8) as usize, u32_at(entry, 12) as usize);
        self.part(start, count.checked_mul(4)?).map(Posting::Sealed)
    }
}

/// Returns the number of events in the head of an index file.
pub(crate) fn index_count(bytes: &[u8]) -> u64 {
    u64_at(bytes, 40)
}

/// Returns the size in bytes of the index file of a segment with `events` events. `slots` returns the number of slots
/// of a table by its number of names.
fn file_size(events: u64, tables: &[Totals; 3], slots: impl Fn(u64) -> u64) -> u64 {
    let table = |totals: &Totals| {
        let names = 8 + 4 * slots(totals.names) + ENTRY as u64 * totals.names;
        // A byte for the size of each name, and zeroes up to a multiple of 4.
        (names + totals.names + totals.text_bytes).next_multiple_of(4) + 4 * totals.offsets
    };
    let sections = HEAD as u64 + 4 * events + tables.iter().map(table).sum::<u64>();
    let (sections, filter) =
        (sections.next_multiple_of(BLOCK as u64), filter_bytes(name_count(tables)));
    sections + checksums_size(sections) + checksums_size(filter) + filter
}

fn name_count(tables: &[Totals; 3]) -> u64 {
    tables.iter().map(|totals| totals.names).sum()
}

/// Returns the number of slots of a table with so many names: at most half of them are used.
fn slots(names: u64) -> u64 {
    (names * 2).next_power_of_two()
}

/// Returns the most bytes that the index file of so many events can have. It grows evenly with each event, name and
/// offset: by at most 35 bytes and its text for a name, and 4 for an offset, and a 250th of that for checksums, and
/// by less than four times 64 bytes for rounding.
pub(crate) fn most_bytes(events: u64, tables: &[Totals; 3]) -> u64 {
    file_size(events, tables, |names| 4 * names + 1)
}

/// Returns the size in bytes of the index file of a segment with this index.
pub(crate) fn exact_bytes(index: &SegmentMemIndex) -> u64 {
    file_size(index.positions.len() as u64, &index.names.totals(), slots)
}

/// Refuses an index whose file would be larger than `most` bytes.
fn check_size(index: &SegmentMemIndex, most: u64) -> io::Result<()> {
    let size = exact_bytes(index);
    if size <= most {
        return Ok(());
    }
    let message = format!("the index file would have {size} bytes, and at most {most} are allowed");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}

/// Writes the index file of a segment and returns it mapped. The index in memory covers all `count` events of the
/// segment. If the file would be larger than `most` bytes, nothing is written, and the error is `FileTooLarge`.
pub(crate) fn seal(
    directory: &dyn StoreDirectory,
    store_id: &[u8; 16],
    first: u64,
    count: u64,
    index: &SegmentMemIndex,
    most: u64,
) -> io::Result<SealedIndex> {
    check_size(index, most)?;
    let bytes = encode(store_id, first, count, index);
    let name = index_name(first);
    write_all(directory, &name, &bytes)?;
    let map = map_all(&*directory.open_read_only(&name)?)?;
    SealedIndex::open(map, store_id, first, count).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the index file does not read back as it was written",
        )
    })
}

/// Encodes an index file, which has at most [`MOST_INDEX_BYTES`].
pub(crate) fn encode(
    store_id: &[u8; 16],
    first: u64,
    count: u64,
    index: &SegmentMemIndex,
) -> Vec<u8> {
    let hasher = Hasher::new(store_id);
    let mut out = vec![0; HEAD];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes()[..4]);
    out[16..32].copy_from_slice(store_id);
    out[32..40].copy_from_slice(&first.to_le_bytes());
    out[40..48].copy_from_slice(&count.to_le_bytes());
    for section in 0..SECTIONS {
        let start = out.len();
        match section {
            0 => index
                .positions
                .iter()
                .for_each(|position| out.extend_from_slice(&position.to_le_bytes())),
            1 => encode_table(&mut out, &index.names.types, &hasher),
            2 => encode_table(&mut out, &index.names.tags, &hasher),
            _ => {
                encode_table(&mut out, &index.names.ids, &hasher);
                // The filter follows. The zeroes belong to the section, so that its checksum covers them.
                out.resize(out.len().next_multiple_of(BLOCK), 0);
            }
        }
        let at = 48 + section * 16;
        let (size, checksum) = (out.len() - start, crc32c(&out[start..]));
        out[at..at + 4].copy_from_slice(&local_size(start).to_le_bytes());
        out[at + 4..at + 8].copy_from_slice(&local_size(size).to_le_bytes());
        out[at + 8..at + 12].copy_from_slice(&checksum.to_le_bytes());
    }
    out[FRAMES_CRC..FRAMES_CRC + 4].copy_from_slice(&index.frames_crc.to_le_bytes());
    let sections = out.len();
    out[BLOCKS_START..BLOCKS_START + 4].copy_from_slice(&local_size(sections).to_le_bytes());
    let filter = encode_filter(&mut out[..HEAD], &index.names);
    let checksum = crc32c(&out[16..HEAD]);
    out[12..16].copy_from_slice(&checksum.to_le_bytes());
    // The first block has the head, which is complete now.
    let checksums = checksums_of(&out);
    out.extend_from_slice(&checksums);
    out.extend_from_slice(&checksums_of(&filter));
    out.extend_from_slice(&filter);
    out
}

/// Returns the filter of an index, and writes its size and its checksum to the head of the file.
fn encode_filter(head: &mut [u8], names: &MemIndex) -> Vec<u8> {
    let count =
        [&names.types, &names.tags, &names.ids].map(|names| names.len() as u64).iter().sum();
    let size = local_size(usize::try_from(filter_bytes(count)).unwrap_or(usize::MAX));
    let filter = filter_of(names, size as usize);
    head[FILTER_SIZE..FILTER_SIZE + 4].copy_from_slice(&size.to_le_bytes());
    head[FILTER_CRC..FILTER_CRC + 4].copy_from_slice(&crc32c(&filter).to_le_bytes());
    filter
}
