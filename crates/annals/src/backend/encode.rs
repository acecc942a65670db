//! Prepares a batch for the commit path, on the caller's thread: checks and hashes the labels and, for a durable
//! backend, encodes every event into a record that lacks only its offset.

use crate::error::AppendError;
use crate::event::error::InvalidEvent;
use crate::event::event::Event;
use crate::event::json::notes::Doubts;
use crate::event::json::writer::take_doubts;
use crate::event::labels::{EventNames, Labels};
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::event::name::Hasher;
use crate::event::raw;
#[cfg(feature = "journal")]
use crate::event::raw::RawEvent;
use crate::event::read_back::read_back;
use crate::event::tags::{Metadata, Tags};
#[cfg(feature = "journal")]
use crate::util::crc32c::crc32c;

/// The size of a record's header, in bytes: checksum, size, offset.
pub(crate) const RECORD_HEAD: usize = 16;

/// The number of bytes in front of a batch's records that are reserved for the header of the commit. A commit of one
/// batch is written from the buffer in which the batch was encoded.
pub(crate) const COMMIT_HEAD: usize = 48;

/// The number of bytes that are allocated for the first record. It is rarely reallocated while it grows.
const FIRST_ROOM: usize = 1 << 10;

/// A batch that is checked and encoded, ready to be committed.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug, Default)]
pub struct Encoded {
    pub(crate) labels: Labels,
    /// [`COMMIT_HEAD`] bytes, and then the records, each at a multiple of 8 bytes. Empty for a batch without events,
    /// and for a backend that does not encode events.
    pub(crate) records: Vec<u8>,
    /// The position in `records` of each record, in bytes.
    pub(crate) starts: Vec<u32>,
    /// The older names of the events' types.
    pub(crate) aliases: Aliases,
}

/// [`Event::aliases`] of the Rust type of a batch's events. None by default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aliases(fn(&str) -> &'static [&'static str]);

impl Aliases {
    pub(crate) fn of<E: Event>() -> Self {
        Self(E::aliases)
    }

    /// Returns whether two names are names of the same event type. Either may be the older one.
    pub(crate) fn are_same(self, one: &str, other: &str) -> bool {
        (self.0)(one).contains(&other) || (self.0)(other).contains(&one)
    }
}

impl Default for Aliases {
    fn default() -> Self {
        Self(|_| &[])
    }
}

impl Encoded {
    /// Checks and hashes the labels of a batch's events, and encodes nothing else.
    pub(crate) fn labels<E: Event>(events: &[E], hasher: &Hasher) -> Result<Self, AppendError> {
        check_length(events.len())?;
        let mut labels = Labels::for_events(events.len());
        let mut tags = Tags::default();
        for (index, event) in events.iter().enumerate() {
            add_labels(&mut labels, event, &mut tags)
                .map_err(|source| AppendError::Invalid { index, source })?;
        }
        labels.hash(hasher);
        Ok(Self { labels, records: Vec::new(), starts: Vec::new(), aliases: Aliases::of::<E>() })
    }

    /// Encodes the events of a batch, and checks them against the limits. Debug builds also decode each event and
    /// compare it with the original; release builds do so only if it has values that some types cannot read back.
    ///
    /// # Errors
    /// [`AppendError`] for an exceeded limit, for an event that has no encoding, and for an event that does not decode
    /// to the original.
    pub fn records<E: Event>(events: &[E], hasher: &Hasher) -> Result<Self, AppendError> {
        Self::decoded_records(events, hasher, cfg!(debug_assertions))
    }

    /// As [`records`](Self::records); decodes every body if `all`, and otherwise only those with doubts.
    fn decoded_records<E: Event>(
        events: &[E],
        hasher: &Hasher,
        all: bool,
    ) -> Result<Self, AppendError> {
        Self::checked_records(events, hasher, |event, body, doubts| {
            if all || doubts.any() {
                read_back(event, body, doubts)?;
            }
            Ok(())
        })
    }

    /// Returns the labels of a batch's events, and the events as a log in files would return them.
    pub(crate) fn read_back<E: Event>(
        events: &[E],
        hasher: &Hasher,
    ) -> Result<(Self, Vec<E>), AppendError> {
        let mut read = Vec::with_capacity(events.len());
        let encoded = Self::checked_records(events, hasher, |event, body, doubts| {
            read.push(read_back(event, body, doubts)?);
            Ok(())
        })?;
        Ok((encoded.without_records(), read))
    }

    /// Drops the records and keeps the labels.
    pub(crate) fn without_records(self) -> Self {
        Self { labels: self.labels, aliases: self.aliases, ..Self::default() }
    }

    /// Does what [`records`](Self::records) does, with `check` called for each event, its body, and the doubts about
    /// the body.
    fn checked_records<E: Event>(
        events: &[E],
        hasher: &Hasher,
        mut check: impl FnMut(&E, &[u8], Doubts) -> Result<(), InvalidEvent>,
    ) -> Result<Self, AppendError> {
        let mut encoded = Self::labels(events, hasher)?;
        let Self { labels, records, starts, .. } = &mut encoded;
        if !events.is_empty() {
            records.reserve_exact(FIRST_ROOM);
            records.resize(COMMIT_HEAD, 0);
        }
        starts.reserve_exact(events.len());
        for (index, event) in events.iter().enumerate() {
            let mut metadata = Metadata::default();
            event.metadata(&mut metadata);
            let start = records.len();
            records.resize(start + RECORD_HEAD, 0);
            let invalid = |source| AppendError::Invalid { index, source };
            take_doubts();
            raw::write_body(records, labels, index, &metadata, |out| event.encode(out))
                .map_err(invalid)?;
            check(event, &records[start + RECORD_HEAD..], take_doubts()).map_err(invalid)?;
            if records.len() > COMMIT_HEAD + MAX_BATCH_BYTES + RECORD_HEAD * events.len() {
                return Err(AppendError::BatchTooLarge { bytes: records.len() - COMMIT_HEAD });
            }
            starts.push(end_record(records, start));
            if index == 0 {
                // The other records are often about as large: one allocation for all of them.
                let like_the_first = (records.len() - start).saturating_mul(events.len() - 1);
                records.reserve(like_the_first.min(MAX_BATCH_BYTES));
            }
        }
        Ok(encoded)
    }

