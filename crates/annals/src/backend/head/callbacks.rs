//! The callbacks of a head. Each callback sees every event that is published after it was subscribed, in offset order,
//! once.
//!
//! One thread delivers at a time. A callback that appends publishes from inside a delivery. Those events wait in
//! `later` until every callback has seen the current ones.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use annals_base::Mutex;
use annals_base::{SegmentedList, Watched, this_thread};

#[cfg(debug_assertions)]
use super::watchdog::Watchdog;
use crate::error::ReadError;
use crate::event::event::Recorded;
use crate::metrics::meters::{Meters, Timed};

/// Identifies a callback. [`EventStore::subscribe`](crate::EventStore::subscribe) returns it, and
/// [`unsubscribe`](crate::EventStore::unsubscribe) takes it.
///
/// ```
/// use annals::{EventStore, RawEvent, SubscriberId};
///
/// /// Prints the events of a store, until it is dropped.
/// struct Printer {
///     store: EventStore<RawEvent>,
///     callback: SubscriberId,
/// }
///
/// impl Printer {
///     fn of(store: &EventStore<RawEvent>) -> Self {
///         let callback = store.subscribe(|event| println!("{}", event.event.event_type()));
///         Self { store: store.clone(), callback }
///     }
/// }
///
/// impl Drop for Printer {
///     fn drop(&mut self) {
///         let _ = self.store.unsubscribe(self.callback);
///     }
/// }
///
/// let store = EventStore::in_memory();
/// drop(Printer::of(&store));
/// assert_eq!(store.stats().subscribers, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

/// The events of one publication, for the callbacks. [`HeadPublisher`](crate::backend::HeadPublisher) has an example.
#[derive(Debug)]
pub struct Published<E>(Events<E>);

enum Events<E> {
    Owned(Vec<Recorded<E>>),
    Listed(SegmentedList<Recorded<E>>, Range<usize>),
    Read(Box<Read<E>>),
}

/// Reads the events of a publication, and calls its argument with each.
type Read<E> = dyn Fn(&mut dyn FnMut(&Recorded<E>)) + Send;

impl<E: std::fmt::Debug> std::fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owned(events) => f.debug_tuple("Owned").field(events).finish(),
            Self::Listed(_, range) => f.debug_tuple("Listed").field(range).finish(),
            Self::Read(_) => f.write_str("Read"),
        }
    }
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

    /// Creates a publication of the events at these offsets. `read` reads one from the log, when the callbacks are
    /// called. An event that it cannot read, or whose decoding panics, is logged, and the callbacks do not receive it.
    #[must_use]
    pub fn stored(
        range: Range<u64>,
        read: impl Fn(u64) -> Result<Recorded<E>, ReadError> + Send + 'static,
    ) -> Self {
        Self(Events::Read(Box::new(move |see| {
            for offset in range.clone() {
                // An event's decoding is a user's code. The thread that publishes must go on.
                match catch_unwind(AssertUnwindSafe(|| read(offset))) {
                    Ok(Ok(event)) => see(&event),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "an event cannot be read; callback subscribers do not receive it");
                    }
                    Err(_) => {
                        tracing::error!(
                            offset,
                            "decoding an event panicked; callback subscribers do not receive it"
                        );
                    }
                }
            }
        })))
    }

    fn for_each(&self, mut see: impl FnMut(&Recorded<E>)) {
        match &self.0 {
            Events::Owned(events) => events.iter().for_each(see),
            Events::Listed(list, range) => list.range(range.clone()).for_each(see),
            Events::Read(read) => read(&mut see),
        }
    }
}

/// The callbacks of one head.
///
/// ```text
///   subscribe ───▶ added ──┐ before a delivery
///   unsubscribe ─▶ ended   ├▶ running: the callbacks, which the delivering thread has
///                  changed ┘ and after it, if none was under way: removed callbacks are dropped
/// ```
pub(crate) struct Callbacks<E> {
    subscribers: Mutex<Subscribers<E>>,
    /// The number of callbacks, which changes under the lock of `subscribers`.
    count: AtomicUsize,
    /// Whether `running` lacks an added callback or has a removed one.
    changed: AtomicBool,
    /// Locked by the thread that delivers, for as long as it delivers.
    running: Mutex<Vec<Subscriber<E>>>,
    later: Mutex<VecDeque<Published<E>>>,
    /// Whether `later` has publications. Only the delivering thread uses it.
    any_later: AtomicBool,
    inside: Inside,
    #[cfg(debug_assertions)]
    pub(crate) watchdog: Watchdog,
}

struct Subscribers<E> {
    next_id: u64,
    live: Vec<(SubscriberId, Arc<AtomicBool>)>,
    added: Vec<Subscriber<E>>,
}

struct Subscriber<E> {
    id: SubscriberId,
    from: u64,
    ended: Arc<AtomicBool>,
    callback: Callback<E>,
}

type Callback<E> = Box<dyn FnMut(&Recorded<E>) + Send>;

