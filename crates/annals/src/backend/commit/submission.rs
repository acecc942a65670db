//! The future of an asynchronous append that found no room.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::committer::Committer;
use super::request::Request;
use super::target::CommitTarget;
use super::ticket::{Answer, Pending, Ticket};
use crate::error::AppendError;
use crate::event::event::Event;

/// The future of a batch that found no room.
pub(crate) struct Submission<E: Event, H: CommitTarget<E>> {
    committer: Weak<Committer<E, H>>,
    at: At<E>,
    pending: Pending,
}

enum At<E> {
    /// The future has it, which was not polled yet.
    Here(Box<Request<E>>),
    /// It waits outside of the line, by this number, or was let in.
    Outside(u64),
    /// It is in the line, or answered.
    Gone,
}

impl<E: Event, H: CommitTarget<E>> Submission<E, H> {
    pub(crate) fn new(
        committer: Weak<Committer<E, H>>,
        request: Request<E>,
        ticket: Arc<Ticket>,
    ) -> Self {
        Self { committer, at: At::Here(Box::new(request)), pending: Pending(ticket) }
    }

    /// Hands the batch in.
    fn hand_in(&self, request: Request<E>) -> Result<At<E>, AppendError> {
        let committer = self.committer.upgrade().ok_or(AppendError::Closed)?;
        let mut line = committer.line.lock();
        let refused = committer.check(&line).is_err();
        if refused || line.is_led_here() || line.extra.room.has(request.bytes) {
            committer.enter(line, request);
            return Ok(At::Gone);
        }
        Ok(At::Outside(line.extra.room.wait_outside(request)))
    }
}

impl<E: Event, H: CommitTarget<E>> Future for Submission<E, H> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        if matches!(self.at, At::Here(_))
            && let At::Here(request) = std::mem::replace(&mut self.at, At::Gone)
        {
            match self.hand_in(*request) {
                Ok(at) => self.at = at,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut self.pending).poll(context)
    }
}

impl<E: Event, H: CommitTarget<E>> Drop for Submission<E, H> {
    fn drop(&mut self) {
        if let At::Outside(number) = self.at
            && let Some(committer) = self.committer.upgrade()
        {
            // Dropped without the lock: an event's own code may come back here.
            let _withdrawn = committer.line.lock().extra.room.withdraw(number);
        }
    }
}

impl<E: Event, H: CommitTarget<E>> Unpin for Submission<E, H> {}
