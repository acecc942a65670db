//! The published head: the length of the log that readers see. When it moves, callbacks are called and waiting readers
//! are woken.
//!
//! ```text
//!   HeadPublisher::publish(n, events) ─▶ head = n ─▶ callbacks, in offset order ─▶ waiting subscriptions are woken
//! ```
//! The backend has the publisher. Its readers have the [`Head`], which they can read and wait for, but not move.
//!
//! ```text
//!   publisher   the side that moves the head        wakers     wakes tasks and threads
//!   callbacks   the callback subscribers            watchdog   reports a callback that blocks, in debug builds
//!   twins       the heads of other event types on the same log
//! ```

pub(crate) mod callbacks;
pub(crate) mod publisher;
pub(crate) mod twins;
pub(crate) mod wakers;
#[cfg(debug_assertions)]
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Instant;

use annals_base::{Mutex, Sleeper, Watched};

use crate::backend::health::Health;
use crate::event::event::Recorded;
use crate::metrics::meters::{Meters, State};
use crate::metrics::stats::Stats;
use callbacks::{Callbacks, SubscriberId};
use twins::Twins;
use wakers::thread_waker;

/// A log's published head, as its readers see it: the offset that the next event will get. Every event below it is
/// readable. Clones are the same head.
///
/// ```
/// use annals::{Backend, EventStore, RawEvent};
/// let store = EventStore::in_memory();
/// let head = store.backend().head();
/// let subscriber = head.subscribe(|event| println!("{}", event.offset));
/// store.append(RawEvent::builder("first").build()?)?;
/// assert_eq!(head.wait_beyond(0, None), 1); // waits for the first event
/// assert_eq!((head.get(), head.subscriber_count()), (1, 1));
/// assert!(head.unsubscribe(subscriber));
/// store.close()?;
/// assert!(head.is_closed() && !head.takes_appends());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Only the backend moves the head, with its [`HeadPublisher`](crate::backend::HeadPublisher):
///
/// ```compile_fail,E0599
/// use annals::{Backend, EventStore, RawEvent, backend::Published};
/// let store = EventStore::<RawEvent>::in_memory();
/// store.backend().head().publish(999, Published::events(Vec::new()));
/// ```
/// ```compile_fail,E0599
/// use annals::{Backend, EventStore, RawEvent};
/// EventStore::<RawEvent>::in_memory().backend().head().close();
/// ```
/// ```compile_fail,E0599
/// use annals::{Backend, EventStore, RawEvent};
/// EventStore::<RawEvent>::in_memory().backend().head().begin_close();
/// ```
pub struct Head<E> {
    watched: Arc<Watched>,
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    stopped: Arc<AtomicBool>,
    /// Locked by a thread that moves or ends `watched`. The heads for events of other types on the same log have the
    /// same lock. The commit path does not lock it: see `HeadPublisher::publish_led`.
    moving: Arc<Mutex<()>>,
    callbacks: Callbacks<E>,
    meters: Arc<Meters>,
    /// One list for all heads on the same log: only one of them is moved.
    twins: Arc<Twins>,
}

impl<E> Head<E> {
    /// Returns the log's instruments.
    #[inline]
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.shared.meters
    }

    /// Adds the measured values to the sizes that the backend knows.
    pub(crate) fn measured(&self, mut stats: Stats, health: &Health) -> Stats {
        self.meters().add_to(&mut stats);
        self.meters().report_state(match health {
            Health::Open => State::Open,
            Health::NoRoom { .. } => State::Full,
            Health::ReadOnly => State::ReadOnly,
            Health::Closed => State::Closed,
            Health::Poisoned { .. } => State::Poisoned,
            Health::Diverged { .. } => State::Diverged,
        });
        stats
    }

    /// Returns the offset that the next event will get. Every event below it is readable.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.watched.get()
    }

    /// Calls `callback` for every event from the current head on: in order, once each, before the append of the event
    /// returns. [`EventStore::subscribe`](crate::EventStore::subscribe) says what a callback must not do.
    pub fn subscribe(&self, callback: impl FnMut(&Recorded<E>) + Send + 'static) -> SubscriberId {
        self.shared.callbacks.subscribe(&self.watched, callback)
    }

    /// Removes a callback. Returns false if there is no callback with this id.
    #[must_use]
    pub fn unsubscribe(&self, id: SubscriberId) -> bool {
        self.shared.callbacks.unsubscribe(id)
    }

    /// Returns the number of callbacks.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.shared.callbacks.count()
    }

    /// Returns a waiter, with which one task or thread at a time waits for the head to move.
    #[must_use]
    pub fn waiter(&self) -> HeadWaiter {
        HeadWaiter(Sleeper::new(Arc::clone(&self.watched)))
    }

    /// Blocks until the head is beyond `seen`, the log is closed, or `deadline` has come. Returns the head.
    #[must_use]
    pub fn wait_beyond(&self, seen: u64, deadline: Option<Instant>) -> u64 {
        self.waiter().wait_beyond(seen, deadline)
    }

    /// Returns whether the backend has not begun to close. From then on it takes no appends.
    #[must_use]
    pub fn takes_appends(&self) -> bool {
        // Acquire: pairs with the store in `HeadPublisher::begin_close`.
        !self.shared.stopped.load(Ordering::Acquire)
    }

    /// Returns whether the head is closed. A head that is read after this returned true is final.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.watched.is_ended()
    }

    /// Returns the number of tasks and threads that wait for the head to move.
    #[cfg(test)]
    pub(crate) fn sleeper_count(&self) -> usize {
        self.watched.sleeper_count()
    }
}

