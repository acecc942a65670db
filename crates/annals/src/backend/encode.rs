//! From a caller's events to what the commit path needs, on the caller's own thread: labels checked and hashed and,
//! for a durable backend, every event's record written but for its place.

use crate::error::AppendError;
use crate::event::error::InvalidEvent;
use crate::event::event::Event;
use crate::event::json::notes::Doubts;
use crate::event::json::writer::take_doubts;
use crate::event::labels::{EventNames, Labels};
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::event::name::Hasher;
use crate::event::raw;
use crate::event::read_back::read_back;
use crate::event::tags::{Metadata, Tags};
use crate::util::crc32c::crc32c;

/// Bytes in front of a record's body: checksum, size, place.
pub(crate) const RECORD_HEAD: usize = 16;

/// Bytes of room in front of a batch's records, for the head of the commit: one that is a batch alone is written from
/// where it was encoded.
pub(crate) const COMMIT_HEAD: usize = 48;

/// Bytes of room for the first record, so that it is seldom moved while it grows.
const FIRST_ROOM: usize = 1 << 10;

/// A batch ready to be committed.
#[derive(Debug, Default)]
pub struct Encoded {
    pub(crate) labels: Labels,
    /// Room for a commit's head, then the records, one behind the other, each at a multiple of 8; empty for a backend
    /// that keeps events as they are, and where there are no events.
    pub(crate) records: Vec<u8>,
    /// Where each record starts.
    pub(crate) starts: Vec<u32>,
}

impl Encoded {
    /// Labels only.
    pub(crate) fn labels<E: Event>(events: &[E], hasher: &Hasher) -> Result<Self, AppendError> {
        check_length(events.len())?;
        let mut labels = Labels::for_events(events.len());
        let mut tags = Tags::default();
        for (index, event) in events.iter().enumerate() {
            add_labels(&mut labels, event, &mut tags)
                .map_err(|source| AppendError::Invalid { index, source })?;
        }
        labels.hash(hasher);
        Ok(Self { labels, records: Vec::new(), starts: Vec::new() })
    }

    /// Returns the labels and bodies of a batch's events, checked against the limits. Debug builds decode each body
    /// once and compare; release builds do so only if a body has values that not every type reads back.
    ///
    /// # Errors
    /// [`AppendError`] for the limit that is broken, or the event that has no encoding or does not come back from it.
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

    /// Returns the labels of a batch's events, and the events as a log in files would give them back.
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

    /// These labels only.
    pub(crate) fn without_records(self) -> Self {
        Self { labels: self.labels, ..Self::default() }
    }

    /// As [`records`](Self::records); `check` sees each event with its body, and the doubts about that.
    fn checked_records<E: Event>(
        events: &[E],
        hasher: &Hasher,
        mut check: impl FnMut(&E, &[u8], Doubts) -> Result<(), InvalidEvent>,
    ) -> Result<Self, AppendError> {
        let mut encoded = Self::labels(events, hasher)?;
        let Self { labels, records, starts } = &mut encoded;
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
            // Both casts hold: a batch is below 4 GiB, as was just seen.
            #[expect(clippy::cast_possible_truncation, reason = "checked above")]
            let (place, size) = (start as u32, (records.len() - start) as u32);
            starts.push(place);
            let checksum = crc32c(&records[start + RECORD_HEAD..]);
            records[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
            records[start + 4..start + 8].copy_from_slice(&size.to_le_bytes());
            records.resize(records.len().next_multiple_of(8), 0);
            if index == 0 {
                // The others are often about as large: room for all at once, and nothing is moved.
                let like_the_first = (records.len() - start).saturating_mul(events.len() - 1);
                records.reserve(like_the_first.min(MAX_BATCH_BYTES));
            }
        }
        Ok(encoded)
    }

    /// Bytes that it adds to a commit at most, with a head of its own.
    pub(crate) fn size(&self) -> usize {
        self.records.len().max(COMMIT_HEAD)
    }

    /// Returns the bytes of memory that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.records.capacity()
            + self.starts.capacity() * size_of::<u32>()
            + self.labels.held_bytes()
    }

    /// The names of event `index` of the batch, from 0.
    #[must_use]
    pub fn names(&self, index: usize) -> EventNames<'_> {
        self.labels.event(index)
    }

    /// The body of event `index` of the batch: what [`RawEvent::from_body`](crate::RawEvent::from_body) reads.
    #[must_use]
    pub fn body(&self, index: usize) -> &[u8] {
        let start = self.starts[index] as usize;
        let size = crate::util::little_endian::u32_at(&self.records, start + 4) as usize;
        &self.records[start + RECORD_HEAD..start + size]
    }
}

/// Reads the labels of an event.
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
