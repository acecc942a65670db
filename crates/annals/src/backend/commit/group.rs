//! One leadership: the leader commits a group of batches, delivers their results, and passes the lead on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use annals_base::Bell;

use super::admit::admit;
use super::committer::{Committer, Locked, Target};
use super::completion::{AppendResult, Completion};
use super::request::{Request, fail_all};
use super::target::CommitTarget;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::limits::MAX_BATCH_BYTES;
use crate::metrics::meters::Timed;

/// The number of bytes that a target may add to a commit for each batch, apart from its events.
const BATCH_ROOM: usize = 64;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Commits this batch alone. The leader calls this when no other batch waits, so the batch need not be queued.
    pub(crate) fn lead_one(&self, request: Request<E>) -> AppendResult {
        let mut result = Err(AppendError::Closed);
        self.commit(&mut [request].into_iter(), &mut |committed| result = committed);
        result
    }

    /// Leads once: commits the waiting batches that fit into one commit, delivers their results, and passes the lead
    /// on.
    pub(crate) fn lead_pending(&self) {
        let leadership = Leadership::of(self);
        let mut queue = self.queue.lock();
        queue.take_lead();
        let mut group = gather(&mut queue);
        drop(queue);
        let bytes: usize = group.iter().map(|request| request.bytes).sum();
        let mut completions =
            Completions(group.iter_mut().map(|request| request.completion.take()).collect());
        let mut results = Vec::with_capacity(group.len());
        self.commit(&mut group.into_iter(), &mut |result| results.push(result));
        let mut queue = self.queue.lock();
        free_room(&mut queue, bytes);
        // Before the last results are delivered, so that their callers find the store closed and can open it again.
        drop(self.close_if_last(queue));
        completions.complete(results);
        leadership.end();
    }

    /// Passes the lead on to the batch that waits first, or to the helper if that batch's caller may not lead.
    fn pass_on(&self, mut queue: Locked<'_, E>) {
        if !self.queue.resign(&mut queue) {
            return;
        }
        let next = queue.waiting().next().and_then(|next| next.completion.clone());
        drop(queue);
        match next {
            Some(completion) if completion.offer_lead() => {}
            _ => self.call_helper(),
        }
    }

    /// Commits a group: admits each batch in order, makes them durable together, publishes them, and calls `complete`
    /// with the result of each batch in order.
    fn commit(
        &self,
        group: &mut dyn ExactSizeIterator<Item = Request<E>>,
        complete: &mut dyn FnMut(AppendResult),
    ) {
        let meters = self.head.meters();
        let mut target = self.queue.target();
        let committing = Committing::new(self);
        let before = target.next_offset();
        let mut results = Results::default();
        let now = self.clock.now_ms();
        // Checked again, since a write or sync may have failed after the batches were queued.
        let mut failure = self.refusal();
        for request in group {
            let admitted = match &failure {
                None => admit(&mut *target, request, now, meters),
                Some(failure) => Err(AppendError::clone(failure)),
            };
            if let Err(AppendError::Failed { source }) = &admitted
                && failure.is_none()
            {
                failure = Some(self.poison(source));
            }
            results.push(admitted);
        }
        let head = target.next_offset();
        self.note_room(results.last(), head > before);
        let mut published = None;
        if let Some(failure) = &failure {
            results.fail(failure);
        } else if head > before {
            match meters.time(Timed::Sync, || target.commit()) {
                Ok(events) => {
                    // One thread at a time: the one that has the target.
                    meters.committed(head - before);
                    published = Some(events);
                }
                Err(error) => {
                    let failure = self.poison(&Arc::new(error));
                    results.fail(&failure);
                }
            }
        }
        committing.end();
        drop(target);
        if let Some(events) = published {
            self.head.publish_led(head, || events);
        }
        results.into_iter().for_each(complete);
    }

    /// Records whether the last append of a commit found room. A commit that staged nothing and refused nothing for
    /// lack of room changes nothing.
    pub(super) fn note_room<T>(&self, last: Option<&Result<T, AppendError>>, staged: bool) {
        match last {
            Some(Err(refusal @ AppendError::NoRoom { .. })) => {
                // Relaxed: pairs with the load below. The caller has the target, and no other thread changes it.
                self.full.store(true, Ordering::Relaxed);
                self.queue.lock().extra.no_room = Some(refusal.clone());
            }
            // Relaxed: pairs with the stores in this function, of threads that had the target.
            _ if staged && self.full.load(Ordering::Relaxed) => {
                self.full.store(false, Ordering::Relaxed);
                self.queue.lock().extra.no_room = None;
            }
            _ => {}
        }
    }
}

/// Takes the waiting batches that fit into one commit, in order, and at least one. The batches that join the queue from
/// now on get another bell, so that the callers of this group are woken together, and no others.
fn gather<E>(queue: &mut Locked<'_, E>) -> Vec<Request<E>> {
    let mut bytes = 0;
    let fits = queue.waiting().take_while(|request| {
        bytes += request.batch.size() + BATCH_ROOM;
        bytes <= MAX_BATCH_BYTES
    });
    let count = fits.count().max(1).min(queue.waiting().count());
    queue.extra.bell = Arc::default();
    queue.take(count)
}

