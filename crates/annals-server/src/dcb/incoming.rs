//! From UmaDB's messages to events and queries of annals.

use annals::{Metadata, Query, QueryItem};
use uuid::Uuid;

use super::messages as wire;
use crate::event::Sent;
use crate::fault::{Fault, Kind};
use crate::reserved::{
    self, ID, ORDER, TRACKING, UUID, is_reserved_name, is_reserved_tag, order_of,
};

/// The largest message that UmaDB's clients decode, less room for what surrounds an event: 4 MiB - 64 KiB.
pub(crate) const MAX_EVENT_BYTES: usize = (4 << 20) - (64 << 10);

/// Returns the event that a client sent. `index` is its position in the request, for messages.
pub(crate) fn event(event: wire::Event, index: usize) -> Result<Sent, Fault> {
    let size = size(&event);
    if size > MAX_EVENT_BYTES {
        let message = format!(
            "event {index} has {size} bytes; UmaDB's clients read messages of 4 MiB at most, so this service takes \
             events up to {MAX_EVENT_BYTES} bytes: append larger ones over HTTP"
        );
        return Err(Fault::new(Kind::EventTooLarge, message));
    }
    let invalid = |what: String| {
        Fault::new(Kind::InvalidEvent, format!("event {index}: {what}")).with("index", index)
    };
    if let Some(tag) = event.tags.iter().find(|tag| is_reserved_tag(tag)) {
        return Err(invalid(format!("the tag {tag:?} is reserved for the server")));
    }
    let names: Vec<&str> = event.metadata.iter().map(|entry| &*entry.key).collect();
    if let Some(name) = names.iter().find(|name| is_reserved_name(name)) {
        return Err(invalid(format!("the metadata name {name:?} is reserved for the server")));
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("metadata contains duplicate keys".into()));
    }
    let kept: Vec<&str> = names.into_iter().filter(|name| *name != ID).collect();
    let order = order_of(&kept);
    let uuid = match &*event.uuid {
        "" => None,
        text => Some(Uuid::parse_str(text).map_err(|_| {
            let start: String = text.chars().take(48).collect();
            invalid(format!("{start:?} is not a UUID"))
        })?),
    };
    let mut id = None;
    let mut metadata = Metadata::default();
    for entry in event.metadata {
        if entry.key == ID {
            id = Some(entry.value);
        } else {
            metadata.set(entry.key, entry.value);
        }
    }
    if let Some(order) = order {
        metadata.set(ORDER, order);
    }
    if let Some(uuid) = uuid {
        metadata.set(UUID, uuid.hyphenated().to_string());
    }
    Ok(Sent { event_type: event.event_type, tags: event.tags, id, metadata, data: event.data })
}

/// Returns the size of an event's parts, in bytes.
fn size(event: &wire::Event) -> usize {
    let names = event.event_type.len() + event.tags.iter().map(|tag| tag.len() + 4).sum::<usize>();
    let entries = event.metadata.iter().map(|entry| entry.key.len() + entry.value.len() + 12);
    names + entries.sum::<usize>() + event.data.len() + event.uuid.len() + 64
}

/// Adds tracking information to the event that carries it.
pub(crate) fn track(event: &mut Sent, tracking: &wire::TrackingInfo) {
    event.tags.push(reserved::tracking_tag(&tracking.source));
    let value = reserved::tracking_value(&tracking.source, tracking.position);
    event.metadata.set(TRACKING, value);
}

/// Returns the query of a request. No query, and a query without items, is the query for every event.
pub(crate) fn query(query: Option<wire::Query>) -> Result<Query, Fault> {
    let items = query.unwrap_or_default().items;
    if items.is_empty() {
        return Ok(Query::all());
    }
    let items =
        items.into_iter().map(|item| QueryItem::new().event_types(item.types).all_tags(item.tags));
    let query: Query = items.collect();
    query.check()?;
    Ok(query)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    proptest::proptest! {
        #[test]
        fn no_request_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            if let Ok(request) = wire::AppendRequest::decode(&*bytes) {
                for (index, sent) in request.events.into_iter().enumerate() {
                    let _ = event(sent, index);
                }
            }
            if let Ok(request) = wire::ReadRequest::decode(&*bytes) {
                let _ = query(request.query);
            }
        }

        /// Random bytes are seldom a message: here the parts are random.
        #[test]
        fn no_text_makes_it_panic(
            texts in proptest::collection::vec("\\PC{0,300}", 6),
            entries in proptest::collection::vec(("[$a-c]{0,3}", "\\PC{0,9}"), 0..70),
        ) {
            let metadata = entries
                .into_iter()
                .map(|(key, value)| wire::MetadataEntry { key, value })
                .collect();
            let sent = wire::Event {
                event_type: texts[0].clone(),
                tags: texts[1..4].to_vec(),
                uuid: texts[4].clone(),
                metadata,
                ..wire::Event::default()
            };
            if let Ok(sent) = event(sent, 0) {
                let _ = crate::event::WireEvent::from(sent).to_raw();
            }
            let item = wire::QueryItem { types: vec![texts[5].clone()], tags: texts[..2].to_vec() };
            let _ = query(Some(wire::Query { items: vec![item] }));
        }
    }
}
