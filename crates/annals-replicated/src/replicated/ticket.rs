//! The result of an append, for the caller that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use annals::{AppendError, Appended};
use parking_lot::{Condvar, Mutex};

use super::wakers::Wakers;

/// The result of an append.
pub(super) type AppendResult = Result<Appended, AppendError>;

/// The place where the result of one append is put.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<AppendResult>,
    waker: Option<Waker>,
}

impl Ticket {
    /// Delivers the result, and lets the caller's task be woken if it waits in a future.
    pub(super) fn complete(&self, result: AppendResult, wakers: &Wakers) {
        let mut state = self.state.lock();
        state.result = Some(result);
        let waker = state.waker.take();
        drop(state);
        self.completed.notify_all();
        if let Some(waker) = waker {
            wakers.wake(waker);
        }
    }

    /// Returns the result, if it is there.
    pub(super) fn take(&self) -> Option<AppendResult> {
        self.state.lock().result.take()
    }

    /// Blocks until the result is there.
    pub(super) fn wait(&self) -> AppendResult {
        let mut state = self.state.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            self.completed.wait(&mut state);
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<AppendResult> {
        // Wakers are cloned and dropped without the lock, because both run a user's code, which may call this again.
        let mut waker = Some(waker.clone());
        let mut state = self.state.lock();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        std::mem::swap(&mut state.waker, &mut waker);
        drop(state);
        Poll::Pending
    }
}

/// The future of a batch in the queue.
pub(super) struct Pending(pub(super) Arc<Ticket>);

impl Future for Pending {
    type Output = AppendResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        self.0.poll(context.waker())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker that panics"));
        }
    }

    #[test]
    fn a_waker_that_panics_harms_no_other() {
        let (wakers, thread) = Wakers::start().expect("a thread");
        let ticket = Arc::<Ticket>::default();
        assert!(ticket.poll(&Waker::from(Arc::new(Panics))).is_pending());
        ticket.complete(Err(AppendError::Closed), &wakers);
        assert!(matches!(ticket.take(), Some(Err(AppendError::Closed))));
        wakers.end();
        thread.join().expect("it goes on after a waker that panicked");
    }

    /// Its last clone polls the ticket when it is dropped.
    struct Polls(Arc<Ticket>);

    impl Wake for Polls {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Polls {
        fn drop(&mut self) {
            assert!(self.0.poll(Waker::noop()).is_pending());
        }
    }

    #[test]
    fn a_waker_is_dropped_without_the_lock() {
        let ticket = Arc::<Ticket>::default();
        let waker = Waker::from(Arc::new(Polls(Arc::clone(&ticket))));
        assert!(ticket.poll(&waker).is_pending());
        drop(waker);
        assert!(ticket.poll(Waker::noop()).is_pending());
    }
}
