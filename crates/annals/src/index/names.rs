//! A table of names and their postings. One thread adds to it while any number of threads read it, without a lock.
//!
//! ```text
//!   tables   [▪▪▪▪] [▪▪▪▪▪▪▪▪] …      hash → entry + 1, with linear probing; each table is twice as large as the last
//!   entries  name, hash, first offset, head of the chain, count: 64 bytes, one cache line
//!   words    │ 4 offsets │ link │  8 offsets  │ link │ …     chunks of all names, doubling along each chain
//! ```
//! A slot has 32 bits of the hash as well, so a search looks at nearly no entry of another name.
//!
//! The writer overwrites only a slot or a link that is 0, and the count of a name. So a reader sees an older or a newer
//! state, never a mixture. A reader ignores offsets beyond the published head.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use annals_base::{ListWriter, SegmentedList, segmented_list};

use crate::event::name::Name;
use crate::util::inline_text::InlineText;
use crate::util::local_offset::local_size;

/// The number of slots of the first table.
const FIRST_TABLE: usize = 256;
/// The number of tables. The last has room for more entries than 4 bytes can number.
const TABLES: usize = 26;
/// The number of offsets in the first chunk of a chain.
const FIRST_CHUNK: u32 = 4;
/// The number of names that are found without their hash.
const RECENT: usize = 64;
/// The limit of entries and of words, above which `has_room` returns false. A new chunk is as large as the chain before
/// it and its new offsets together, so one batch at most doubles the number of words. With this limit, 4 bytes can
/// still number them.
const MOST: usize = (u32::MAX / 2) as usize;

/// The readers' handle of a table.
#[derive(Debug)]
pub(crate) struct Names {
    entries: SegmentedList<Entry>,
    words: SegmentedList<AtomicU32>,
    tables: [OnceLock<Box<[AtomicU64]>>; TABLES],
    table: AtomicUsize,
    /// The entries of names that were remembered lately, each + 1, by [`recent_slot`].
    recent: [AtomicU32; RECENT],
}

#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    text: InlineText,
    hash: u64,
    first: u32,
    chain: AtomicU32,
    count: AtomicU32,
    /// The position in `words` of the last chunk of the chain. Only the writer uses it.
    tail: AtomicU32,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry is one cache line");

/// The writer's handle of a table. Each table has one.
#[derive(Debug)]
pub(crate) struct NamesWriter {
    names: Arc<Names>,
    entries: ListWriter<Entry>,
    words: ListWriter<AtomicU32>,
    totals: Totals,
    most: usize,
}

/// The totals of a table, from which the size of its sealed form follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// The number of names.
    pub(crate) names: u64,
    /// The size of all names, in bytes.
    pub(crate) text_bytes: u64,
    /// The number of offsets of all names.
    pub(crate) offsets: u64,
}

impl Names {
    /// Returns the offsets of this name.
    pub(crate) fn posting(&self, name: Name<'_>) -> Option<MemPosting<'_>> {
        let entry = &self.entries.get(self.find(name)?)?;
        // Acquire: pairs with the Release of `count` in `NamesWriter::add_to`, so the counted offsets are visible.
        let count = entry.count.load(Ordering::Acquire);
        Some(MemPosting { names: self, entry, count, chunk: 0, start: 0 })
    }

    /// Returns the number of the entry of `text`, if that was remembered lately. Such a name is within the limits, and
    /// is found without its hash.
    #[inline]
    pub(crate) fn recent(&self, text: &str) -> Option<usize> {
        // Acquire: pairs with the Release in `NamesWriter::remember`, so the entry is visible.
        let number = self.recent[recent_slot(text)].load(Ordering::Acquire) as usize;
        let number = number.checked_sub(1)?;
        self.entries.get(number).filter(|entry| entry.text.is(text)).map(|_| number)
    }

    /// Returns every name with its offsets, in the order in which the names were first added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, MemPosting<'_>)> {
        self.entries.iter().map(|entry| {
            // Acquire: pairs with the Release of `count` in `NamesWriter::add_to`, as in `posting`.
            let count = entry.count.load(Ordering::Acquire);
            (entry.text.as_str(), MemPosting { names: self, entry, count, chunk: 0, start: 0 })
        })
    }