impl<E> Clone for Head<E> {
    fn clone(&self) -> Self {
        Self { watched: Arc::clone(&self.watched), shared: Arc::clone(&self.shared) }
    }
}

impl<E> std::fmt::Debug for Head<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("head", &self.get())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Waits for a [`Head`] to move. One task or thread at a time uses it. Dropping it removes its waker from the head.
///
/// ```
/// use annals::{Backend, EventStore, RawEvent};
/// use std::task::{Poll, Waker};
/// let store = EventStore::in_memory();
/// let mut waiter = store.backend().head().waiter();
/// assert_eq!(waiter.poll_beyond(0, Waker::noop()), Poll::Pending);
/// store.append(RawEvent::builder("first").build()?)?;
/// assert_eq!(waiter.poll_beyond(0, Waker::noop()), Poll::Ready(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HeadWaiter(Sleeper);

impl HeadWaiter {
    /// Returns the head once it is beyond `seen` or the log is closed. Until then it is pending and registers `waker`,
    /// which replaces the waker of the call before.
    pub fn poll_beyond(&mut self, seen: u64, waker: &Waker) -> Poll<u64> {
        self.0.poll_beyond(seen, waker)
    }

    /// Blocks until the head is beyond `seen`, the log is closed, or `deadline` has come. Returns the head.
    pub fn wait_beyond(&mut self, seen: u64, deadline: Option<Instant>) -> u64 {
        let waker = thread_waker();
        loop {
            if let Poll::Ready(head) = self.poll_beyond(seen, &waker) {
                return head;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => {
                    self.0.withdraw();
                    return self.0.watched().get();
                }
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::callbacks::Published;
    use super::publisher::HeadPublisher;
    use super::*;

    fn recorded(offset: u64) -> Published<u64> {
        Published::events(vec![Recorded { offset, time_ms: 0, event: offset }])
    }

    #[test]
    fn a_sleeper_is_woken_by_a_publication_and_by_the_end() {
        let publisher = HeadPublisher::new(0);
        let sleeper = {
            let head = Head::clone(&publisher);
            thread::spawn(move || (head.wait_beyond(0, None), head.wait_beyond(1, None)))
        };
        publisher.publish(1, recorded(0));
        publisher.close();
        assert_eq!(sleeper.join().unwrap(), (1, 1));
        assert_eq!(publisher.wait_beyond(1, Some(Instant::now())), 1);
        assert_eq!(publisher.sleeper_count(), 0);
    }

    #[test]
    fn a_waiter_that_gave_up_sleeps_no_more() {
        let publisher = HeadPublisher::<u64>::new(0);
        let mut waiter = publisher.waiter();
        assert_eq!(waiter.wait_beyond(0, Some(Instant::now())), 0);
        assert_eq!(publisher.sleeper_count(), 0);
    }

    #[test]
    fn a_closed_head_does_not_move() {
        let publisher = HeadPublisher::new(0);
        publisher.close();
        publisher.publish(1, recorded(0));
        assert_eq!((publisher.get(), publisher.is_closed()), (0, true));
    }

    #[test]
    fn a_waker_that_panics_harms_no_other() {
        struct Panics;
        impl std::task::Wake for Panics {
            fn wake(self: Arc<Self>) {
                std::panic::resume_unwind(Box::new("a waker that panics"));
            }
        }
        let publisher = HeadPublisher::new(0);
        let (mut first, mut second) = (publisher.waiter(), publisher.waiter());
        assert!(first.poll_beyond(0, &Waker::from(Arc::new(Panics))).is_pending());
        assert!(second.poll_beyond(0, &thread_waker()).is_pending());
        publisher.publish(1, recorded(0));
        // Parks for ever unless the second waker was woken.
        thread::park();
        assert_eq!(publisher.get(), 1);
    }
}