    /// Takes the events of a batch as another log stores them: their bodies stay as they are, and are not checked
    /// against the limits. The caller makes sure that they have at most 2 GiB.
    #[cfg(feature = "journal")]
    pub(crate) fn stored(events: &[RawEvent], hasher: &Hasher) -> Self {
        let mut labels = Labels::for_events(events.len());
        let size = |event: &RawEvent| RECORD_HEAD + event.body().len().next_multiple_of(8);
        let mut records = Vec::with_capacity(COMMIT_HEAD + events.iter().map(size).sum::<usize>());
        records.resize(COMMIT_HEAD, 0);
        let mut starts = Vec::with_capacity(events.len());
        for event in events {
            labels.add_stored(event.event_type(), event.tags(), event.id());
            let start = records.len();
            records.resize(start + RECORD_HEAD, 0);
            records.extend_from_slice(event.body());
            starts.push(end_record(&mut records, start));
        }
        labels.hash(hasher);
        Self { labels, records, starts, aliases: Aliases::of::<RawEvent>() }
    }

    /// Returns the largest number of bytes that the batch adds to a commit, the header of the commit included.
    pub(crate) fn size(&self) -> usize {
        self.records.len().max(COMMIT_HEAD)
    }

    /// Returns the size of the memory that the batch holds, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.records.capacity()
            + self.starts.capacity() * size_of::<u32>()
            + self.labels.held_bytes()
    }

    /// Returns the names of event `index` of the batch, from 0.
    #[must_use]
    pub fn names(&self, index: usize) -> EventNames<'_> {
        self.labels.event(index)
    }

    /// Returns the body of event `index` of the batch, from 0. [`RawEvent::from_body`](crate::RawEvent::from_body)
    /// reads it.
    #[must_use]
    pub fn body(&self, index: usize) -> &[u8] {
        let start = self.starts[index] as usize;
        let size = crate::util::little_endian::u32_at(&self.records, start + 4) as usize;
        &self.records[start + RECORD_HEAD..start + size]
    }
}

/// Writes the head of the record that starts at `start` and has its body, and pads it. Returns the position of the
/// start.
fn end_record(records: &mut Vec<u8>, start: usize) -> u32 {
    // Neither cast truncates: a batch is smaller than 4 GiB.
    #[expect(clippy::cast_possible_truncation, reason = "a batch is smaller than 4 GiB")]
    let (position, size) = (start as u32, (records.len() - start) as u32);
    // Only the Journal stores records with their heads.
    #[cfg(feature = "journal")]
    {
        let checksum = crc32c(&records[start + RECORD_HEAD..]);
        records[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }
    records[start + 4..start + 8].copy_from_slice(&size.to_le_bytes());
    records.resize(records.len().next_multiple_of(8), 0);
    position
}

/// Adds the labels of an event.
fn add_labels<E: Event>(
    labels: &mut Labels,
    event: &E,
    tags: &mut Tags,
) -> Result<(), InvalidEvent> {
    tags.clear();
    event.tags(tags);
    labels.add(event.event_type(), tags, event.id().as_deref())
}

/// Refuses a batch of too many events.
fn check_length(count: usize) -> Result<(), AppendError> {
    if count > MAX_BATCH_EVENTS { Err(AppendError::BatchTooLong { count }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

    use super::*;
    use crate::{Codec as _, CodecError, Json, RawEvent};

    /// An event that is its payload.
    struct Paid<T>(T);

    impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Event for Paid<T> {
        fn event_type(&self) -> &'static str {
            "paid"
        }

        fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
            Json::encode(&self.0, data)
        }

        fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
            Json::decode(raw.data_bytes()).map(Self)
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Flat<T> {
        #[serde(flatten)]
        rest: T,
    }

    #[derive(Serialize, Deserialize)]
    struct Doubled(#[serde(serialize_with = "doubled")] u32);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn doubled<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(2 * value)
    }

    /// Encodes one event as a release build does, and as a debug build does.
    fn encoded<T>(payload: T) -> [Result<(), AppendError>; 2]
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let event = [Paid(payload)];
        [false, true]
            .map(|all| Encoded::decoded_records(&event, &Hasher::new(&[0; 16]), all).map(drop))
    }

    #[test]
    fn release_builds_decode_what_is_doubted_and_debug_builds_decode_everything() {
        let wide = BTreeMap::from([("drops".to_owned(), 1_u128)]);
        let [release, debug] = encoded(Flat { rest: wide.clone() });
        assert!(release.is_err() && debug.is_err(), "{release:?} {debug:?}");
        let [release, debug] = encoded(Flat { rest: BTreeMap::from([(1_u8, 2_u8)]) });
        assert!(release.is_err() && debug.is_err(), "{release:?} {debug:?}");
        let [release, debug] = encoded(Some(()));
        assert!(release.is_err() && debug.is_err(), "{release:?} {debug:?}");
        let [release, debug] = encoded(wide);
        assert!(release.is_ok() && debug.is_ok(), "{release:?} {debug:?}");
        // Nothing in its payload is doubted.
        let [release, debug] = encoded(Doubled(1));
        assert!(release.is_ok() && debug.is_err(), "{release:?} {debug:?}");
    }
}
