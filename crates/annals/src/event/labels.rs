//! The labels of a batch: the type, tags and id of each event. They are checked and hashed once, before the batch joins
//! the queue.
//!
//! ```text
//!   text    type₀ tag₀₀ tag₀₁ id₀ │ type₁ tag₁₀ │ …          one string
//!   names   (end, hash) of each label, in that order
//!   events  (first label, first byte, number of tags, has an id) of each event
//! ```

use super::limits::{MAX_DATA_BYTES, MAX_TAGS};
use super::name::{Hasher, Name, check_name};
use super::tags::Tags;
use crate::event::error::InvalidEvent;

/// The types, tags and ids of the events of a batch.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    text: String,
    names: Vec<Label>,
    events: Vec<EventLabels>,
}

#[derive(Debug, Clone, Copy)]
struct Label {
    end: usize,
    hash: u64,
}

#[derive(Debug, Clone, Copy)]
struct EventLabels {
    label: usize,
    start: usize,
    tags: usize,
    id: bool,
}

/// The labels of one event.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug)]
pub struct EventNames<'a> {
    labels: &'a Labels,
    at: EventLabels,
    pub(crate) event_type: &'a str,
    pub(crate) id: Option<&'a str>,
    /// The type, the tags and the id, concatenated.
    pub(crate) names: &'a str,
}

impl Labels {
    /// Returns an empty set of labels with capacity for `count` events that have few and short labels.
    pub(crate) fn for_events(count: usize) -> Self {
        let (text, names) = (String::with_capacity(count * 64), Vec::with_capacity(count * 2));
        Self { text, names, events: Vec::with_capacity(count) }
    }

    /// Adds the labels of an event. Adds none of them if one is not valid.
    pub(crate) fn add(
        &mut self,
        event_type: &str,
        tags: &Tags,
        id: Option<&str>,
    ) -> Result<(), InvalidEvent> {
        check_name("event type", event_type)?;
        if tags.len() > MAX_TAGS {
            return Err(InvalidEvent::TooManyTags { count: tags.len() });
        }
        for tag in tags.iter() {
            check_name("tag", tag)?;
        }
        if let Some(id) = id {
            check_name("id", id)?;
        }
        self.add_stored(event_type, tags.iter(), id);
        Ok(())
    }

    /// Adds the labels of an event that is in a log already.
    pub(crate) fn add_stored<'a>(
        &mut self,
        event_type: &'a str,
        tags: impl ExactSizeIterator<Item = &'a str>,
        id: Option<&'a str>,
    ) {
        self.events.push(EventLabels {
            label: self.names.len(),
            start: self.text.len(),
            tags: tags.len(),
            id: id.is_some(),
        });
        for name in std::iter::once(event_type).chain(tags).chain(id) {
            self.text.push_str(name);
            self.names.push(Label { end: self.text.len(), hash: 0 });
        }
    }

    /// Computes the hash of every label.
    pub(crate) fn hash(&mut self, hasher: &Hasher) {
        let mut start = 0;
        for label in &mut self.names {
            label.hash = hasher.hash(&self.text.as_bytes()[start..label.end]);
            start = label.end;
        }
    }

    /// Returns the memory that the labels hold, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity()
            + self.names.capacity() * size_of::<Label>()
            + self.events.capacity() * size_of::<EventLabels>()
    }

    /// Returns the number of events.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns the number of labels of all events.
    pub(crate) fn label_count(&self) -> usize {
        self.names.len()
    }

    /// Returns whether any event has an id.
    pub(crate) fn has_ids(&self) -> bool {
        self.events.iter().any(|event| event.id)
    }

    /// Returns the labels of event `index`.
    pub(crate) fn event(&self, index: usize) -> EventNames<'_> {
        let at = self.events[index];
        let last = at.label + at.tags + usize::from(at.id);
        EventNames {
            labels: self,
            at,
            event_type: self.name(at.label, at.start).text,
            id: at.id.then(|| &self.text[self.names[last - 1].end..self.names[last].end]),
            names: &self.text[at.start..self.names[last].end],
        }
    }

    fn name(&self, label: usize, start: usize) -> Name<'_> {
        let Label { end, hash } = self.names[label];
        Name { text: &self.text[start..end], hash }
    }
}

impl<'a> EventNames<'a> {
    /// Returns the type with its hash.
    pub(crate) fn type_name(&self) -> Name<'a> {
        self.labels.name(self.at.label, self.at.start)
    }

    /// Returns the tags with their hashes.
    pub(crate) fn tag_names(&self) -> impl Iterator<Item = Name<'a>> + use<'a> {
        let (labels, first) = (self.labels, self.at.label);
        (first + 1..=first + self.at.tags)
            .map(move |label| labels.name(label, labels.names[label - 1].end))
    }

    /// Returns the id with its hash.
    pub(crate) fn id_name(&self) -> Option<Name<'a>> {
        let label = self.at.label + self.at.tags + 1;
        self.at.id.then(|| self.labels.name(label, self.labels.names[label - 1].end))
    }

    /// Returns the tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tag_names().map(|tag| tag.text)
    }

    /// Returns the number of tags.
    pub(crate) fn tag_count(&self) -> usize {
        self.at.tags
    }
}

/// Refuses a payload that is too large.
pub(crate) fn check_data(bytes: usize) -> Result<(), InvalidEvent> {
    if bytes > MAX_DATA_BYTES { Err(InvalidEvent::DataTooLarge { bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_went_in() {
        let mut labels = Labels::default();
        let mut tags = Tags::default();
        tags.push("a:1");
        tags.push("b:2");
        labels.add("first", &tags, Some("id-1")).unwrap();
        labels.add("second", &Tags::default(), None).unwrap();
        let first = labels.event(0);
        assert_eq!(
            (first.event_type, first.id, first.names),
            ("first", Some("id-1"), "firsta:1b:2id-1")
        );
        assert_eq!(first.tags().collect::<Vec<_>>(), ["a:1", "b:2"]);
        assert_eq!(first.id_name().map(|name| name.text), Some("id-1"));
        let second = labels.event(1);
        assert_eq!((second.event_type, second.id, second.tag_count()), ("second", None, 0));
    }
}