impl<E> Default for Callbacks<E> {
    fn default() -> Self {
        let subscribers = Subscribers { next_id: 0, live: Vec::new(), added: Vec::new() };
        Self {
            subscribers: Mutex::new(subscribers),
            count: AtomicUsize::new(0),
            changed: AtomicBool::new(false),
            running: Mutex::default(),
            later: Mutex::default(),
            any_later: AtomicBool::new(false),
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
        let ended = Arc::new(AtomicBool::new(false));
        subscribers.live.push((id, Arc::clone(&ended)));
        // Release, twice: pairs with the loads in `any` and `update`, unless `get_behind_sleepers` orders it.
        self.count.store(subscribers.live.len(), Ordering::Release);
        self.changed.store(true, Ordering::Release);
        // Either a thread that publishes sees the callback, and waits for this lock, or this is the head behind what
        // that thread publishes. So the callback sees either all events of a publication or none.
        let from = watched.get_behind_sleepers();
        subscribers.added.push(Subscriber { id, from, ended, callback: Box::new(callback) });
        id
    }

    /// Removes a callback. Returns false if there is no callback with this id.
    pub(crate) fn unsubscribe(&self, id: SubscriberId) -> bool {
        let mut subscribers = self.subscribers.lock();
        let Some(at) = subscribers.live.iter().position(|(live, _)| *live == id) else {
            return false;
        };
        let (_, ended) = subscribers.live.remove(at);
        // Release: pairs with the load in `any`.
        self.count.store(subscribers.live.len(), Ordering::Release);
        drop(subscribers);
        // Relaxed: pairs with the loads in `call` and `update`; for the one in `update` the next write orders it. A
        // thread that is delivering now may call the callback once more.
        ended.store(true, Ordering::Relaxed);
        // AcqRel: pairs with the swap in `deliver_now`. If that of the thread that delivers comes later, that thread
        // drops the callback. If it comes earlier, that thread has unlocked `running` before, and this one drops it.
        self.changed.swap(true, Ordering::AcqRel);
        self.sweep();
        true
    }

    pub(crate) fn count(&self) -> usize {
        self.subscribers.lock().live.len()
    }

    /// Returns whether there are callbacks. The thread that publishes calls it after
    /// [`take_sleepers`](Watched::take_sleepers).
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // Acquire: pairs with the stores in `subscribe` and `unsubscribe`.
        self.count.load(Ordering::Acquire) != 0
    }

    /// Calls all callbacks with the events, and then with the events that the callbacks append. Inside a callback it
    /// only queues the events, for the delivery that called the callback.
    pub(crate) fn deliver(&self, meters: &Meters, events: Published<E>) {
        if self.is_delivering() {
            self.later.lock().push_back(events);
            // Relaxed: pairs with the load below, in the same thread.
            self.any_later.store(true, Ordering::Relaxed);
            return;
        }
        self.deliver_now(meters, |see| events.for_each(see));
    }

    /// Does what [`deliver`](Self::deliver) does with one event. `published` returns it if it must be queued.
    #[inline]
    pub(crate) fn deliver_one(
        &self,
        meters: &Meters,
        event: &Recorded<E>,
        published: impl FnOnce() -> Published<E>,
    ) {
        if self.is_delivering() {
            return self.deliver(meters, published());
        }
        self.deliver_now(meters, |see| see(event));
    }

    /// Calls all callbacks with the events that `each` calls its argument with, and then with those that the callbacks
    /// append.
    fn deliver_now(&self, meters: &Meters, each: impl FnOnce(&mut dyn FnMut(&Recorded<E>))) {
        let mut running = self.running.lock();
        let delivering = Delivering::new(&self.inside);
        self.update_if_changed(&mut running);
        each(&mut |event| self.call_all(meters, &mut running, event));
        // Relaxed: pairs with the stores in `deliver` and `next`, in the same thread.
        while self.any_later.load(Ordering::Relaxed)
            && let Some(events) = self.next()
        {
            self.update_if_changed(&mut running);
            events.for_each(|event| self.call_all(meters, &mut running, event));
        }
        drop(delivering);
        drop(running);
        // AcqRel: pairs with the swap in `unsubscribe`, as there. Stored again, for `update`.
        if self.changed.swap(false, Ordering::AcqRel) {
            self.changed.store(true, Ordering::Release);
            self.sweep();
        }
    }

    fn update_if_changed(&self, running: &mut Vec<Subscriber<E>>) {
        // Acquire: pairs with the writes in `subscribe` and `unsubscribe`.
        if self.changed.load(Ordering::Acquire) {
            drop_all(self.update(running));
        }
    }

    fn call_all(&self, meters: &Meters, running: &mut [Subscriber<E>], event: &Recorded<E>) {
        for subscriber in running {
            self.call(meters, subscriber, event);
        }
    }

    /// Takes the next publication that was queued inside a callback.
    #[cold]
    fn next(&self) -> Option<Published<E>> {
        let mut later = self.later.lock();
        let next = later.pop_front();
        // Relaxed: pairs with the load in `deliver`, in the same thread.
        self.any_later.store(!later.is_empty(), Ordering::Relaxed);
        next
    }

