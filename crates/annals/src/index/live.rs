//! The index of a log that is growing: three tables of names.

use std::sync::Arc;

use super::lookup::{Kind, Lookup, Posting};
use super::names::{Names, NamesWriter};
use crate::labels::EventNames;
use crate::name::Name;

/// The readers' side.
#[derive(Debug, Clone)]
pub(crate) struct LiveIndex {
    pub(crate) types: Arc<Names>,
    pub(crate) tags: Arc<Names>,
    pub(crate) ids: Arc<Names>,
}

/// The one writer's side.
#[derive(Debug)]
pub(crate) struct LiveIndexWriter {
    types: NamesWriter,
    tags: NamesWriter,
    ids: NamesWriter,
}

impl LiveIndexWriter {
    pub(crate) fn new() -> Self {
        Self { types: NamesWriter::new(), tags: NamesWriter::new(), ids: NamesWriter::new() }
    }

    pub(crate) fn reader(&self) -> LiveIndex {
        LiveIndex {
            types: Arc::clone(self.types.names()),
            tags: Arc::clone(self.tags.names()),
            ids: Arc::clone(self.ids.names()),
        }
    }

    /// Whether there is certainly room for events with this many labels.
    pub(crate) fn has_room(&self, labels: usize) -> bool {
        self.types.has_room(labels) && self.tags.has_room(labels) && self.ids.has_room(labels)
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
    pub(crate) fn add_event(&mut self, offset: u32, event: &EventNames<'_>) {
        self.add(offset, event.type_name(), event.tag_names(), event.id_name());
    }
}

impl LiveIndex {
    pub(crate) fn names(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Type => &self.types,
            Kind::Tag => &self.tags,
            Kind::Id => &self.ids,
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.types.allocated_bytes() + self.tags.allocated_bytes() + self.ids.allocated_bytes()
    }
}

impl Lookup for LiveIndex {
    fn posting(&self, kind: Kind, name: Name<'_>) -> Option<Posting<'_>> {
        self.names(kind).posting(name).map(Posting::Live)
    }
}
