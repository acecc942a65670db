//! The Bloom filters of many sealed segments, with their bits side by side: which of the segments may have a name.
//!
//! ```text
//!   ┌ 0 "annals.f" │ 8 format │ 12 checksum of 16..64 │ 16 store id │ 32 first offset │ 40 end offset
//!   │ 48 segments │ 52 blocks (a power of two) │ 56 checksum of the blocks │ 60 checksum of the index files' heads
//!   └ 64 block, block, …: each of 64 rows, each with a bit for every segment
//! ```
//! A name sets its segment's bit in four rows of one block. A search for the name reads these four rows. Only segments
//! whose bit is set in all four may have the name, so one lookup covers all segments. About one in a hundred segments
//! without the name passes as well; its index then shows that the name is not there.
//!
//! A filter is bound to the index files of its segments: it stores a checksum of their heads. A filter that a backup or
//! another history of the log left behind therefore does not match.
//!
//! Eight filters are merged into one of eight times as many segments. Their rows are put side by side, and the rows of
//! a filter with fewer blocks are repeated. No name is hashed again for that.
//!
//! The bits of many filters side by side are the bit-sliced signatures of Roberts (1979), COBS and `BitFunnel`. One
//! block for all bits of a name comes from the cache-efficient Bloom filters of Putze, Sanders and Singler.

use std::io;
use std::sync::OnceLock;

use bytes::Bytes;

use super::segment_set::{FAN, SegmentSet};
use crate::event::name::{Hasher, Name};
use crate::index::lookup::Kind;
use crate::index::plan::Search;
use crate::journal::fs::StoreFile;
use crate::journal::segment::file::FORMAT;
use crate::journal::segment::index_file::SealedIndex;
use crate::util::crc32c::{crc32c, crc32c_append};
use crate::util::little_endian::{u32_at, u64_at};

const MAGIC: &[u8; 8] = b"annals.f";
const HEAD: usize = 64;
/// The number of rows in a block.
const ROWS: usize = 64;
/// The number of rows in which a name sets a bit.
const ROWS_OF_A_NAME: u32 = 4;
/// The least number of rows for each name of the segment with the most names. There are at most twice as many.
const ROWS_PER_NAME: usize = 8;
/// The number of bytes that are written at once.
const CHUNK: usize = 1 << 20;

/// The segments that a filter covers: all events of the store from `first` to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// The number of segments: 8, 64 or 512.
    pub(crate) segments: usize,
    /// The checksum of the checksums in the heads of the segments' index files, one behind the other.
    pub(crate) indexes: u32,
}

/// A mapped Bloom filter of several segments.
#[derive(Debug)]
pub(crate) struct BloomFilter {
    bytes: Bytes,
    pub(crate) span: Span,
    /// The number of bytes in a row.
    width: usize,
    blocks: usize,
    whole: OnceLock<bool>,
}

impl BloomFilter {
    /// Opens the filter in these bytes. Returns `None` if they are not a valid filter of this span.
    pub(crate) fn open(bytes: Bytes, store_id: &[u8; 16], span: Span) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD>()?;
        let blocks = u32_at(head, 52) as usize;
        let width = span.segments / FAN;
        let right = &head[..8] == MAGIC
            && u64::from(u32_at(head, 8)) == FORMAT
            && u32_at(head, 12) == crc32c(&head[16..])
            && &head[16..32] == store_id
            && u64_at(head, 32) == span.first
            && u64_at(head, 40) == span.end
            && u32_at(head, 48) as usize == span.segments
            && u32_at(head, 60) == span.indexes
            && blocks.is_power_of_two()
            && blocks.checked_mul(ROWS * width) == Some(bytes.len() - HEAD);
        right.then(|| Self { bytes, span, width, blocks, whole: OnceLock::new() })
    }

    /// Returns whether the checksum of the blocks is right. It is computed once.
    pub(crate) fn is_whole(&self) -> bool {
        *self.whole.get_or_init(|| {
            let whole = crc32c(&self.bytes[HEAD..]) == u32_at(&self.bytes, 56);
            if !whole {
                let Span { first, segments, .. } = self.span;
                tracing::warn!(first, segments, "a Bloom filter is damaged; it is not used");
            }
            whole
        })
    }

    /// Returns the size of the file in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the segments that may have this name.
    pub(crate) fn having(&self, kind: Kind, name: Name<'_>) -> SegmentSet {
        let bits = NameBits::new(kind, name.hash);
        let block = bits.block & (self.blocks - 1);
        bits.rows().map(|row| self.row(block, row)).fold(SegmentSet::ALL, SegmentSet::and)
    }

    /// Returns the segments that may have an event that matches the search.
    pub(crate) fn matching(&self, search: &Search<'_>) -> SegmentSet {
        search.items().iter().fold(SegmentSet::NONE, |any, item| {
            let types = item.types.iter().map(|&name| self.having(Kind::Type, name));
            let one_type = types.reduce(SegmentSet::or).unwrap_or(SegmentSet::ALL);
            let tags = item.tags.iter().map(|&name| self.having(Kind::Tag, name));
            any.or(tags.fold(one_type, SegmentSet::and))
        })
    }

    fn row(&self, block: usize, row: usize) -> SegmentSet {
        SegmentSet::of_bits(self.row_bytes(block, row))
    }

    fn row_bytes(&self, block: usize, row: usize) -> &[u8] {
        let start = HEAD + (block * ROWS + row) * self.width;
        self.bytes.get(start..start + self.width).unwrap_or_default()
    }
}

