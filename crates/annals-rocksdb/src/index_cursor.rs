//! The keys of the index: finds the chunks that may match a query, and loads the offsets of its names in a chunk.

use annals::ReadError;
use annals::backend::{Kind, Lookup, Name, Posting, Search};
use rocksdb::{DBRawIterator, ReadOptions};

use crate::chunk::widen;
use crate::database::Database;
use crate::keys;
use crate::status::not_ours;

/// The offsets of a query's names in one sealed chunk.
pub(crate) struct StoredChunk<'q> {
    postings: Vec<(Kind, &'q str, Vec<u8>)>,
}

impl Lookup for StoredChunk<'_> {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        let known = self.postings.iter().find(|known| known.0 == kind && known.1 == name.text)?;
        Some(Posting::Sealed(&known.2))
    }
}

/// An iterator over the keys of the index that looks for the names of a query.
pub(crate) struct IndexCursor<'a> {
    database: &'a Database,
    keys: DBRawIterator<'a>,
}

impl<'a> IndexCursor<'a> {
    pub(crate) fn new(database: &'a Database) -> Result<Self, ReadError> {
        let mut options = ReadOptions::default();
        // All lookups stay within one name, so RocksDB can skip files by their Bloom filters of names.
        options.set_prefix_same_as_start(true);
        Ok(Self { database, keys: database.index().iterator(options)? })
    }

    /// Returns the nearest chunk that may have matches of the query: the first one from `chunk` on, or, with
    /// `reverse`, the last one up to `chunk`.
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

    /// Loads the offsets of the query's names in a chunk.
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
                // The iterator is often at this key already.
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

    /// Moves to the first key from `key` on if that is the next key of the same name, and returns whether it did.
    /// This saves a search per chunk for a name that is in many chunks.
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

/// Returns the nearer of two chunks. Either may be missing.
fn nearest(one: Option<u64>, other: Option<u64>, reverse: bool) -> Option<u64> {
    let both = one.into_iter().chain(other);
    if reverse { both.max() } else { both.min() }
}
