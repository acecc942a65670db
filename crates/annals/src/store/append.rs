//! Appending: one event, a batch, a batch under a condition, or a batch with everything that can be set; and each of
//! these without blocking.
//!
//! | appends | returns | blocking | async |
//! |---|---|---|---|
//! | one event | its offset | `append` | `append_async` |
//! | events, all or none | their offsets | `append_batch` | `append_batch_async` |
//! | the same under a condition | their offsets | `append_if` | `append_if_async` |
//! | a [`Batch`] | [`Appended`] | `append_as` | `append_as_async` |

use std::ops::Range;

use super::store::EventStore;
use crate::backend::backend::Backend;
use crate::backend::batch::{AppendFuture, Appended, Appending, Batch};
use crate::error::AppendError;
use crate::event::event::Event;
use crate::query::Condition;

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Appends an event and returns its offset. When this returns, the event is as durable as the backend's options
    /// ask, and every reader sees it.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// assert_eq!(store.append(RawEvent::builder("seat-sold").build()?)?, 0);
    /// assert_eq!(store.append(RawEvent::builder("seat-freed").build()?)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// On a log that is replicated to several machines:
    /// * [`AppendError::InDoubt`]: the event was sent, and may be in the log now or later. With an [id](Event::id),
    ///   append it again; without one, that may double it, and the error says what to do.
    /// * [`AppendError::Unavailable`]: nothing was sent in time. Append it again, now or later.
    /// * [`AppendError::Diverged`]: the record lost what this replica has. An operator has to decide.
    /// * [`AppendError::ClockAhead`]: this machine's clock is wrong. Correct it, and append again.
    ///
    /// On every log, any other [`AppendError`]; the log then shows nothing of the event. (See [`AppendError::Failed`]
    /// for a failed write.)
    pub fn append(&self, event: E) -> Result<u64, AppendError> {
        self.backend().append_one(event)
    }

    /// Appends events next to each other, all or none, and returns their offsets. A batch has at most 65,536 events and
    /// 32 MiB.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let (sold, paid) = (RawEvent::builder("seat-sold").build()?, RawEvent::builder("seat-paid").build()?);
    /// assert_eq!(store.append_batch([sold, paid])?, 0..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows none of the events. (See [`AppendError::Failed`] for a failed write.)
    pub fn append_batch(
        &self,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Range<u64>, AppendError> {
        Ok(self.backend().append(Batch::new(events.into_iter().collect()))?.offsets)
    }

    /// Appends a batch unless the log has an event that the condition forbids. The check and the append are one step,
    /// however many threads race.
    ///
    /// ```
    /// # use annals::{AppendError, Condition, EventStore, Query, RawEvent};
    /// let store = EventStore::in_memory();
    /// let sold = || RawEvent::builder("seat-sold").tag("seat:12A").build();
    ///
    /// let unsold = Condition::fail_if(Query::tag("seat:12A")).after(store.len());
    /// assert_eq!(store.append_if([sold()?], &unsold)?, 0..1);
    /// assert!(matches!(store.append_if([sold()?], &unsold), Err(AppendError::Conflict { offset: 0, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Ids come first: if the log already has the batch, by the [ids](Event::id) of its events, this returns the
    /// recorded offsets and does not check the condition. So a retry of a conditional append succeeds, although the
    /// events of its first attempt match the condition.
    ///
    /// # Errors
    /// * [`AppendError::Conflict`]: the log has an event that the condition forbids. Read again and decide again.
    /// * [`AppendError::ConditionBeyondHead`]: the condition begins beyond the head, so it would guard nothing.
    /// * [`AppendError::InvalidCondition`]: no event can match the condition.
    /// * Any other [`AppendError`].
    ///
    /// The log then shows none of the events. (See [`AppendError::Failed`] for a failed write.)
    pub fn append_if(
        &self,
        events: impl IntoIterator<Item = E>,
        condition: &Condition,
    ) -> Result<Range<u64>, AppendError> {
        let events = events.into_iter().collect();
        Ok(self.append_as(Batch::new(events).condition(condition.clone()))?.offsets)
    }

    /// Appends a batch with the conditions and the time that are set in it. Returns its offsets, and whether the log
    /// had the batch already. The other methods that append are short forms of this one.
    ///
    /// ```
    /// # use annals::{Batch, EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let imported = Batch::new(vec![RawEvent::builder("seat-sold").id("7").build()?]).time_ms(1_700_000_000_000);
    /// let appended = store.append_as(imported.clone())?;
    /// assert_eq!((appended.offsets, appended.known), (0..1, false));
    /// assert_eq!(store.get(0)?.unwrap().time_ms, 1_700_000_000_000);
    ///
    /// // A retry: the log knows the event by its id.
    /// assert!(store.append_as(imported)?.known);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows none of the events. (See [`AppendError::Failed`] for a failed write.)
    pub fn append_as(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
        self.backend().append(self.for_own_events(batch)?)
    }

    /// Appends an event as [`append`](Self::append) does, without blocking the caller. The future returns the offset,
    /// once the event is as durable as `append` makes it.
    ///
    /// If there is [room](Self::append_as_async) in the queue, the event is queued when this returns, and is appended
    /// even if the future is dropped. If there is no room, the event is appended only if the future is awaited.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let appended = store.append_async(RawEvent::builder("seat-sold").build()?);
    /// assert_eq!(futures_executor::block_on(appended)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future returns [`AppendError`]; the log then shows nothing of the event. (See [`AppendError::Failed`] for a
    /// failed write.)
    pub fn append_async(&self, event: E) -> Appending<u64> {
        let batch = Batch::new(vec![event]);
        Appending::new(self.backend().submit(batch), |appended| appended.offsets.start)
    }

    /// Appends events as [`append_batch`](Self::append_batch) does, without blocking the caller. The future returns the
    /// offsets. [`append_as_async`](Self::append_as_async) says what happens without room in the queue.
    ///
    /// ```
    /// # use annals::{EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let (sold, paid) = (RawEvent::builder("seat-sold").build()?, RawEvent::builder("seat-paid").build()?);
    /// let appended = store.append_batch_async([sold, paid]);
    /// assert_eq!(futures_executor::block_on(appended)?, 0..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future returns [`AppendError`]; the log then shows none of the events. (See [`AppendError::Failed`] for a
    /// failed write.)
    pub fn append_batch_async(&self, events: impl IntoIterator<Item = E>) -> Appending<Range<u64>> {
        let batch = Batch::new(events.into_iter().collect());
        Appending::new(self.backend().submit(batch), |appended| appended.offsets)
    }

    /// Appends events under a condition as [`append_if`](Self::append_if) does, without blocking the caller. The future
    /// returns the offsets. The condition is checked when the batch is committed, which is one step with the append.
    /// [`append_as_async`](Self::append_as_async) says what happens without room in the queue.
    ///
    /// ```
    /// # use annals::{AppendError, Condition, EventStore, Query, RawEvent};
    /// let store = EventStore::in_memory();
    /// let sold = || RawEvent::builder("seat-sold").tag("seat:12A").build();
    /// let unsold = Condition::fail_if(Query::tag("seat:12A")).after(store.len());
    /// let (first, second) = (store.append_if_async([sold()?], &unsold), store.append_if_async([sold()?], &unsold));
    /// assert_eq!(futures_executor::block_on(first)?, 0..1);
    /// assert!(matches!(futures_executor::block_on(second), Err(AppendError::Conflict { offset: 0, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future returns the errors of [`append_if`](Self::append_if).
    pub fn append_if_async(
        &self,
        events: impl IntoIterator<Item = E>,
        condition: &Condition,
    ) -> Appending<Range<u64>> {
        let batch = Batch::new(events.into_iter().collect()).condition(condition.clone());
        Appending::new(self.submit(batch), |appended| appended.offsets)
    }

    /// Appends a batch as [`append_as`](Self::append_as) does, without blocking the caller. The future returns the
    /// offsets and whether the log had the batch already, once the batch is as durable as `append_as` makes it.
    ///
    /// All queued batches together hold at most [`MAX_QUEUED_BYTES`](crate::MAX_QUEUED_BYTES), 64 MiB. A larger batch
    /// is queued alone. (A log in memory does not encode payloads. Of an event type other than
    /// [`RawEvent`](crate::RawEvent) it counts only the size of the type, not the memory that the event points to.)
    ///
    /// * **With room** the batch is queued when this returns. Batches are appended in the order of the calls, whether
    ///   or not the futures are awaited.
    /// * **Without room** the future holds the batch. From its first poll on it waits for room, behind the futures that
    ///   began to wait before it, and the batch is queued as soon as there is room, even if the future is not polled
    ///   again. **A future that is dropped before that appends nothing.** So a producer that awaits its appends is
    ///   slowed down to the speed of the disk.
    ///
    /// A caller whose appends must keep their order awaits each before the next.
    ///
    /// ```
    /// # use annals::{Batch, EventStore, RawEvent};
    /// let store = EventStore::in_memory();
    /// let sold = Batch::new(vec![RawEvent::builder("seat-sold").id("request-7").build()?]);
    /// let appended = futures_executor::block_on(store.append_as_async(sold))?;
    /// assert_eq!((appended.offsets, appended.known), (0..1, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future returns [`AppendError`]; the log then shows none of the events. (See [`AppendError::Failed`] for a
    /// failed write.) A future that waits for room when the store is closed, or when a write fails, returns that error.
    pub fn append_as_async(&self, batch: Batch<E>) -> Appending<Appended> {
        Appending::new(self.submit(batch), |appended| appended)
    }

    fn submit(&self, batch: Batch<E>) -> AppendFuture {
        match self.for_own_events(batch) {
            Ok(batch) => self.backend().submit(batch),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    /// Returns the batch with its conditions checked against the event types of `E`, and with all names of renamed
    /// types.
    fn for_own_events(&self, mut batch: Batch<E>) -> Result<Batch<E>, AppendError> {
        for condition in &mut batch.conditions {
            condition.resolve::<E>().map_err(|error| {
                let error = AppendError::InvalidCondition(error);
                self.backend().head().meters().refused(&error);
                error
            })?;
        }
        Ok(batch)
    }
}
