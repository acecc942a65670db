//! A batch of events to append, and what an append returns.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use crate::error::AppendError;
use crate::query::Condition;
use crate::util::time::to_ms;

/// Describes an append: events that are stored together, all or none, with optional conditions and an optional time.
/// Pass it to [`append_as`](crate::EventStore::append_as). The simpler [`append`](crate::EventStore::append),
/// [`append_batch`](crate::EventStore::append_batch) and [`append_if`](crate::EventStore::append_if) need no `Batch`.
///
/// ```
/// use annals::{Batch, Condition, EventStore, Query, RawEvent};
///
/// let store = EventStore::in_memory();
/// let batch = Batch::new(vec![RawEvent::builder("seat-sold").tag("seat:12A").build()?])
///     .condition(Condition::fail_if(Query::tag("seat:12A")))
///     .time_ms(1_700_000_000_000);
/// assert_eq!(store.append_as(batch)?.offsets, 0..1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A batch may have several conditions, each with its own [`after`](Condition::after). All of them must hold. Here no
/// event about the seat may have been appended since `head`, and no event of the request ever:
///
/// ```
/// use annals::{AppendError, Batch, Condition, EventStore, Query, RawEvent};
///
/// let store = EventStore::in_memory();
/// let sell = |head| -> Result<_, Box<dyn std::error::Error>> {
///     Ok(Batch::new(vec![RawEvent::builder("seat-sold").tag("seat:12A").tag("request:7").build()?])
///         .condition(Condition::fail_if(Query::tag("seat:12A")).after(head))
///         .condition(Condition::fail_if(Query::tag("request:7"))))
/// };
/// store.append_as(sell(store.len())?)?;
/// let refused = store.append_as(sell(store.len())?);
/// assert!(matches!(refused, Err(AppendError::Conflict { offset: 0, condition: 1 })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch<E> {
    /// The events. They get consecutive offsets in this order.
    pub events: Vec<E>,
    /// The conditions of the append: all must hold. Without conditions the batch is always appended.
    pub conditions: Vec<Condition>,
    /// The time at which the events were recorded, in ms since 1970 UTC, for copying logs; `None`: now.
    pub time_ms: Option<u64>,
    /// Whether that time may be more than a day ahead of the clock.
    pub allow_future_time: bool,
}

impl<E> Batch<E> {
    /// Returns a batch of these events, without conditions, recorded now.
    #[must_use]
    pub fn new(events: Vec<E>) -> Self {
        Self { events, conditions: Vec::new(), time_ms: None, allow_future_time: false }
    }

    /// Adds a condition: the batch is appended only if the log has no event that the condition forbids. If a batch has
    /// several conditions, all of them must hold.
    #[must_use]
    pub fn condition(self, condition: Condition) -> Self {
        self.conditions([condition])
    }

    /// Adds conditions: the batch is appended only if the log has no event that one of them forbids.
    ///
    /// The append fails with [`AppendError::Conflict`] if the log has such events. The error has the lowest of their
    /// offsets, and the position in the batch of the condition that forbids that event. If several conditions forbid
    /// it, this is the first of them.
    ///
    /// ```
    /// use annals::{AppendError, Batch, Condition, EventStore, Query, RawEvent};
    ///
    /// let store = EventStore::in_memory();
    /// let sold = || RawEvent::builder("seat-sold").tag("seat:12A").build();
    /// store.append(sold()?)?;
    /// let free = ["seat:12B", "seat:12A"].map(|seat| Condition::fail_if(Query::tag(seat)));
    /// let refused = store.append_as(Batch::new(vec![sold()?]).conditions(free));
    /// assert!(matches!(refused, Err(AppendError::Conflict { offset: 0, condition: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn conditions(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        let conditions = conditions.into_iter();
        // The usual batch has one condition: no more room than it needs.
        self.conditions.reserve_exact(conditions.size_hint().0);
        self.conditions.extend(conditions);
        self
    }

    /// Returns the same batch, recorded at `time_ms`, in milliseconds since 1970-01-01 UTC. Meant for copying logs.
    ///
    /// The append fails with [`AppendError::TimeGoesBack`] if the time is before that of the last event, and with
    /// [`AppendError::TimeInFuture`] if it is more than a day ahead of the clock, unless
    /// [`allow_future_time`](Self::allow_future_time) permits it.
    ///
    /// Times in a log never go back. After an event with a time in the future, every later event gets that time, until
    /// the clock has reached it. The same happens after events that were appended while the system's clock was wrong.
    /// The offsets still give the order. To remove such times, copy the log into a new one with other times.
    #[must_use]
    pub fn time_ms(self, time_ms: u64) -> Self {
        Self { time_ms: Some(time_ms), ..self }
    }

    /// Returns the same batch, recorded at `time`, as [`time_ms`](Self::time_ms) says. The log has whole milliseconds,
    /// so the time is rounded down to one. A time before 1970 counts as 1970.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use annals::{Batch, EventStore, RawEvent};
    ///
    /// let store = EventStore::in_memory();
    /// let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    /// store.append_as(Batch::new(vec![RawEvent::builder("seat-sold").build()?]).time(yesterday))?;
    /// assert!(store.get(0)?.unwrap().time() <= yesterday);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time(self, time: SystemTime) -> Self {
        self.time_ms(to_ms(time))
    }

    /// Returns the same batch, permitted to have a time that is more than a day ahead of the clock. Meant for copying a
    /// log that has such times.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use annals::{AppendError, Batch, EventStore, RawEvent};
    ///
    /// let store = EventStore::in_memory();
    /// let next_week = SystemTime::now() + Duration::from_secs(7 * 24 * 60 * 60);
    /// let batch = || RawEvent::builder("seat-sold").build().map(|event| Batch::new(vec![event]).time(next_week));
    /// assert!(matches!(store.append_as(batch()?), Err(AppendError::TimeInFuture { .. })));
    /// store.append_as(batch()?.allow_future_time())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow_future_time(self) -> Self {
        Self { allow_future_time: true, ..self }
    }
}

