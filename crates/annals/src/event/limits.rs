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
/// The longest event type, tag, id or metadata name: 255 bytes. A longer one fails with
/// [`InvalidEvent::NameTooLong`](crate::InvalidEvent::NameTooLong), so check text from outside before it becomes a tag:
///
/// ```
/// use annals::MAX_NAME_BYTES;
///
/// fn customer_tag(email: &str) -> Option<String> {
///     let tag = format!("customer:{email}");
///     (tag.len() <= MAX_NAME_BYTES && !email.contains(char::is_control)).then_some(tag)
/// }
///
/// assert!(customer_tag("alice@example.com").is_some());
/// assert!(customer_tag(&"a".repeat(MAX_NAME_BYTES)).is_none());
/// ```
pub const MAX_NAME_BYTES: usize = 255;
/// The largest number of tags of one event. More fail with
/// [`InvalidEvent::TooManyTags`](crate::InvalidEvent::TooManyTags). What an event is about is seldom a long list: here an
/// order with many articles becomes several events of one batch.
///
/// ```
/// use annals::{EventStore, MAX_TAGS, RawEvent};
///
/// let articles: Vec<String> = (0..100).map(|n| format!("article:{n}")).collect();
/// let ordered = articles.chunks(MAX_TAGS).map(|part| {
///     part.iter().fold(RawEvent::builder("articles-ordered"), |event, tag| event.tag(tag)).build()
/// });
/// let store = EventStore::in_memory();
/// assert_eq!(store.append_batch(ordered.collect::<Result<Vec<_>, _>>()?)?, 0..2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_TAGS: usize = 64;
/// The largest number of metadata entries of one event. [`MAX_METADATA_VALUE_BYTES`] has an example.
pub const MAX_METADATA: usize = 64;
/// The longest metadata value: 65,535 bytes.
///
/// ```
/// use annals::{EventStore, MAX_METADATA, MAX_METADATA_VALUE_BYTES, Metadata, RawEvent};
///
/// /// The headers of a request, as far as metadata can have them.
/// fn metadata<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Metadata {
///     headers.filter(|(_, value)| value.len() <= MAX_METADATA_VALUE_BYTES).take(MAX_METADATA).collect()
/// }
///
/// let cookie = "c".repeat(MAX_METADATA_VALUE_BYTES + 1);
/// let kept = metadata([("user-agent", "curl"), ("cookie", &cookie)].into_iter());
/// assert_eq!(kept, Metadata::from([("user-agent", "curl")]));
/// ```
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
///
/// ```
/// use annals::{EventStore, MAX_QUEUED_BYTES, RawEvent};
///
/// // Twice as much as the queue holds. Awaiting each append keeps this producer at the speed of the log.
/// let picture = vec![0; 4 << 20];
/// let store = EventStore::in_memory();
/// futures_executor::block_on(async {
///     for _ in 0..2 * MAX_QUEUED_BYTES / picture.len() {
///         store.append_async(RawEvent::builder("picture-taken").data(picture.clone()).build()?).await?;
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(store.len(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// How far a given time may be ahead of the system's clock, in milliseconds: 24 hours.
/// [`Batch::allow_future_time`](crate::Batch::allow_future_time) permits more.
///
/// ```
/// use annals::{AppendError, Batch, EventStore, MAX_TIME_AHEAD_MS, RawEvent};
/// use std::time::{Duration, SystemTime};
///
/// let store = EventStore::in_memory();
/// // A wrong unit, such as microseconds, gives times far in the future.
/// let late = SystemTime::now() + Duration::from_millis(2 * MAX_TIME_AHEAD_MS);
/// let batch = Batch::new(vec![RawEvent::builder("noted").build()?]).time(late);
/// assert!(matches!(store.append_as(batch), Err(AppendError::TimeInFuture { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_TIME_AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;
/// The largest batch: 32 MiB. The size is the sum of all payloads, types, tags, ids and metadata, plus 8 bytes for each
/// event and 1 byte for each tag. A larger one fails with
/// [`AppendError::BatchTooLarge`](crate::AppendError::BatchTooLarge).
///
/// ```
/// use annals::{EventStore, MAX_BATCH_BYTES, RawEvent};
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let (mut batch, mut bytes) = (Vec::new(), 0);
/// for _ in 0..20 {
///     let event = RawEvent::builder("picture-taken").data(vec![0; 4 << 20]).build()?;
///     let size = event.body().len(); // with 8 bytes for the event and 1 for each tag
///     if bytes + size > MAX_BATCH_BYTES {
///         store.append_batch(std::mem::take(&mut batch))?;
///         bytes = 0;
///     }
///     bytes += size;
///     batch.push(event);
/// }
/// store.append_batch(batch)?;
/// assert_eq!(store.len(), 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_BATCH_BYTES: usize = 32 << 20;
