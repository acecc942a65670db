//! The leader–follower queue of a group commit: one thread at a time leads, and executes the requests of
//! all threads that wait.
//!
//! ```text
//!   no thread leads ──try_lead──▶ this thread leads ──resign──▶ no request waits: no thread leads any more
//!                                      ▲                   └──▶ a request waits: the first one is led next
//!                                      └── take_lead ◀── Waiter::lead, or the helper's call
//! ```
//! No request waits while no thread leads: a request joins the queue only while a thread leads, and a leader that ends
//! hands the leadership to the first request that waits.
//!
//! A thread that finds no leader leads and resigns with one atomic operation each, without the lock:
//!
//! ```text
//!   lead    IDLE ──try_lead_alone──▶ LED ──resign_alone──▶ IDLE
//!                                     └─ push, wait_until_idle ─▶ LED | AWAITED ──resign, under the lock──▶ …
//! ```
//! The first request that joins the queue, and a thread that waits for its end, set `AWAITED`. Then `resign_alone`
//! fails, and the leader resigns under the lock.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::task::{Poll, Waker};

use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, this_thread, wait};

/// No thread leads, and no request waits.
const IDLE: usize = 0;
/// A thread leads or is about to lead.
const LED: usize = 1;
/// The leader must resign under the lock, because a request waits or a thread waits for the end of the lead. Only set
/// together with [`LED`].
const AWAITED: usize = 2;

/// A queue of requests `R`, and `X`, which the same lock guards.
#[derive(Debug)]
pub struct LeaderQueue<R, X> {
    /// `IDLE`, `LED`, or `LED | AWAITED`. Without the lock it changes between `IDLE` and `LED` only.
    lead: AtomicUsize,
    /// The thread that leads, once it has taken the lead, or 0.
    leader: AtomicUsize,
    state: Mutex<LeaderQueueState<R, X>>,
    /// Notified when no thread leads any more.
    idle: Condvar,
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
    queue: &'a LeaderQueue<R, X>,
    state: MutexGuard<'a, LeaderQueueState<R, X>>,
}

impl<R, X> LeaderQueue<R, X> {
    /// Makes an empty queue that no thread leads.
    #[must_use]
    pub fn new(extra: X) -> Self {
        Self {
            lead: AtomicUsize::new(IDLE),
            leader: AtomicUsize::new(0),
            state: Mutex::new(LeaderQueueState { waiting: VecDeque::new(), extra }),
            idle: Condvar::new(),
        }
    }

    /// Locks the queue.
    pub fn lock(&self) -> LeaderQueueGuard<'_, R, X> {
        LeaderQueueGuard { queue: self, state: self.state.lock() }
    }

    /// Makes this thread the leader if no thread leads, without the lock. Returns whether it did.
    #[inline]
    #[must_use]
    pub fn try_lead_alone(&self) -> bool {
        // AcqRel: Acquire pairs with the Release of the leader before, in `resign_alone` or `resign`, and of a thread
        // that looked in `await_end`. Release pairs with the read in `await_end`. Relaxed on failure: nothing is read.
        let led =
            self.lead.compare_exchange(IDLE, LED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if led {
            self.set_leader(this_thread());
        }
        led
    }

    /// Ends this thread's leadership without the lock, if no request waits and no thread waits for the end. Returns
    /// whether it did. Otherwise the thread leads on, and must end its leadership with [`resign`](Self::resign).
    #[inline]
    #[must_use = "a thread that leads on must resign under the lock"]
    pub fn resign_alone(&self) -> bool {
        debug_assert!(self.is_led_here(), "the thread that resigns does not lead");
        self.set_leader(0);
        // Release: pairs with the Acquire in `try_lead_alone`, `try_lead` and `await_end`. Relaxed on failure: `resign`
        // looks at what waits under the lock.
        let resigned =
            self.lead.compare_exchange(LED, IDLE, Ordering::Release, Ordering::Relaxed).is_ok();
        if !resigned {
            self.set_leader(this_thread());
        }
        resigned
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
        let LeaderQueueGuard { queue, mut state } = guard;
        while self.await_end() {
            state = wait(&self.idle, state);
        }
        LeaderQueueGuard { queue, state }
    }

    /// Makes the leader resign under the lock, which the caller holds. Returns whether there is a leader.
    fn await_end(&self) -> bool {
        // AcqRel, always a write: either this reads what a leader wrote in `try_lead_alone`, and waits for it, or that
        // leader reads what this writes, and sees all that this thread wrote before.
        let awaited = |lead| Some(if lead == IDLE { IDLE } else { lead | AWAITED });
        let lead = self.lead.fetch_update(Ordering::AcqRel, Ordering::Acquire, awaited);
        lead != Ok(IDLE)
    }

    /// Ends this thread's leadership. Returns whether a request waits. If so, the queue still counts as led, and the
    /// caller must make a thread take the lead.
    pub fn resign(&self, queue: &mut LeaderQueueGuard<'_, R, X>) -> bool {
        debug_assert!(queue.is_led(), "the thread that resigns does not lead");
        self.set_leader(0);
        let waits = !queue.state.waiting.is_empty();
        if !waits {
            // Release: pairs with the Acquire in `try_lead_alone`, `try_lead` and `await_end`.
            self.lead.store(IDLE, Ordering::Release);
            self.idle.notify_all();
        }
        waits
    }

    /// Returns whether a thread leads or is about to lead.
    #[inline]
    #[must_use]
    pub fn is_led(&self) -> bool {
        // Relaxed: pairs with the writes of `lead` and orders nothing. Without the lock it is a guess.
        self.lead.load(Ordering::Relaxed) != IDLE
    }

    /// Returns whether this thread leads.
    #[inline]
    #[must_use]
    pub fn is_led_here(&self) -> bool {
        // Relaxed: pairs with the store in `set_leader`. A thread that leads has stored this itself, and for any other
        // thread all values lead to the result false.
        self.leader.load(Ordering::Relaxed) == this_thread()
    }

    fn set_leader(&self, leader: usize) {
        // Relaxed: pairs with the load in `is_led_here`.
        self.leader.store(leader, Ordering::Relaxed);
    }
}

