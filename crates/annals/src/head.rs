//! The published head: the one number that readers trust, and whoever is told when it moves.
//!
//! ```text
//!   publish(n, events) ─▶ head = n ─▶ callbacks, in offset order ─▶ sleeping cursors wake
//! ```
//! One thread publishes at a time (a home's leader). A callback that appends publishes from inside a publication:
//! those events wait in `deliveries` until the current ones have been through all callbacks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use annals_base::SegmentedList;
use parking_lot::Mutex;

use crate::meters::{Meters, Timed};
use crate::{AppendError, Recorded, Stats};

/// A log's published head. Every [`Backend`](crate::Backend) has one and moves it with [`publish`](Self::publish).
pub struct Head<E> {
    published: AtomicU64,
    stopped: AtomicBool,
    closed: AtomicBool,
    sleepers: AtomicUsize,
    sleeping: Mutex<Vec<Waker>>,
    subscribers: Mutex<Subscribers<E>>,
    deliveries: Mutex<VecDeque<Published<E>>>,
    meters: Arc<Meters>,
}

/// Names a callback subscriber, to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

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

/// The events that a publication adds to the log.
#[derive(Debug)]
pub struct Published<E>(Events<E>);

#[derive(Debug)]
enum Events<E> {
    Owned(Vec<Recorded<E>>),
    Listed(SegmentedList<Recorded<E>>, Range<usize>),
}

impl<E> Published<E> {
    /// These events, which end at the new head.
    #[must_use]
    pub fn events(events: Vec<Recorded<E>>) -> Self {
        Self(Events::Owned(events))
    }

    /// Those events of a list.
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

thread_local! {
    /// The heads whose callbacks this thread is calling just now.
    static DELIVERING: RefCell<Vec<*const ()>> = const { RefCell::new(Vec::new()) };
}

impl<E> Head<E> {
    /// A head at `head`, of a home that has no name among what is measured.
    #[must_use]
    pub fn new(head: u64) -> Self {
        Self::for_home("other", head)
    }

    /// A head at `head`, of a home that makes events durable. What is measured of it has this label in the recorder of
    /// the crate `metrics`, if one was installed before.
    #[must_use]
    pub fn for_home(home: &'static str, head: u64) -> Self {
        Self::with_meters(Meters::new(home, true), head)
    }

    pub(crate) fn with_meters(meters: Meters, head: u64) -> Self {
        Self {
            published: AtomicU64::new(head),
            stopped: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleeping: Mutex::default(),
            subscribers: Mutex::new(Subscribers { next_id: 0, list: Arc::default() }),
            deliveries: Mutex::default(),
            meters: Arc::new(meters),
        }
    }

    /// What is measured.
    #[inline]
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Counts an append that a home refuses before it reaches the commit path, and gives the error back.
    #[must_use]
    pub fn refused(&self, error: AppendError) -> AppendError {
        self.meters.refused(&error);
        error
    }

    /// Adds what was measured to what the home knows.
    pub(crate) fn measured(&self, mut stats: Stats) -> Stats {
        self.meters.add_to(&mut stats);
        stats
    }

    /// The offset that the next event will get.
    #[must_use]
    pub fn get(&self) -> u64 {
        // Acquire: pairs with the store in `publish`; what lies below is written and indexed.
        self.published.load(Ordering::Acquire)
    }

    /// Moves the head to `head`, tells the callbacks of `events` in order, and wakes whoever sleeps.
    ///
    /// Everything below `head` must be durable (as was asked) and readable. One thread at a time; a call from inside
    /// a callback moves the head at once and leaves the telling to the call that it is inside of.
    pub fn publish(&self, head: u64, events: Published<E>) {
        self.publish_with(head, || events);
    }

    /// As [`publish`](Self::publish), for a home that must read the events it publishes: only if anybody is told.
    pub fn publish_with(&self, head: u64, events: impl FnOnce() -> Published<E>) {
        let told = {
            let subscribers = self.subscribers.lock();
            // SeqCst: a Release for `get`; and before the load of `sleepers` in `wake`, where a sleeper does the
            // two the other way round.
            self.published.store(head, Ordering::SeqCst);
            !subscribers.list.is_empty()
        };
        if told {
            if self.is_delivering() {
                self.deliveries.lock().push_back(events());
            } else {
                self.deliver(events());
            }
        }
        self.wake();
    }

    /// Calls `callback` for every event from the current head on, in order, once each, before its append returns.
    pub fn subscribe(&self, callback: impl FnMut(&Recorded<E>) + Send + 'static) -> SubscriberId {
        let mut subscribers = self.subscribers.lock();
        let id = SubscriberId(subscribers.next_id);
        subscribers.next_id += 1;
        // The head moves under this lock: a publication is wholly before this subscriber or wholly his.
        let subscriber = Subscriber {
            id,
            from: self.get(),
            ended: AtomicBool::new(false),
            callback: Mutex::new(Box::new(callback)),
        };
        let mut list = Vec::clone(&subscribers.list);
        list.push(Arc::new(subscriber));
        subscribers.list = Arc::new(list);
        id
    }

    /// Ends a callback subscriber, which is not called again; false if there is none of that id.
    pub fn unsubscribe(&self, id: SubscriberId) -> bool {
        let mut subscribers = self.subscribers.lock();
        let (ended, left): (Vec<_>, Vec<_>) =
            subscribers.list.iter().cloned().partition(|subscriber| subscriber.id == id);
        let before = std::mem::replace(&mut subscribers.list, Arc::new(left));
        drop(subscribers);
        // Relaxed: another thread that is calling it just now may do so once more.
        for subscriber in &ended {
            subscriber.ended.store(true, Ordering::Relaxed);
        }
        // Only now, without the lock: what a callback holds may want it when it is dropped.
        drop(before);
        !ended.is_empty()
    }

