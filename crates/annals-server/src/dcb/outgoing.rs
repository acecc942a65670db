//! From records to UmaDB's messages: written straight from the record's parts, without building the messages.

use std::borrow::Cow;

use annals::{RawEvent, Recorded};
use bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use uuid::Uuid;

use crate::pages::Page;
use crate::reserved::{ID, ORDER, TRACKING, UUID, is_reserved_tag, parse_tracking, restore_order};

/// A message of `Read` or `Subscribe`: events, and the position of the head.
#[derive(Debug)]
pub(crate) struct EventsMessage {
    pub(crate) events: Page,
    pub(crate) head: Option<u64>,
}

impl EventsMessage {
    /// Writes the message.
    pub(crate) fn write(&self, out: &mut impl BufMut) {
        for recorded in &self.events {
            let event = Outgoing::of(recorded);
            let sizes = event.sizes();
            field(1, WireType::LengthDelimited, out);
            encode_varint(sizes.whole as u64, out);
            event.write(&sizes, out);
        }
        if let Some(head) = self.head {
            field(2, WireType::Varint, out);
            encode_varint(head, out);
        }
    }

    /// Returns an upper bound of the size of the message, in bytes.
    pub(crate) fn size_hint(&self) -> usize {
        self.events.iter().map(|recorded| crate::pages::wire_size(&recorded.event)).sum::<usize>()
            + 16
    }
}

/// The parts of a record in the terms of UmaDB's contract.
struct Outgoing<'a> {
    position: u64,
    raw: &'a RawEvent,
    uuid: Cow<'a, str>,
    metadata: Vec<(&'a str, &'a str)>,
    tracking: Option<(&'a str, u64)>,
}

/// The sizes of nested messages, which stand in front of them.
struct Sizes {
    whole: usize,
    event: usize,
    tracking: usize,
}

impl<'a> Outgoing<'a> {
    fn of(recorded: &'a Recorded<RawEvent>) -> Self {
        let raw = &recorded.event;
        let (mut uuid, mut order, mut tracking) = (None, None, None);
        let mut metadata = raw.metadata();
        metadata.retain(|&(name, value)| {
            match name {
                UUID => uuid = Some(value),
                ORDER => order = Some(value),
                TRACKING => tracking = parse_tracking(value),
                _ => return true,
            }
            false
        });
        if let Some(order) = order {
            restore_order(&mut metadata, order);
        }
        let id = raw.id();
        if let Some(id) = id {
            metadata.push((ID, id));
        }
        let uuid = match (uuid, id.and_then(|id| Uuid::parse_str(id).ok())) {
            (Some(uuid), _) => Cow::Borrowed(uuid),
            (None, Some(id)) => Cow::Owned(id.hyphenated().to_string()),
            (None, None) => Cow::Borrowed(""),
        };
        Self { position: recorded.offset + 1, raw, uuid, metadata, tracking }
    }

    fn tags(&self) -> impl Iterator<Item = &'a str> {
        let tracked = self.tracking.is_some();
        self.raw.tags().filter(move |tag| !(tracked && is_reserved_tag(tag)))
    }

    fn sizes(&self) -> Sizes {
        let event = nested(self.raw.event_type().len())
            + self.tags().map(|tag| nested(tag.len())).sum::<usize>()
            + optional(self.raw.data_bytes().len())
            + optional(self.uuid.len())
            + self.metadata.iter().map(|entry| nested(entry_size(entry))).sum::<usize>();
        let tracking = self.tracking.map_or(0, |(source, position)| {
            optional(source.len())
                + if position == 0 { 0 } else { 1 + encoded_len_varint(position) }
        });
        let whole = 1
            + encoded_len_varint(self.position)
            + nested(event)
            + if self.tracking.is_some() { nested(tracking) } else { 0 };
        Sizes { whole, event, tracking }
    }

    fn write(&self, sizes: &Sizes, out: &mut impl BufMut) {
        field(1, WireType::Varint, out);
        encode_varint(self.position, out);
        field(2, WireType::LengthDelimited, out);
        encode_varint(sizes.event as u64, out);
        write_bytes(1, self.raw.event_type().as_bytes(), out);
        for tag in self.tags() {
            write_bytes(2, tag.as_bytes(), out);
        }
        write_optional(3, self.raw.data_bytes(), out);
        write_optional(4, self.uuid.as_bytes(), out);
        for entry in &self.metadata {
            field(5, WireType::LengthDelimited, out);
            encode_varint(entry_size(entry) as u64, out);
            write_bytes(1, entry.0.as_bytes(), out);
            write_optional(2, entry.1.as_bytes(), out);
        }
        if let Some((source, position)) = self.tracking {
            field(3, WireType::LengthDelimited, out);
            encode_varint(sizes.tracking as u64, out);
            write_optional(1, source.as_bytes(), out);
            if position > 0 {
                field(2, WireType::Varint, out);
                encode_varint(position, out);
            }
        }
    }
}

fn entry_size((name, value): &(&str, &str)) -> usize {
    nested(name.len()) + optional(value.len())
}

/// Returns the size of a field of this many bytes, with its key and its length. All field numbers are below 16.
fn nested(size: usize) -> usize {
    1 + encoded_len_varint(size as u64) + size
}

