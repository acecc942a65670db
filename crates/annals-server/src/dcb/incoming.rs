//! From UmaDB's messages to events and queries of annals.

use annals::{AppendError, MAX_BATCH_BYTES, MAX_METADATA_VALUE_BYTES, Metadata, Query, QueryItem};
use uuid::Uuid;

use super::messages as wire;
use crate::event::Sent;
use crate::fault::{Fault, Kind};
use crate::reserved::{
    self, ID, ORDER, TRACKING, UUID, is_reserved_name, is_reserved_tag, order_of,
};

/// The largest message that UmaDB's clients decode, less room for what surrounds an event: 4 MiB - 64 KiB.
pub(crate) const MAX_EVENT_BYTES: usize = (4 << 20) - (64 << 10);

/// The longest tracking source, in bytes. Its metadata value also has the position, of at most 20 digits, and a space.
const MAX_SOURCE_BYTES: usize = MAX_METADATA_VALUE_BYTES - 21;

/// Returns the event that a client sent. `index` is its position in the request, for messages.
pub(crate) fn event(event: wire::Event, index: usize) -> Result<Sent, Fault> {
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

/// Refuses an event that UmaDB's clients cannot read back. It has everything that the server adds by now.
pub(crate) fn check_size(event: &Sent, index: usize) -> Result<(), Fault> {
    let size = size(event);
    if size <= MAX_EVENT_BYTES {
        return Ok(());
    }
    let message = format!(
        "event {index} has {size} bytes; UmaDB's clients read messages of 4 MiB at most, so this service takes events \
         up to {MAX_EVENT_BYTES} bytes, with what the server adds: append larger ones over HTTP"
    );
    Err(Fault::new(Kind::EventTooLarge, message))
}

/// Returns the size of an event's parts, in bytes.
fn size(event: &Sent) -> usize {
    let tags = event.tags.iter().map(|tag| tag.len() + 4).sum::<usize>();
    let entries = event.metadata.iter().map(|(name, value)| name.len() + value.len() + 12);
    let id = event.id.as_ref().map_or(0, String::len);
    event.event_type.len() + tags + entries.sum::<usize>() + id + event.data.len() + 64
}

/// Adds tracking information to the events. Without events, an event of its own carries it.
///
/// Refuses a source, and as many copies of it, that no batch can hold: a request has the source once, but each event
/// stores it.
pub(crate) fn track(events: &mut Vec<Sent>, tracking: &wire::TrackingInfo) -> Result<(), Fault> {
    let bytes = tracking.source.len();
    if bytes > MAX_SOURCE_BYTES {
        let message =
            format!("the tracking source has {bytes} bytes; the limit is {MAX_SOURCE_BYTES}");
        return Err(Fault::invalid(message));
    }
    let copies = bytes * events.len();
    if copies > MAX_BATCH_BYTES {
        return Err(AppendError::BatchTooLarge { bytes: copies }.into());
    }
    if events.is_empty() {
        events.push(Sent { event_type: TRACKING.into(), ..Sent::default() });
    }
    let tag = reserved::tracking_tag(&tracking.source);
    let value = reserved::tracking_value(&tracking.source, tracking.position);
    for event in events {
        event.tags.push(tag.clone());
        event.metadata.set(TRACKING, value.clone());
    }
    Ok(())
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

    #[test]
    fn a_source_that_no_batch_can_hold_is_refused_before_it_is_copied() {
        let refused = |bytes: usize, count: usize| {
            let mut events = vec![Sent::default(); count];
            let source = "x".repeat(bytes);
            let fault = track(&mut events, &wire::TrackingInfo { source, position: u64::MAX });
            assert!(fault.is_ok() || events.iter().all(|event| event.tags.is_empty()));
            fault.err().map(|fault| fault.kind)
        };
        assert_eq!(refused(MAX_SOURCE_BYTES, 1), None);
        assert_eq!(refused(MAX_SOURCE_BYTES + 1, 0), Some(Kind::InvalidRequest));
        assert_eq!(refused(30 << 20, 1_000), Some(Kind::InvalidRequest));
        assert_eq!(refused(60_000, 1_000), Some(Kind::BatchTooLarge));
    }

    #[test]
    fn the_longest_source_fits_into_an_event() {
        let mut events = Vec::new();
        let source = "x".repeat(MAX_SOURCE_BYTES);
        track(&mut events, &wire::TrackingInfo { source, position: u64::MAX }).unwrap();
        let [event] = &events[..] else { panic!("one event carries the position") };
        crate::event::WireEvent::from(event.clone()).to_raw().unwrap();
    }

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
