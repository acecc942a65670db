//! Waiting: threads as wakers, a list of waiting workers, and a timer for tasks.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Wakes a task or thread. A waker is a user's code: one that panics harms neither the calling thread nor the wakers
/// behind it.
pub(crate) fn wake(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        tracing::error!("a waker panicked; its task may not be woken");
    }
}

/// Parks the calling thread until its waker is called. Other code that parks the thread meanwhile takes no wake-up.
#[derive(Debug)]
pub(crate) struct Parker(Arc<Parked>);

#[derive(Debug)]
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the swap in `park_until`, so what was done before the call is seen behind it.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Parks the thread until the waker is called, or until an instant. May return earlier.
    pub(crate) fn park_until(&self, until: Option<Instant>) {
        // Acquire: pairs with the store in `wake`.
        if self.0.woken.swap(false, Ordering::Acquire) {
            return;
        }
        match until {
            None => thread::park(),
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
        }
    }
}

/// The workers that wait for a delivery, in order.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queue: Mutex<Queue>,
    /// The number of wakers in the queue.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    wakers: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    worker: Arc<str>,
    waker: Waker,
    /// When it wakes by itself.
    until_ms: Option<u64>,
    /// Whether an append wakes it.
    at_head: bool,
}

impl Waiting {
    /// Adds the waker of a worker. Returns its ticket. Until [`note`](Self::note) is called, every change wakes it.
    pub(crate) fn add(&self, worker: &Arc<str>, waker: &Waker) -> u64 {
        let (worker, waker) = (Arc::clone(worker), waker.clone());
        let mut queue = self.queue.lock();
        queue.next += 1;
        let ticket = queue.next;
        queue.wakers.push_back(Waiter { ticket, worker, waker, until_ms: None, at_head: false });
        self.count(&queue);
        ticket
    }

    fn count(&self, queue: &Queue) {
        // Relaxed: `is_empty` says what orders it.
        self.count.store(queue.wakers.len(), Ordering::Relaxed);
    }

    /// Returns whether no worker waits. The caller has the lock of the engine.
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: a worker is added before it takes the lock of the engine and looks for something to do. Either it
        // had the lock before the caller, which sees the worker then, or it sees what the caller changed.
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Notes what else wakes a worker.
    pub(crate) fn note(&self, ticket: u64, until_ms: Option<u64>, at_head: bool) {
        let mut queue = self.queue.lock();
        if let Some(waiter) = queue.wakers.iter_mut().find(|waiter| waiter.ticket == ticket) {
            (waiter.until_ms, waiter.at_head) = (until_ms, at_head);
        }
    }

    /// Removes a waker. Returns whether others wait.
    pub(crate) fn remove(&self, ticket: u64) -> bool {
        let mut queue = self.queue.lock();
        let found = queue.wakers.iter().position(|waiter| waiter.ticket == ticket);
        let removed = found.and_then(|at| queue.wakers.remove(at));
        self.count(&queue);
        let others = !queue.wakers.is_empty();
        drop(queue);
        // Not in the lock: a waker may own a task that owns a worker.
        drop(removed);
        others
    }

    /// Removes and returns the wakers of workers that have something to do, those that wait longest first. The caller
    /// wakes them. They are at most `ready` workers for the ready events; if the log can be read further (`can_read`),
    /// the workers that no append wakes; and one worker, if none wakes by itself at `next_ms`. `can_work` returns
    /// whether a worker may get events.
    #[must_use]
    pub(crate) fn take(
        &self,
        ready: usize,
        can_read: bool,
        next_ms: Option<u64>,
        can_work: impl Fn(&str) -> bool,
    ) -> Vec<Waker> {
        let mut queue = self.queue.lock();
        let (mut taken, mut at) = (Vec::new(), 0);
        while let Some(waiter) = queue.wakers.get(at) {
            let wakes = taken.len() < ready || (can_read && !waiter.at_head);
            if wakes && can_work(&waiter.worker) {
                taken.extend(queue.wakers.remove(at).map(|waiter| waiter.waker));
            } else {
                at += 1;
            }
        }
        let in_time = |next_ms: u64| {
            let is_early = |waiter: &Waiter| waiter.until_ms.is_some_and(|until| until <= next_ms);
            queue.wakers.iter().any(is_early)
        };
        if taken.is_empty() && next_ms.is_some_and(|next_ms| !in_time(next_ms)) {
            taken.extend(queue.wakers.pop_front().map(|waiter| waiter.waker));
        }
        self.count(&queue);
        taken
    }

    /// Removes and returns all wakers.
    #[must_use]
    pub(crate) fn take_all(&self) -> Vec<Waker> {
        let mut queue = self.queue.lock();
        let taken = queue.wakers.drain(..).map(|waiter| waiter.waker).collect();
        self.count(&queue);
        taken
    }
}

