//! The limits of events, batches and the append queue.

/// The largest payload of an event: 16 MiB. A larger event fails with
/// [`InvalidEvent::DataTooLarge`](crate::InvalidEvent::DataTooLarge).
///
/// ```
/// use annals::{InvalidEvent, MAX_DATA_BYTES, RawEvent};
///
/// let data = vec![b' '; MAX_DATA_BYTES + 1];
/// let error = RawEvent::builder("photo-taken").data(data).build().unwrap_err();
/// assert!(matches!(error, InvalidEvent::DataTooLarge { .. }));
/// ```
pub const MAX_DATA_BYTES: usize = 16 << 20;
/// The longest event type, tag, id or metadata name: 255 bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The largest number of tags of one event.
pub const MAX_TAGS: usize = 64;
/// The largest number of metadata entries of one event.
pub const MAX_METADATA: usize = 64;
/// The longest metadata value: 65,535 bytes.
pub const MAX_METADATA_VALUE_BYTES: usize = 65_535;
/// The largest number of events in one batch.
///
/// ```
/// use annals::{EventStore, MAX_BATCH_EVENTS, RawEvent};
///
/// let store = EventStore::in_memory();
/// let events = vec![RawEvent::builder("counted").build()?; 100_000];
/// for batch in events.chunks(MAX_BATCH_EVENTS) {
///     store.append_batch(batch.to_vec())?;
/// }
/// assert_eq!(store.len(), 100_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_BATCH_EVENTS: usize = 65_536;
/// The size of all asynchronous batches that are queued and not yet committed: 64 MiB. A further asynchronous batch
/// waits until there is room for it.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// How far a given time may be ahead of the system's clock, in milliseconds: 24 hours.
pub const MAX_TIME_AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;
/// The largest batch: 32 MiB. The size is the sum of all payloads, types, tags, ids and metadata, plus 8 bytes for each
/// event and 1 byte for each tag.
pub const MAX_BATCH_BYTES: usize = 32 << 20;
