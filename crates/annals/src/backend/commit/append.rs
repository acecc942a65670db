//! The two ways into the queue: an append that waits for its commit, and one whose caller must not block.

use std::sync::{Arc, Weak};
use std::thread;

use super::committer::{Committer, Locked};
use super::completion::{AppendResult, Completion, Pending};
use super::group::Leadership;
use super::helper::Helper;
use super::request::Request;
use super::submission::Submission;
use super::target::CommitTarget;
use crate::backend::batch::{AppendFuture, Appended, Batch};
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::metrics::meters::Timed;

/// The number of times that a caller which waits for a commit in memory yields to other threads before it sleeps.
pub(super) const YIELDS_MAX: u32 = 64;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Appends a batch and waits for its commit. Returns its offsets, and whether the log had it already.
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows nothing of the batch.
    pub fn append(&self, batch: Batch<E>, encoded: Encoded) -> Result<Appended, AppendError> {
        let meters = self.head.meters();
        let started = meters.start(Timed::Append);
        let result = self.append_queued(batch, encoded);
        meters.appended(started, &result);
        result
    }

    /// Appends a batch as [`append`](Self::append) does, without counting it.
    pub(crate) fn append_queued(&self, batch: Batch<E>, encoded: Encoded) -> AppendResult {
        let mut request = Request::new(batch, encoded);
        request.check()?;
        let mut queue = self.queue.lock();
        if queue.is_led_here() {
            // This is called from a callback or a waker: the thread is the leader already.
            self.check(&queue)?;
            drop(queue);
            return self.lead_one(request);
        }
        if !self.head.meters().durable() {
            queue = self.wait_awake(queue);
        }
        self.check(&queue)?;
        if queue.try_lead() {
            drop(queue);
            let leadership = Leadership::of(self);
            let result = self.lead_one(request);
            leadership.end();
            return result;
        }
        let completion = Completion::new(&queue.extra.bell);
        request.completion = Some(Arc::clone(&completion));
        let unled = queue.push(request);
        drop(queue);
        if unled {
            // The leader resigned without the lock meanwhile.
            self.lead_pending();
        }
        loop {
            match completion.wait() {
                Some(result) => return result,
                // Its own batch may not be in the group, if the batches before it are large.
                None => self.lead_pending(),
            }
        }
    }

    /// Appends a batch without blocking the caller. The future returns what [`append`](Self::append) returns.
    ///
    /// With room, the batch is queued when this returns, and is committed whether or not the future is awaited. Without
    /// room, the batch joins the queue behind the batches that waited before it, once the future was polled and there
    /// is room. A future that is dropped before that appends nothing.
    pub fn submit(&self, batch: Batch<E>, encoded: Encoded) -> AppendFuture {
        let mut request = Request::new(batch, encoded);
        if let Err(error) = request.check() {
            self.head.meters().refused(&error);
            return Box::pin(std::future::ready(Err(error)));
        }
        request.measure();
        let completion = Completion::for_future(self.head.meters());
        request.completion = Some(Arc::clone(&completion));
        let queue = self.queue.lock();
        if queue.extra.room.has(request.bytes) || queue.is_led_here() {
            self.enter(queue, request);
            return Box::pin(Pending(completion));
        }
        drop(queue);
        Box::pin(Submission::new(Weak::clone(&self.me), request, completion))
    }

    /// Puts an asynchronous request into the queue. Completes it at once if it is refused, and also if this thread is
    /// the leader, since the callback that the thread is in may wait for the result.
    pub(super) fn enter(&self, mut queue: Locked<'_, E>, mut request: Request<E>) {
        let refusal = self.check(&queue).err();
        if refusal.is_some() || queue.is_led_here() {
            drop(queue);
            let completion = request.completion.take();
            let result = refusal.map_or_else(|| self.lead_one(request), Err);
            if let Some(completion) = completion {
                completion.complete(result);
            }
            return;
        }
        queue.extra.room.enter(request.bytes);
        if queue.push(request) {
            drop(queue);
            self.call_helper();
        }
    }

    /// Calls the helper thread to lead. If it cannot be started, this thread leads.
    pub(super) fn call_helper(&self) {
        let start = || {
            let me = Weak::clone(&self.me);
            Helper::start(move |helper| lead_for(helper, &me))
        };
        match self.helper.get_or_init(start) {
            Some(helper) => helper.lead(),
            None => self.lead_pending(),
        }
    }

    /// Makes everything committed so far durable. While the log is closing, first waits for every accepted append.
    ///
    /// # Errors
    /// [`AppendError`] when that fails. The log then takes no more appends.
    pub fn sync(&self) -> Result<(), AppendError> {
        let queue = self.queue.lock();
        if !self.head.takes_appends() && !queue.is_led_here() {
            drop(self.queue.wait_until_idle(queue));
        } else {
            drop(queue);
        }
        self.sync_target(&mut self.queue.borrow_target())
    }

    /// Waits until no thread leads, or until this thread has yielded [`YIELDS_MAX`] times. A commit in memory takes
    /// less time than putting a thread to sleep and waking it.
    fn wait_awake<'a>(&'a self, queue: Locked<'a, E>) -> Locked<'a, E> {
        if !queue.is_led() {
            return queue;
        }
        drop(queue);
        for _ in 0..YIELDS_MAX {
            thread::yield_now();
            if !self.queue.is_led() {
                break;
            }
        }
        self.queue.lock()
    }
}

/// Leads as long as the helper is called to. Returns false once the committer is gone.
fn lead_for<E: Event, H: CommitTarget<E>>(
    helper: &Helper,
    committer: &Weak<Committer<E, H>>,
) -> bool {
    let Some(committer) = committer.upgrade() else { return false };
    committer.lead_pending();
    // A callback may have dropped the store, so this keeps the committer as long as batches wait.
    while helper.is_called_to_lead() {
        committer.lead_pending();
    }
    true
}
