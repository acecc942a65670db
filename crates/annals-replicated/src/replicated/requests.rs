//! The batches that wait for their result, and the bound on them. A batch that finds no room waits outside the queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use annals::AppendError;
use annals::backend::AppendTimer;
use parking_lot::{Condvar, Mutex};

use super::inbox::Inbox;
use super::options::ReplicatedOptions;
use super::ticket::{AppendResult, Ticket};
use super::wakers::Wakers;
use crate::core::messages::{Input, NewBatch, RequestId};

/// A batch with what its caller waits for.
pub(super) struct Request {
    pub(super) batch: NewBatch,
    pub(super) ticket: Arc<Ticket>,
    pub(super) timer: AppendTimer,
    /// The steady time at which the caller gets a result in any case, in ms.
    pub(super) deadline_ms: u64,
    /// The known size in memory, in bytes.
    pub(super) bytes: usize,
}

/// A batch that the core has.
struct Open {
    ticket: Arc<Ticket>,
    timer: AppendTimer,
    bytes: usize,
}

/// The batches of one backend.
pub(super) struct Requests {
    state: Mutex<State>,
    emptied: Condvar,
    wakers: Wakers,
    most_bytes: usize,
    most_batches: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<RequestId, Open>,
    bytes: usize,
    /// The batches that found no room, in their order.
    outside: BTreeMap<u64, Request>,
    closing: bool,
}

/// The result of an offer of a batch to the queue.
pub(super) enum Offer {
    Queued,
    /// The queue has no room.
    Refused(Request),
}

impl Requests {
    pub(super) fn new(options: &ReplicatedOptions, wakers: Wakers) -> Self {
        Self {
            state: Mutex::default(),
            emptied: Condvar::new(),
            wakers,
            most_bytes: options.queue_bytes,
            most_batches: options.queue_batches,
        }
    }

    /// Passes a batch to the core, if the queue has room.
    pub(super) fn offer(&self, request: Request, inbox: &Inbox) -> Result<Offer, AppendError> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(AppendError::Closed);
        }
        if state.outside.is_empty() && self.has_room(&state, request.bytes) {
            state.submit(request, inbox);
            return Ok(Offer::Queued);
        }
        Ok(Offer::Refused(request))
    }

    /// Passes a batch to the core, or lets it wait outside until there is room. Returns its number outside.
    pub(super) fn enter(
        &self,
        request: Request,
        inbox: &Inbox,
    ) -> Result<Option<u64>, AppendError> {
        let request = match self.offer(request, inbox)? {
            Offer::Queued => return Ok(None),
            Offer::Refused(request) => request,
        };
        let mut state = self.state.lock();
        if state.closing {
            return Err(AppendError::Closed);
        }
        let number = state.next;
        state.next += 1;
        state.outside.insert(number, request);
        // Room may have come meanwhile.
        self.let_in(&mut state, inbox);
        Ok(Some(number))
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        state.open.len() < self.most_batches
            && (state.bytes == 0 || state.bytes + bytes <= self.most_bytes)
    }

    fn let_in(&self, state: &mut State, inbox: &Inbox) {
        while let Some(first) = state.outside.first_entry() {
            let bytes = first.get().bytes;
            if !self.has_room(state, bytes) {
                return;
            }
            if let Some((_, request)) = state.outside.pop_first() {
                state.submit(request, inbox);
            }
        }
    }

    /// Delivers a result, and lets batches in that have room now.
    pub(super) fn complete(&self, id: RequestId, result: AppendResult, inbox: &Inbox) {
        let mut state = self.state.lock();
        // After a thread has failed, all requests have their results already.
        let Some(open) = state.open.remove(&id) else { return };
        state.bytes -= open.bytes;
        self.let_in(&mut state, inbox);
        let is_empty = state.open.is_empty();
        drop(state);
        open.timer.end(&result);
        open.ticket.complete(result, &self.wakers);
        if is_empty {
            self.emptied.notify_all();
        }
    }

    /// Returns the known size of a batch that the core has, in bytes.
    pub(super) fn bytes_of(&self, id: RequestId) -> usize {
        self.state.lock().open.get(&id).map_or(0, |open| open.bytes)
    }

    /// Removes a batch from outside, if it has not joined the queue.
    pub(super) fn withdraw(&self, number: u64) {
        let withdrawn = self.state.lock().outside.remove(&number);
        drop(withdrawn);
    }

    /// Removes the batches from outside whose time is up, and returns them and the next time, in ms.
    pub(super) fn expired(&self, now_ms: u64) -> (Vec<Request>, Option<u64>) {
        let mut state = self.state.lock();
        let late = state.outside.iter().filter(|(_, request)| request.deadline_ms <= now_ms);
        let late: Vec<u64> = late.map(|(&number, _)| number).collect();
        let late = late.iter().filter_map(|number| state.outside.remove(number)).collect();
        let next = state.outside.values().map(|request| request.deadline_ms).min();
        (late, next)
    }

    /// Takes no more batches, and returns those outside.
    pub(super) fn close(&self) -> Vec<Request> {
        let mut state = self.state.lock();
        state.closing = true;
        std::mem::take(&mut state.outside).into_values().collect()
    }

    /// Returns whether no more batches are taken, and the core has none.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.closing && state.open.is_empty()
    }

    /// Blocks until the core has no batch.
    pub(super) fn wait_until_empty(&self) {
        let mut state = self.state.lock();
        self.emptied.wait_while(&mut state, |state| !state.open.is_empty());
    }

    /// Ends a batch that the core does not have.
    pub(super) fn refuse(&self, request: Request, error: AppendError) {
        let result = Err(error);
        request.timer.end(&result);
        request.ticket.complete(result, &self.wakers);
    }

    /// Returns whether the caller is in a waker of a task.
    pub(super) fn wakes_here(&self) -> bool {
        self.wakers.wakes_here()
    }

    /// Ends the thread that wakes tasks.
    pub(super) fn end_wakers(&self) {
        self.wakers.end();
    }

    /// Takes no more batches, and ends all with this error. Called when a thread failed.
    pub(super) fn fail_all(&self, error: &AppendError) {
        let mut state = self.state.lock();
        state.closing = true;
        state.bytes = 0;
        let open: Vec<Open> = state.open.drain().map(|(_, open)| open).collect();
        let outside = std::mem::take(&mut state.outside);
        drop(state);
        let outside = outside.into_values().map(|request| (request.ticket, request.timer));
        let open = open.into_iter().map(|open| (open.ticket, open.timer));
        for (ticket, timer) in open.chain(outside) {
            let result = Err(error.clone());
            timer.end(&result);
            ticket.complete(result, &self.wakers);
        }
        self.emptied.notify_all();
    }
}

impl State {
    fn submit(&mut self, request: Request, inbox: &Inbox) {
        let Request { batch, ticket, timer, deadline_ms, bytes } = request;
        let id = RequestId(self.next);
        self.next += 1;
        self.bytes += bytes;
        self.open.insert(id, Open { ticket, timer, bytes });
        // Under the lock, so that batches reach the core in the order of their numbers.
        inbox.push(Input::Submitted { request: id, batch, deadline_ms: Some(deadline_ms) });
    }
}