/// The bits of a name in a filter.
struct NameBits {
    /// The number of the block, to be taken modulo the number of blocks.
    block: usize,
    rows: u32,
}

impl NameBits {
    fn new(kind: Kind, hash: u64) -> Self {
        let number: u64 = match kind {
            Kind::Type => 0,
            Kind::Tag => 1,
            Kind::Id => 2,
        };
        // Makes three different names of the same text as a type, a tag and an id.
        let mixed = hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
        let block = mixed as u32 as usize;
        Self { block, rows: (mixed >> 32) as u32 }
    }

    /// Returns the rows in the block. Some may be the same.
    fn rows(&self) -> impl Iterator<Item = usize> {
        let rows = self.rows;
        (0..ROWS_OF_A_NAME).map(move |at| (rows >> (6 * at)) as usize % ROWS)
    }
}

/// Writes the filter of the eight segments that have these indexes.
pub(crate) fn write_first(
    file: &dyn StoreFile,
    store_id: &[u8; 16],
    span: Span,
    indexes: &[&SealedIndex],
) -> io::Result<()> {
    const KINDS: [Kind; 3] = [Kind::Type, Kind::Tag, Kind::Id];
    let hasher = Hasher::new(store_id);
    let names = |index: &&SealedIndex| KINDS.iter().map(|&kind| index.name_count(kind)).sum();
    let most: usize = indexes.iter().map(names).max().unwrap_or(0);
    let blocks = (most * ROWS_PER_NAME).div_ceil(ROWS).next_power_of_two();
    let mut rows = vec![0_u8; blocks * ROWS];
    for (segment, index) in indexes.iter().enumerate() {
        for kind in KINDS {
            index.for_each_name(kind, |name, _| {
                let bits = NameBits::new(kind, hasher.hash(name.as_bytes()));
                let block = bits.block & (blocks - 1);
                bits.rows().for_each(|row| rows[block * ROWS + row] |= 1 << segment);
            });
        }
    }
    write(file, store_id, span, blocks, |block, out| {
        out.extend_from_slice(&rows[block * ROWS..][..ROWS]);
    })
}

/// Writes the filter that these eight filters are merged into.
pub(crate) fn write_merged(
    file: &dyn StoreFile,
    store_id: &[u8; 16],
    span: Span,
    members: &[BloomFilter],
) -> io::Result<()> {
    let blocks = members.iter().map(|member| member.blocks).max().unwrap_or(1);
    write(file, store_id, span, blocks, |block, out| {
        for row in 0..ROWS {
            for member in members {
                out.extend_from_slice(member.row_bytes(block & (member.blocks - 1), row));
            }
        }
    })
}

