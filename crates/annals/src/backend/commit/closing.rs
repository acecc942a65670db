//! The end of a log: no more appends, those under way done, all durable, the head closed.

use std::sync::Arc;

use super::committer::{Committer, Locked};
use super::request::answer_all;
use super::target::CommitTarget;
use crate::error::AppendError;
use crate::event::event::Event;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Takes no more appends, waits for those under way, makes all durable, closes the target, and then the head.
    /// Called again it does only what failed before.
    ///
    /// A thread that leads (it is inside a callback or a waker) cannot wait for the appends that wait for it. If there
    /// are any, it makes durable what was committed, and the log is closed after them: by the leader that commits the
    /// last.
    ///
    /// # Errors
    /// [`AppendError`] when something was not made durable or the target was not closed cleanly. The head is closed all
    /// the same.
    pub fn close(&self) -> Result<(), AppendError> {
        let mut line = self.line.lock();
        // Under the lock: nothing joins the line behind it.
        self.head.begin_close();
        let outside = line.extra.room.take_outside();
        let later = line.is_led_here() && line.waiting().next().is_some();
        if later {
            line.extra.closing.when_idle = true;
        }
        let led_here = line.is_led_here();
        drop(line);
        answer_all(outside, &AppendError::Closed);
        if later {
            return self.sync_target(&mut self.target.lock());
        }
        if !led_here {
            drop(self.line.wait_until_idle(self.line.lock()));
        }
        self.finish()
    }

    /// Closes the log, for a backend that is dropped, and lets go of the target's files. Logs a failure that no caller
    /// was told of.
    pub fn retire(&self) {
        self.line.lock().extra.closing.release = true;
        report(self.close());
    }

    /// As the leader: closes the log if it was to be closed when nothing waits any more, and nothing does.
    pub(super) fn close_if_last<'a>(&'a self, mut line: Locked<'a, E>) -> Locked<'a, E> {
        if !line.extra.closing.when_idle || line.waiting().next().is_some() {
            return line;
        }
        line.extra.closing.when_idle = false;
        drop(line);
        report(self.finish());
        self.line.lock()
    }

    /// Closes the target, and then the head.
    fn finish(&self) -> Result<(), AppendError> {
        let mut target = self.target.lock();
        let done = self.line.lock().extra.closing.done;
        let closed = if done { Ok(()) } else { self.close_target(&mut target) };
        let mut line = self.line.lock();
        line.extra.closing.done |= closed.is_ok();
        let release = line.extra.closing.release;
        drop(line);
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

/// Logs that a store was not closed, unless it was poisoned: that was logged then.
fn report(closed: Result<(), AppendError>) {
    match closed {
        Ok(()) | Err(AppendError::Poisoned { .. }) => {}
        Err(error) => tracing::error!(%error, "the store was not closed cleanly"),
    }
}
