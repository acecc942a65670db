//! The stream: a subscription for asynchronous code.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::events::UnknownEvents;
use super::subscription::{PAGE, Subscription};
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::event::event::{Event, EventRef};

/// The number of events that one poll returns before the stream yields to other tasks.
const EVENTS_PER_TURN: usize = PAGE;

/// The number of events that a page without a match counts as, against [`EVENTS_PER_TURN`].
const EMPTY_PAGE: usize = 4;

/// A [`Subscription`] as a `futures` `Stream`: returns each event that matches a query once, in order, and is pending
/// while there is none.
///
/// Errors are those of the [`Subscription`]. After an error that is not about a single event, the stream ends until
/// [`seek`](Self::seek) restarts it.
///
/// While it catches up, the stream yields to other tasks after every 64 events: it wakes its own task and is pending
/// once.
///
/// ```
/// use annals::{EventStore, Query, RawEvent, UnknownEvents};
/// use futures_executor::block_on;
/// use futures_util::StreamExt;
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("first").build()?)?;
/// let mut events = store.subscription(Query::all(), 0).stream().unknown_events(UnknownEvents::PassOver);
/// assert_eq!(block_on(events.next()).unwrap()?.offset, 0);
/// assert_eq!(events.position(), 1); // where a later subscription continues
/// assert_eq!(events.passed_over(), 0);
///
/// events.seek(0); // back to read again
/// assert_eq!(block_on(events.next()).unwrap()?.offset, 0);
/// assert!(!events.is_stopped());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a stream reads nothing until it is polled"]
pub struct EventStream<'a, E: Event, B> {
    subscription: Subscription<'a, E, B>,
    /// The number of events returned since the stream last yielded to other tasks.
    returned: usize,
}

impl<'a, E: Event, B: Backend<E>> Subscription<'a, E, B> {
    /// Turns the subscription into a `futures` `Stream` for asynchronous code.
    ///
    /// The stream borrows the store. A task that must own everything it uses takes a clone of the store:
    ///
    /// ```
    /// use annals::{EventStore, Query, RawEvent};
    /// use futures_executor::block_on;
    /// use futures_util::StreamExt;
    ///
    /// let store = EventStore::<RawEvent>::in_memory();
    /// let reader = store.clone();
    /// let task = async move {
    ///     let mut events = reader.subscription(Query::all(), 0).stream();
    ///     let mut seen = Vec::new();
    ///     while let Some(event) = events.next().await {
    ///         seen.push(event?.event.event_type().to_owned());
    ///     }
    ///     Ok::<_, annals::ReadError>(seen)
    /// };
    /// store.append(RawEvent::builder("first").build()?)?;
    /// store.close()?; // ends the stream behind the last event
    /// assert_eq!(block_on(task)?, ["first"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(self) -> EventStream<'a, E, B> {
        EventStream { subscription: self, returned: 0 }
    }
}

impl<'a, E: Event, B: Backend<E>> EventStream<'a, E, B> {
    /// Sets what to do with events of unknown types. By default each is an error.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.subscription = self.subscription.unknown_events(unknown);
        self
    }

    /// Returns the number of events of unknown types that were skipped so far.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.subscription.passed_over()
    }

    /// Returns whether damage or a failure of the system stopped the stream. [`seek`](Self::seek) restarts it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.subscription.is_stopped()
    }

    /// Returns the offset that is read next. A subscription that starts there continues where this stream is: each
    /// matching event before that offset was returned, was skipped, or was an error.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.subscription.position()
    }

    /// Continues at `offset`, also when the stream is [stopped](Self::is_stopped).
    pub fn seek(&mut self, offset: u64) {
        self.subscription.seek(offset);
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<Option<Result<EventRef<'a, E>, ReadError>>> {
        loop {
            if self.returned >= EVENTS_PER_TURN {
                self.returned = 0;
                waker.wake_by_ref();
                return Poll::Pending;
            }
            if let Some(event) = self.subscription.take_reference() {
                self.returned += 1;
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(event) = self.subscription.take_ready() {
                self.returned += 1;
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(refused) = self.subscription.take_refusal() {
                return Poll::Ready(Some(Err(refused)));
            }
            if let Err(error) = self.read_page() {
                self.returned += 1;
                return Poll::Ready(Some(Err(error)));
            }
            let subscription = &mut self.subscription;
            if !subscription.ready.is_empty() {
                continue;
            }
            if subscription.stopped {
                return Poll::Ready(None);
            }
            match subscription.waiter.poll_beyond(subscription.next, waker) {
                Poll::Ready(head) if head <= subscription.next => return Poll::Ready(None),
                // The page had no match, or events came meanwhile.
                Poll::Ready(_) => self.returned += EMPTY_PAGE,
                Poll::Pending => {
                    self.returned = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads the next page, which may have no match. Reads nothing at the head.
    fn read_page(&mut self) -> Result<(), ReadError> {
        let subscription = &mut self.subscription;
        let head = subscription.backend.head().get();
        if subscription.next >= head || subscription.stopped {
            return Ok(());
        }
        subscription.seen.reads_on(head - subscription.next);
        let read = subscription.read_page(head);
        subscription.seen.moved(Subscription::position(subscription));
        read
    }
}

impl<'a, E: Event, B: Backend<E>> Stream for EventStream<'a, E, B> {
    type Item = Result<EventRef<'a, E>, ReadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context.waker())
    }

    /// Returns the number of events that were read already. How many follow is not known.
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.subscription.size_hint()
    }
}

impl<E: Event, B> Unpin for EventStream<'_, E, B> {}

#[cfg(test)]
mod tests {
    use super::super::store::EventStore;
    use super::*;
    use crate::backend::head::wakers::thread_waker;
    use crate::event::raw::RawEvent;
    use crate::query::Query;

    #[test]
    fn the_size_hint_is_what_was_read() {
        let store = EventStore::in_memory();
        let one = || RawEvent::builder("one").build().unwrap();
        store.append_batch([one(), one(), one()]).unwrap();
        let mut events = store.subscription(Query::all(), 0).stream();
        assert_eq!(events.size_hint(), (0, None));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut events).poll_next(&mut context).is_ready());
        assert_eq!(events.size_hint(), (2, None));
    }

    #[test]
    fn a_stream_is_pending_at_the_head_and_ends_when_the_store_closes() {
        let store = EventStore::in_memory();
        let mut events = store.subscription(Query::all(), 0).stream();
        let waker = thread_waker();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut events).poll_next(&mut context).is_pending());
        store.append(RawEvent::builder("one").build().unwrap()).unwrap();
        let Poll::Ready(Some(Ok(event))) = Pin::new(&mut events).poll_next(&mut context) else {
            panic!("no event")
        };
        assert_eq!((event.offset, event.event.event_type()), (0, "one"));
        store.close().unwrap();
        assert!(matches!(Pin::new(&mut events).poll_next(&mut context), Poll::Ready(None)));
    }
}
