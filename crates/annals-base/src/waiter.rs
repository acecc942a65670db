//! The wait of one request's sender for its result. Guarded by a lock of its own, apart from the queue's.

use std::task::{Poll, Waker};

use crate::sync::Mutex;

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
