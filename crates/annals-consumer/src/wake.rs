//! Waiting: threads as wakers, a list of waiting workers, and a timer for tasks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Returns a waker that unparks the calling thread.
pub(crate) fn thread_waker() -> Waker {
    struct Unparks(Thread);
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unparks(thread::current())))
}

/// Parks the calling thread until it is unparked, or until an instant.
pub(crate) fn park_until(until: Option<Instant>) {
    match until {
        None => thread::park(),
        Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
    }
}

/// The workers that wait for a delivery, in order.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Queue>);

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
}

impl Waiting {
    /// Adds the waker of a worker. Returns its ticket.
    pub(crate) fn add(&self, worker: &Arc<str>, waker: &Waker) -> u64 {
        let mut queue = self.0.lock();
        queue.next += 1;
        let (ticket, worker, waker) = (queue.next, Arc::clone(worker), waker.clone());
        queue.wakers.push_back(Waiter { ticket, worker, waker });
        ticket
    }

    /// Removes a waker. Returns false if it was woken before.
    pub(crate) fn remove(&self, ticket: u64) -> bool {
        let mut queue = self.0.lock();
        let found = queue.wakers.iter().position(|waiter| waiter.ticket == ticket);
        found.map(|at| queue.wakers.remove(at)).is_some()
    }

    /// Removes and returns at most `count` wakers of workers for which `can_work` returns true, those that wait longest
    /// first. The caller wakes them.
    #[must_use]
    pub(crate) fn take(&self, count: usize, can_work: impl Fn(&str) -> bool) -> Vec<Waker> {
        if count == 0 {
            return Vec::new();
        }
        let mut queue = self.0.lock();
        let (mut taken, mut at) = (Vec::new(), 0);
        while taken.len() < count && at < queue.wakers.len() {
            if can_work(&queue.wakers[at].worker) {
                taken.extend(queue.wakers.remove(at).map(|waiter| waiter.waker));
            } else {
                at += 1;
            }
        }
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
        let mut table = self.0.table.lock();
        table.next += 1;
        let key = (at, table.next);
        table.wakers.insert(key, waker.clone());
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
        self.alarms.table.lock().wakers.remove(&self.key);
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
                parking_lot::MutexGuard::unlocked(&mut table, || waker.wake());
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
        let waker = thread_waker();
        for _ in 0..3 {
            let soon = timer.wake_at(Instant::now(), &waker);
            let late = timer.wake_at(Instant::now() + Duration::from_secs(3_600), &waker);
            // Parks for ever unless the first alarm wakes this thread.
            while timer.0.table.lock().wakers.contains_key(&soon.key) {
                thread::park();
            }
            drop(late);
            while timer.0.table.lock().has_thread {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn those_that_wait_longest_and_can_work_are_taken_first() {
        let waiting = Waiting::default();
        let [a, b] = ["a", "b"].map(Arc::<str>::from);
        let [first, second, third] = [&a, &b, &a].map(|name| waiting.add(name, Waker::noop()));
        assert_eq!(waiting.take(0, |_| true).len(), 0);
        assert_eq!(waiting.take(1, |worker| worker == "b").len(), 1);
        assert!(!waiting.remove(second));
        assert_eq!(waiting.take(1, |_| true).len(), 1);
        assert!(!waiting.remove(first) && waiting.remove(third));
        assert_eq!(waiting.take(9, |_| true).len(), 0);
    }
}