    /// Returns the hash of every name.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|entry| entry.hash)
    }

    /// Returns the number of names.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the totals. Iterates over all names.
    pub(crate) fn totals(&self) -> Totals {
        self.iter().fold(Totals::default(), |mut totals, (name, posting)| {
            totals.add_name(name);
            totals.offsets += u64::from(posting.len());
            totals
        })
    }

    /// Returns the memory that the table takes, in bytes.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let tables: usize =
            self.tables.iter().filter_map(OnceLock::get).map(|table| size_of_val(&**table)).sum();
        let texts: usize = self.entries.iter().map(|entry| entry.text.heap_bytes()).sum();
        tables + texts + self.entries.allocated_bytes() + self.words.allocated_bytes()
    }

    /// Has the processor load the first slot of a hash, for a search that follows soon.
    #[inline]
    pub(crate) fn prefetch_slot(&self, hash: u64) {
        if let Some(slot) = self.first_slot(hash) {
            annals_base::prefetch(slot);
        }
    }

    /// Has the processor load the entry whose number is in the first slot of a hash. The slot was prefetched before.
    pub(crate) fn prefetch_entry(&self, hash: u64) {
        // Acquire: pairs with the Release of the slot in `put`, so the entry is visible.
        let number = self.first_slot(hash).map(|slot| split(slot.load(Ordering::Acquire)).1);
        let number = number.and_then(|number| number.checked_sub(1));
        if let Some(entry) = number.and_then(|number| self.entries.get(number as usize)) {
            annals_base::prefetch(entry);
        }
    }

    #[inline]
    fn first_slot(&self, hash: u64) -> Option<&AtomicU64> {
        // Acquire: pairs with the Release of `table` in `NamesWriter::grow`, so the table is filled.
        let table = self.tables[self.table.load(Ordering::Acquire)].get()?;
        table.get(probe(table, hash).next()?)
    }

    /// Returns the number of the entry with this name.
    fn find(&self, name: Name<'_>) -> Option<usize> {
        // Acquire: pairs with the Release of `table` in `NamesWriter::grow`, so the table is filled.
        let table = self.tables[self.table.load(Ordering::Acquire)].get()?;
        let bits = hash_bits(name.hash);
        for slot in probe(table, name.hash) {
            // Acquire: pairs with the Release of the slot in `put`, so the entry is visible.
            let (its_bits, number) = split(table[slot].load(Ordering::Acquire));
            let number = number.checked_sub(1)? as usize;
            if its_bits == bits {
                let entry = self.entries.get(number)?;
                if entry.hash == name.hash && entry.text.is(name.text) {
                    return Some(number);
                }
            }
        }
        None
    }
}

