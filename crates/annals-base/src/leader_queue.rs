//! The leader–follower queue of a group commit: one thread at a time leads, and executes the requests of
//! all threads that wait. It executes them on the target, which the queue has as well.
//!
//! ```text
//!   no thread leads ──try_lead──▶ this thread leads ──resign──▶ no request waits: no thread leads any more
//!                                      ▲                   └──▶ a request waits: the first one is led next
//!                                      └── take_lead ◀── Waiter::lead, or the helper's call
//! ```
//! No request waits while no thread leads: a request joins the queue only while a thread leads, and a leader that ends
//! hands the leadership to the first request that waits.
//!
//! A thread that finds no leader takes the lead and the target, and gives both back, with one atomic operation each,
//! without the lock:
//!
//! ```text
//!   IDLE ──try_lead_alone──▶ LED | HELD ──resign_alone──▶ IDLE
//!                                │ └─ push, wait_until_idle ─▶ … | AWAITED ──resign, under the lock──▶ …
//!                                └─ borrow_target ───────────▶ … | BORROWED: the borrower waits until HELD is gone
//! ```
//! The first request that joins the queue, and a thread that waits for its end, set `AWAITED`. A thread that wants the
//! target without leading sets `BORROWED`. Either way `resign_alone` fails, and the leader resigns under the lock.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, this_thread, wait};

/// No thread leads, no request waits, and no thread has the target.
const IDLE: usize = 0;
/// A thread leads or is about to lead.
const LED: usize = 1;
/// The leader must resign under the lock, because a request waits or a thread waits for the end of the lead. Only set
/// together with [`LED`].
const AWAITED: usize = 2;
/// The leader has the target. Only set together with [`LED`].
const HELD: usize = 4;
/// A thread that need not lead has the target, or gets it as soon as the leader no longer holds it.
const BORROWED: usize = 8;

/// A queue of requests `R`, and `X`, which the same lock guards, and the target `T` of the requests.
pub struct LeaderQueue<R, X, T> {
    lead: Lead,
    state: Mutex<LeaderQueueState<R, X>>,
    /// Notified when no thread leads any more, and when a thread gives back a target that another one waits for.
    changed: Condvar,
    target: UnsafeCell<T>,
}

// SAFETY: the lock guards `R` and `X`, and `lead` lets one thread at a time have the target: see `TargetGuard`, which is
// shared between threads only if `T` may be. So each value is used by one thread at a time, which `Send` allows.
unsafe impl<R: Send, X: Send, T: Send> Sync for LeaderQueue<R, X, T> {}

/// The thread that leads, and whether a thread has the target.
#[derive(Debug)]
struct Lead {
    /// `IDLE`, or some of `LED`, `AWAITED`, `HELD` and `BORROWED`.
    word: AtomicUsize,
    /// The thread that leads, once it has taken the lead, or 0.
    leader: AtomicUsize,
}

/// The data that the lock of a [`LeaderQueue`] guards.
#[derive(Debug)]
pub struct LeaderQueueState<R, X> {
    waiting: VecDeque<R>,
    /// Data of the queue's user, guarded by the same lock.
    pub extra: X,
}

/// The lock of a [`LeaderQueue`], held.
#[derive(Debug)]
pub struct LeaderQueueGuard<'a, R, X> {
    lead: &'a Lead,
    state: MutexGuard<'a, LeaderQueueState<R, X>>,
}

/// The target of a [`LeaderQueue`], which this thread has. Dropping it gives the target back. A thread that holds the
/// queue's lock must not drop it, because dropping may take that lock.
///
/// Like a lock's guard, it stays on its thread, and is shared between threads only if the target may be:
///
/// ```compile_fail
/// fn share<T: Sync>(_: T) {}
/// let queue = annals_base::LeaderQueue::<(), _, _>::new((), std::cell::Cell::new(1));
/// share(queue.borrow_target());
/// ```
pub struct TargetGuard<'a, R, X, T> {
    queue: &'a LeaderQueue<R, X, T>,
    /// The bit that says so: `HELD` or `BORROWED`.
    bit: usize,
    /// Makes the guard neither `Send` nor `Sync` by itself.
    target: PhantomData<*mut T>,
}

// SAFETY: a shared guard only lends `&T`, which threads may share if `T` is `Sync`.
unsafe impl<R: Send, X: Send, T: Send + Sync> Sync for TargetGuard<'_, R, X, T> {}

