//! The log's limits, each in one place.

/// Bytes of an event's payload.
pub const MAX_DATA_BYTES: usize = 16 << 20;
/// Bytes of an event type, a tag, an id or a metadata name.
pub const MAX_NAME_BYTES: usize = 255;
/// Tags of one event.
pub const MAX_TAGS: usize = 64;
/// Metadata entries of one event.
pub const MAX_METADATA: usize = 64;
/// Bytes of one metadata value.
pub const MAX_METADATA_VALUE_BYTES: usize = 65_535;
/// Events of one batch.
pub const MAX_BATCH_EVENTS: usize = 65_536;
/// Bytes of asynchronous batches that are queued and not committed yet. Another batch waits until there is room for it.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Milliseconds by which a given time may be ahead of the clock.
pub const MAX_TIME_AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;
/// Bytes of one batch: payloads, types, tags, ids, metadata, and 8 bytes an event and 1 a tag.
pub const MAX_BATCH_BYTES: usize = 32 << 20;