/// Returns the slots of a hash in the order in which a lookup tries them.
fn probe(table: &[AtomicU64], hash: u64) -> impl Iterator<Item = usize> + use<> {
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

    /// Returns an empty table with room for about `most` words and `most` names.
    pub(crate) fn with_most(most: usize) -> Self {
        assert!(most <= MOST, "{most} words and names; 4 bytes number at most {MOST}");
        let (entries, entry_list) = segmented_list();
        let (words, word_list) = segmented_list();
        let names = Names {
            entries: entry_list,
            words: word_list,
            tables: [const { OnceLock::new() }; TABLES],
            table: AtomicUsize::new(0),
            recent: [const { AtomicU32::new(0) }; RECENT],
        };
        names.tables[0].get_or_init(|| empty_table(FIRST_TABLE));
        Self { names: Arc::new(names), entries, words, totals: Totals::default(), most }
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Returns whether the table certainly has room for `offsets` more offsets.
    pub(crate) fn has_room(&self, offsets: usize) -> bool {
        self.words.list().len() + 8 * offsets < self.most
            && self.entries.list().len() + offsets < self.most
    }

    /// Returns the totals. Does not iterate over the names.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Adds `offset` to a name. It must be greater than all offsets that the name has.
    pub(crate) fn add(&mut self, name: Name<'_>, offset: u32) {
        match self.names.find(name) {
            Some(number) => self.add_to(number, offset),
            None => self.insert(name, offset),
        }
    }

    /// Remembers a name that the table has, for [`Names::recent`].
    pub(crate) fn remember(&mut self, name: Name<'_>) {
        if let Some(number) = self.names.find(name) {
            // Release: pairs with the Acquire in `Names::recent`, so the entry is visible.
            self.names.recent[recent_slot(name.text)]
                .store(local_size(number + 1), Ordering::Release);
        }
    }

    /// Adds `offset` to the name of entry `number`. It must be greater than all offsets that the name has.
    pub(crate) fn add_to(&mut self, number: usize, offset: u32) {
        self.totals.offsets += 1;
        let Some(entry) = self.entries.get(number) else { return };
        // Relaxed: only this thread writes the count and the tail.
        let (count, tail) =
            (entry.count.load(Ordering::Relaxed), entry.tail.load(Ordering::Relaxed));
        let (chunk, before) = chunk_of(count - 1);
        let at = count - 1 - before;
        let tail = if at == 0 { self.extend(number, chunk, tail) } else { tail };
        if let Some(word) = self.words.get((tail + at) as usize) {
            // Relaxed: the Release of `count` below publishes the offset.
            word.store(offset, Ordering::Relaxed);
        }
        if let Some(entry) = self.entries.get(number) {
            // Release: pairs with the Acquire loads of `count` in `Names::posting` and `Names::iter`.
            entry.count.store(count + 1, Ordering::Release);
        }
    }

    #[cold]
    fn insert(&mut self, name: Name<'_>, offset: u32) {
        self.totals.add_name(name.text);
        self.totals.offsets += 1;
        // Relaxed: only this thread writes `table`.
        let table_size = FIRST_TABLE << self.names.table.load(Ordering::Relaxed);
        if (self.entries.list().len() + 1) * 2 > table_size {
            self.grow(table_size * 2);
        }
        let number = self.entries.push(Entry {
            text: InlineText::new(name.text),
            hash: name.hash,
            first: offset,
            chain: AtomicU32::new(0),
            count: AtomicU32::new(1),
            tail: AtomicU32::new(0),
        });
        // Relaxed: only this thread writes `table`.
        let table = self.names.table.load(Ordering::Relaxed);
        if let Some(table) = self.names.tables[table].get() {
            put(table, name.hash, number);
        }
    }

    /// Adds chunk number `chunk` to the chain of entry `number`, behind the chunk that begins at `last`. Returns its
    /// position.
    #[cold]
    fn extend(&mut self, number: usize, chunk: u32, last: u32) -> u32 {
        let capacity = FIRST_CHUNK << (chunk - 1);
        let start = local_size(self.words.list().len());
        for _ in 0..=capacity {
            self.words.stage(AtomicU32::new(0));
        }
        self.words.publish();
        let Some(entry) = self.entries.get(number) else { return start };
        let link = match chunk {
            1 => Some(&entry.chain),
            _ => self.words.get((last + capacity / 2) as usize),
        };
        if let Some(link) = link {
            // Relaxed: a reader follows the link only to counted offsets, and the Release of `count` in `add_to`
            // publishes the link before it counts them.
            link.store(start, Ordering::Relaxed);
        }
        // Relaxed: only this thread reads the tail.
        entry.tail.store(start, Ordering::Relaxed);
        start
    }

    fn grow(&mut self, size: usize) {
        let table = empty_table(size);
        for (number, entry) in self.names.entries.iter().enumerate() {
            put(&table, entry.hash, number);
        }
        // Relaxed: only this thread writes `table`.
        let next = self.names.table.load(Ordering::Relaxed) + 1;
        self.names.tables[next].get_or_init(|| table);
        // Release: pairs with the Acquire in `Names::find`.
        self.names.table.store(next, Ordering::Release);
    }
}

/// Returns the number of the chunk that has offset `at` of a chain, counted from 1, and the number of offsets in the
/// chunks before it. The first offset of a name is not in its chain.
fn chunk_of(at: u32) -> (u32, u32) {
    let chunk = (at / FIRST_CHUNK + 1).ilog2() + 1;
    (chunk, FIRST_CHUNK * ((1 << (chunk - 1)) - 1))
}

/// Returns the slot of a name among those that were remembered lately. Types often differ in their length or in one of
/// these bytes.
#[inline]
fn recent_slot(text: &str) -> usize {
    let bytes = text.as_bytes();
    let byte = |at: usize| usize::from(bytes.get(at).copied().unwrap_or(0));
    let len = bytes.len();
    (len + byte(0) + 5 * byte(len / 2) + 3 * byte(len.wrapping_sub(1))) % RECENT
}

fn empty_table(size: usize) -> Box<[AtomicU64]> {
    (0..size).map(|_| AtomicU64::new(0)).collect()
}

/// Returns the bits of a hash that its slot has. The first slot that is tried follows from the other bits.
fn hash_bits(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Returns the bits of the hash in a slot, and the number of the entry + 1, or 0 if the slot is free.
#[expect(clippy::cast_possible_truncation, reason = "each half fits")]
fn split(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

/// Writes the number of an entry to the first free slot of its hash. Tables are at most half full, so there is one.
fn put(table: &[AtomicU64], hash: u64, number: usize) {
    // Relaxed: only the writer's thread writes slots.
    if let Some(slot) = probe(table, hash).find(|&slot| table[slot].load(Ordering::Relaxed) == 0) {
        // Release: pairs with the Acquire of the slot in `Names::find`.
        let content = u64::from(hash_bits(hash)) << 32 | u64::from(local_size(number + 1));
        table[slot].store(content, Ordering::Release);
    }
}

/// The offsets that one name had at the time of the lookup: one form of a [`Posting`](crate::backend::Posting).
#[derive(Debug)]
pub struct MemPosting<'a> {
    names: &'a Names,
    entry: &'a Entry,
    count: u32,
    /// The number of the chunk that was read last, counted from 1; 0 if none was read yet.
    chunk: u32,
    /// The position of that chunk in `words`.
    start: u32,
}

impl MemPosting<'_> {
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    pub(crate) fn get(&mut self, at: u32) -> u32 {
        let Some(at) = at.checked_sub(1) else { return self.entry.first };
        let (chunk, before) = chunk_of(at);
        self.walk_to(chunk);
        self.word(self.start + at - before)
    }

    fn walk_to(&mut self, chunk: u32) {
        if self.chunk == 0 || chunk < self.chunk {
            // Relaxed: the Acquire load of `count` in `Names::posting` made the link visible.
            (self.chunk, self.start) = (1, self.entry.chain.load(Ordering::Relaxed));
        }
        while self.chunk < chunk {
            self.start = self.word(self.start + (FIRST_CHUNK << (self.chunk - 1)));
            self.chunk += 1;
        }
    }

    fn word(&self, at: u32) -> u32 {
        // Relaxed: the Acquire load of `count` in `Names::posting` made the word visible.
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
                // A poor hash, so that the test covers probing.
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
