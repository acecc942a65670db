//! Counts the parts of a request in its bytes, before they are decoded: a part of 2 bytes takes up to 128 bytes once it
//! is decoded, so a request of 33 MiB would take 4 GiB.

use annals::{AppendError, MAX_BATCH_EVENTS, MAX_METADATA, MAX_TAGS};
use prost::Message;

use super::messages::{AppendRequest, HeadRequest, ReadRequest, SubscribeRequest, TrackingRequest};
use crate::fault::{Fault, Kind};
use crate::query_size::QuerySize;

/// The most tags of an event as it is sent. A tag that is given twice is stored once, so this is twice the core's limit.
const MAX_SENT_TAGS: usize = 2 * MAX_TAGS;
/// The most metadata entries of an event as it is sent. `$id` does not become one.
const MAX_SENT_METADATA: usize = MAX_METADATA + 1;

/// A request whose parts are counted before it is decoded.
pub(crate) trait Counted: Message {
    /// Returns the number of parts in the bytes of a request. Refuses too many.
    fn count(_bytes: &[u8]) -> Result<usize, Fault> {
        Ok(0)
    }
}

impl Counted for HeadRequest {}
impl Counted for TrackingRequest {}

impl Counted for ReadRequest {
    fn count(bytes: &[u8]) -> Result<usize, Fault> {
        count_queries(bytes, &mut QuerySize::default())
    }
}

impl Counted for SubscribeRequest {
    fn count(bytes: &[u8]) -> Result<usize, Fault> {
        count_queries(bytes, &mut QuerySize::default())
    }
}

impl Counted for AppendRequest {
    fn count(bytes: &[u8]) -> Result<usize, Fault> {
        let events = count_of(bytes, 1)?;
        if events > MAX_BATCH_EVENTS {
            return Err(AppendError::BatchTooLong { count: events }.into());
        }
        let (mut index, mut parts) = (0, events);
        each(bytes, 1, |event| {
            let limits = [(2, "tags", MAX_SENT_TAGS), (5, "metadata entries", MAX_SENT_METADATA)];
            for (number, what, most) in limits {
                let count = count_of(event, number)?;
                if count > most {
                    let message =
                        format!("event {index} has {count} {what}; it may be sent with {most}");
                    return Err(Fault::new(Kind::InvalidEvent, message).with("index", index));
                }
                parts += count;
            }
            index += 1;
            Ok(())
        })?;
        // Protobuf merges a condition that is given several times, so all count.
        let mut size = QuerySize::default();
        each(bytes, 2, |condition| {
            parts += count_queries(condition, &mut size)?;
            Ok(())
        })?;
        Ok(parts)
    }
}

/// Counts the queries in field 1 of a message. Returns the number of their items and names.
fn count_queries(bytes: &[u8], size: &mut QuerySize) -> Result<usize, Fault> {
    let mut parts = 0;
    each(bytes, 1, |query| {
        each(query, 1, |item| {
            let names = count_of(item, 1)? + count_of(item, 2)?;
            parts += 1 + names;
            size.add(1, names)
        })
    })?;
    Ok(parts)
}

/// Returns how often a message has a field with a length.
fn count_of(bytes: &[u8], number: u64) -> Result<usize, Fault> {
    let mut count = 0;
    each(bytes, number, |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Passes the values of a field with a length (a text, bytes or a message) to `see`. Refuses bytes that are not a message:
/// decoding would notice the same fault, but only after it has built the parts before it, and parts beyond the end of a
/// nested message.
fn each<'b>(
    bytes: &'b [u8],
    number: u64,
    mut see: impl FnMut(&'b [u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        let Some((found, value)) = fields.next() else {
            let message = "not a valid message: a length or a key is wrong";
            return Err(Fault::new(Kind::InvalidRequest, message));
        };
        if let Some(value) = value.filter(|_| found == number) {
            see(value)?;
        }
    }
    Ok(())
}

/// The fields of a message: the number, and the value if it has a length. They end where the bytes are not a message.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn next(&mut self) -> Option<(u64, Option<&'b [u8]>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => {
                self.skip(8)?;
                None
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (value, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Some(value)
            }
            // A group is between two keys. Decoding skips it, so what is in it counts too much, and never too little.
            3 | 4 => None,
            5 => {
                self.skip(4)?;
                None
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.split_at_checked(bytes)?.1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_size::{MAX_ITEMS, MAX_NAMES};

    fn refused<R: Counted>(bytes: &[u8]) -> Option<Kind> {
        R::count(bytes).err().map(|fault| fault.kind)
    }

    /// Returns a field with a length.
    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![(number << 3) | 2];
        let mut length = value.len();
        while length > 0x7f {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(value);
        bytes
    }

    #[test]
    fn events_tags_and_metadata_are_counted() {
        let events = |count| field(1, b"").repeat(count);
        assert_eq!(refused::<AppendRequest>(&events(MAX_BATCH_EVENTS)), None);
        let too_long = Some(Kind::BatchTooLarge);
        assert_eq!(refused::<AppendRequest>(&events(MAX_BATCH_EVENTS + 1)), too_long);
        for (number, most) in [(2, MAX_SENT_TAGS), (5, MAX_SENT_METADATA)] {
            let event = |count| field(1, &field(number, b"").repeat(count));
            assert_eq!(refused::<AppendRequest>(&event(most)), None);
            assert_eq!(refused::<AppendRequest>(&event(most + 1)), Some(Kind::InvalidEvent));
        }
    }

    #[test]
    fn items_and_names_of_a_query_are_counted() {
        let items = |count| field(1, &field(1, b"").repeat(count));
        let names = |count| field(1, &field(1, &field(2, b"").repeat(count)));
        let too_much = Some(Kind::InvalidRequest);
        for (query, expected) in [
            (items(MAX_ITEMS), None),
            (items(MAX_ITEMS + 1), too_much),
            (names(MAX_NAMES), None),
            (names(MAX_NAMES + 1), too_much),
            (names(MAX_NAMES / 2 + 1).repeat(2), too_much),
        ] {
            assert_eq!(refused::<ReadRequest>(&query), expected);
            assert_eq!(refused::<SubscribeRequest>(&query), expected);
            assert_eq!(refused::<AppendRequest>(&field(2, &query)), expected);
        }
    }

    /// A decoder that checks a nested length only against the whole request builds what is behind it.
    #[test]
    fn a_length_beyond_its_message_is_refused() {
        let behind = field(1, &field(2, b"")).repeat(2_000);
        for condition in [vec![0x12, 2, 0x0a, 0x7f], vec![0x12, 1, 7]] {
            let request = [condition, behind.clone()].concat();
            assert_eq!(refused::<AppendRequest>(&request), Some(Kind::InvalidRequest));
        }
        for query in [vec![0x0a, 2, 0x0a, 0x7f], vec![0x0a, 1, 7]] {
            let request = [query, behind.clone()].concat();
            assert_eq!(refused::<ReadRequest>(&request), Some(Kind::InvalidRequest));
        }
        assert_eq!(refused::<AppendRequest>(&[7]), Some(Kind::InvalidRequest));
    }

    proptest::proptest! {
        /// Bytes that decode are counted to their end.
        #[test]
        fn what_is_decoded_is_counted(bytes in proptest::collection::vec(0_u8..24, 0..60)) {
            if let Ok(request) = AppendRequest::decode(&*bytes) {
                assert!(count_of(&bytes, 1).is_ok_and(|count| count >= request.events.len()));
            }
        }
    }
}
