//! A table of names and their postings that one thread fills while any number read it, without a lock.
//!
//! ```text
//!   tables   [▪▪▪▪] [▪▪▪▪▪▪▪▪] …      hash → entry + 1, linear probing; each next one is twice as large
//!   entries  name, hash, first offset, head of the chain, count
//!   words    │ 4 offsets │ link │  8 offsets  │ link │ …     chunks of all names, doubling along each chain
//! ```
//! Nothing that was written is written again, except a slot or link from 0 and a name's count; so a reader sees
//! either less or more, never a mixture. What a reader sees beyond the published head it passes over.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use annals_base::{ListWriter, SegmentedList, segmented_list};

use crate::event::name::Name;
use crate::util::local_offset::local_size;

/// Slots of the first table.
const FIRST_TABLE: usize = 256;
/// Tables: the last has room for more entries than 4 bytes can number.
const TABLES: usize = 26;
/// Offsets in a chain's first chunk.
const FIRST_CHUNK: u32 = 4;
/// The most entries and the most words with which `has_room` lets more in. A chain's next chunk is as large as all of
/// the chain before it and its new offsets, so one batch at most doubles the words; they stay below what 4 bytes number.
const MOST: usize = (u32::MAX / 2) as usize;

/// The readers' side.
#[derive(Debug)]
pub(crate) struct Names {
    entries: SegmentedList<Entry>,
    words: SegmentedList<AtomicU32>,
    tables: [OnceLock<Box<[AtomicU32]>>; TABLES],
    table: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u64,
    first: u32,
    chain: AtomicU32,
    count: AtomicU32,
}

/// The one writer's side.
#[derive(Debug)]
pub(crate) struct NamesWriter {
    names: Arc<Names>,
    entries: ListWriter<Entry>,
    words: ListWriter<AtomicU32>,
    tails: Vec<Tail>,
    totals: Totals,
    most: usize,
}

/// How much a table has: what the size of its sealed form follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) names: u64,
    /// Bytes of all names.
    pub(crate) text_bytes: u64,
    /// Offsets of all names.
    pub(crate) offsets: u64,
}

/// Where an entry's next offset goes.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    next: u32,
    link: u32,
    capacity: u32,
}

impl Names {
    /// The offsets with this name.
    pub(crate) fn posting(&self, name: Name<'_>) -> Option<MemPosting<'_>> {
        let entry = &self.entries.get(self.find(name)?)?;
        // Acquire: pairs with the Release of `count` in `NamesWriter::add`; the offsets counted are there.
        let count = entry.count.load(Ordering::Acquire);
        Some(MemPosting { names: self, entry, count, chunk: 0, start: 0 })
    }

    /// Every name with its number of offsets, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, MemPosting<'_>)> {
        self.entries.iter().map(|entry| {
            // Acquire: as in `posting`.
            let count = entry.count.load(Ordering::Acquire);
            (&*entry.text, MemPosting { names: self, entry, count, chunk: 0, start: 0 })
        })
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How much there is, counted name by name.
    pub(crate) fn totals(&self) -> Totals {
        self.iter().fold(Totals::default(), |mut totals, (name, posting)| {
            totals.add_name(name);
            totals.offsets += u64::from(posting.len());
            totals
        })
    }

    /// Bytes of memory that it takes.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let tables: usize =
            self.tables.iter().filter_map(OnceLock::get).map(|table| table.len() * 4).sum();
        let texts: usize = self.entries.iter().map(|entry| entry.text.len()).sum();
        tables + texts + self.entries.allocated_bytes() + self.words.allocated_bytes()
    }

    /// The entry with this name.
    fn find(&self, name: Name<'_>) -> Option<usize> {
        // Acquire: pairs with the Release of `table` in `NamesWriter::grow`; the table is filled.
        let table = self.tables[self.table.load(Ordering::Acquire)].get()?;
        for slot in probe(table, name.hash) {
            // Acquire: pairs with the Release of the slot in `put`; the entry is published.
            match table[slot].load(Ordering::Acquire) {
                0 => return None,
                place => {
                    let entry = self.entries.get(place as usize - 1)?;
                    if entry.hash == name.hash && &*entry.text == name.text {
                        return Some(place as usize - 1);
                    }
                }
            }
        }
        None
    }
}

