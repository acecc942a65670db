//! The labels of one event that is appended without a batch. They are checked and hashed before the commit, without
//! allocating: the index knows the type, and the memory for the tags is used again by the thread's next event.

use std::cell::Cell;

use crate::event::event::Event;
use crate::event::name::{Hasher, Name, check_name};
use crate::event::tags::Tags;
use crate::index::memory::{MemIndex, OneType};

/// The largest number of tags of such an event. An event with more is appended as a batch.
const MOST: usize = 8;

thread_local! {
    /// The memory for the tags of the next event. Taken out while it is used, since an event's own code may append.
    static TAGS: Cell<Tags> = Cell::default();
    /// Whether `TAGS` has memory. A thread whose events have no tags moves nothing in and out.
    static ANY: Cell<bool> = const { Cell::new(false) };
}

/// The labels of one event.
pub(super) struct OneEvent {
    pub(super) event_type: OneType,
    tags: Tags,
    hashes: [u64; MOST],
}

impl OneEvent {
    /// Returns the labels of `event`. Returns `None` if it has an id, many tags, or a label that is not within the
    /// limits.
    #[inline]
    pub(super) fn of<E: Event>(event: &E, index: &MemIndex, hasher: &Hasher) -> Option<Self> {
        if event.id().is_some() {
            return None;
        }
        let event_type = event.event_type();
        let event_type = match index.recent_type(event_type) {
            Some(number) => OneType::Recent(number),
            None => other_type(event_type, hasher)?,
        };
        let tags = if ANY.take() {
            TAGS.try_with(Cell::take).unwrap_or_default()
        } else {
            Tags::default()
        };
        let mut one = Self { event_type, tags, hashes: [0; MOST] };
        event.tags(&mut one.tags);
        if one.tags.len() > MOST {
            return None;
        }
        for (hash, tag) in one.hashes.iter_mut().zip(one.tags.iter()) {
            check_name("tag", tag).ok()?;
            *hash = hasher.hash(tag.as_bytes());
            index.tags.prefetch_slot(*hash);
        }
        Some(one)
    }

    /// Returns the number of labels.
    pub(super) fn len(&self) -> usize {
        1 + self.tags.len()
    }

    /// Returns the tags with their hashes.
    pub(super) fn tags(&self) -> impl Iterator<Item = Name<'_>> {
        self.tags.iter().zip(self.hashes).map(|(text, hash)| Name { text, hash })
    }
}

#[cold]
fn other_type(event_type: &str, hasher: &Hasher) -> Option<OneType> {
    check_name("event type", event_type).ok()?;
    Some(OneType::Other { text: event_type.into(), hash: hasher.hash(event_type.as_bytes()) })
}

impl Drop for OneEvent {
    /// Keeps the memory for the next event.
    #[inline]
    fn drop(&mut self) {
        if !self.tags.has_memory() {
            return;
        }
        let mut tags = std::mem::take(&mut self.tags);
        tags.clear();
        ANY.set(true);
        // Fails while the thread ends; then the memory is freed.
        let _ = TAGS.try_with(|free| free.set(tags));
    }
}

#[cfg(test)]
mod tests {
    use crate::error::AppendError;
    use crate::event::raw::RawEvent;
    use crate::query::Query;
    use crate::store::store::EventStore;

    /// Returns event `n`: of one of 100 types, with 0 to 11 tags, and every fifth with an id.
    fn event(n: u64) -> RawEvent {
        let tags = (0..n % 12).map(|tag| format!("tag:{tag}:{}", n % 7));
        let builder = RawEvent::builder(format!("type-{}", n % 100));
        let builder = tags.fold(builder, crate::RawEventBuilder::tag);
        let builder = if n.is_multiple_of(5) { builder.id(n.to_string()) } else { builder };
        builder.build().unwrap()
    }

    #[test]
    fn events_one_by_one_are_indexed_as_a_batch_is() {
        let (one_by_one, batch) = (EventStore::in_memory(), EventStore::in_memory());
        (0..2_000).for_each(|n| assert_eq!(one_by_one.append(event(n)).unwrap(), n));
        batch.append_batch((0..2_000).map(event)).unwrap();
        let types = (0..100).map(|n| Query::event_type(format!("type-{n}")));
        let tags =
            (0..11).flat_map(|tag| (0..7).map(move |n| Query::tag(format!("tag:{tag}:{n}"))));
        for query in types.chain(tags) {
            let [own, its] = [&one_by_one, &batch].map(|store| {
                store.query(&query).map(|event| event.unwrap().offset).collect::<Vec<_>>()
            });
            assert!(own == its && !own.is_empty(), "{query:?}");
        }
        assert_eq!(one_by_one.append(event(1_995)).unwrap(), 1_995, "its id is known");
    }

    #[test]
    fn an_event_that_appends_while_its_tags_are_read_spoils_none() {
        use crate::event::error::CodecError;
        use crate::event::event::Event;
        use crate::event::tags::Tags;
        struct Nests(EventStore<RawEvent>);
        impl Event for Nests {
            fn event_type(&self) -> &'static str {
                "nests"
            }
            fn tags(&self, tags: &mut Tags) {
                tags.push("outer");
                let inner = RawEvent::builder("inner").tag("inner").build().unwrap();
                self.0.append(inner).unwrap();
            }
            fn encode(&self, _: &mut Vec<u8>) -> Result<(), CodecError> {
                Ok(())
            }
            fn decode(_: &RawEvent) -> Result<Self, CodecError> {
                unreachable!("memory decodes nothing")
            }
        }
        let (outer, inner) = (EventStore::in_memory(), EventStore::in_memory());
        (0..3).for_each(|n| assert_eq!(outer.append(Nests(inner.clone())).unwrap(), n));
        assert_eq!((outer.query(&Query::tag("outer")).count(), inner.len()), (3, 3));
        assert_eq!(outer.query(&Query::tag("inner")).count(), 0);
        assert_eq!(inner.query(&Query::tag("inner")).count(), 3);
    }

    #[test]
    fn a_refused_event_is_counted_once() {
        struct Unnamed;
        impl crate::Event for Unnamed {
            fn event_type(&self) -> &'static str {
                ""
            }
            fn encode(&self, _: &mut Vec<u8>) -> Result<(), crate::CodecError> {
                Ok(())
            }
            fn decode(_: &RawEvent) -> Result<Self, crate::CodecError> {
                Ok(Self)
            }
        }
        let store = EventStore::in_memory();
        assert!(matches!(store.append(Unnamed), Err(AppendError::Invalid { index: 0, .. })));
        store.close().unwrap();
        assert!(matches!(store.append(Unnamed), Err(AppendError::Invalid { .. })));
        assert_eq!((store.stats().append_errors, store.len()), (2, 0));
    }
}
