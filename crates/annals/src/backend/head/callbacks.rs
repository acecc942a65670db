//! The callbacks of a head. Each callback sees every event that is published after it was subscribed, in offset order,
//! once.
//!
//! One thread delivers at a time. A callback that appends publishes from inside a delivery. Those events wait in
//! `deliveries` until every callback has seen the current ones.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

use annals_base::{SegmentedList, Watched};
use parking_lot::Mutex;

#[cfg(debug_assertions)]
use super::watchdog::Watchdog;
use crate::event::event::Recorded;
use crate::metrics::meters::{Meters, Timed};

/// Identifies a callback. [`EventStore::subscribe`](crate::EventStore::subscribe) returns it, and
/// [`unsubscribe`](crate::EventStore::unsubscribe) takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

/// The events of one publication, for the callbacks. [`HeadPublisher`](crate::backend::HeadPublisher) has an example.
#[derive(Debug)]
pub struct Published<E>(Events<E>);

#[derive(Debug)]
enum Events<E> {
    Owned(Vec<Recorded<E>>),
    Listed(SegmentedList<Recorded<E>>, Range<usize>),
}

impl<E> Published<E> {
    /// Creates a publication of these events. The last one is just below the new head.
    #[must_use]
    pub fn events(events: Vec<Recorded<E>>) -> Self {
        Self(Events::Owned(events))
    }

    /// Creates a publication of the events at these indexes of a list.
    pub(crate) fn listed(list: SegmentedList<Recorded<E>>, range: Range<usize>) -> Self {
        Self(Events::Listed(list, range))
    }

    fn for_each(&self, see: impl FnMut(&Recorded<E>)) {
        match &self.0 {
            Events::Owned(events) => events.iter().for_each(see),
            Events::Listed(list, range) => list.range(range.clone()).for_each(see),
        }
    }
}

pub(crate) struct Callbacks<E> {
    subscribers: Mutex<Subscribers<E>>,
    deliveries: Mutex<VecDeque<Published<E>>>,
    inside: Inside,
    #[cfg(debug_assertions)]
    pub(crate) watchdog: Watchdog,
}

struct Subscribers<E> {
    next_id: u64,
    list: Arc<Vec<Arc<Subscriber<E>>>>,
}

struct Subscriber<E> {
    id: SubscriberId,
    from: u64,
    ended: AtomicBool,
    callback: Mutex<Callback<E>>,
}

type Callback<E> = Box<dyn FnMut(&Recorded<E>) + Send>;

impl<E> Default for Callbacks<E> {
    fn default() -> Self {
        Self {
            subscribers: Mutex::new(Subscribers { next_id: 0, list: Arc::default() }),
            deliveries: Mutex::default(),
            inside: Inside::default(),
            #[cfg(debug_assertions)]
            watchdog: Watchdog::default(),
        }
    }
}

impl<E> Callbacks<E> {
    /// Adds a callback, which sees the events from the current head on.
    pub(crate) fn subscribe(
        &self,
        watched: &Watched,
        callback: impl FnMut(&Recorded<E>) + Send + 'static,
    ) -> SubscriberId {
        let mut subscribers = self.subscribers.lock();
        let id = SubscriberId(subscribers.next_id);
        subscribers.next_id += 1;
        // The head moves under this lock, so the subscriber sees either all events of a publication or none.
        let subscriber = Subscriber {
            id,
            from: watched.get(),
            ended: AtomicBool::new(false),
            callback: Mutex::new(Box::new(callback)),
        };
        let mut list = Vec::clone(&subscribers.list);
        list.push(Arc::new(subscriber));
        subscribers.list = Arc::new(list);
        id
    }

    /// Removes a callback. Returns false if there is no callback with this id.
    pub(crate) fn unsubscribe(&self, id: SubscriberId) -> bool {
        let mut subscribers = self.subscribers.lock();
        let (ended, left): (Vec<_>, Vec<_>) =
            subscribers.list.iter().cloned().partition(|subscriber| subscriber.id == id);
        let before = std::mem::replace(&mut subscribers.list, Arc::new(left));
        drop(subscribers);
        // Relaxed: pairs with the load in `call` and orders nothing else. A thread that is delivering now may call the
        // callback once more.
        for subscriber in &ended {
            subscriber.ended.store(true, Ordering::Relaxed);
        }
        // Dropped without the lock: a callback's own values may call this function when they are dropped.
        drop(before);
        !ended.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.subscribers.lock().list.len()
    }

    /// Moves the head, unless it is closed. Returns whether it moved and there are callbacks.
    pub(crate) fn advance(&self, watched: &Watched, head: u64) -> bool {
        let subscribers = self.subscribers.lock();
        if watched.is_ended() {
            return false;
        }
        let before = watched.get();
        assert!(head >= before, "a head of {before} was moved back to {head}");
        watched.advance(head);
        !subscribers.list.is_empty()
    }

