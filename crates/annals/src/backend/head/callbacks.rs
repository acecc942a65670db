//! The callbacks of a head: each sees every event from when it was subscribed on, in offset order, once.
//!
//! One thread delivers at a time. A callback that appends publishes from inside a delivery: those events wait in
//! `deliveries` until the current ones have been through all callbacks.

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

/// Names a callback subscriber, to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

/// The events that a publication adds to the log.
#[derive(Debug)]
pub struct Published<E>(Events<E>);

#[derive(Debug)]
enum Events<E> {
    Owned(Vec<Recorded<E>>),
    Listed(SegmentedList<Recorded<E>>, Range<usize>),
}

impl<E> Published<E> {
    /// Makes a publication of these events, which end at the new head.
    #[must_use]
    pub fn events(events: Vec<Recorded<E>>) -> Self {
        Self(Events::Owned(events))
    }

    /// Makes a publication of the events at these indexes of a list.
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
        // The head moves under this lock: this subscriber sees all of a publication or nothing of it.
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

    /// Removes a callback; returns false if there is none of that id.
    pub(crate) fn unsubscribe(&self, id: SubscriberId) -> bool {
        let mut subscribers = self.subscribers.lock();
        let (ended, left): (Vec<_>, Vec<_>) =
            subscribers.list.iter().cloned().partition(|subscriber| subscriber.id == id);
        let before = std::mem::replace(&mut subscribers.list, Arc::new(left));
        drop(subscribers);
        // Relaxed: another thread that is calling it now may do so once more.
        for subscriber in &ended {
            subscriber.ended.store(true, Ordering::Relaxed);
        }
        // Only now, without the lock: a callback's own values may come back here when they are dropped.
        drop(before);
        !ended.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.subscribers.lock().list.len()
    }

    /// Moves the head, unless it has ended; returns whether it moved and there are callbacks.
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

    /// Ends the head: it does not move any more once this has returned.
    pub(crate) fn end(&self, watched: &Watched) {
        let _subscribers = self.subscribers.lock();
        watched.end();
    }

    /// Takes events through all callbacks, and then the events that these append meanwhile. Inside a callback it
    /// leaves them to the delivery that is under way.
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
                list.iter().for_each(|subscriber| self.tell(meters, subscriber, event));
            });
            next = self.deliveries.lock().pop_front();
        }
    }

    fn tell(&self, meters: &Meters, subscriber: &Subscriber<E>, event: &Recorded<E>) {
        // Relaxed: see `unsubscribe`.
        if event.offset < subscriber.from || subscriber.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut callback = subscriber.callback.lock();
        #[cfg(debug_assertions)]
        let _watched = self.watchdog.watch(event.offset);
        let call = || catch_unwind(AssertUnwindSafe(|| callback(event)));
        if meters.time(Timed::Subscriber, call).is_err() {
            tracing::error!(offset = event.offset, "a callback subscriber panicked; it is dropped");
            let dropped = std::mem::replace(&mut *callback, Box::new(|_| {}));
            // Its own values may panic, too, when they are dropped.
            if catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_err() {
                tracing::error!("a callback subscriber panicked once more when it was dropped");
            }
            self.unsubscribe(subscriber.id);
        }
    }

    /// Returns whether the calling thread is inside one of these callbacks.
    pub(crate) fn is_delivering(&self) -> bool {
        self.inside.is_here()
    }
}

/// Says, while it lives, that this thread is inside the callbacks of a head.
struct Delivering<'a>(&'a Inside);

/// The thread that is inside the callbacks. (Not a thread-local value: an append may come from the destructor of one.)
#[derive(Default)]
struct Inside {
    any: AtomicBool,
    thread: Mutex<Option<ThreadId>>,
}

impl Inside {
    fn is_here(&self) -> bool {
        // Relaxed: a thread that is inside has stored it itself, and for any other both values mean no.
        self.any.load(Ordering::Relaxed) && *self.thread.lock() == Some(thread::current().id())
    }
}

impl<'a> Delivering<'a> {
    fn new(inside: &'a Inside) -> Self {
        *inside.thread.lock() = Some(thread::current().id());
        // Relaxed: see `is_here`.
        inside.any.store(true, Ordering::Relaxed);
        Self(inside)
    }
}

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        // Relaxed: see `is_here`.
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

    /// The callback returns once it is reported: without the report this test does not end.
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
