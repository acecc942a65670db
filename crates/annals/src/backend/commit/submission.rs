//! The future of an asynchronous append that found no room.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::committer::Committer;
use super::completion::{AppendResult, Completion, Pending};
use super::request::Request;
use super::target::CommitTarget;
use crate::error::AppendError;
use crate::event::event::Event;

/// The future of a batch that found no room.
pub(crate) struct Submission<E: Event, H: CommitTarget<E>> {
    committer: Weak<Committer<E, H>>,
    state: State<E>,
    pending: Pending,
}

enum State<E> {
    /// The future holds the batch. It was not polled yet.
    Here(Box<Request<E>>),
    /// The batch waits outside the queue under this number, or has joined the queue since.
    Outside(u64),
    /// The batch is in the queue or completed.
    Gone,
}

impl<E: Event, H: CommitTarget<E>> Submission<E, H> {
    pub(crate) fn new(
        committer: Weak<Committer<E, H>>,
        request: Request<E>,
        completion: Arc<Completion>,
    ) -> Self {
        Self { committer, state: State::Here(Box::new(request)), pending: Pending(completion) }
    }

    /// Puts the batch into the queue, or outside it if the queue has no room.
    fn enter(&self, request: Request<E>) -> Result<State<E>, AppendError> {
        let committer = self.committer.upgrade().ok_or(AppendError::Closed)?;
        let mut queue = committer.queue.lock();
        let refused = committer.check(&queue).is_err();
        if refused || queue.is_led_here() || queue.extra.room.has(request.bytes) {
            committer.enter(queue, request);
            return Ok(State::Gone);
        }
        Ok(State::Outside(queue.extra.room.wait_outside(request)))
    }
}

impl<E: Event, H: CommitTarget<E>> Future for Submission<E, H> {
    type Output = AppendResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        if matches!(self.state, State::Here(_))
            && let State::Here(request) = std::mem::replace(&mut self.state, State::Gone)
        {
            match self.enter(*request) {
                Ok(state) => self.state = state,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut self.pending).poll(context)
    }
}

impl<E: Event, H: CommitTarget<E>> Drop for Submission<E, H> {
    fn drop(&mut self) {
        if let State::Outside(number) = self.state
            && let Some(committer) = self.committer.upgrade()
        {
            // Dropped without the lock: the destructor of an event may use the store.
            let _withdrawn = committer.queue.lock().extra.room.withdraw(number);
        }
    }
}

impl<E: Event, H: CommitTarget<E>> Unpin for Submission<E, H> {}