/// Returns the size of a field that is left out when it is empty.
fn optional(size: usize) -> usize {
    if size == 0 { 0 } else { nested(size) }
}

fn field(number: u32, kind: WireType, out: &mut impl BufMut) {
    encode_key(number, kind, out);
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut impl BufMut) {
    field(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

fn write_optional(number: u32, bytes: &[u8], out: &mut impl BufMut) {
    if !bytes.is_empty() {
        write_bytes(number, bytes, out);
    }
}

#[cfg(test)]
mod tests {
    use annals::{EventStore, Memory};
    use prost::Message as _;

    use super::super::incoming;
    use super::super::messages::{Event, MetadataEntry, ReadResponse, TrackingInfo};
    use super::*;
    use crate::event::WireEvent;
    use crate::fault::Kind;

    /// Sends an event through a store and returns the message that a client decodes.
    fn through(event: Event, tracking: Option<&TrackingInfo>) -> ReadResponse {
        let mut sent = vec![incoming::event(event, 0).unwrap()];
        if let Some(tracking) = tracking {
            incoming::track(&mut sent, tracking).unwrap();
        }
        let sent = sent.remove(0);
        let store = EventStore::on(Memory::<WireEvent>::encoded());
        store.append(sent.into()).unwrap();
        let event = store.get(0).unwrap().unwrap().event.to_raw().unwrap();
        let events = vec![Recorded { offset: 0, time_ms: 0, event }];
        let message = EventsMessage { events, head: Some(1) };
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert!(bytes.len() <= message.size_hint(), "{} {}", bytes.len(), message.size_hint());
        ReadResponse::decode(&*bytes).unwrap()
    }

    fn entries(names: &[&str]) -> Vec<MetadataEntry> {
        let entry = |name: &&str| MetadataEntry { key: (*name).into(), value: name.to_uppercase() };
        names.iter().map(entry).collect()
    }

    proptest::proptest! {
        #[test]
        fn an_event_comes_back_as_it_was_sent(
            event_type in "[a-zä]{1,20}",
            tags in proptest::collection::btree_set("[a-zé:]{1,9}", 0..5),
            names in proptest::collection::btree_set("[a-z$]{1,6}", 0..6),
            turn in 0usize..6,
            data in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            uuid in proptest::option::of(proptest::num::u128::ANY),
            tracking in proptest::option::of(("[a-z\n ]{0,9}", proptest::num::u64::ANY)),
        ) {
            let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
            names.retain(|name| *name != "$id" && !is_reserved_tag(name));
            let middle = turn.min(names.len());
            names.rotate_left(middle);
            let event = Event {
                event_type,
                tags: tags.into_iter().collect(),
                data: data.into(),
                uuid: uuid.map(|id| Uuid::from_u128(id).to_string()).unwrap_or_default(),
                metadata: entries(&names),
            };
            let tracking = tracking.map(|(source, position)| TrackingInfo { source, position });
            let read = through(event.clone(), tracking.as_ref());
            proptest::prop_assert_eq!(read.head, Some(1));
            proptest::prop_assert_eq!(read.events.len(), 1);
            proptest::prop_assert_eq!(read.events[0].position, 1);
            proptest::prop_assert_eq!(read.events[0].event.as_ref(), Some(&event));
            proptest::prop_assert_eq!(read.events[0].tracking_info.as_ref(), tracking.as_ref());
        }
    }

    #[test]
    fn a_native_id_is_metadata_and_also_the_uuid_if_it_is_one() {
        let id = "00000000-0000-0000-0000-00000000000A";
        for (id, uuid) in [(id, &*id.to_lowercase()), ("order-7", "")] {
            let metadata = vec![MetadataEntry { key: "$id".into(), value: id.into() }];
            let event = Event { event_type: "a".into(), metadata, ..Event::default() };
            let read = through(event.clone(), None).events.remove(0).event.unwrap();
            assert_eq!((read.uuid.as_str(), &read.metadata), (uuid, &event.metadata));
        }
    }

    #[test]
    fn reserved_and_repeated_names_are_refused() {
        let event = |metadata: &[&str], tags: &[&str]| Event {
            event_type: "a".into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            metadata: entries(metadata),
            ..Event::default()
        };
        for name in ["$uuid", "$order", "$tracking", "$actor"] {
            let fault = incoming::event(event(&[name], &[]), 3).unwrap_err();
            assert!(fault.message.contains("reserved") && fault.message.starts_with("event 3"));
        }
        assert!(incoming::event(event(&[], &["$tracking:x"]), 0).is_err());
        let fault = incoming::event(event(&["b", "a", "b"], &[]), 0).unwrap_err();
        assert!(fault.message.contains("metadata contains duplicate keys"));
        let bad = Event { uuid: "7".into(), ..event(&[], &[]) };
        assert!(incoming::event(bad, 0).unwrap_err().message.contains("not a UUID"));
        let large = Event { data: vec![0; 4 << 20].into(), ..event(&[], &[]) };
        let large = incoming::event(large, 0).unwrap();
        assert_eq!(incoming::check_size(&large, 0).unwrap_err().kind, Kind::EventTooLarge);
    }
}