impl<R, X, T> LeaderQueue<R, X, T> {
    /// Makes an empty queue that no thread leads.
    #[must_use]
    pub fn new(extra: X, target: T) -> Self {
        Self {
            lead: Lead { word: AtomicUsize::new(IDLE), leader: AtomicUsize::new(0) },
            state: Mutex::new(LeaderQueueState { waiting: VecDeque::new(), extra }),
            changed: Condvar::new(),
            target: UnsafeCell::new(target),
        }
    }

    /// Locks the queue.
    pub fn lock(&self) -> LeaderQueueGuard<'_, R, X> {
        LeaderQueueGuard { lead: &self.lead, state: self.state.lock() }
    }

    /// Makes this thread the leader, and returns the target, if no thread leads or has the target. Does not lock.
    #[inline]
    #[must_use]
    pub fn try_lead_alone(&self) -> Option<TargetGuard<'_, R, X, T>> {
        // AcqRel: Acquire pairs with the Release of the leader before, in `resign_alone` or `resign`, of the last
        // borrower, in `TargetGuard::drop`, and of a thread that looked in `await_end`. Release pairs with the read in
        // `await_end`. Relaxed on failure: nothing is read.
        let word = &self.lead.word;
        word.compare_exchange(IDLE, LED | HELD, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.lead.set_leader(this_thread());
        Some(TargetGuard::new(self, HELD))
    }

    /// Ends this thread's leadership without the lock, if no request waits and no thread waits for the end or has the
    /// target. Returns whether it did. Otherwise the thread leads on, and must end its leadership with
    /// [`resign`](Self::resign).
    #[inline]
    #[must_use = "a thread that leads on must resign under the lock"]
    pub fn resign_alone(&self) -> bool {
        self.lead.resign_from(LED)
    }

    /// Returns the target to the leader. Waits while a thread that does not lead has it.
    ///
    /// # Panics
    /// Panics if this thread does not lead.
    #[must_use]
    pub fn target(&self) -> TargetGuard<'_, R, X, T> {
        assert!(self.is_led_here(), "the thread that takes the target does not lead");
        if !self.lead.take(HELD) {
            self.wait_for(|lead| lead.take(HELD));
        }
        TargetGuard::new(self, HELD)
    }

    /// Returns the target to any thread, also to the leader while that does not have it. Waits while another thread
    /// has it. A leader that wants the target waits for this thread.
    #[must_use]
    pub fn borrow_target(&self) -> TargetGuard<'_, R, X, T> {
        self.wait_for(|lead| lead.take(BORROWED));
        // From here on, no leader takes the target. One that has it gives it back first.
        self.wait_for(|lead| !lead.has(HELD));
        TargetGuard::new(self, BORROWED)
    }

    /// Waits until `done` returns true. A change of the lead that makes it true notifies `changed`.
    fn wait_for(&self, done: impl Fn(&Lead) -> bool) {
        let mut state = self.state.lock();
        while !done(&self.lead) {
            state = wait(&self.changed, state);
        }
    }

    /// Waits until no thread leads, which implies that no request waits. A thread that leads after this has returned
    /// sees what this thread wrote before the call.
    ///
    /// # Panics
    /// Panics if the leading thread calls it, because that thread would wait for itself.
    pub fn wait_until_idle<'a>(
        &'a self,
        guard: LeaderQueueGuard<'a, R, X>,
    ) -> LeaderQueueGuard<'a, R, X> {
        assert!(!self.is_led_here(), "the leader waits for itself");
        let LeaderQueueGuard { lead, mut state } = guard;
        while lead.await_end() {
            state = wait(&self.changed, state);
        }
        LeaderQueueGuard { lead, state }
    }

    /// Ends this thread's leadership. The thread has given the target back before. Returns whether a request waits. If
    /// so, the queue still counts as led, and the caller must make a thread take the lead.
    pub fn resign(&self, queue: &mut LeaderQueueGuard<'_, R, X>) -> bool {
        debug_assert!(queue.is_led(), "the thread that resigns does not lead");
        self.lead.set_leader(0);
        let waits = !queue.state.waiting.is_empty();
        if !waits {
            // Release: pairs with the Acquire in `try_lead_alone`, `try_lead` and `await_end`.
            let before = self.lead.word.fetch_and(!(LED | AWAITED), Ordering::Release);
            debug_assert!(before & HELD == 0, "the thread that resigns has the target");
            // A notification is a call of the system, also if no thread waits. One that waits for the end has set
            // `AWAITED` under the lock, which the caller holds.
            if before & AWAITED != 0 {
                self.changed.notify_all();
            }
        }
        waits
    }

    /// Returns whether a thread leads or is about to lead.
    #[inline]
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.lead.is_led()
    }

    /// Returns whether this thread leads.
    #[inline]
    #[must_use]
    pub fn is_led_here(&self) -> bool {
        self.lead.is_led_here()
    }
}