/// Wakes tasks at given times. Its thread exists only while a task waits for a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timer(Arc<Alarms>);

#[derive(Debug, Default)]
struct Alarms {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    wakers: BTreeMap<(Instant, u64), Waker>,
    has_thread: bool,
}

/// An entry of a [`Timer`], which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    alarms: Arc<Alarms>,
    key: (Instant, u64),
}

impl Timer {
    /// Wakes `waker` at `at`, unless the alarm is dropped before.
    pub(crate) fn wake_at(&self, at: Instant, waker: &Waker) -> Alarm {
        // Cloned without the lock, because a waker is a user's code, which may call this again.
        let waker = waker.clone();
        let mut table = self.0.table.lock();
        table.next += 1;
        let key = (at, table.next);
        table.wakers.insert(key, waker);
        if table.has_thread {
            self.0.changed.notify_one();
        } else {
            table.has_thread = true;
            let alarms = Arc::clone(&self.0);
            let named = thread::Builder::new().name("annals-consumer-timer".into());
            if let Err(error) = named.spawn(move || alarms.run()) {
                table.has_thread = false;
                tracing::error!(%error, "no thread for a timer; a pause ends with the next event");
            }
        }
        drop(table);
        Alarm { alarms: Arc::clone(&self.0), key }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let removed = self.alarms.table.lock().wakers.remove(&self.key);
        drop(removed);
        self.alarms.changed.notify_one();
    }
}

impl Alarms {
    /// Wakes wakers until none is left.
    fn run(&self) {
        let mut table = self.table.lock();
        while let Some((&(at, _), _)) = table.wakers.first_key_value() {
            if at > Instant::now() {
                self.changed.wait_until(&mut table, at);
            } else if let Some((_, waker)) = table.wakers.pop_first() {
                parking_lot::MutexGuard::unlocked(&mut table, || wake(waker));
            }
        }
        table.has_thread = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_timer_wakes_in_order_and_its_thread_ends() {
        let timer = Timer::default();
        let parker = Parker::new();
        let waker = parker.waker();
        for _ in 0..3 {
            let soon = timer.wake_at(Instant::now(), &waker);
            let late = timer.wake_at(Instant::now() + Duration::from_secs(3_600), &waker);
            // Parks for ever unless the first alarm wakes this thread.
            while timer.0.table.lock().wakers.contains_key(&soon.key) {
                parker.park_until(None);
            }
            drop(late);
            while timer.0.table.lock().has_thread {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_waker_that_panics_harms_no_other() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                std::panic::resume_unwind(Box::new("a waker that panics"));
            }
        }
        let (timer, parker) = (Timer::default(), Parker::new());
        let now = Instant::now();
        let _first = timer.wake_at(now, &Waker::from(Arc::new(Panics)));
        let second = timer.wake_at(now, &parker.waker());
        // Parks until the second alarm wakes this thread.
        while timer.0.table.lock().wakers.contains_key(&second.key) {
            parker.park_until(None);
        }
    }

    #[test]
    fn those_that_wait_longest_and_can_work_are_taken_first() {
        let waiting = Waiting::default();
        let [a, b] = ["a", "b"].map(Arc::<str>::from);
        let [first, second, third] = [&a, &b, &a].map(|name| waiting.add(name, Waker::noop()));
        for ticket in [first, second, third] {
            waiting.note(ticket, None, true);
        }
        assert_eq!(waiting.take(0, true, None, |_| true).len(), 0);
        assert_eq!(waiting.take(1, true, None, |worker| worker == "b").len(), 1);
        assert_eq!(waiting.take(1, true, None, |_| true).len(), 1);
        assert!(!waiting.remove(third));
        assert_eq!(waiting.take(9, true, None, |_| true).len(), 0);
    }

    #[test]
    fn one_worker_wakes_for_the_next_time_and_those_for_which_no_append_does() {
        let waiting = Waiting::default();
        let name = Arc::<str>::from("a");
        let [first, second] = [(); 2].map(|()| waiting.add(&name, Waker::noop()));
        waiting.note(first, None, true);
        waiting.note(second, Some(10), true);
        assert_eq!(waiting.take(0, true, Some(10), |_| true).len(), 0);
        assert_eq!(waiting.take(0, true, Some(9), |_| true).len(), 1);
        waiting.note(second, Some(10), false);
        assert_eq!(waiting.take(0, false, None, |_| true).len(), 0);
        assert_eq!(waiting.take(0, true, None, |_| false).len(), 0);
        assert_eq!(waiting.take(0, true, None, |_| true).len(), 1);
    }
}