    /// Closes the head. It does not move after this has returned.
    pub(crate) fn end(&self, watched: &Watched) {
        let _subscribers = self.subscribers.lock();
        watched.end();
    }

    /// Calls all callbacks with the events, and then with the events that the callbacks append. Inside a callback it
    /// only queues the events, for the delivery that called the callback.
    pub(crate) fn deliver(&self, meters: &Meters, events: Published<E>) {
        if self.is_delivering() {
            self.deliveries.lock().push_back(events);
            return;
        }
        let _delivering = Delivering::new(&self.inside);
        let mut next = Some(events);
        while let Some(events) = next {
            let list = Arc::clone(&self.subscribers.lock().list);
            events.for_each(|event| {
                list.iter().for_each(|subscriber| self.call(meters, subscriber, event));
            });
            next = self.deliveries.lock().pop_front();
        }
    }

    fn call(&self, meters: &Meters, subscriber: &Subscriber<E>, event: &Recorded<E>) {
        // Relaxed: pairs with the store in `unsubscribe`.
        if event.offset < subscriber.from || subscriber.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut callback = subscriber.callback.lock();
        #[cfg(debug_assertions)]
        let _watched = self.watchdog.watch(event.offset);
        let guarded = || catch_unwind(AssertUnwindSafe(|| callback(event)));
        if meters.time(Timed::Subscriber, guarded).is_err() {
            tracing::error!(offset = event.offset, "a callback panicked and was removed");
            let dropped = std::mem::replace(&mut *callback, Box::new(|_| {}));
            // The callback's own values may panic as well when they are dropped.
            if catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_err() {
                tracing::error!("a callback panicked again when it was dropped");
            }
            self.unsubscribe(subscriber.id);
        }
    }

    /// Returns whether the calling thread is inside one of these callbacks.
    pub(crate) fn is_delivering(&self) -> bool {
        self.inside.is_here()
    }
}

/// A guard: this thread is inside the callbacks of a head until it is dropped.
struct Delivering<'a>(&'a Inside);

/// The thread that is inside the callbacks. This is not a thread-local value, since the destructor of a thread-local
/// value may append.
#[derive(Default)]
struct Inside {
    any: AtomicBool,
    thread: Mutex<Option<ThreadId>>,
}

impl Inside {
    fn is_here(&self) -> bool {
        // Relaxed: pairs with the stores in `Delivering`. A thread that is inside has stored true itself, and for any
        // other thread both values lead to the result false.
        self.any.load(Ordering::Relaxed) && *self.thread.lock() == Some(thread::current().id())
    }
}

impl<'a> Delivering<'a> {
    fn new(inside: &'a Inside) -> Self {
        *inside.thread.lock() = Some(thread::current().id());
        // Relaxed: pairs with the load in `is_here`.
        inside.any.store(true, Ordering::Relaxed);
        Self(inside)
    }
}

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        // Relaxed: pairs with the load in `is_here`.
        self.0.any.store(false, Ordering::Relaxed);
        *self.0.thread.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::publisher::HeadPublisher;
    use super::*;

    #[test]
    fn a_panicking_subscriber_is_dropped_and_harms_nobody() {
        let head = HeadPublisher::new(0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        head.subscribe(|event: &Recorded<u64>| assert!(event.offset == 0, "no more"));
        let log = Arc::clone(&seen);
        head.subscribe(move |event| log.lock().push(event.offset));
        (0..3).for_each(|offset| head.publish(offset + 1, recorded(offset)));
        assert_eq!(*seen.lock(), [0, 1, 2]);
        assert_eq!(head.subscriber_count(), 1);
    }

    /// The callback returns once it is reported. Without the report this test does not end.
    #[cfg(debug_assertions)]
    #[test]
    fn a_callback_that_blocks_is_reported_with_its_offset() {
        use std::sync::mpsc::channel;
        use std::time::Duration;
        let ((report, is_reported), (told, reported)) = (channel(), channel());
        let callbacks = Callbacks {
            watchdog: Watchdog::new(Duration::from_millis(1), move |offset| {
                report.send(offset).expect("the callback receives");
            }),
            ..Callbacks::default()
        };
        let watched = Watched::new(0);
        callbacks.subscribe(&watched, move |_: &Recorded<u64>| {
            told.send(is_reported.recv().expect("a report")).expect("the test receives");
        });
        for offset in 0..2 {
            assert!(callbacks.advance(&watched, offset + 1));
            callbacks.deliver(&Meters::new("other", false), recorded(offset));
            assert_eq!(reported.try_recv(), Ok(offset));
        }
    }

    fn recorded(offset: u64) -> Published<u64> {
        Published::events(vec![Recorded { offset, time_ms: 0, event: offset }])
    }
}
