//! The index of 65,536 events: in memory while it grows, keys of RocksDB's once it is full.
//!
//! ```text
//!   events   0 ……………… 65,535 │ 65,536 ……………… 131,071 │ 131,072 …… head
//!   index    keys              keys                    in memory, made again on opening
//! ```
//! So a commit writes its events and nothing else, but for every 65,536th, whose commit also writes the keys of the
//! chunk before it. A name's offsets in a chunk are one value: two bytes each, ascending.

use annals::backend::{Hasher, Kind, Lookup, MemIndex, MemIndexWriter, Name, Posting, Search};
use annals::{RawEvent, ReadError};
use annals_base::{ListWriter, SegmentedList, segmented_list};
use rocksdb::{DBRawIterator, ReadOptions};

use crate::database::{Database, Put};
use crate::keys::{self, CHUNK_EVENTS};
use crate::starts::last_start;
use crate::status::not_ours;

/// A chunk that is growing, for its readers.
#[derive(Debug, Clone)]
pub(crate) struct LiveChunk {
    pub(crate) chunk: u64,
    pub(crate) index: MemIndex,
    /// Where its blocks start.
    blocks: SegmentedList<u16>,
}

/// A chunk that is growing, for its writer.
#[derive(Debug)]
pub(crate) struct ChunkWriter {
    chunk: u64,
    index: MemIndexWriter,
    blocks: ListWriter<u16>,
}

impl ChunkWriter {
    pub(crate) fn new(chunk: u64) -> Self {
        Self { chunk, index: MemIndexWriter::new(), blocks: segmented_list().0 }
    }

    pub(crate) fn reader(&self) -> LiveChunk {
        LiveChunk {
            chunk: self.chunk,
            index: self.index.reader(),
            blocks: self.blocks.list().clone(),
        }
    }

    /// Whether `offset`, the next after all that are indexed, belongs to this chunk.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        keys::chunk_of(offset) == self.chunk
    }

    pub(crate) fn index(&mut self) -> &mut MemIndexWriter {
        &mut self.index
    }

    /// Notes that a block starts at `offset`.
    pub(crate) fn add_block(&mut self, offset: u64) {
        self.blocks.push(narrow(keys::place_of(offset)));
    }

    /// Indexes an event that was read.
    pub(crate) fn add_raw(&mut self, offset: u64, event: &RawEvent, hasher: &Hasher) {
        self.index.add_raw(keys::place_of(offset), event, hasher);
    }
}

impl LiveChunk {
    /// Gives the keys of this chunk, which is full, to `put`: sorted, which is how RocksDB takes them quickest.
    pub(crate) fn seal(&self, database: &Database, put: &mut Put<'_>) {
        for kind in [Kind::Tag, Kind::Type] {
            let mut entries = Vec::new();
            self.index.for_each_name(kind, |name, mut posting| {
                let places =
                    (0..posting.len()).flat_map(|at| narrow(posting.get(at)).to_le_bytes());
                entries
                    .push((keys::index_key(kind, name, self.chunk), places.collect::<Vec<u8>>()));
            });
            entries.sort_unstable();
            let index = database.index();
            for (key, places) in &entries {
                put(index, key, places);
            }
        }
        put(database.index(), &keys::blocks_key(self.chunk), &self.block_starts());
        let mut ids = Vec::new();
        self.index.for_each_name(Kind::Id, |id, mut posting| {
            ids.push((id.to_owned(), self.first() + u64::from(posting.get(0))));
        });
        ids.sort_unstable();
        for (id, offset) in ids {
            put(database.ids(), id.as_bytes(), &offset.to_be_bytes());
        }
    }

    /// Where its blocks start, as a value of the index: places in the chunk, ascending.
    pub(crate) fn block_starts(&self) -> Vec<u8> {
        self.blocks.iter().flat_map(|place| place.to_le_bytes()).collect()
    }

    /// The start of the block that has `offset`, an event of this chunk.
    pub(crate) fn block_of(&self, offset: u64) -> Option<u64> {
        last_start(self.blocks.len(), |at| self.blocks.get(at).copied(), offset)
    }

    fn first(&self) -> u64 {
        self.chunk * CHUNK_EVENTS
    }
}

impl Lookup for LiveChunk {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        self.index.posting(kind, name)
    }
}

/// A place in a chunk in two bytes.
fn narrow(place: u32) -> u16 {
    u16::try_from(place).unwrap_or_else(|_| panic!("{place} is not a place in a chunk"))
}

