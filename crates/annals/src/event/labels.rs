//! The labels of a batch: each event's type, tags and id, checked and hashed once, before the batch joins the queue.
//!
//! ```text
//!   text    type₀ tag₀₀ tag₀₁ id₀ │ type₁ tag₁₀ │ …          one string
//!   names   (end, hash) of each, in that order
//!   events  (first label, first byte, tags, has an id) of each event
//! ```

use super::limits::{MAX_DATA_BYTES, MAX_TAGS};
use super::name::{Hasher, Name, check_name};
use super::tags::Tags;
use crate::event::error::InvalidEvent;

/// Types, tags and ids of some events.
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
#[derive(Debug)]
pub struct EventNames<'a> {
    labels: &'a Labels,
    at: EventLabels,
    pub(crate) event_type: &'a str,
    pub(crate) id: Option<&'a str>,
    /// Type, tags and id, one behind the other.
    pub(crate) names: &'a str,
}

impl Labels {
    /// With room for those of so many events, if they are short and few.
    pub(crate) fn for_events(count: usize) -> Self {
        let (text, names) = (String::with_capacity(count * 64), Vec::with_capacity(count * 2));
        Self { text, names, events: Vec::with_capacity(count) }
    }

    /// Adds an event's labels; on an error nothing of them is there.
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
        self.events.push(EventLabels {
            label: self.names.len(),
            start: self.text.len(),
            tags: tags.len(),
            id: id.is_some(),
        });
        for name in std::iter::once(event_type).chain(tags.iter()).chain(id) {
            self.text.push_str(name);
            self.names.push(Label { end: self.text.len(), hash: 0 });
        }
        Ok(())
    }

    /// Computes every label's hash.
    pub(crate) fn hash(&mut self, hasher: &Hasher) {
        let mut start = 0;
        for label in &mut self.names {
            label.hash = hasher.hash(&self.text.as_bytes()[start..label.end]);
            start = label.end;
        }
    }

    /// Returns the bytes of memory that they hold.
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity()
            + self.names.capacity() * size_of::<Label>()
            + self.events.capacity() * size_of::<EventLabels>()
    }

    /// How many events.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// How many labels all events have together.
    pub(crate) fn label_count(&self) -> usize {
        self.names.len()
    }

    /// Whether any event has an id.
    pub(crate) fn has_ids(&self) -> bool {
        self.events.iter().any(|event| event.id)
    }

    /// The labels of event `index`.
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
    /// The type, hashed.
    pub(crate) fn type_name(&self) -> Name<'a> {
        self.labels.name(self.at.label, self.at.start)
    }

    /// The tags, hashed.
    pub(crate) fn tag_names(&self) -> impl Iterator<Item = Name<'a>> + use<'a> {
        let (labels, first) = (self.labels, self.at.label);
        (first + 1..=first + self.at.tags)
            .map(move |label| labels.name(label, labels.names[label - 1].end))
    }

    /// The id, hashed.
    pub(crate) fn id_name(&self) -> Option<Name<'a>> {
        let label = self.at.label + self.at.tags + 1;
        self.at.id.then(|| self.labels.name(label, self.labels.names[label - 1].end))
    }

    /// The tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tag_names().map(|tag| tag.text)
    }

    /// How many tags.
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
