//! The index of a log that is growing: three tables of names.

use std::sync::Arc;

use super::lookup::{Kind, Lookup, Posting};
use super::names::{Names, NamesWriter, Totals};
use crate::event::labels::EventNames;
use crate::event::name::{Hasher, Name};
use crate::event::raw::RawEvent;

/// The readers' side of an index that is growing.
#[derive(Debug, Clone)]
pub struct MemIndex {
    pub(crate) types: Arc<Names>,
    pub(crate) tags: Arc<Names>,
    pub(crate) ids: Arc<Names>,
}

/// The one writer's side of an index that is growing.
#[derive(Debug)]
pub struct MemIndexWriter {
    types: NamesWriter,
    tags: NamesWriter,
    ids: NamesWriter,
}

impl MemIndexWriter {
    /// An index of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { types: NamesWriter::new(), tags: NamesWriter::new(), ids: NamesWriter::new() }
    }

    /// An index that has room for about `most` names of each kind, and as many offsets.
    #[cfg(test)]
    pub(crate) fn with_most(most: usize) -> Self {
        let names = || NamesWriter::with_most(most);
        Self { types: names(), tags: names(), ids: names() }
    }

    /// The readers' side.
    #[must_use]
    pub fn reader(&self) -> MemIndex {
        MemIndex {
            types: Arc::clone(self.types.names()),
            tags: Arc::clone(self.tags.names()),
            ids: Arc::clone(self.ids.names()),
        }
    }

    /// Whether there is certainly room for events with this many labels.
    pub(crate) fn has_room(&self, labels: usize) -> bool {
        self.types.has_room(labels) && self.tags.has_room(labels) && self.ids.has_room(labels)
    }

    /// How much each table has: of types, tags and ids.
    pub(crate) fn totals(&self) -> [Totals; 3] {
        [self.types.totals(), self.tags.totals(), self.ids.totals()]
    }

    /// Indexes the event at `offset`, the next after all that are indexed.
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

    /// Indexes the event at `offset`, as its labels have it.
    pub fn add_event(&mut self, offset: u32, event: &EventNames<'_>) {
        self.add(offset, event.type_name(), event.tag_names(), event.id_name());
    }

    /// As [`add_event`](Self::add_event), of an event that was read.
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

    /// How much each table has: of types, tags and ids. Every name is looked at.
    pub(crate) fn totals(&self) -> [Totals; 3] {
        [self.types.totals(), self.tags.totals(), self.ids.totals()]
    }

    /// Shows every name of a kind with its offsets, in the order in which the names came.
    pub fn for_each_name(&self, kind: Kind, mut see: impl FnMut(&str, Posting<'_>)) {
        self.names(kind).iter().for_each(|(name, posting)| see(name, Posting::Mem(posting)));
    }

    /// Bytes of memory that it takes.
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
