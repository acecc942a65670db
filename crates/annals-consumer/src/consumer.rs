//! The consumer: an iterator over the events of a query that are not handled yet.

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use annals::{Backend, Event, EventRef, HeadWaiter, ReadError, Subscription};

use super::delivery::Delivery;
use super::tracker::Shared;
use crate::error::ConsumerError;
use crate::wake::{park_until, thread_waker};

/// Returns each event of a query that is not handled yet, in order, at least once. The position survives the process.
///
/// * **As an `Iterator`** it blocks at the head. [`try_next`](Self::try_next) and [`next_timeout`](Self::next_timeout)
///   do not; [`stream`](Self::stream) turns it into a `futures` `Stream`.
/// * **It ends** when the store is closed and every event was returned.
/// * **An event is handled when its [`Delivery`] was acknowledged.** The position that is saved is that of the lowest
///   event that is not. After a restart, events from there on are delivered again, also those that were acknowledged
///   behind it.
/// * **A delivery that is dropped without `ack`** is delivered again after a pause of 1 s by default
///   ([`ConsumerBuilder::retry_after`](crate::ConsumerBuilder::retry_after)), before any later event.
/// * **Deliveries may be handed to other threads** and acknowledged in any order. To share the work among threads so
///   that related events stay in order, use a [`Group`](crate::Group).
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
/// know. Any other [`ReadError`] ends the consumer. A position that cannot be saved is an error before the consumer
/// waits, and again after each pause of [`retry_after`](crate::ConsumerBuilder::retry_after); events are delivered
/// meanwhile.
pub struct Consumer<'a, E: Event, B: Backend<E>> {
    pub(super) shared: Arc<Shared<'a, E, B>>,
    pub(super) subscription: Subscription<'a, E, B>,
    pub(super) waiter: HeadWaiter,
    pub(super) ended: bool,
    /// When the position could not be saved; `None` if the last save succeeded.
    pub(super) save_failed: Option<Instant>,
}

/// A poll that is pending, and until when at most.
pub(super) type Until = Option<Instant>;

type Next<'a, E, B> = Option<Result<Delivery<'a, E, B>, ConsumerError>>;

impl<'a, E: Event, B: Backend<E>> Consumer<'a, E, B> {
    /// Returns the next delivery if there is one, without waiting.
    pub fn try_next(&mut self) -> Next<'a, E, B> {
        match self.poll_delivery(Waker::noop()) {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    /// Returns the next delivery, and waits for it up to `timeout`. Returns `None` if there was none, or if the
    /// consumer has [ended](Self::is_ended).
    pub fn next_timeout(&mut self, timeout: Duration) -> Next<'a, E, B> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns whether the consumer has ended: the store is closed and every event was returned, or an error that is
    /// not about a single event stopped it.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns the position: every event of the query below it is handled.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.shared.tracker.lock().position()
    }

    /// Acknowledges the event at `offset` without its delivery: for an event that cannot be decoded.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    pub fn pass_over(&mut self, offset: u64) -> Result<(), ConsumerError> {
        self.shared.ack(offset)
    }

    /// Saves the position now. This happens by itself, in batches, before the consumer waits, and when it is dropped.
    ///
    /// # Errors
    /// [`ConsumerError::Position`].
    pub fn save(&mut self) -> Result<(), ConsumerError> {
        self.shared.save()
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Next<'a, E, B> {
        let waker = thread_waker();
        loop {
            if let Poll::Ready(next) = self.poll_delivery(&waker) {
                return next;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            park_until([deadline, self.pause_end()].into_iter().flatten().min());
        }
    }

    /// Returns the end of the pause before an event is delivered again or the position is saved again, if there is one.
    pub(super) fn pause_end(&self) -> Until {
        let returned = self.shared.tracker.lock().first_returned();
        let since = returned.map(|(_, since)| since).or(self.save_failed)?;
        since.checked_add(self.shared.retry_after)
    }

    /// Saves the position before the consumer waits. After a failure, tries again when the pause has ended.
    fn save_before_waiting(&mut self) -> Result<(), ConsumerError> {
        if self.save_failed.is_some_and(|since| since.elapsed() < self.shared.retry_after) {
            return Ok(());
        }
        let saved = self.shared.save();
        self.save_failed = saved.is_err().then(Instant::now);
        saved
    }

    /// Returns the next delivery, or registers `waker` and is pending. If [`pause_end`](Self::pause_end) returns a
    /// time, the caller polls again then.
    pub(super) fn poll_delivery(&mut self, waker: &Waker) -> Poll<Next<'a, E, B>> {
        loop {
            // Before anything is looked at: a delivery that is returned from now on wakes it.
            *self.shared.waker.lock() = Some(waker.clone());
            let returned = self.shared.tracker.lock().first_returned();
            if let Some((offset, since)) = returned {
                if since.elapsed() >= self.shared.retry_after {
                    return Poll::Ready(self.again(offset));
                }
                return Poll::Pending;
            }
            if let Some(next) = self.read() {
                return Poll::Ready(Some(next));
            }
            if let Err(error) = self.save_before_waiting() {
                return Poll::Ready(Some(Err(error)));
            }
            let position = self.subscription.position();
            match self.waiter.poll_beyond(position, waker) {
                _ if self.subscription.is_stopped() => self.ended = true,
                Poll::Ready(head) if head <= position => self.ended = true,
                Poll::Ready(_) => continue,
                Poll::Pending => return Poll::Pending,
            }
            return Poll::Ready(None);
        }
    }

    /// Returns the next event of the subscription.
    fn read(&mut self) -> Option<Result<Delivery<'a, E, B>, ConsumerError>> {
        let next = self.subscription.try_next();
        let mut tracker = self.shared.tracker.lock();
        tracker.passed(self.subscription.position());
        let attempt = match &next {
            Some(Ok(event)) => tracker.delivered(event.offset),
            Some(Err(ReadError::Decode { offset, .. })) => tracker.delivered(*offset),
            Some(Err(_)) | None => 0,
        };
        let head = self.shared.store.len();
        self.shared.meters.lag.report(head.saturating_sub(tracker.position()));
        self.shared.meters.in_flight.report(tracker.open_count() as u64);
        drop(tracker);
        Some(match next? {
            Ok(event) => Ok(self.delivery(event, attempt)),
            Err(error) => Err(error.into()),
        })
    }

    /// Delivers an event again.
    fn again(&self, offset: u64) -> Next<'a, E, B> {
        let attempt = self.shared.tracker.lock().delivered(offset);
        match self.shared.store.get(offset) {
            Ok(event) => event.map(|event| Ok(self.delivery(event, attempt))),
            Err(error) => Some(Err(error.into())),
        }
    }

    fn delivery(&self, event: EventRef<'a, E>, attempt: u32) -> Delivery<'a, E, B> {
        self.shared.meters.delivered(attempt);
        Delivery::new(event, attempt, Arc::clone(&self.shared))
    }
}

impl<'a, E: Event, B: Backend<E>> Iterator for Consumer<'a, E, B> {
    type Item = Result<Delivery<'a, E, B>, ConsumerError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

impl<E: Event, B: Backend<E>> fmt::Debug for Consumer<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.shared.checkpoint.name())
            .field("tracker", &*self.shared.tracker.lock())
            .finish_non_exhaustive()
    }
}
