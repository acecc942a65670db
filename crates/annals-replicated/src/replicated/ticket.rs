//! The result of an append, for the caller that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use annals::{AppendError, Appended};
use parking_lot::{Condvar, Mutex};

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
    /// Delivers the result and wakes its caller.
    pub(super) fn complete(&self, result: AppendResult) {
        let mut state = self.state.lock();
        state.result = Some(result);
        let waker = state.waker.take();
        drop(state);
        self.completed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
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
        let mut state = self.state.lock();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        state.waker = Some(waker.clone());
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
