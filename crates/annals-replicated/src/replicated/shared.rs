//! The state that the threads of a backend and its callers share.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Instant;

use annals::backend::{Hasher, Opener};
use annals::{AppendError, Event, JournalReplica};
use parking_lot::{Condvar, Mutex};

use super::inbox::Inbox;
use super::options::ReplicatedOptions;
use super::requests::{Request, Requests};
use super::status::Progress;
use super::ticket::{AppendResult, Ticket};
use crate::chain::chain::Position;
use crate::core::messages::Now;
use crate::format::commit::Commit;
use crate::tail::tail::Tail;

/// The state that the threads of a backend and its callers share.
pub(super) struct Shared<E: Event> {
    pub(super) replica: JournalReplica<E>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) jobs: Jobs,
    pub(super) requests: Requests,
    pub(super) progress: Arc<Progress>,
    pub(super) options: ReplicatedOptions,
    pub(super) hasher: Hasher,
    pub(super) opener: Opener,
    pub(super) tail: Mutex<Option<Tail>>,
    /// Whether the replica has other events than a commit of the record. Nothing is applied after that commit.
    pub(super) differs: AtomicBool,
    pub(super) started: Instant,
    pub(super) applier: OnceLock<ThreadId>,
    pub(super) driver: OnceLock<ThreadId>,
    pub(super) closing: Mutex<Closing>,
    pub(super) closed: Condvar,
}

/// The progress of closing a store.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// The store is to be closed when the core has no more batches.
    pub(super) when_idle: bool,
    /// The backend was dropped: the files are to be released.
    pub(super) release: bool,
    pub(super) result: Option<Result<(), AppendError>>,
}

/// Work for the thread that applies.
#[derive(Debug)]
pub(super) enum Job {
    Apply { commit: Arc<Commit>, position: Position },
    Diverged,
    Close,
}

/// The jobs of the thread that applies, in order.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    state: Mutex<JobsState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct JobsState {
    jobs: VecDeque<Job>,
    ended: bool,
}

/// The job or the result that a caller inside a callback gets: it does the work of the thread that it holds up.
pub(super) enum JobOrResult {
    Job(Job),
    Result(AppendResult),
}

impl Jobs {
    pub(super) fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.changed.notify_all();
    }

    /// Waits for the next job. Returns `None` at the end.
    pub(super) fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.ended {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Waits for the result of an append, or for a job to do meanwhile.
    pub(super) fn next_or(&self, ticket: &Ticket) -> JobOrResult {
        let mut state = self.state.lock();
        loop {
            // Under the lock: `wake` is called after the result is there.
            if let Some(result) = ticket.take() {
                return JobOrResult::Result(result);
            }
            if let Some(job) = state.jobs.pop_front() {
                return JobOrResult::Job(job);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Wakes callers that wait for a result in [`next_or`](Self::next_or).
    pub(super) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Ends the thread, once it has done all jobs.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}

impl<E: Event> Shared<E> {
    /// Returns the time, for the core.
    pub(super) fn now(&self) -> Now {
        let steady_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { steady_ms, wall_ms: self.options.clock.now_ms() }
    }

    /// Returns why the store takes no appends; `None` if it takes them.
    pub(super) fn refusal(&self) -> Option<AppendError> {
        if let Some(cause) = self.progress.failure() {
            return Some(AppendError::Poisoned { cause });
        }
        if let Some(divergence) = self.progress.status().divergence {
            return Some(AppendError::Diverged { cause: divergence.to_string().into() });
        }
        (!self.replica.head().takes_appends()).then_some(AppendError::Closed)
    }

    /// Returns whether this thread is in a callback, or is the thread that applies: then it has to do that work itself
    /// while it waits.
    pub(super) fn applies_here(&self) -> bool {
        self.replica.head().is_delivering() || self.applier.get() == Some(&thread::current().id())
    }

    /// Ends a request that the core does not have.
    pub(super) fn end_request(&self, request: Request, error: AppendError) {
        self.requests.refuse(request, error);
        self.jobs.wake();
    }

    /// Notes in `record.tail` whether the replica has diverged.
    pub(super) fn note_diverged(&self, diverged: bool) {
        if let Some(Err(error)) = self.tail.lock().as_mut().map(|tail| tail.note_diverged(diverged))
        {
            tracing::warn!(%error, "cannot write record.tail");
        }
    }

    /// Stops appends for good: a thread failed.
    pub(super) fn fail(&self, failure: &str) {
        tracing::error!(failure, "the replica takes no more commits until it is opened again");
        self.progress.fail(failure);
    }

    /// Closes the store: takes no more batches, waits for the results of those that were taken, and closes the replica.
    /// In a callback, the store is closed when the core has no more batches.
    pub(super) fn close(&self, release: bool) -> Result<(), AppendError> {
        self.replica.head().begin_close();
        for request in self.requests.close() {
            self.end_request(request, AppendError::Closed);
        }
        let is_own = self.driver.get() == Some(&thread::current().id()) || self.applies_here();
        if is_own {
            let mut closing = self.closing.lock();
            closing.release |= release;
            closing.when_idle = true;
            drop(closing);
            self.close_if_idle();
            return Ok(());
        }
        self.requests.wait_until_empty();
        // In one piece: a job that closes the store for a callback ends the thread behind the jobs that it has by then.
        let mut closing = self.closing.lock();
        closing.release |= release;
        closing.result = None;
        self.jobs.push(Job::Close);
        self.closed.wait_while(&mut closing, |closing| closing.result.is_none());
        closing.result.clone().unwrap_or(Ok(()))
    }

    /// Closes the store if a callback has asked for it, and the core has no more batches.
    pub(super) fn close_if_idle(&self) {
        let mut closing = self.closing.lock();
        if closing.when_idle && self.requests.is_done() {
            closing.when_idle = false;
            self.jobs.push(Job::Close);
        }
    }
}

#[cfg(test)]
mod tests {
    use annals::{Backend as _, Batch, RawEvent};

    use super::*;
    use crate::replicated::replicated::Replicated;
    use crate::sim::{Faults, SimLog};

    /// A callback may have closed the store. The job for that ends the thread once the store is to be released, so the
    /// job that releases it must be queued by then.
    #[test]
    fn a_store_is_to_be_released_once_the_job_for_that_is_queued() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = SimLog::new(Faults { not_sent: 100, ..Faults::none() }, 1);
        let store = Replicated::open(log.clone(), directory.path()).expect("a store");
        let event = RawEvent::builder("counted").build().expect("an event");
        let pending = store.submit(Batch::new(vec![event]));
        let shared = store.shared();
        thread::scope(|scope| {
            let closes = scope.spawn(|| shared.close(true));
            while shared.replica.head().takes_appends() {
                thread::yield_now();
            }
            for _ in 0..10_000 {
                let closing = shared.closing.lock();
                let is_queued = !shared.jobs.state.lock().jobs.is_empty();
                assert!(!closing.release || is_queued, "the thread may end before the job comes");
                drop(closing);
                thread::yield_now();
            }
            log.set_faults(Faults::none());
            closes.join().expect("no panic").expect("closed");
        });
        drop(pending);
        // It was released already.
        std::mem::forget(store);
    }
}