impl Lead {
    /// Returns whether a thread leads or is about to lead.
    #[inline]
    fn is_led(&self) -> bool {
        // Relaxed: pairs with the writes of `word` and orders nothing. Without the lock it is a guess.
        self.word.load(Ordering::Relaxed) & LED != 0
    }

    /// Returns whether this thread leads.
    #[inline]
    fn is_led_here(&self) -> bool {
        // Relaxed: pairs with the store in `set_leader`. A thread that leads has stored this itself, and for any other
        // thread all values lead to the result false.
        self.leader.load(Ordering::Relaxed) == this_thread()
    }

    #[inline]
    fn set_leader(&self, leader: usize) {
        // Relaxed: pairs with the load in `is_led_here`.
        self.leader.store(leader, Ordering::Relaxed);
    }

    /// Ends this thread's leadership if the word is `led`. Returns whether it did.
    #[inline]
    fn resign_from(&self, led: usize) -> bool {
        debug_assert!(self.is_led_here(), "the thread that resigns does not lead");
        self.set_leader(0);
        // Release: pairs with the Acquire in `try_lead_alone`, `try_lead` and `await_end`. Relaxed on failure: a thread
        // that resigns under the lock, or gives the target back, writes again.
        let resigned =
            self.word.compare_exchange(led, IDLE, Ordering::Release, Ordering::Relaxed).is_ok();
        if !resigned {
            self.set_leader(this_thread());
        }
        resigned
    }

    /// Counts as led from now on if no thread leads. Returns whether it does.
    fn try_lead(&self) -> bool {
        let led = |word| (word & LED == 0).then_some(word | LED);
        // AcqRel: as in `try_lead_alone`.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, led).is_ok()
    }

    /// Makes the leader resign under the lock, which the caller holds. Returns whether there is a leader.
    fn await_end(&self) -> bool {
        // AcqRel, always a write: either this reads what a leader wrote in `try_lead_alone`, and waits for it, or that
        // leader reads what this writes, and sees all that this thread wrote before.
        let awaited = |word| Some(if word & LED == 0 { word } else { word | AWAITED });
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, awaited);
        before.is_ok_and(|before| before & LED != 0)
    }

    /// Sets `bit`, unless it is set or the target is borrowed. Returns whether it did.
    fn take(&self, bit: usize) -> bool {
        let taken = |word| (word & (BORROWED | bit) == 0).then_some(word | bit);
        // Acquire: pairs with the Release of the thread that had the target before, in `TargetGuard::drop` or
        // `resign_alone`. Relaxed on failure: nothing is read.
        self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, taken).is_ok()
    }

    fn has(&self, bit: usize) -> bool {
        // Acquire: pairs with the Release of the leader, in `TargetGuard::drop`.
        self.word.load(Ordering::Acquire) & bit != 0
    }
}

impl<R, X> LeaderQueueGuard<'_, R, X> {
    /// Makes this thread the leader if no thread leads. Returns whether it did.
    #[inline]
    pub fn try_lead(&mut self) -> bool {
        let led = self.lead.try_lead();
        if led {
            self.lead.set_leader(this_thread());
        }
        led
    }

    /// Adds a request to the end of the queue. Returns whether no thread led. If so, the queue counts as led from now
    /// on, and the caller must make a thread take the lead.
    #[must_use = "a queue that is not led does not move"]
    pub fn push(&mut self, request: R) -> bool {
        self.state.waiting.push_back(request);
        // AcqRel: Acquire pairs with the Release of the leader before; Release with the Acquire of the next one.
        self.lead.word.fetch_or(LED | AWAITED, Ordering::AcqRel) & LED == 0
    }

    /// Makes this thread the leader, after [`Bell::take_lead`](crate::Bell::take_lead), a call of the helper, or
    /// [`push`](Self::push) returned true.
    pub fn take_lead(&mut self) {
        debug_assert!(self.is_led(), "nothing is led");
        self.lead.set_leader(this_thread());
    }

    /// Returns whether a thread leads or is about to lead.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.lead.is_led()
    }

    /// Returns whether this thread leads.
    #[inline]
    #[must_use]
    pub fn is_led_here(&self) -> bool {
        self.lead.is_led_here()
    }
}

impl<R, X> LeaderQueueState<R, X> {
    /// Returns the waiting requests, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &R> {
        self.waiting.iter()
    }

    /// Removes the first `count` waiting requests and returns them. Only the leader calls this.
    pub fn take(&mut self, count: usize) -> Vec<R> {
        self.waiting.drain(..count).collect()
    }
}

