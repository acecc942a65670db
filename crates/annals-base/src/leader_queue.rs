//! A line of requests: one thread at a time leads it, and the other threads wait on tickets.
//!
//! ```text
//!   no thread leads ──try_lead──▶ this thread leads ──resign──▶ no request waits: no thread leads any more
//!                                      ▲                   └──▶ a request waits: the first one is led next
//!                                      └── take_lead ◀── Ticket::lead, or the helper's call
//! ```
//! No request waits while no thread leads: a request joins the line only while a thread leads, and a leader that ends
//! hands the leadership to the first request that waits.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::sync::{Condvar, Mutex, MutexGuard, thread, wait};

/// A line of requests `R`, and `X`, which the same lock guards.
#[derive(Debug)]
pub struct Line<R, X> {
    state: Mutex<LineState<R, X>>,
    /// Notified when no thread leads any more.
    idle: Condvar,
}

/// The data that the lock of a [`Line`] guards.
#[derive(Debug)]
pub struct LineState<R, X> {
    waiting: VecDeque<R>,
    /// Whether a thread leads or is about to lead. Never false while a request waits.
    led: bool,
    /// The thread that leads, once it has taken the lead.
    leader: Option<thread::ThreadId>,
    /// Data of the line's user, guarded by the same lock.
    pub extra: X,
}

/// The lock of a [`Line`], held.
pub type LineGuard<'a, R, X> = MutexGuard<'a, LineState<R, X>>;

impl<R, X> Line<R, X> {
    /// Makes an empty line that no thread leads.
    #[must_use]
    pub fn new(extra: X) -> Self {
        let state = LineState { waiting: VecDeque::new(), led: false, leader: None, extra };
        Self { state: Mutex::new(state), idle: Condvar::new() }
    }

    /// Locks the line.
    pub fn lock(&self) -> LineGuard<'_, R, X> {
        self.state.lock()
    }

    /// Waits until no thread leads, which implies that no request waits.
    ///
    /// # Panics
    /// Panics if the leading thread calls it, because that thread would wait for itself.
    pub fn wait_until_idle<'a>(&self, mut line: LineGuard<'a, R, X>) -> LineGuard<'a, R, X> {
        assert!(!line.is_led_here(), "the leader waits for itself");
        while line.led {
            line = wait(&self.idle, line);
        }
        line
    }

    /// Ends this thread's leadership. Returns whether a request waits. If so, the line still counts as led, and the
    /// caller must make a thread take the lead.
    pub fn resign(&self, line: &mut LineGuard<'_, R, X>) -> bool {
        debug_assert!(line.led, "the thread that resigns does not lead");
        line.leader = None;
        line.led = !line.waiting.is_empty();
        if !line.led {
            self.idle.notify_all();
        }
        line.led
    }
}

impl<R, X> LineState<R, X> {
    /// Makes this thread the leader if no thread leads. Returns whether it did.
    #[inline]
    pub fn try_lead(&mut self) -> bool {
        if self.led {
            return false;
        }
        (self.led, self.leader) = (true, Some(thread::current().id()));
        true
    }

    /// Adds a request to the end of the line. Returns whether no thread led. If so, the line counts as led from now on,
    /// and the caller must make a thread take the lead.
    #[must_use = "a line that is not led does not move"]
    pub fn push(&mut self, request: R) -> bool {
        self.waiting.push_back(request);
        !std::mem::replace(&mut self.led, true)
    }

    /// Makes this thread the leader, after [`Ticket::lead`] or a call of the helper.
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

/// A ticket on which the sender of a request waits for its answer, or for the lead.
#[derive(Debug)]
pub struct Ticket<A>(Mutex<TicketState<A>>);

#[derive(Debug)]
enum TicketState<A> {
    Waiting(Option<Waker>),
    Lead,
    Done(A),
}

/// The message that a [`Ticket`] received.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<A> {
    /// The sender takes the lead.
    Lead,
    /// The answer to the request.
    Answer(A),
}

impl<A> Default for Ticket<A> {
    fn default() -> Self {
        Self(Mutex::new(TicketState::Waiting(None)))
    }
}

impl<A> Ticket<A> {
    /// Makes the sender of this request the leader. The caller wakes the waker that this returns.
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn lead(&self) -> Option<Waker> {
        self.tell(TicketState::Lead)
    }

    /// Gives the sender its answer. The caller wakes the waker that this returns.
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn answer(&self, answer: A) -> Option<Waker> {
        self.tell(TicketState::Done(answer))
    }

    fn tell(&self, state: TicketState<A>) -> Option<Waker> {
        match std::mem::replace(&mut *self.0.lock(), state) {
            TicketState::Waiting(waker) => waker,
            TicketState::Lead | TicketState::Done(_) => None,
        }
    }

    /// Returns the message for the sender. If there is none yet, stores `waker`; the thread that sends the message
    /// wakes it.
    pub fn poll(&self, waker: &Waker) -> Poll<Told<A>> {
        // Wakers are cloned and dropped without the lock, because both run a user's code, which may call this again.
        let waiting = TicketState::Waiting(Some(waker.clone()));
        let before = std::mem::replace(&mut *self.0.lock(), waiting);
        match before {
            TicketState::Waiting(_) => Poll::Pending,
            TicketState::Lead => Poll::Ready(Told::Lead),
            TicketState::Done(answer) => Poll::Ready(Told::Answer(answer)),
        }
    }
}