/// The offsets of a value of the index, four bytes each, as a [`Posting`] has them.
pub(crate) fn widen(places: &[u8]) -> Vec<u8> {
    places.chunks_exact(2).flat_map(|place| [place[0], place[1], 0, 0]).collect()
}

/// What the index has of a query in one chunk.
pub(crate) struct StoredChunk<'q> {
    postings: Vec<(Kind, &'q str, Vec<u8>)>,
}

impl Lookup for StoredChunk<'_> {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        let known = self.postings.iter().find(|known| known.0 == kind && known.1 == name.text)?;
        Some(Posting::Sealed(&known.2))
    }
}

/// Looking for a query's names among the keys of the index.
pub(crate) struct IndexCursor<'a> {
    database: &'a Database,
    keys: DBRawIterator<'a>,
}

impl<'a> IndexCursor<'a> {
    pub(crate) fn new(database: &'a Database) -> Result<Self, ReadError> {
        let mut options = ReadOptions::default();
        // Of one name: with the filters that say in which files it can be at all.
        options.set_prefix_same_as_start(true);
        Ok(Self { database, keys: database.index().iterator(options)? })
    }

    /// The first chunk from `chunk` on, or the last up to it, that may have matches of the query.
    pub(crate) fn find(
        &mut self,
        search: &Search<'_>,
        chunk: u64,
        reverse: bool,
    ) -> Result<Option<u64>, ReadError> {
        let mut best = None;
        for item in search.items() {
            let found = match item.tags.first() {
                Some(tag) => self.chunk_of(Kind::Tag, tag.text, chunk, reverse)?,
                None if item.types.is_empty() => Some(chunk),
                None => {
                    let mut found = None;
                    for name in &item.types {
                        let one = self.chunk_of(Kind::Type, name.text, chunk, reverse)?;
                        found = nearest(found, one, reverse);
                    }
                    found
                }
            };
            best = nearest(best, found, reverse);
        }
        Ok(best)
    }

    /// What the index has of the query's names in this chunk.
    pub(crate) fn load<'q>(
        &mut self,
        search: &Search<'q>,
        chunk: u64,
    ) -> Result<StoredChunk<'q>, ReadError> {
        let mut postings: Vec<(Kind, &'q str, Vec<u8>)> = Vec::new();
        for item in search.items() {
            let types = item.types.iter().map(|name| (Kind::Type, name.text));
            for (kind, name) in item.tags.iter().map(|name| (Kind::Tag, name.text)).chain(types) {
                if postings.iter().any(|known| known.0 == kind && known.1 == name) {
                    continue;
                }
                let key = keys::index_key(kind, name, chunk);
                // Often the iterator is there already.
                if self.keys.key() != Some(&key) {
                    self.keys.seek(&key);
                    self.check()?;
                }
                if self.keys.key() == Some(&key) {
                    postings.push((kind, name, widen(self.keys.value().unwrap_or_default())));
                }
            }
        }
        Ok(StoredChunk { postings })
    }

    fn chunk_of(
        &mut self,
        kind: Kind,
        name: &str,
        chunk: u64,
        reverse: bool,
    ) -> Result<Option<u64>, ReadError> {
        let key = keys::index_key(kind, name, chunk);
        if reverse {
            self.keys.seek_for_prev(&key);
        } else if !self.step_to(&key) {
            self.keys.seek(&key);
        }
        self.check()?;
        let Some(found) = self.keys.key() else { return Ok(None) };
        if keys::name_part(found) != keys::name_part(&key) {
            return Ok(None);
        }
        if let Some((_, _, chunk)) = keys::read_index_key(found) {
            Ok(Some(chunk))
        } else {
            let found = format!("{found:?}");
            Err(not_ours(&self.database.path, 0, "a key of the index", found).into())
        }
    }

    /// Goes to the first key from `key` on, if that is the next one of the same name: a name that is in many chunks is
    /// then looked for once.
    fn step_to(&mut self, key: &[u8]) -> bool {
        let is_before = |at: &[u8]| at < key && keys::name_part(at) == keys::name_part(key);
        if !self.keys.key().is_some_and(is_before) {
            return false;
        }
        self.keys.next();
        self.keys.key().is_none_or(|at| at >= key)
    }

    fn check(&self) -> Result<(), ReadError> {
        self.keys.status().map_err(self.database.unreadable(0))
    }
}

/// The nearer of two chunks, of which either may be none.
fn nearest(one: Option<u64>, other: Option<u64>, reverse: bool) -> Option<u64> {
    let both = one.into_iter().chain(other);
    if reverse { both.max() } else { both.min() }
}