/// The slots of a name in the order in which they are tried.
fn probe(table: &[AtomicU32], hash: u64) -> impl Iterator<Item = usize> + use<> {
    let mask = table.len() - 1;
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
    let start = hash as usize;
    (0..=mask).map(move |step| (start.wrapping_add(step)) & mask)
}

impl Totals {
    fn add_name(&mut self, name: &str) {
        self.names += 1;
        self.text_bytes += name.len() as u64;
    }
}

impl NamesWriter {
    pub(crate) fn new() -> Self {
        Self::with_most(MOST)
    }

    /// An empty table that has room for about `most` words and `most` names.
    pub(crate) fn with_most(most: usize) -> Self {
        assert!(most <= MOST, "{most} words and names; 4 bytes number at most {MOST}");
        let (entries, entry_list) = segmented_list();
        let (words, word_list) = segmented_list();
        let names = Names {
            entries: entry_list,
            words: word_list,
            tables: [const { OnceLock::new() }; TABLES],
            table: AtomicUsize::new(0),
        };
        names.tables[0].get_or_init(|| empty_table(FIRST_TABLE));
        Self {
            names: Arc::new(names),
            entries,
            words,
            tails: Vec::new(),
            totals: Totals::default(),
            most,
        }
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Whether there is certainly room for `offsets` more.
    pub(crate) fn has_room(&self, offsets: usize) -> bool {
        self.words.list().len() + 8 * offsets < self.most
            && self.entries.list().len() + offsets < self.most
    }

    /// How much there is, without counting.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Adds `offset`, which is above all that the name has; a name that has it already is left as it is.
    pub(crate) fn add(&mut self, name: Name<'_>, offset: u32) {
        self.totals.offsets += 1;
        let Some(place) = self.names.find(name) else { return self.insert(name, offset) };
        let tail = self.tails[place];
        let tail = if tail.next == tail.link { self.extend(place, tail) } else { tail };
        let Some(entry) = self.names.entries.get(place) else { return };
        if let Some(word) = self.words.get(tail.next as usize) {
            // Relaxed: published by the Release of `count` below.
            word.store(offset, Ordering::Relaxed);
        }
        self.tails[place] = Tail { next: tail.next + 1, ..tail };
        // Relaxed load: only this thread writes it. Release store: pairs with the Acquire loads of `count`.
        entry.count.store(entry.count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    fn insert(&mut self, name: Name<'_>, offset: u32) {
        self.totals.add_name(name.text);
        let table_size = self
            .names
            .tables
            .iter()
            .filter_map(OnceLock::get)
            .last()
            .map_or(0, |table| table.len());
        if (self.tails.len() + 1) * 2 > table_size {
            self.grow(table_size * 2);
        }
        let place = self.entries.push(Entry {
            text: name.text.into(),
            hash: name.hash,
            first: offset,
            chain: AtomicU32::new(0),
            count: AtomicU32::new(1),
        });
        self.tails.push(Tail::default());
        // Relaxed: only this thread writes it.
        let table = self.names.table.load(Ordering::Relaxed);
        if let Some(table) = self.names.tables[table].get() {
            put(table, name.hash, place);
        }
    }

    /// Gives an entry its next chunk, twice as large as its last.
    fn extend(&mut self, place: usize, tail: Tail) -> Tail {
        let capacity = if tail.capacity == 0 { FIRST_CHUNK } else { tail.capacity * 2 };
        let start = local_size(self.words.list().len());
        for _ in 0..=capacity {
            self.words.stage(AtomicU32::new(0));
        }
        self.words.publish();
        let link = if tail.capacity == 0 {
            self.names.entries.get(place).map(|entry| &entry.chain)
        } else {
            self.words.get(tail.link as usize)
        };
        if let Some(link) = link {
            // Relaxed: a reader follows it only for offsets counted, published by the Release of `count`.
            link.store(start, Ordering::Relaxed);
        }
        Tail { next: start, link: start + capacity, capacity }
    }

    fn grow(&mut self, size: usize) {
        let table = empty_table(size);
        for (place, entry) in self.names.entries.iter().enumerate() {
            put(&table, entry.hash, place);
        }
        // Relaxed: only this thread writes it.
        let next = self.names.table.load(Ordering::Relaxed) + 1;
        self.names.tables[next].get_or_init(|| table);
        // Release: pairs with the Acquire in `Names::find`.
        self.names.table.store(next, Ordering::Release);
    }
}

fn empty_table(size: usize) -> Box<[AtomicU32]> {
    (0..size).map(|_| AtomicU32::new(0)).collect()
}

fn put(table: &[AtomicU32], hash: u64, place: usize) {
    // Relaxed: only the writer's thread writes slots. There is a free one: tables are at most half full.
    if let Some(slot) = probe(table, hash).find(|&slot| table[slot].load(Ordering::Relaxed) == 0) {
        // Release: pairs with the Acquire of the slot in `Names::find`.
        table[slot].store(local_size(place + 1), Ordering::Release);
    }
}

/// The offsets of one name, as many as there were when it was asked for.
#[derive(Debug)]
pub struct MemPosting<'a> {
    names: &'a Names,
    entry: &'a Entry,
    count: u32,
    /// The chunk that was looked at last, counted from 1 (0: none), and where it starts.
    chunk: u32,
    start: u32,
}

impl MemPosting<'_> {
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    pub(crate) fn get(&mut self, at: u32) -> u32 {
        let Some(at) = at.checked_sub(1) else { return self.entry.first };
        let chunk = (at / FIRST_CHUNK + 1).ilog2() + 1;
        self.walk_to(chunk);
        let before = FIRST_CHUNK * ((1 << (chunk - 1)) - 1);
        self.word(self.start + at - before)
    }

    fn walk_to(&mut self, chunk: u32) {
        if self.chunk == 0 || chunk < self.chunk {
            // Relaxed: made visible by the Acquire load of `count`.
            (self.chunk, self.start) = (1, self.entry.chain.load(Ordering::Relaxed));
        }
        while self.chunk < chunk {
            self.start = self.word(self.start + (FIRST_CHUNK << (self.chunk - 1)));
            self.chunk += 1;
        }
    }

    fn word(&self, at: u32) -> u32 {
        // Relaxed: made visible by the Acquire load of `count`.
        self.names.words.get(at as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_with_postings_of_every_length() {
        let mut writer = NamesWriter::new();
        let texts: Vec<String> = (0..2_000).map(|n| format!("name:{n}")).collect();
        let mut offset = 0;
        for round in 0_usize..100 {
            for (n, text) in texts.iter().enumerate().filter(|(n, _)| n % (round + 1) == 0) {
                // A poor hash, so that probing is tried too.
                writer.add(Name { text, hash: (n % 500) as u64 }, offset);
                offset += 1;
            }
        }
        let names = writer.names();
        assert_eq!(names.len(), 2_000);
        let mut seen = 0;
        for (n, text) in texts.iter().enumerate() {
            let mut posting = names.posting(Name { text, hash: (n % 500) as u64 }).unwrap();
            let offsets: Vec<u32> = (0..posting.len()).map(|at| posting.get(at)).collect();
            assert!(offsets.is_sorted_by(|a, b| a < b));
            assert_eq!(offsets.len(), (0..100).filter(|round| n % (round + 1) == 0).count());
            let backwards: Vec<u32> = (0..posting.len()).rev().map(|at| posting.get(at)).collect();
            assert!(backwards.iter().rev().eq(&offsets));
            seen += offsets.len();
        }
        assert_eq!(seen, offset as usize);
        assert!(names.posting(Name { text: "name:2000", hash: 0 }).is_none());
    }
}
