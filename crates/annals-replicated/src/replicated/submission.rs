//! The future of an asynchronous append that found no room.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use annals::{AppendError, Event};

use super::requests::Request;
use super::shared::Shared;
use super::ticket::{AppendResult, Pending};

/// The future of a batch that found no room. Once it is polled, the batch waits outside the queue, in its order.
pub(super) struct Submission<E: Event> {
    shared: Weak<Shared<E>>,
    state: State,
    pending: Pending,
}

enum State {
    /// The future holds the batch. It was not polled yet.
    Here(Box<Request>),
    /// The batch waits outside the queue under this number, or has joined the queue since.
    Outside(u64),
    /// The batch is in the queue, or has its result.
    Gone,
}

impl<E: Event> Submission<E> {
    pub(super) fn new(shared: &Arc<Shared<E>>, request: Request) -> Self {
        let pending = Pending(Arc::clone(&request.ticket));
        let state = State::Here(Box::new(request));
        Self { shared: Arc::downgrade(shared), state, pending }
    }
}

impl<E: Event> Future for Submission<E> {
    type Output = AppendResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        if matches!(self.state, State::Here(_))
            && let State::Here(request) = std::mem::replace(&mut self.state, State::Gone)
        {
            let Some(shared) = self.shared.upgrade() else {
                return Poll::Ready(Err(AppendError::Closed));
            };
            match shared.requests.enter(*request, &shared.inbox) {
                Ok(Some(number)) => self.state = State::Outside(number),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut self.pending).poll(context)
    }
}

impl<E: Event> Drop for Submission<E> {
    fn drop(&mut self) {
        if let State::Outside(number) = self.state
            && let Some(shared) = self.shared.upgrade()
        {
            shared.requests.withdraw(number);
        }
    }
}