impl<R, X> Deref for LeaderQueueGuard<'_, R, X> {
    type Target = LeaderQueueState<R, X>;

    fn deref(&self) -> &Self::Target {
        &self.state
    }
}

impl<R, X> DerefMut for LeaderQueueGuard<'_, R, X> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.state
    }
}

impl<'a, R, X, T> TargetGuard<'a, R, X, T> {
    fn new(queue: &'a LeaderQueue<R, X, T>, bit: usize) -> Self {
        Self { queue, bit, target: PhantomData }
    }

    /// Gives the target back and ends this thread's leadership, as
    /// [`LeaderQueue::resign_alone`] does. If it returns false, the target was given back all the same.
    #[inline]
    #[must_use = "a thread that leads on must resign under the lock"]
    pub fn resign_alone(self) -> bool {
        debug_assert!(self.bit == HELD, "a borrower resigns");
        let resigned = self.queue.lead.resign_from(LED | HELD);
        if resigned {
            std::mem::forget(self);
        }
        resigned
    }
}

impl<R, X, T> Deref for TargetGuard<'_, R, X, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `bit` is set, and only this guard clears it. While it is set, no other guard is made. `take` and
        // `try_lead_alone` set `HELD` while neither bit is set. `take` sets `BORROWED` while it is not set; the thread
        // gets the guard when it has seen `HELD` cleared, and `HELD` is not set again before.
        unsafe { &*self.queue.target.get() }
    }
}

impl<R, X, T> DerefMut for TargetGuard<'_, R, X, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; and the guard is borrowed mutably, so this thread has no other reference.
        unsafe { &mut *self.queue.target.get() }
    }
}

impl<R, X, T> Drop for TargetGuard<'_, R, X, T> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `take`, `has` and `try_lead_alone`.
        let before = self.queue.lead.word.fetch_and(!self.bit, Ordering::Release);
        if before & BORROWED != 0 {
            // A borrower may wait for the leader, a leader for this borrower, or another borrower. A thread that has
            // looked under the lock before this one gets it is asleep by then, and is woken.
            drop(self.queue.state.lock());
            self.queue.changed.notify_all();
        }
    }
}

impl<R: fmt::Debug, X: fmt::Debug, T> fmt::Debug for LeaderQueue<R, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lead, state, .. } = self;
        f.debug_struct("LeaderQueue")
            .field("lead", lead)
            .field("state", state)
            .finish_non_exhaustive()
    }
}

impl<R, X, T: fmt::Debug> fmt::Debug for TargetGuard<'_, R, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TargetGuard").field(&**self).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_leader_that_has_the_target_gives_both_back_at_once() {
        let queue = LeaderQueue::<(), _, _>::new((), 1);
        let mut target = queue.try_lead_alone().expect("no thread leads");
        *target += 1;
        assert!(queue.is_led_here() && queue.try_lead_alone().is_none());
        assert!(target.resign_alone());
        assert!(!queue.is_led());
        assert_eq!(*queue.borrow_target(), 2);
    }

    #[test]
    fn no_thread_leads_alone_while_the_target_is_borrowed() {
        let queue = LeaderQueue::<(), _, _>::new((), 1);
        let borrowed = queue.borrow_target();
        assert!(queue.try_lead_alone().is_none() && !queue.is_led());
        assert!(queue.lock().try_lead(), "under the lock a thread leads, without the target");
        drop(borrowed);
        drop(queue.target());
        assert!(queue.resign_alone());
        assert!(queue.try_lead_alone().is_some_and(TargetGuard::resign_alone));
    }

    #[test]
    fn a_borrower_waits_for_the_leader_and_makes_it_resign_under_the_lock() {
        let queue = LeaderQueue::<(), _, _>::new((), 1);
        let target = queue.try_lead_alone().expect("no thread leads");
        let waits = || queue.lead.word.load(Ordering::Relaxed) & BORROWED != 0;
        let has = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let borrowed = queue.borrow_target();
                has.store(true, Ordering::Relaxed);
                drop(borrowed);
            });
            while !waits() {
                thread::yield_now();
            }
            assert!(!has.load(Ordering::Relaxed));
            assert!(!target.resign_alone(), "the borrower waits");
            assert!(queue.is_led_here());
            drop(queue.target());
            assert!(!queue.resign(&mut queue.lock()), "no request waits");
        });
        assert!(has.into_inner() && !queue.is_led());
    }

    #[test]
    #[should_panic(expected = "does not lead")]
    fn a_thread_that_does_not_lead_does_not_get_the_leaders_target() {
        drop(LeaderQueue::<(), _, _>::new((), 1).target());
    }
}