/// Writes a filter of `blocks` blocks. `put` adds the bytes of one block to the buffer.
fn write(
    file: &dyn StoreFile,
    store_id: &[u8; 16],
    span: Span,
    blocks: usize,
    mut put: impl FnMut(usize, &mut Vec<u8>),
) -> io::Result<()> {
    let too_many = |_| io::Error::new(io::ErrorKind::FileTooLarge, "too many names for a filter");
    let (mut chunk, mut checksum, mut position) = (Vec::with_capacity(CHUNK), 0, HEAD);
    for block in 0..blocks {
        put(block, &mut chunk);
        if chunk.len() >= CHUNK || block + 1 == blocks {
            checksum = crc32c_append(checksum, &chunk);
            file.write_at(&chunk, position as u64)?;
            position += chunk.len();
            chunk.clear();
        }
    }
    let mut head = [0; HEAD];
    let number = |number: usize| u32::try_from(number).map_err(too_many);
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&u32::try_from(FORMAT).map_err(too_many)?.to_le_bytes());
    head[16..32].copy_from_slice(store_id);
    head[32..40].copy_from_slice(&span.first.to_le_bytes());
    head[40..48].copy_from_slice(&span.end.to_le_bytes());
    head[48..52].copy_from_slice(&number(span.segments)?.to_le_bytes());
    head[52..56].copy_from_slice(&number(blocks)?.to_le_bytes());
    head[56..60].copy_from_slice(&checksum.to_le_bytes());
    head[60..64].copy_from_slice(&span.indexes.to_le_bytes());
    let checksum = crc32c(&head[16..]);
    head[12..16].copy_from_slice(&checksum.to_le_bytes());
    file.write_at(&head, 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::fs::FileSystem as _;
    use crate::journal::fs::real::RealFileSystem;
    use crate::journal::segment::index_file::encode;
    use crate::journal::segment::memory_index::IndexWriter;

    const STORE: [u8; 16] = [7; 16];

    /// The names of a segment: its own tags and ids, and one type for all.
    fn names(segment: usize, count: usize) -> Vec<(Kind, String)> {
        let tag = |n| (Kind::Tag, format!("tag {segment} {n}"));
        let id = |n| (Kind::Id, format!("id {segment} {n}"));
        (0..count)
            .map(tag)
            .chain((0..count / 2).map(id))
            .chain([(Kind::Type, "type".into())])
            .collect()
    }

    fn index(names: &[(Kind, String)]) -> SealedIndex {
        let hasher = Hasher::new(&STORE);
        let mut index = IndexWriter::new();
        for (at, (kind, name)) in (0..).zip(names) {
            let one = |wanted| (*kind == wanted).then(|| hasher.name(name));
            index.names.add(at, hasher.name("type"), one(Kind::Tag).into_iter(), one(Kind::Id));
        }
        let count = names.len() as u64;
        let bytes = encode(&STORE, 0, count, &index.reader());
        SealedIndex::open(bytes.into(), &STORE, 0, count).unwrap()
    }

    fn written(
        path: &Path,
        span: Span,
        write: impl FnOnce(&dyn StoreFile) -> io::Result<()>,
    ) -> BloomFilter {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = RealFileSystem.open_directory(path.parent().unwrap()).unwrap();
        let file = file.create(name).unwrap();
        write(&*file).unwrap();
        let bytes = std::fs::read(path).unwrap();
        let filter = BloomFilter::open(bytes.into(), &STORE, span).unwrap();
        assert!(filter.is_whole());
        filter
    }

    #[test]
    fn what_is_there_passes_and_little_else_however_unlike_the_segments_are() {
        let directory = tempfile::tempdir().unwrap();
        let count = |segment: usize| [0, 3, 700, 90][segment % 4] * (segment / 8 + 1);
        let members: Vec<BloomFilter> = (0..FAN)
            .map(|member| {
                let span = Span { first: member as u64 * 10, end: 0, segments: FAN, indexes: 1 };
                let all = (0..FAN).map(|at| member * FAN + at);
                let sealed: Vec<_> =
                    all.map(|segment| index(&names(segment, count(segment)))).collect();
                let indexes: Vec<_> = sealed.iter().collect();
                let write = |file: &dyn StoreFile| write_first(file, &STORE, span, &indexes);
                written(&directory.path().join(member.to_string()), span, write)
            })
            .collect();
        assert_ne!(members[0].blocks, members[7].blocks, "so that blocks are repeated");
        let span = Span { first: 0, end: 80, segments: FAN * FAN, indexes: 2 };
        let write = |file: &dyn StoreFile| write_merged(file, &STORE, span, &members);
        let merged = written(&directory.path().join("merged"), span, write);
        let hasher = Hasher::new(&STORE);
        let (mut asked, mut passed) = (0, 0);
        for segment in 0..FAN * FAN {
            for (kind, name) in names(segment, count(segment)) {
                let name = hasher.name(&name);
                let alone = members[segment / FAN].having(kind, name);
                let set = merged.having(kind, name);
                assert!(alone.has(segment % FAN) && set.has(segment), "{kind:?} {:?}", name.text);
                let bits = |set: SegmentSet| (0..FAN).filter(|&at| set.has(at)).collect::<Vec<_>>();
                let of_member = set.0[0] >> (segment / FAN * FAN) & 0xff;
                assert_eq!(bits(alone), bits(SegmentSet::of_bits(&[of_member as u8])));
                if kind != Kind::Type {
                    asked += FAN * FAN - 1;
                    passed += (0..FAN * FAN).filter(|&at| at != segment && set.has(at)).count();
                }
            }
        }
        assert!(passed * 50 < asked, "{passed} of {asked} pass that should not");
    }

    #[test]
    fn bytes_that_are_not_the_filter_asked_for_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("filter");
        let span = Span { first: 5, end: 9, segments: FAN, indexes: 3 };
        let sealed = index(&names(1, 20));
        let indexes = [&sealed; FAN];
        written(&path, span, |file| write_first(file, &STORE, span, &indexes));
        let bytes = std::fs::read(&path).unwrap();
        let open = |bytes: &[u8], store_id, span| {
            BloomFilter::open(Bytes::copy_from_slice(bytes), store_id, span)
                .is_some_and(|filter| filter.is_whole())
        };
        assert!(open(&bytes, &STORE, span));
        assert!(!open(&bytes, &[8; 16], span));
        assert!(!open(&bytes, &STORE, Span { first: 6, ..span }));
        assert!(!open(&bytes, &STORE, Span { end: 8, ..span }));
        assert!(!open(&bytes, &STORE, Span { indexes: 4, ..span }));
        assert!(!open(&bytes, &STORE, Span { segments: FAN * FAN, ..span }));
        for cut in [0, 1, HEAD - 1, HEAD, bytes.len() - 1] {
            assert!(!open(&bytes[..cut], &STORE, span), "cut to {cut}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(!open(&changed, &STORE, span), "changed at {at}");
        }
    }
}
