//! The publisher: the side of the head that moves it. Meant for authors of backends.

use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use annals_base::Watched;

use super::callbacks::{Callbacks, Published};
use super::{Head, Shared, wakers};
use crate::error::AppendError;
use crate::event::event::{Event, Recorded};
use crate::metrics::meters::{Meters, Timed};

/// Moves and closes a log's published head, the [`Head`] that it dereferences to. Clones move the same head.
///
/// The backend keeps the publisher private and lends the [`Head`] to its readers, which cannot move it.
///
/// ```
/// use annals::{RawEvent, Recorded, backend::{HeadPublisher, Published}};
/// let publisher = HeadPublisher::new(0);
/// let event = Recorded { offset: 0, time_ms: 0, event: RawEvent::builder("first").build()? };
/// publisher.publish(1, Published::events(vec![event]));
/// assert_eq!(publisher.get(), 1);
/// publisher.close();
/// assert!(publisher.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HeadPublisher<E>(Head<E>);

impl<E> HeadPublisher<E> {
    /// Creates a head at `head`. Its metrics have the label "other".
    #[must_use]
    pub fn new(head: u64) -> Self {
        Self::for_backend("other", head)
    }

    /// Creates a head at `head` for a backend that makes events durable. Its metrics have the label `backend`. They go
    /// to the recorder of the crate `metrics`, if one was installed before.
    #[must_use]
    pub fn for_backend(backend: &'static str, head: u64) -> Self {
        Self::with_meters(Meters::new(backend, true), head)
    }

    pub(crate) fn with_meters(meters: Meters, head: u64) -> Self {
        let shared = Shared {
            stopped: Arc::new(AtomicBool::new(false)),
            moving: Arc::default(),
            callbacks: Callbacks::default(),
            meters: Arc::new(meters),
            twins: Arc::default(),
        };
        Self(Head { watched: Arc::new(Watched::new(head)), shared: Arc::new(shared) })
    }

    /// Counts an append that the backend refuses before it reaches the commit path. Returns the error.
    #[must_use]
    pub fn refused(&self, error: AppendError) -> AppendError {
        self.meters().refused(&error);
        error
    }

    /// Begins to measure an append, for a backend that does not use the [`Committer`](crate::backend::Committer).
    #[must_use]
    pub fn time_append(&self) -> AppendTimer {
        let meters = Arc::clone(self.meters());
        AppendTimer { started: meters.start(Timed::Append), meters }
    }

    /// Moves the head to `head`, calls the callbacks with `events` in order, and wakes every waiter.
    ///
    /// The caller guarantees that every event below `head` is readable and as durable as its options ask, and that one
    /// thread publishes at a time. A call from inside a callback moves the head at once; the enclosing call then
    /// delivers the events. On a closed head this does nothing.
    ///
    /// # Panics
    /// When `head` is less than the current head.
    pub fn publish(&self, head: u64, events: Published<E>) {
        self.publish_with(head, || events);
    }

    /// Does what [`publish`](Self::publish) does, and calls `events` only if there are callbacks. Meant for a backend
    /// that must read the events that it publishes.
    ///
    /// # Panics
    /// When `head` is less than the current head.
    pub fn publish_with(&self, head: u64, events: impl FnOnce() -> Published<E>) {
        let is_moved = {
            let _moving = self.0.shared.moving.lock();
            self.move_to(head)
        };
        if is_moved && let Some(listeners) = self.listeners() {
            self.announce_to(listeners, |callbacks, meters| callbacks.deliver(meters, events()));
        }
    }

    /// Returns a head for events of another type, which moves and ends with this one. It has callbacks of its own,
    /// which see every event that is published after they were subscribed. `read` returns the published events at
    /// these offsets, for them.
    pub(crate) fn twin<F: Event>(
        &self,
        read: impl Fn(Range<u64>) -> Published<F> + Send + Sync + 'static,
    ) -> HeadPublisher<F> {
        let Head { watched, shared } = &self.0;
        let twin = Arc::new(Shared {
            stopped: Arc::clone(&shared.stopped),
            moving: Arc::clone(&shared.moving),
            callbacks: Callbacks::default(),
            meters: Arc::clone(&shared.meters),
            twins: Arc::clone(&shared.twins),
        });
        let weak = Arc::downgrade(&twin);
        let counted = Weak::clone(&weak);
        shared.twins.add(
            watched,
            move || counted.strong_count() == 0,
            move |range| {
                let Some(twin) = weak.upgrade() else { return false };
                if twin.callbacks.any() {
                    twin.callbacks.deliver(&twin.meters, read(range));
                }
                true
            },
        );
        HeadPublisher(Head { watched: Arc::clone(watched), shared: twin })
    }

    /// Does what [`publish_with`](Self::publish_with) does, without a lock if there are no callbacks. The caller makes
    /// sure that the head is not closed meanwhile by another thread. The commit path does: it closes the head when no
    /// thread leads, and none leads any more.
    #[inline]
    pub(crate) fn publish_led(&self, head: u64, events: impl FnOnce() -> Published<E>) {
        if let Some(listeners) = self.move_led(head) {
            self.announce_to(listeners, |callbacks, meters| callbacks.deliver(meters, events()));
        }
    }

