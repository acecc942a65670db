//! A line of requests: one thread at a time leads it, and the other threads wait on tickets.
//!
//! ```text
//!   nobody leads ──try_lead──▶ this thread leads ──resign──▶ nothing waits: nobody leads, and the idle are told
//!                                   ▲                   └──▶ something waits: its first is led next
//!                                   └── take_lead ◀── Ticket::lead, or the helper's call
//! ```
//! No request waits while no thread leads: a request joins the line only while a thread leads, and a leader that ends hands
//! the leadership to the first request that waits.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::sync::{Condvar, Mutex, MutexGuard, thread, wait};

/// A line of requests `R`, and `X`, which the same lock guards.
#[derive(Debug)]
pub struct Line<R, X> {
    state: Mutex<LineState<R, X>>,
    /// Told when nobody leads any more.
    idle: Condvar,
}

/// What the lock of a [`Line`] guards.
#[derive(Debug)]
pub struct LineState<R, X> {
    waiting: VecDeque<R>,
    /// Whether a thread leads, or is told to; never false while anything waits.
    led: bool,
    /// The thread that leads, once it does.
    leader: Option<thread::ThreadId>,
    /// What the user of the line keeps under its lock.
    pub extra: X,
}

/// The lock of a [`Line`], held.
pub type LineGuard<'a, R, X> = MutexGuard<'a, LineState<R, X>>;

impl<R, X> Line<R, X> {
    /// Makes an empty line that nobody leads.
    #[must_use]
    pub fn new(extra: X) -> Self {
        let state = LineState { waiting: VecDeque::new(), led: false, leader: None, extra };
        Self { state: Mutex::new(state), idle: Condvar::new() }
    }

    /// Locks the line.
    pub fn lock(&self) -> LineGuard<'_, R, X> {
        self.state.lock()
    }

    /// Waits until nobody leads, and so nothing waits.
    ///
    /// # Panics
    /// When the thread that leads calls it: it would wait for itself.
    pub fn wait_until_idle<'a>(&self, mut line: LineGuard<'a, R, X>) -> LineGuard<'a, R, X> {
        assert!(!line.is_led_here(), "the leader waits for itself");
        while line.led {
            line = wait(&self.idle, line);
        }
        line
    }

    /// Ends this thread's leadership. If something waits, the line is still led: the caller sees to it that a thread takes
    /// the lead. Returns whether something waits.
    pub fn resign(&self, line: &mut LineGuard<'_, R, X>) -> bool {
        debug_assert!(line.led, "a thread resigns that does not lead");
        line.leader = None;
        line.led = !line.waiting.is_empty();
        if !line.led {
            self.idle.notify_all();
        }
        line.led
    }
}

impl<R, X> LineState<R, X> {
    /// Makes this thread the leader, if nobody leads.
    #[inline]
    pub fn try_lead(&mut self) -> bool {
        if self.led {
            return false;
        }
        (self.led, self.leader) = (true, Some(thread::current().id()));
        true
    }

    /// Puts a request at the end of the line. Returns whether nobody leads: then the line counts as led from now on, and
    /// the caller sees to it that a thread takes the lead.
    #[must_use = "a line that is not led does not move"]
    pub fn push(&mut self, request: R) -> bool {
        self.waiting.push_back(request);
        !std::mem::replace(&mut self.led, true)
    }

    /// Makes this thread the leader, as it was told to become.
    pub fn take_lead(&mut self) {
        debug_assert!(self.led && self.leader.is_none(), "two threads lead");
        self.leader = Some(thread::current().id());
    }

    /// Returns whether a thread leads, or was told to.
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

    /// Returns the requests that wait, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &R> {
        self.waiting.iter()
    }

    /// Takes the first `count` of the requests that wait. For the leader.
    pub fn take(&mut self, count: usize) -> Vec<R> {
        self.waiting.drain(..count).collect()
    }
}

/// On this the sender of a request waits for its answer, or for the lead.
#[derive(Debug)]
pub struct Ticket<A>(Mutex<TicketState<A>>);

#[derive(Debug)]
enum TicketState<A> {
    Waiting(Option<Waker>),
    Lead,
    Done(A),
}

/// What a [`Ticket`] was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<A> {
    /// To lead.
    Lead,
    /// The answer.
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

    /// Returns what the sender was told; until there is something, `waker` is kept to be woken.
    pub fn poll(&self, waker: &Waker) -> Poll<Told<A>> {
        // Wakers are cloned and dropped without the lock: both are a user's code, and may come back here.
        let waiting = TicketState::Waiting(Some(waker.clone()));
        let before = std::mem::replace(&mut *self.0.lock(), waiting);
        match before {
            TicketState::Waiting(_) => Poll::Pending,
            TicketState::Lead => Poll::Ready(Told::Lead),
            TicketState::Done(answer) => Poll::Ready(Told::Answer(answer)),
        }
    }
}
