//! Closes a log: refuses further appends, commits accepted ones, makes everything durable, and closes the head.

use std::sync::Arc;

use super::committer::{Committer, Locked};
use super::request::fail_all;
use super::target::CommitTarget;
use crate::error::AppendError;
use crate::event::event::Event;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Closes the log: refuses further appends, waits for accepted ones, makes everything durable, closes the target,
    /// and then the head. A second call does only what failed in the first.
    ///
    /// A leader that calls this (it is inside a callback or a waker) cannot wait for the appends that wait for the
    /// leader. If there are any, this makes everything committed so far durable, and the leader that commits the last
    /// of them closes the log.
    ///
    /// # Errors
    /// [`AppendError`] when something was not made durable, or the target was not closed cleanly. The head is closed in
    /// any case.
    pub fn close(&self) -> Result<(), AppendError> {
        let mut queue = self.queue.lock();
        // Under the queue's lock, so that no batch joins the queue afterwards.
        self.head.begin_close();
        let outside = queue.extra.room.take_outside();
        let later = queue.is_led_here() && queue.waiting().next().is_some();
        if later {
            queue.extra.closing.when_idle = true;
        }
        let led_here = queue.is_led_here();
        drop(queue);
        fail_all(outside, &AppendError::Closed);
        if later {
            return self.sync_target(&mut self.queue.borrow_target());
        }
        if !led_here {
            drop(self.queue.wait_until_idle(self.queue.lock()));
        }
        self.finish()
    }

    /// Closes the log for a backend that is dropped, and releases the target's files. Logs a failure that no caller has
    /// received.
    pub fn retire(&self) {
        self.queue.lock().extra.closing.release = true;
        report(self.close());
    }

    /// Closes the log if that was put off until the queue is empty, and it is empty. The leader calls this.
    pub(super) fn close_if_last<'a>(&'a self, mut queue: Locked<'a, E>) -> Locked<'a, E> {
        if !queue.extra.closing.when_idle || queue.waiting().next().is_some() {
            return queue;
        }
        queue.extra.closing.when_idle = false;
        drop(queue);
        report(self.finish());
        self.queue.lock()
    }

    /// Closes the target, and then the head.
    fn finish(&self) -> Result<(), AppendError> {
        let mut target = self.queue.borrow_target();
        let done = self.queue.lock().extra.closing.done;
        let closed = if done { Ok(()) } else { self.close_target(&mut target) };
        let mut queue = self.queue.lock();
        queue.extra.closing.done |= closed.is_ok();
        let release = queue.extra.closing.release;
        drop(queue);
        if release {
            target.release();
        }
        drop(target);
        self.head.close();
        closed
    }

    fn close_target(&self, target: &mut H) -> Result<(), AppendError> {
        self.sync_target(target)?;
        target.close().map_err(|error| AppendError::NotClosed { source: Arc::new(error) })
    }
}

/// Logs that a store was not closed. A store that is poisoned is left out, since that was logged when it happened.
fn report(closed: Result<(), AppendError>) {
    match closed {
        Ok(()) | Err(AppendError::Poisoned { .. }) => {}
        Err(error) => tracing::error!(%error, "the store was not closed cleanly"),
    }
}
