//! The ways into the queue: an append that waits for its commit, and one whose caller must not block.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::thread;

use super::committer::{Committer, Locked};
use super::group::Leadership;
use super::helper::Helper;
use super::request::Request;
use super::submission::Submission;
use super::target::CommitTarget;
use super::ticket::{Answer, Pending, Ticket};
use crate::backend::backend::{AppendFuture, Batch};
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::metrics::meters::Timed;

/// How often a caller that waits for a commit in memory yields to other threads before it sleeps.
const TURNS_AWAKE: u32 = 64;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Appends, and waits for it.
    ///
    /// # Errors
    /// [`AppendError`]; then the log holds nothing of the batch.
    pub fn append(&self, batch: Batch<E>, encoded: Encoded) -> Result<Range<u64>, AppendError> {
        let meters = self.head.meters();
        let started = meters.start(Timed::Append);
        let answer = self.append_in_turn(batch, encoded);
        meters.appended(started, &answer);
        answer
    }

    fn append_in_turn(&self, batch: Batch<E>, encoded: Encoded) -> Answer {
        let mut request = Request::new(batch, encoded);
        let mut line = self.line.lock();
        if line.is_led_here() {
            // Called from a callback or a waker: this thread leads already.
            self.check(&line)?;
            drop(line);
            return self.lead_one(request);
        }
        if !self.head.meters().durable() {
            line = self.wait_awake(line);
        }
        self.check(&line)?;
        if line.try_lead() {
            drop(line);
            let leadership = Leadership::of(self);
            let answer = self.lead_one(request);
            leadership.end();
            return answer;
        }
        let ticket = Ticket::new();
        request.ticket = Some(Arc::clone(&ticket));
        let unled = line.push(request);
        assert!(!unled, "a line that could not be led is not led");
        drop(line);
        if let Some(answer) = ticket.wait() {
            return answer;
        }
        self.lead_pending();
        ticket.wait().unwrap_or(Err(AppendError::Closed))
    }

    /// Appends without waiting. If there is room for it, the batch is in the line when this returns, and is committed
    /// whether or not the future is awaited. If there is none, the batch joins the line behind those that came before
    /// it as soon as the future was polled and there is room; a future that is dropped before that appends nothing.
    pub fn submit(&self, batch: Batch<E>, encoded: Encoded) -> AppendFuture {
        let mut request = Request::new(batch, encoded);
        request.measure();
        let ticket = Ticket::for_future(self.head.meters());
        request.ticket = Some(Arc::clone(&ticket));
        let line = self.line.lock();
        if line.extra.room.has(request.bytes) || line.is_led_here() {
            self.enter(line, request);
            return Box::pin(Pending(ticket));
        }
        drop(line);
        Box::pin(Submission::new(Weak::clone(&self.me), request, ticket))
    }

    /// Puts an asynchronous request into the line, or answers it at once: with a refusal, or since this thread leads
    /// and may wait for the answer in the callback that it is in.
    pub(super) fn enter(&self, mut line: Locked<'_, E>, mut request: Request<E>) {
        let refusal = self.check(&line).err();
        if refusal.is_some() || line.is_led_here() {
            drop(line);
            let ticket = request.ticket.take();
            let answer = refusal.map_or_else(|| self.lead_one(request), Err);
            if let Some(ticket) = ticket {
                ticket.answer(answer);
            }
            return;
        }
        line.extra.room.enter(request.bytes);
        if line.push(request) {
            drop(line);
            self.call_helper();
        }
    }

    /// Has the helper thread lead; if no thread can be had, this one does.
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

    /// Makes all that was ever committed durable; once no more appends are taken, all that were.
    ///
    /// # Errors
    /// [`AppendError`] when that fails; then no more appends are taken.
    pub fn sync(&self) -> Result<(), AppendError> {
        let line = self.line.lock();
        if !self.head.takes_appends() && !line.is_led_here() {
            drop(self.line.wait_until_idle(line));
        } else {
            drop(line);
        }
        self.sync_target(&mut self.target.lock())
    }

    /// Waits until nobody leads, or for some turns of the others: what commits in memory is done sooner than a thread
    /// sleeps and wakes.
    fn wait_awake<'a>(&'a self, mut line: Locked<'a, E>) -> Locked<'a, E> {
        for _ in 0..TURNS_AWAKE {
            if !line.is_led() {
                break;
            }
            drop(line);
            thread::yield_now();
            line = self.line.lock();
        }
        line
    }
}

/// Leads for as long as the helper is called to; returns false once the committer is gone.
fn lead_for<E: Event, H: CommitTarget<E>>(
    helper: &Helper,
    committer: &Weak<Committer<E, H>>,
) -> bool {
    let Some(committer) = committer.upgrade() else { return false };
    committer.lead_pending();
    // A callback may have dropped the store: as long as something waits, the committer is kept.
    while helper.is_called_to_lead() {
        committer.lead_pending();
    }
    true
}
