//! The fairness lock of a store: many decisions share it, and a decision that lost often takes it alone.

use std::time::{Duration, Instant};

use annals_base::{Condvar, Mutex};

/// A lock that many threads share or one has alone, whose waits are all bounded. While a thread waits to have it alone,
/// no other thread begins to share it.
#[derive(Default)]
pub(crate) struct FairnessLock {
    holders: Mutex<Holders>,
    released: Condvar,
}

#[derive(Default)]
struct Holders {
    shared: usize,
    alone: bool,
    /// The threads that wait to have the lock alone.
    waiting_alone: usize,
}

/// Holds a [`FairnessLock`] until it is dropped.
pub(crate) struct FairnessGuard<'a> {
    lock: &'a FairnessLock,
    alone: bool,
}

impl FairnessLock {
    /// Shares the lock. Returns `None` if that is not possible within `timeout`.
    pub(crate) fn share(&self, timeout: Duration) -> Option<FairnessGuard<'_>> {
        let deadline = Instant::now() + timeout;
        let mut holders = self.holders.lock();
        while holders.alone || holders.waiting_alone > 0 {
            let timed_out;
            (holders, timed_out) = self.released.wait_until(holders, deadline);
            if timed_out {
                return None;
            }
        }
        holders.shared += 1;
        Some(FairnessGuard { lock: self, alone: false })
    }

    /// Takes the lock alone. Returns `None` if that is not possible within `timeout`.
    pub(crate) fn take(&self, timeout: Duration) -> Option<FairnessGuard<'_>> {
        let deadline = Instant::now() + timeout;
        let mut holders = self.holders.lock();
        holders.waiting_alone += 1;
        let mut timed_out = false;
        while !timed_out && (holders.alone || holders.shared > 0) {
            (holders, timed_out) = self.released.wait_until(holders, deadline);
        }
        holders.waiting_alone -= 1;
        if timed_out {
            // Threads that wait to share the lock have waited for this one.
            self.released.notify_all();
            return None;
        }
        holders.alone = true;
        Some(FairnessGuard { lock: self, alone: true })
    }
}

impl Drop for FairnessGuard<'_> {
    fn drop(&mut self) {
        let mut holders = self.lock.holders.lock();
        if self.alone {
            holders.alone = false;
        } else {
            holders.shared -= 1;
        }
        let is_free = holders.shared == 0;
        drop(holders);
        if is_free {
            self.lock.released.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn many_share_it_and_one_has_it_alone() {
        let lock = FairnessLock::default();
        let shared = [lock.share(NOW), lock.share(NOW)];
        assert!(shared.iter().all(Option::is_some));
        assert!(lock.take(NOW).is_none());
        drop(shared);
        let alone = lock.take(NOW);
        assert!(alone.is_some() && lock.share(NOW).is_none() && lock.take(NOW).is_none());
        drop(alone);
        assert!(lock.share(NOW).is_some());
    }

    #[test]
    fn a_thread_that_waits_gets_the_lock_when_it_is_released() {
        let lock = FairnessLock::default();
        let shared = lock.share(NOW);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock.take(Duration::from_secs(60)).is_some());
            // While the thread waits, nobody else begins to share the lock.
            while lock.holders.lock().waiting_alone == 0 {
                std::thread::yield_now();
            }
            assert!(lock.share(NOW).is_none());
            drop(shared);
            assert!(waiting.join().unwrap());
        });
        assert!(lock.share(NOW).is_some());
    }
}