    fn call(&self, meters: &Meters, subscriber: &mut Subscriber<E>, event: &Recorded<E>) {
        // Relaxed: pairs with the store in `unsubscribe`.
        if event.offset < subscriber.from || subscriber.ended.load(Ordering::Relaxed) {
            return;
        }
        #[cfg(debug_assertions)]
        let _watched = self.watchdog.watch(event.offset);
        let callback = &mut subscriber.callback;
        let guarded = || catch_unwind(AssertUnwindSafe(|| callback(event)));
        if meters.time(Timed::Subscriber, guarded).is_err() {
            tracing::error!(offset = event.offset, "a callback panicked and was removed");
            let callback = std::mem::replace(callback, Box::new(|_| {}));
            self.remove_panicked(subscriber.id, callback);
        }
    }

    #[cold]
    fn remove_panicked(&self, id: SubscriberId, callback: Callback<E>) {
        drop_all(vec![callback]);
        self.unsubscribe(id);
    }

    /// Adds the added callbacks to `running`, and takes the removed ones out of it. The caller drops them.
    fn update(&self, running: &mut Vec<Subscriber<E>>) -> Vec<Subscriber<E>> {
        // AcqRel: pairs with the writes in `subscribe` and `unsubscribe`.
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        running.append(&mut self.subscribers.lock().added);
        // Relaxed: pairs with the store in `unsubscribe`, which the swap orders.
        running.extract_if(.., |subscriber| subscriber.ended.load(Ordering::Relaxed)).collect()
    }

    /// Drops the removed callbacks, unless a thread is delivering: that thread does it afterwards.
    fn sweep(&self) {
        let Some(mut running) = self.running.try_lock() else { return };
        let removed = self.update(&mut running);
        // Dropped without the lock: a callback's own values may use the store when they are dropped.
        drop(running);
        drop_all(removed);
    }

    /// Returns whether the calling thread is inside one of these callbacks.
    pub(crate) fn is_delivering(&self) -> bool {
        self.inside.is_here()
    }
}

/// Drops callbacks, whose own values may panic.
fn drop_all<C>(callbacks: Vec<C>) {
    for callback in callbacks {
        if catch_unwind(AssertUnwindSafe(|| drop(callback))).is_err() {
            tracing::error!("a callback panicked when it was dropped");
        }
    }
}

/// A guard: this thread is inside the callbacks of a head until it is dropped.
struct Delivering<'a>(&'a Inside);

/// The thread that is inside the callbacks, or 0. This is not a thread-local value, since the destructor of a
/// thread-local value may append.
#[derive(Default)]
struct Inside(AtomicUsize);

impl Inside {
    fn is_here(&self) -> bool {
        // Relaxed: pairs with the stores in `Delivering`. A thread that is inside has stored its number itself, and for
        // any other thread all values lead to the result false.
        self.0.load(Ordering::Relaxed) == this_thread()
    }
}

impl<'a> Delivering<'a> {
    fn new(inside: &'a Inside) -> Self {
        // Relaxed: pairs with the load in `is_here`.
        inside.0.store(this_thread(), Ordering::Relaxed);
        Self(inside)
    }
}

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        // Relaxed: pairs with the load in `is_here`.
        self.0.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Head;
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
            watched.advance(offset + 1);
            callbacks.deliver(&Meters::new("other", false), recorded(offset));
            assert_eq!(reported.try_recv(), Ok(offset));
        }
    }

    #[test]
    fn a_callback_that_is_removed_is_dropped_at_once_or_after_its_delivery() {
        let head = HeadPublisher::new(0);
        let value = Arc::new(());
        let kept = Arc::clone(&value);
        let first = head.subscribe(move |_: &Recorded<u64>| drop(Arc::clone(&kept)));
        head.publish(1, recorded(0));
        assert!(head.unsubscribe(first) && !head.unsubscribe(first));
        assert_eq!(Arc::strong_count(&value), 1, "no delivery is under way");

        let (its, inside) = (Arc::clone(&value), Head::clone(&head));
        let id = Arc::new(Mutex::new(None));
        let own = Arc::clone(&id);
        *id.lock() = Some(head.subscribe(move |_| {
            assert!(own.lock().take().is_some_and(|id| inside.unsubscribe(id)));
            assert_eq!(Arc::strong_count(&its), 2, "it is not dropped while it runs");
        }));
        head.publish(2, recorded(1));
        assert_eq!((Arc::strong_count(&value), head.subscriber_count()), (1, 0));
        head.publish(3, recorded(2));
    }

    #[test]
    fn a_callback_that_is_added_in_a_callback_sees_later_events() {
        let head = HeadPublisher::new(0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, inside) = (Arc::clone(&seen), Head::clone(&head));
        head.subscribe(move |event: &Recorded<u64>| {
            let log = Arc::clone(&log);
            let outer = event.offset;
            inside.subscribe(move |event| log.lock().push((outer, event.offset)));
        });
        (0..3).for_each(|offset| head.publish(offset + 1, recorded(offset)));
        assert_eq!(*seen.lock(), [(0, 1), (0, 2), (1, 2)]);
    }

    fn recorded(offset: u64) -> Published<u64> {
        Published::events(vec![Recorded { offset, time_ms: 0, event: offset }])
    }
}