    /// How many callback subscribers there are.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.lock().list.len()
    }

    /// Ready with the head once it is beyond `seen`, or as it is once the log is closed; else `waker` will be woken.
    pub fn poll_beyond(&self, seen: u64, waker: &Waker) -> Poll<u64> {
        if let Some(head) = self.beyond(seen) {
            return Poll::Ready(head);
        }
        let mut sleeping = self.sleeping.lock();
        if !sleeping.iter().any(|known| known.will_wake(waker)) {
            sleeping.push(waker.clone());
        }
        // SeqCst: before the load of the head in `beyond` below; `publish` and `close` do the two the other way
        // round, so either they see the sleeper or he sees what they did.
        self.sleepers.store(sleeping.len(), Ordering::SeqCst);
        drop(sleeping);
        self.beyond(seen).map_or(Poll::Pending, Poll::Ready)
    }

    /// Blocks until the head is beyond `seen`, the log is closed, or `deadline` has come; answers the head.
    pub fn wait_beyond(&self, seen: u64, deadline: Option<Instant>) -> u64 {
        let waker = thread_waker();
        loop {
            if let Poll::Ready(head) = self.poll_beyond(seen, &waker) {
                return head;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return self.get(),
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Says that no more appends are to be taken; those under way still move the head.
    pub fn stop_appends(&self) {
        // SeqCst: pairs with the load in `takes_appends`; it is seldom, so the plainest order will do.
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether appends are to be taken: backends ask before they take one.
    #[must_use]
    pub fn takes_appends(&self) -> bool {
        // Acquire: pairs with the store in `stop_appends`.
        !self.stopped.load(Ordering::Acquire)
    }

    /// Says that the head will not move again, and no appends are taken: cursors end when they have caught up.
    pub fn close(&self) {
        self.stop_appends();
        // SeqCst: before the load of `sleepers` in `wake`, as in `publish`.
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether the head will not move again.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SeqCst: pairs with the store in `close`.
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this thread is inside one of this head's callbacks: then it may hold the home's leadership already.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        DELIVERING.with_borrow(|heads| heads.contains(&self.address()))
    }

    fn beyond(&self, seen: u64) -> Option<u64> {
        // SeqCst: see `poll_beyond`. The flag first: a head read after it is the last.
        let closed = self.is_closed();
        let head = self.published.load(Ordering::SeqCst);
        (head > seen || closed).then_some(head)
    }

    fn wake(&self) {
        // SeqCst: see `poll_beyond`.
        if self.sleepers.load(Ordering::SeqCst) == 0 {
            return;
        }
        let woken = {
            let mut sleeping = self.sleeping.lock();
            // SeqCst: as all of `sleepers`.
            self.sleepers.store(0, Ordering::SeqCst);
            std::mem::take(&mut *sleeping)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Takes events through all callbacks, and then what these append meanwhile.
    fn deliver(&self, events: Published<E>) {
        let _delivering = Delivering::new(self.address());
        let mut next = Some(events);
        while let Some(events) = next {
            let list = Arc::clone(&self.subscribers.lock().list);
            events.for_each(|event| {
                list.iter().for_each(|subscriber| self.tell(subscriber, event));
            });
            next = self.deliveries.lock().pop_front();
        }
    }

    fn tell(&self, subscriber: &Subscriber<E>, event: &Recorded<E>) {
        // Relaxed: see `unsubscribe`.
        if event.offset < subscriber.from || subscriber.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut callback = subscriber.callback.lock();
        let call = || catch_unwind(AssertUnwindSafe(|| callback(event)));
        if self.meters.time(Timed::Subscriber, call).is_err() {
            tracing::error!(offset = event.offset, "a callback subscriber panicked; it is dropped");
            let dropped = std::mem::replace(&mut *callback, Box::new(|_| {}));
            // What it holds may panic, too, when it is dropped.
            if catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_err() {
                tracing::error!("a callback subscriber panicked once more when it was dropped");
            }
            self.unsubscribe(subscriber.id);
        }
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

/// Says, while it lives, that this thread is inside the callbacks of a head.
struct Delivering;

impl Delivering {
    fn new(head: *const ()) -> Self {
        DELIVERING.with_borrow_mut(|heads| heads.push(head));
        Self
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        DELIVERING.with_borrow_mut(Vec::pop);
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

/// A waker that unparks this thread.
pub(crate) fn thread_waker() -> Waker {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    WAKER.with(Waker::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(offset: u64) -> Published<u64> {
        Published::events(vec![Recorded { offset, time_ms: 0, event: offset }])
    }

    #[test]
    fn a_panicking_subscriber_is_dropped_and_harms_nobody() {
        let head = Head::new(0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        head.subscribe(|event: &Recorded<u64>| assert!(event.offset == 0, "no more"));
        let log = Arc::clone(&seen);
        head.subscribe(move |event| log.lock().push(event.offset));
        (0..3).for_each(|offset| head.publish(offset + 1, recorded(offset)));
        assert_eq!(*seen.lock(), [0, 1, 2]);
        assert_eq!(head.subscriber_count(), 1);
    }

    #[test]
    fn a_sleeper_is_woken_by_a_publication_and_by_the_end() {
        let head = Arc::new(Head::new(0));
        let sleeper = {
            let head = Arc::clone(&head);
            thread::spawn(move || (head.wait_beyond(0, None), head.wait_beyond(1, None)))
        };
        head.publish(1, recorded(0));
        head.close();
        assert_eq!(sleeper.join().unwrap(), (1, 1));
        assert_eq!(head.wait_beyond(1, Some(Instant::now())), 1);
    }
}
