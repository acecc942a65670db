//! The in-memory index, which grows with the log: one table of names each for types, tags and ids.

use std::sync::Arc;

use super::lookup::{Kind, Lookup, Posting};
use super::names::{Names, NamesWriter, Totals};
use crate::event::labels::{EventNames, Labels};
use crate::event::name::{Hasher, Name};
use crate::event::raw::RawEvent;

/// The number of events between the prefetch of a slot, that of its entry, and the use of both.
const PREFETCHED_EVENTS: usize = 4;

/// The readers' handle of an in-memory index.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug, Clone)]
pub struct MemIndex {
    pub(crate) types: Arc<Names>,
    pub(crate) tags: Arc<Names>,
    pub(crate) ids: Arc<Names>,
}

/// The writer's handle of an in-memory index. Each index has one.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug)]
pub struct MemIndexWriter {
    types: NamesWriter,
    tags: NamesWriter,
    ids: NamesWriter,
}

/// The type of one event, as the index wants it.
#[derive(Debug)]
pub(crate) enum OneType {
    /// The number of the type's entry. Such a type is within the limits, and is found without its hash.
    Recent(usize),
    /// A type that was not indexed lately.
    Other { text: Box<str>, hash: u64 },
}

impl MemIndexWriter {
    /// Returns an empty index.
    #[must_use]
    pub fn new() -> Self {
        Self { types: NamesWriter::new(), tags: NamesWriter::new(), ids: NamesWriter::new() }
    }

    /// Returns an empty index with room for about `most` names and `most` offsets of each kind.
    #[cfg(test)]
    pub(crate) fn with_most(most: usize) -> Self {
        let names = || NamesWriter::with_most(most);
        Self { types: names(), tags: names(), ids: names() }
    }

    /// Returns a handle for readers.
    #[must_use]
    pub fn reader(&self) -> MemIndex {
        MemIndex {
            types: Arc::clone(self.types.names()),
            tags: Arc::clone(self.tags.names()),
            ids: Arc::clone(self.ids.names()),
        }
    }

    /// Returns whether the index certainly has room for events with `labels` labels together.
    pub(crate) fn has_room(&self, labels: usize) -> bool {
        self.types.has_room(labels) && self.tags.has_room(labels) && self.ids.has_room(labels)
    }

    /// Returns the totals of the tables of types, tags and ids. Does not iterate over the names.
    pub(crate) fn totals(&self) -> [Totals; 3] {
        [self.types.totals(), self.tags.totals(), self.ids.totals()]
    }

    /// Indexes the event at `offset`, which must be greater than all indexed offsets.
    pub(crate) fn add<'n>(
        &mut self,
        offset: u32,
        event_type: Name<'n>,
        tags: impl Iterator<Item = Name<'n>>,
        id: Option<Name<'n>>,
    ) {
        self.types.add(event_type, offset);
        tags.for_each(|tag| self.tags.add(tag, offset));
        if let Some(id) = id {
            self.ids.add(id, offset);
        }
    }

    /// Indexes an event as [`add`](Self::add) does, without an id.
    #[inline]
    pub(crate) fn add_one<'n>(
        &mut self,
        offset: u32,
        event_type: &OneType,
        tags: impl Iterator<Item = Name<'n>>,
    ) {
        match event_type {
            OneType::Recent(number) => self.types.add_to(*number, offset),
            OneType::Other { text, hash } => self.add_type(offset, Name { text, hash: *hash }),
        }
        tags.for_each(|tag| self.tags.add(tag, offset));
    }

    #[cold]
    fn add_type(&mut self, offset: u32, name: Name<'_>) {
        self.types.add(name, offset);
        self.types.remember(name);
    }

    /// Indexes the event at `offset`, which must be greater than all indexed offsets.
    pub fn add_event(&mut self, offset: u32, event: &EventNames<'_>) {
        self.add(offset, event.type_name(), event.tag_names(), event.id_name());
    }

    /// Indexes an event that was read from the log, like [`add_event`](Self::add_event).
    pub fn add_raw(&mut self, offset: u32, event: &RawEvent, hasher: &Hasher) {
        let name = |text| hasher.name(text);
        self.add(offset, name(event.event_type()), event.tags().map(name), event.id().map(name));
    }
}

impl Default for MemIndexWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl MemIndex {
    pub(crate) fn names(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Type => &self.types,
            Kind::Tag => &self.tags,
            Kind::Id => &self.ids,
        }
    }

    /// Returns the totals of the tables of types, tags and ids. Iterates over all names.
    pub(crate) fn totals(&self) -> [Totals; 3] {
        [self.types.totals(), self.tags.totals(), self.ids.totals()]
    }

    /// Calls `see` for every name of a kind and its offsets, in the order in which the names were first added.
    pub fn for_each_name(&self, kind: Kind, mut see: impl FnMut(&str, Posting<'_>)) {
        self.names(kind).iter().for_each(|(name, posting)| see(name, Posting::Mem(posting)));
    }

    /// Returns the number of the entry of an event type, if the index remembers it.
    #[inline]
    pub(crate) fn recent_type(&self, event_type: &str) -> Option<usize> {
        self.types.recent(event_type)
    }

    /// Has the processor load what the index needs for events of a batch that are indexed soon after event `index`.
    pub(crate) fn prefetch(&self, batch: &Labels, index: usize) {
        let later = |ahead| (index + ahead < batch.len()).then(|| batch.event(index + ahead));
        if let Some(event) = later(2 * PREFETCHED_EVENTS) {
            event.tag_names().for_each(|tag| self.tags.prefetch_slot(tag.hash));
            event.id_name().iter().for_each(|id| self.ids.prefetch_slot(id.hash));
        }
        if let Some(event) = later(PREFETCHED_EVENTS) {
            event.tag_names().for_each(|tag| self.tags.prefetch_entry(tag.hash));
        }
    }

    /// Returns the memory that the index takes, in bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.types.allocated_bytes() + self.tags.allocated_bytes() + self.ids.allocated_bytes()
    }
}

impl Lookup for MemIndex {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        self.names(kind).posting(name).map(Posting::Mem)
    }
}
