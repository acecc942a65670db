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

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::sync::{Condvar, Mutex, MutexGuard, thread, wait};

/// A queue of requests `R`, and `X`, which the same lock guards.
#[derive(Debug)]
pub struct LeaderQueue<R, X> {
    state: Mutex<LeaderQueueState<R, X>>,
    /// Notified when no thread leads any more.
    idle: Condvar,
}

/// The data that the lock of a [`LeaderQueue`] guards.
#[derive(Debug)]
pub struct LeaderQueueState<R, X> {
    waiting: VecDeque<R>,
    /// Whether a thread leads or is about to lead. Never false while a request waits.
    led: bool,
    /// The thread that leads, once it has taken the lead.
    leader: Option<thread::ThreadId>,
    /// Data of the queue's user, guarded by the same lock.
    pub extra: X,
}

/// The lock of a [`LeaderQueue`], held.
pub type LeaderQueueGuard<'a, R, X> = MutexGuard<'a, LeaderQueueState<R, X>>;

impl<R, X> LeaderQueue<R, X> {
    /// Makes an empty queue that no thread leads.
    #[must_use]
    pub fn new(extra: X) -> Self {
        let state = LeaderQueueState { waiting: VecDeque::new(), led: false, leader: None, extra };
        Self { state: Mutex::new(state), idle: Condvar::new() }
    }

    /// Locks the queue.
    pub fn lock(&self) -> LeaderQueueGuard<'_, R, X> {
        self.state.lock()
    }

    /// Waits until no thread leads, which implies that no request waits.
    ///
    /// # Panics
    /// Panics if the leading thread calls it, because that thread would wait for itself.
    pub fn wait_until_idle<'a>(
        &self,
        mut queue: LeaderQueueGuard<'a, R, X>,
    ) -> LeaderQueueGuard<'a, R, X> {
        assert!(!queue.is_led_here(), "the leader waits for itself");
        while queue.led {
            queue = wait(&self.idle, queue);
        }
        queue
    }

    /// Ends this thread's leadership. Returns whether a request waits. If so, the queue still counts as led, and the
    /// caller must make a thread take the lead.
    pub fn resign(&self, queue: &mut LeaderQueueGuard<'_, R, X>) -> bool {
        debug_assert!(queue.led, "the thread that resigns does not lead");
        queue.leader = None;
        queue.led = !queue.waiting.is_empty();
        if !queue.led {
            self.idle.notify_all();
        }
        queue.led
    }
}

impl<R, X> LeaderQueueState<R, X> {
    /// Makes this thread the leader if no thread leads. Returns whether it did.
    #[inline]
    pub fn try_lead(&mut self) -> bool {
        if self.led {
            return false;
        }
        (self.led, self.leader) = (true, Some(thread::current().id()));
        true
    }

    /// Adds a request to the end of the queue. Returns whether no thread led. If so, the queue counts as led from now
    /// on, and the caller must make a thread take the lead.
    #[must_use = "a queue that is not led does not move"]
    pub fn push(&mut self, request: R) -> bool {
        self.waiting.push_back(request);
        !std::mem::replace(&mut self.led, true)
    }

    /// Makes this thread the leader, after [`Waiter::lead`] or a call of the helper.
    pub fn take_lead(&mut self) {
        debug_assert!(self.led && self.leader.is_none(), "two threads lead");
        self.leader = Some(thread::current().id());
    }

    /// Returns whether a thread leads or is about to lead.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.led
    }

    /// Returns whether this thread leads.
    #[inline]
    #[must_use]
    pub fn is_led_here(&self) -> bool {
        self.leader.is_some_and(|leader| leader == thread::current().id())
    }

    /// Returns the waiting requests, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &R> {
        self.waiting.iter()
    }

    /// Removes the first `count` waiting requests and returns them. Only the leader calls this.
    pub fn take(&mut self, count: usize) -> Vec<R> {
        self.waiting.drain(..count).collect()
    }
}

/// The wait of one request's sender: for its result, or for the lead.
#[derive(Debug)]
pub struct Waiter<A>(Mutex<WaiterState<A>>);

#[derive(Debug)]
enum WaiterState<A> {
    Waiting(Option<Waker>),
    Lead,
    Done(A),
}

/// The reason why a [`Waiter`] is woken.
#[derive(Debug, PartialEq, Eq)]
pub enum Wakeup<A> {
    /// The sender takes the lead.
    Lead,
    /// The request is done; this is its result.
    Done(A),
}

impl<A> Default for Waiter<A> {
    fn default() -> Self {
        Self(Mutex::new(WaiterState::Waiting(None)))
    }
}

impl<A> Waiter<A> {
    /// Makes the sender of this request the leader. The caller wakes the waker that this returns.
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn lead(&self) -> Option<Waker> {
        self.wake(WaiterState::Lead)
    }

    /// Passes the result to the sender. The caller wakes the waker that this returns.
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn complete(&self, result: A) -> Option<Waker> {
        self.wake(WaiterState::Done(result))
    }

    fn wake(&self, state: WaiterState<A>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), state) {
            WaiterState::Waiting(waker) => waker,
            WaiterState::Lead | WaiterState::Done(_) => None,
        }
    }

    /// Returns what the sender waits for. If it has not come yet, stores `waker`; [`lead`](Self::lead) or
    /// [`complete`](Self::complete) then returns it to its caller.
    pub fn poll(&self, waker: &Waker) -> Poll<Wakeup<A>> {
        // Wakers are cloned and dropped without the lock, because both run a user's code, which may call this again.
        let waiting = WaiterState::Waiting(Some(waker.clone()));
        let before = std::mem::replace(&mut *self.0.lock(), waiting);
        match before {
            WaiterState::Waiting(_) => Poll::Pending,
            WaiterState::Lead => Poll::Ready(Wakeup::Lead),
            WaiterState::Done(result) => Poll::Ready(Wakeup::Done(result)),
        }
    }
}