/// A guard: this thread leads until it is ended. If it is dropped before, the leader panicked in an event's own code.
/// The other callers must not wait for ever then. The guard does not check whether the thread is panicking, since an
/// append in a destructor that runs while a thread unwinds is an append like any other.
pub(crate) struct Leadership<'a, E: Event, H: CommitTarget<E>> {
    committer: &'a Committer<E, H>,
    ended: bool,
}

impl<'a, E: Event, H: CommitTarget<E>> Leadership<'a, E, H> {
    pub(crate) fn of(committer: &'a Committer<E, H>) -> Self {
        Self { committer, ended: false }
    }

    pub(super) fn committer(&self) -> &'a Committer<E, H> {
        self.committer
    }

    /// Ends the leadership without the queue's lock if nothing waits for that. Gives the target back if it is passed.
    #[inline]
    pub(super) fn end_alone(mut self, target: Option<Target<'_, E, H>>) {
        let queue = &self.committer.queue;
        if target.map_or_else(|| queue.resign_alone(), Target::resign_alone) {
            self.ended = true;
        } else {
            self.end();
        }
    }

    /// Ends the leadership. Closes the log if that was put off until the queue is empty.
    pub(crate) fn end(mut self) {
        let queue = self.committer.close_if_last(self.committer.queue.lock());
        self.ended = true;
        self.committer.pass_on(queue);
    }
}

impl<E: Event, H: CommitTarget<E>> Drop for Leadership<'_, E, H> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let committer = self.committer;
        let error = committer.poison(&panicked());
        let mut queue = committer.queue.lock();
        let count = queue.waiting().count();
        let mut refused = queue.take(count);
        refused.extend(queue.extra.room.clear());
        drop(queue);
        let mut queue = committer.close_if_last(committer.queue.lock());
        let waits = committer.queue.resign(&mut queue);
        drop(queue);
        debug_assert!(!waits, "a poisoned queue takes no requests");
        fail_all(refused, &error);
    }
}

/// A guard: the target is at work until it is ended. If it is dropped before, a panic left the target in an unknown
/// state.
pub(super) struct Committing<'a, E: Event, H: CommitTarget<E>> {
    committer: &'a Committer<E, H>,
    done: bool,
}

impl<'a, E: Event, H: CommitTarget<E>> Committing<'a, E, H> {
    pub(super) fn new(committer: &'a Committer<E, H>) -> Self {
        Self { committer, done: false }
    }

    pub(super) fn end(mut self) {
        self.done = true;
    }
}

impl<E: Event, H: CommitTarget<E>> Drop for Committing<'_, E, H> {
    fn drop(&mut self) {
        if !self.done {
            self.committer.poison(&panicked());
        }
    }
}

/// The completions of a group. Dropping it delivers the error of a failed commit to those that have no result yet.
struct Completions(Vec<Option<Arc<Completion>>>);

impl Completions {
    /// Delivers the results, and wakes the callers that block: those with the same bell by one ring.
    fn complete(&mut self, results: Vec<AppendResult>) {
        let mut bells: Vec<Arc<Bell>> = Vec::new();
        for (completion, result) in self.0.iter_mut().zip(results) {
            let Some(completion) = completion.take() else { continue };
            if let Some(bell) = completion.deliver(result)
                && bells.last().is_none_or(|last| !Arc::ptr_eq(last, bell))
            {
                bells.push(Arc::clone(bell));
            }
        }
        for bell in bells {
            bell.ring();
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        for completion in self.0.iter_mut().filter_map(Option::take) {
            completion.complete(Err(AppendError::Failed { source: panicked() }));
        }
    }
}

fn panicked() -> Arc<io::Error> {
    Arc::new(io::Error::other("a panic while committing"))
}

/// Frees the room of committed batches, and moves waiting batches into the queue as far as there is room. The leader
/// calls this.
fn free_room<E: Event>(queue: &mut Locked<'_, E>, bytes: usize) {
    if bytes > 0 {
        for request in queue.extra.room.leave(bytes) {
            let unled = queue.push(request);
            assert!(!unled, "the queue has a leader, which is this thread");
        }
    }
}

/// The results of one commit. A commit of one batch, the usual case, allocates nothing.
#[derive(Default)]
struct Results {
    first: Option<AppendResult>,
    rest: Vec<AppendResult>,
}

impl Results {
    fn push(&mut self, result: AppendResult) {
        match self.first {
            None => self.first = Some(result),
            Some(_) => self.rest.push(result),
        }
    }

    fn last(&self) -> Option<&AppendResult> {
        self.rest.last().or(self.first.as_ref())
    }

    /// Replaces all results by this failure. A refusal is replaced as well, since an event of this commit may have
    /// caused it.
    fn fail(&mut self, error: &AppendError) {
        for result in self.first.iter_mut().chain(&mut self.rest) {
            *result = Err(error.clone());
        }
    }
}

impl IntoIterator for Results {
    type Item = AppendResult;
    type IntoIter =
        std::iter::Chain<std::option::IntoIter<AppendResult>, std::vec::IntoIter<AppendResult>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
