//! The consumer: an iterator over the events of a query that are not handled yet.

use std::fmt;
use std::time::Duration;

use annals::{Backend, Event, Waited};

use crate::delivery::Delivery;
use crate::engine::event::GroupEvent;
use crate::error::ConsumerError;
use crate::worker::{Next, Worker, WorkerStream};

/// Returns the events of a query that are not handled yet, in order, each at least once. Its position in the log
/// survives the process. [`Consumers::consumer`](crate::Consumers::consumer) builds it.
///
/// * **As an `Iterator`** it blocks at the end of the log until an event is appended. [`try_next`](Self::try_next) does
///   not wait, [`next_timeout`](Self::next_timeout) waits for a limited time, and [`stream`](Self::stream) turns it
///   into a `futures` `Stream`.
/// * **It ends** when the store is closed and every event was returned.
/// * **An event is handled when its [`Delivery`] was acknowledged.** The saved position is the offset of the lowest
///   event that is not handled. After a restart, all events from there on are delivered again, also those that were
///   acknowledged already.
/// * **A delivery that is dropped without `ack`** is delivered again after a pause of 1 s by default
///   ([`ConsumerBuilder::retry_after`](crate::ConsumerBuilder::retry_after)), before any later event.
/// * **Deliveries may be handed to other threads** and acknowledged in any order. To share the work among threads so
///   that related events stay in order, use a [`Group`](crate::Group).
/// * **It keeps at most 3 MiB of events in memory,** and three events more, that were read and not returned yet.
/// * **One at a time.** A second start with the same name fails, in this process and in any other, while the first
///   consumer exists.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use annals_consumer::Consumers as _;
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// store.append(RawEvent::builder("order-paid").build()?)?;
/// store.close()?; // so that the loop ends
///
/// for delivery in store.consumer("mailer").query(Query::event_type("order-paid")).start()? {
///     let delivery = delivery?;
///     assert_eq!(delivery.offset, 1); // send the mail
///     delivery.ack()?;
/// }
/// assert_eq!(store.consumer("mailer").start()?.position(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Errors.** An event that cannot be decoded is an error once, and the next call continues with the event after it.
/// It counts as not handled, so the position stays behind it until [`pass_over`](Self::pass_over) is called. With
/// [`unknown_events`](crate::ConsumerBuilder::unknown_events) the consumer skips events whose type the program does not
/// know. Any other [`ReadError`](annals::ReadError) is returned again after each pause of
/// [`retry_after`](crate::ConsumerBuilder::retry_after), until the log can be read. A position that cannot be saved is
/// an error before the consumer waits, and again after each pause; events are delivered meanwhile.
pub struct Consumer<E: Event, B: Backend<E>> {
    pub(crate) worker: Worker<E, B>,
}

impl<E: Event, B: Backend<E>> Consumer<E, B> {
    /// Returns whether the consumer has ended: the store is closed and every event was returned.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::<RawEvent>::in_memory();
    /// let mut mailer = store.consumer("mailer").start()?;
    /// assert!(!mailer.is_ended());
    /// store.close()?;
    /// assert!(mailer.next().is_none() && mailer.is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.worker.is_ended()
    }

    /// Returns the position: every event of the query below it is handled.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.worker.shared.core.lock().machine.state().position()
    }

    /// Acknowledges the event at `offset` without its delivery: for an event that cannot be decoded. Changes nothing if
    /// the event was not delivered, or is handled.
    ///
    /// ```
    /// use annals::{Event, EventStore, RawEvent, ReadError};
    /// use annals_consumer::{ConsumerError, Consumers as _};
    ///
    /// #[derive(Event)]
    /// enum Shop {
    ///     OrderPlaced { cents: u64 },
    /// }
    ///
    /// let directory = tempfile::tempdir()?;
    /// let broken = RawEvent::builder("order-placed").data("{}").build()?;
    /// EventStore::open(directory.path())?.append(broken)?;
    ///
    /// let store = EventStore::<Shop>::open(directory.path())?;
    /// let mut mailer = store.consumer("mailer").start()?;
    /// while let Some(delivery) = mailer.try_next() {
    ///     match delivery {
    ///         Ok(delivery) => delivery.ack()?,
    ///         Err(ConsumerError::Read(ReadError::Decode { offset, .. })) => mailer.pass_over(offset)?,
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// assert_eq!(mailer.position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub fn pass_over(&mut self, offset: u64) -> Result<(), ConsumerError> {
        let shared = &self.worker.shared;
        shared.change(|core, now_ms| {
            if core.machine.state().entry(offset).is_some_and(|entry| entry.attempts > 0) {
                let offsets = vec![offset];
                core.commit(&[GroupEvent::EventsAcked { offsets }], [], now_ms)?;
            }
            core.save_if_due(&shared.store, false, now_ms)
        })
    }

    /// Saves the position now. This happens by itself, in batches, before the consumer waits, and when it is dropped.
    ///
    /// # Errors
    /// [`ConsumerError::Position`], [`ConsumerError::LockRemoved`].
    pub fn save(&mut self) -> Result<(), ConsumerError> {
        let shared = &self.worker.shared;
        shared.change(|core, now_ms| core.save(&shared.store, now_ms))
    }
}

impl<E: Event, B: Backend<E> + 'static> Consumer<E, B> {
    /// Returns the next delivery if one is ready, without waiting. After `None`, [`is_ended`](Self::is_ended) returns
    /// whether the consumer has ended.
    pub fn try_next(&mut self) -> Next<E, B> {
        self.worker.try_next()
    }

    /// Returns the next delivery, and waits for it up to `timeout`. Distinguishes a log without a new event from the end
    /// of the consumer.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use annals::{EventStore, RawEvent, Waited};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let mut mailer = store.consumer("mailer").start()?;
    /// loop {
    ///     match mailer.next_timeout(Duration::from_millis(1))? {
    ///         Waited::Event(delivery) => delivery.ack()?,
    ///         Waited::TimedOut => store.close()?, // time for other work
    ///         Waited::Ended => break,
    ///     }
    /// }
    /// assert_eq!(mailer.position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConsumerError`], as the iterator returns it. [`Consumer`] says how the consumer continues.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Waited<Delivery<E, B>>, ConsumerError> {
        self.worker.next_timeout(timeout)
    }

    /// Returns the next delivery, without blocking the thread. `None` if the consumer has ended. The future may be
    /// dropped before it is ready: no delivery is lost.
    pub async fn next_async(&mut self) -> Next<E, B> {
        self.worker.next_async().await
    }

    /// Turns the consumer into a `futures` `Stream`.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    /// use futures_executor::block_on;
    /// use futures_util::StreamExt as _;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let mut deliveries = store.consumer("mailer").start()?.stream();
    /// let delivery = block_on(deliveries.next()).expect("the store is open")?;
    /// delivery.ack()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(self) -> WorkerStream<E, B> {
        self.worker.stream()
    }
}

impl<E: Event, B: Backend<E> + 'static> Iterator for Consumer<E, B> {
    type Item = Result<Delivery<E, B>, ConsumerError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.worker.next()
    }
}

impl<E: Event, B: Backend<E>> fmt::Debug for Consumer<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.worker.shared.name)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
