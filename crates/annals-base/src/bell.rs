//! A bell that many threads wait for, and that wakes all of them with one call of the system.
//!
//! ```text
//!   a waiting thread                    the thread that rings
//!   seen = rings            (Acquire)   writes what the other waits for
//!   looks for it: not there             rings += 1                       (Release)
//!   sleeps while rings == seen          wakes those that sleep
//! ```
//! A thread that looks too early has read a number of rings that is out of date, so it does not sleep.
//! The system compares the number and puts the thread to sleep in one step (on Linux a futex, elsewhere a lock).

use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// A bell that wakes the threads that wait for it. It also offers the lead of a queue to one of them.
///
/// ```
/// use annals_base::Bell;
///
/// let bell = Bell::default();
/// let seen = bell.rings();
/// bell.ring();
/// bell.wait(seen); // does not sleep: the bell rang since
/// assert!(!bell.take_lead());
/// bell.offer_lead();
/// assert!(bell.take_lead() && !bell.take_lead());
/// ```
#[derive(Debug, Default)]
pub struct Bell {
    rings: AtomicU32,
    lead: AtomicBool,
    sleep: system::Sleep,
}

impl Bell {
    /// Returns the number of rings, to be passed to [`wait`](Self::wait). What a thread wrote before these rings is
    /// visible.
    #[must_use]
    pub fn rings(&self) -> u32 {
        // Acquire: pairs with the addition in `count`.
        self.rings.load(Ordering::Acquire)
    }

    /// Sleeps until the bell rings, unless it rang since [`rings`](Self::rings) returned `seen`. May return earlier.
    pub fn wait(&self, seen: u32) {
        self.sleep.wait(&self.rings, seen);
    }

    /// Rings: wakes all threads that wait.
    pub fn ring(&self) {
        self.count();
        self.sleep.wake_all(&self.rings);
    }

    /// Offers the lead to the threads that wait, and wakes one of them. A thread that was awake may take it instead.
    pub fn offer_lead(&self) {
        // Release: pairs with the swap in `take_lead`.
        self.lead.store(true, Ordering::Release);
        self.count();
        self.sleep.wake_one(&self.rings);
    }

    /// Takes the lead, if it is offered.
    #[must_use = "the lead that is taken is not offered any more"]
    pub fn take_lead(&self) -> bool {
        // Relaxed: only a look, which saves most threads the swap. A thread that must see the offer has read the number
        // of rings with it.
        // AcqRel: pairs with the store in `offer_lead`; of several threads, one reads it.
        self.lead.load(Ordering::Relaxed) && self.lead.swap(false, Ordering::AcqRel)
    }

    fn count(&self) {
        // Release: pairs with the load in `rings`.
        self.rings.fetch_add(1, Ordering::Release);
    }
}

#[cfg(all(target_os = "linux", not(any(loom, miri))))]
mod system {
    use rustix::thread::futex::{Flags, wait, wake};

    use super::AtomicU32;

    /// The threads sleep in the system, which finds them by the number's address.
    #[derive(Debug, Default)]
    pub(super) struct Sleep;

    #[expect(clippy::unused_self, reason = "other systems need a lock")]
    impl Sleep {
        /// Any error means that the thread has not slept, or was woken early.
        pub(super) fn wait(&self, rings: &AtomicU32, seen: u32) {
            let _ = wait(rings, Flags::PRIVATE, seen, None);
        }

        pub(super) fn wake_one(&self, rings: &AtomicU32) {
            let _ = wake(rings, Flags::PRIVATE, 1);
        }

        pub(super) fn wake_all(&self, rings: &AtomicU32) {
            let _ = wake(rings, Flags::PRIVATE, i32::MAX.unsigned_abs());
        }
    }
}

#[cfg(not(all(target_os = "linux", not(any(loom, miri)))))]
mod system {
    use super::{AtomicU32, Ordering};
    use crate::sync::{self, Condvar, Mutex};

    /// The threads sleep at a condition variable.
    #[derive(Debug, Default)]
    pub(super) struct Sleep {
        lock: Mutex<()>,
        rung: Condvar,
    }

    impl Sleep {
        pub(super) fn wait(&self, rings: &AtomicU32, seen: u32) {
            let lock = self.lock.lock();
            // Relaxed: `Bell::rings` orders what the caller looks at next.
            if rings.load(Ordering::Relaxed) == seen {
                drop(sync::wait(&self.rung, lock));
            }
        }

        pub(super) fn wake_one(&self, _: &AtomicU32) {
            // A thread that is between its look at the number and its sleep has the lock.
            drop(self.lock.lock());
            self.rung.notify_one();
        }

        pub(super) fn wake_all(&self, _: &AtomicU32) {
            drop(self.lock.lock());
            self.rung.notify_all();
        }
    }
}