/// The result of [`append_as`](crate::EventStore::append_as): a batch that is in the log.
///
/// ```
/// use annals::{Batch, EventStore, RawEvent};
///
/// let store = EventStore::in_memory();
/// let batch = || -> Result<_, Box<dyn std::error::Error>> {
///     Ok(Batch::new(vec![RawEvent::builder("seat-sold").id("request-7").build()?]))
/// };
/// let first = store.append_as(batch()?)?;
/// assert_eq!((first.offsets, first.known), (0..1, false));
/// let retry = store.append_as(batch()?)?;
/// assert_eq!((retry.offsets, retry.known), (0..1, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The offsets of the batch's events. They are empty for a batch without events.
    pub offsets: Range<u64>,
    /// Whether the log had the batch already, by the [ids](crate::Event::id) of its events. This append then added
    /// nothing, and did not check the batch's conditions.
    pub known: bool,
}

impl Appended {
    /// Returns the result of an append that added the events at these offsets. For authors of backends.
    #[must_use]
    pub fn new(offsets: Range<u64>) -> Self {
        Self { offsets, known: false }
    }

    /// Returns the result of an append that added nothing, since the log had the batch at these offsets. For authors of
    /// backends.
    #[must_use]
    pub fn known(offsets: Range<u64>) -> Self {
        Self { offsets, known: true }
    }
}

/// The future of a batch that a backend appends. [`Backend::submit`](crate::Backend::submit) returns it.
///
/// ```
/// use annals::{AppendFuture, Backend, Batch, Memory, RawEvent};
/// use futures_executor::block_on;
///
/// /// Appends at once. This is enough for a backend whose appends do not wait for a disk.
/// fn submit(backend: &Memory<RawEvent>, batch: Batch<RawEvent>) -> AppendFuture {
///     Box::pin(std::future::ready(backend.append(batch)))
/// }
///
/// let noted = Batch::new(vec![RawEvent::builder("noted").build()?]);
/// assert_eq!(block_on(submit(&Memory::new(), noted))?.offsets, 0..1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

/// The future of an asynchronous append. It does not borrow the store.
///
/// | Method of [`EventStore`](crate::EventStore) | Output |
/// |---|---|
/// | [`append_async`](crate::EventStore::append_async) | the offset |
/// | [`append_batch_async`](crate::EventStore::append_batch_async), [`append_if_async`](crate::EventStore::append_if_async) | the range of the offsets |
/// | [`append_as_async`](crate::EventStore::append_as_async) | [`Appended`] |
///
/// A producer that is faster with several appends under way keeps their futures, and awaits the oldest:
///
/// ```
/// use annals::{Appending, EventStore, RawEvent};
/// use futures_executor::block_on;
/// use std::collections::VecDeque;
///
/// let store = EventStore::in_memory();
/// let mut under_way: VecDeque<Appending<u64>> = VecDeque::new();
/// for n in 0..100 {
///     under_way.push_back(store.append_async(RawEvent::builder("measured").data(n.to_string()).build()?));
///     if under_way.len() == 8 {
///         under_way.pop_front().map(block_on).transpose()?;
///     }
/// }
/// for appending in under_way {
///     block_on(appending)?;
/// }
/// assert_eq!(store.len(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "without room in the queue, an append is done only if its future is awaited"]
pub struct Appending<T> {
    future: AppendFuture,
    output: fn(Appended) -> T,
}

impl<T> Appending<T> {
    pub(crate) fn new(future: AppendFuture, output: fn(Appended) -> T) -> Self {
        Self { future, output }
    }
}

impl<T> Future for Appending<T> {
    type Output = Result<T, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let output = self.output;
        self.future.as_mut().poll(context).map(|appended| appended.map(output))
    }
}

impl<T> std::fmt::Debug for Appending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appending").finish_non_exhaustive()
    }
}