    /// Moves the head. Returns those that hear of it, if there are any: the caller then passes them to
    /// [`announce_one`](Self::announce_one). The caller makes sure of what [`publish_led`](Self::publish_led) asks.
    #[inline]
    #[must_use = "waiters that are not woken sleep on"]
    pub(crate) fn move_led(&self, head: u64) -> Option<Listeners> {
        if self.move_to(head) { self.listeners() } else { None }
    }

    /// Delivers one event, which `event` returns, to the callbacks, and wakes the waiters. `published` returns the
    /// event if it must be queued.
    pub(crate) fn announce_one<'a>(
        &self,
        listeners: Listeners,
        event: impl FnOnce() -> Option<&'a Recorded<E>>,
        published: impl FnOnce() -> Published<E>,
    ) where
        E: 'a,
    {
        self.announce_to(listeners, |callbacks, meters| {
            if let Some(event) = event() {
                callbacks.deliver_one(meters, event, published);
            }
        });
    }

    /// Moves the head, unless it is closed. Returns whether it moved. The caller makes sure that the head is not closed
    /// meanwhile.
    #[inline]
    fn move_to(&self, head: u64) -> bool {
        let watched = &self.0.watched;
        if watched.is_ended() {
            return false;
        }
        let before = watched.get();
        assert!(head >= before, "a head of {before} was moved back to {head}");
        watched.advance(head);
        true
    }

    /// Returns the waiters, after the head was moved; `None` if there are neither waiters nor callbacks.
    #[inline]
    fn listeners(&self) -> Option<Listeners> {
        let Head { watched, shared } = &self.0;
        // Before the look at the callbacks: `Callbacks::subscribe` relies on this order.
        let sleepers = watched.take_sleepers();
        let any = !sleepers.is_empty() || shared.callbacks.any() || shared.twins.any();
        any.then_some(Listeners(sleepers))
    }

    /// Calls the callbacks, and then wakes the waiters. `deliver` delivers to the callbacks for this type of events.
    fn announce_to(&self, listeners: Listeners, deliver: impl FnOnce(&Callbacks<E>, &Meters)) {
        let Head { watched, shared } = &self.0;
        if shared.callbacks.any() {
            deliver(&shared.callbacks, &shared.meters);
        }
        shared.twins.deliver(watched);
        listeners.0.into_iter().for_each(wakers::wake);
    }

    /// Records that the backend takes no more appends. Accepted appends still move the head.
    pub fn begin_close(&self) {
        // Release: pairs with the load in `takes_appends`.
        self.0.shared.stopped.store(true, Ordering::Release);
    }

    /// Closes the head: it does not move again, and the backend takes no more appends. Subscriptions end when they have
    /// caught up.
    pub fn close(&self) {
        self.begin_close();
        {
            let _moving = self.0.shared.moving.lock();
            self.0.watched.end();
        }
        self.0.watched.take_sleepers().into_iter().for_each(wakers::wake);
    }

    /// Returns whether the calling thread is inside one of this head's callbacks. Such a thread may be the leader of
    /// the commit path.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.0.shared.callbacks.is_delivering()
    }
}

/// The waiters of a head that was moved. They must be woken. The head may also have callbacks, and then the list may be
/// empty.
pub(crate) struct Listeners(Vec<Waker>);

/// The measurement of an append, from its beginning to its result. [`HeadPublisher::time_append`] begins it.
pub struct AppendTimer {
    meters: Arc<Meters>,
    started: Option<Instant>,
}

impl AppendTimer {
    /// Ends the measurement: records the duration of the append, and counts a failure.
    pub fn end<T>(self, result: &Result<T, AppendError>) {
        self.meters.appended(self.started, result);
    }
}

impl std::fmt::Debug for AppendTimer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppendTimer").finish_non_exhaustive()
    }
}

impl<E> Deref for HeadPublisher<E> {
    type Target = Head<E>;

    fn deref(&self) -> &Head<E> {
        &self.0
    }
}

impl<E> Clone for HeadPublisher<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> std::fmt::Debug for HeadPublisher<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HeadPublisher").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::raw::RawEvent;

    #[test]
    fn closing_a_twin_waits_while_another_head_is_moved() {
        let head = HeadPublisher::<u64>::new(0);
        let twin = head.twin::<RawEvent>(|_| Published::events(Vec::new()));
        // What a thread does that moves the head: between its look at the end and the move, nothing may end the head.
        let moving = head.0.shared.moving.lock();
        assert!(twin.0.shared.moving.try_lock().is_none(), "both have one lock");
        let closer = std::thread::spawn(move || {
            twin.close();
            twin.get()
        });
        assert!(!head.is_closed());
        assert!(head.move_to(1));
        assert!(!head.is_closed());
        drop(moving);
        assert_eq!(closer.join().expect("closed"), 1);
        head.publish(2, Published::events(Vec::new()));
        assert_eq!((head.get(), head.is_closed()), (1, true));
    }
}