impl<R, X> LeaderQueueGuard<'_, R, X> {
    /// Makes this thread the leader if no thread leads. Returns whether it did.
    #[inline]
    pub fn try_lead(&mut self) -> bool {
        self.queue.try_lead_alone()
    }

    /// Adds a request to the end of the queue. Returns whether no thread led. If so, the queue counts as led from now
    /// on, and the caller must make a thread take the lead.
    #[must_use = "a queue that is not led does not move"]
    pub fn push(&mut self, request: R) -> bool {
        self.state.waiting.push_back(request);
        // AcqRel: Acquire pairs with the Release of the leader before; Release with the Acquire of the next one.
        self.queue.lead.fetch_or(LED | AWAITED, Ordering::AcqRel) == IDLE
    }

    /// Makes this thread the leader, after [`Bell::take_lead`](crate::Bell::take_lead), a call of the helper, or
    /// [`push`](Self::push) returned true.
    pub fn take_lead(&mut self) {
        debug_assert!(self.is_led(), "nothing is led");
        self.queue.set_leader(this_thread());
    }

    /// Returns whether a thread leads or is about to lead.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.queue.is_led()
    }

    /// Returns whether this thread leads.
    #[inline]
    #[must_use]
    pub fn is_led_here(&self) -> bool {
        self.queue.is_led_here()
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

/// The wait of one request's sender for its result. A sender that blocks, and may lead, hears of both by a
/// [`Bell`](crate::Bell).
#[derive(Debug)]
pub struct Waiter<A>(Mutex<WaiterState<A>>);

#[derive(Debug)]
enum WaiterState<A> {
    Waiting(Option<Waker>),
    Done(A),
}

impl<A> Default for Waiter<A> {
    fn default() -> Self {
        Self(Mutex::new(WaiterState::Waiting(None)))
    }
}

impl<A> Waiter<A> {
    /// Passes the result to the sender. The caller wakes the waker that this returns.
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn complete(&self, result: A) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), WaiterState::Done(result)) {
            WaiterState::Waiting(waker) => waker,
            WaiterState::Done(_) => None,
        }
    }

    /// Takes the result, for a sender that does not wait by a waker.
    pub fn take(&self) -> Option<A> {
        match std::mem::replace(&mut *self.0.lock(), WaiterState::Waiting(None)) {
            WaiterState::Done(result) => Some(result),
            WaiterState::Waiting(_) => None,
        }
    }

    /// Returns the result. If it has not come yet, stores `waker`; [`complete`](Self::complete) then returns it to its
    /// caller.
    pub fn poll(&self, waker: &Waker) -> Poll<A> {
        // Wakers are cloned and dropped without the lock, because both run a user's code, which may call this again.
        let waiting = WaiterState::Waiting(Some(waker.clone()));
        let before = std::mem::replace(&mut *self.0.lock(), waiting);
        match before {
            WaiterState::Waiting(_) => Poll::Pending,
            WaiterState::Done(result) => Poll::Ready(result),
        }
    }
}
