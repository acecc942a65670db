//! The bound on asynchronous appends that are queued: a batch that finds no room waits outside of the line.
//!
//! ```text
//!   submit ─ room ───────────────────────────────▶ line ─▶ commit, which gives room
//!          └ no room: the future has it ─ polled ─▶ outside, in order ─┘ as room is given
//! ```
//! What waits outside is let in by the leader, not by its future: a future that is not polled again keeps nobody out.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::request::Request;
use super::ticket::{Answer, Pending, Ticket};
use super::{Committer, Home, Locked};
use crate::limits::MAX_QUEUED_BYTES;
use crate::{AppendError, Event, RawEvent};

/// How many bytes the asynchronous batches of the line hold, and those that wait outside.
pub(super) struct Room<E> {
    bytes: usize,
    limit: usize,
    outside: BTreeMap<u64, Request<E>>,
    next: u64,
}

impl<E> Default for Room<E> {
    fn default() -> Self {
        Self { bytes: 0, limit: MAX_QUEUED_BYTES, outside: BTreeMap::new(), next: 0 }
    }
}

impl<E> Room<E> {
    /// Returns whether there is room for a batch: for one of any size where there is none, and behind those outside for
    /// none.
    pub(super) fn has(&self, bytes: usize) -> bool {
        self.outside.is_empty() && self.fits(bytes)
    }

    fn fits(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.limit
    }

    /// A batch joins the line.
    pub(super) fn enter(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Batches of so many bytes were committed; returns those from outside that have room now.
    fn leave(&mut self, bytes: usize) -> VecDeque<Request<E>> {
        assert!(bytes <= self.bytes, "{bytes} bytes leave a line of {} bytes", self.bytes);
        self.bytes -= bytes;
        let mut let_in = VecDeque::new();
        while let Some(first) = self.outside.first_entry() {
            let bytes = first.get().bytes;
            if self.bytes > 0 && self.bytes + bytes > self.limit {
                break;
            }
            self.bytes += bytes;
            let_in.push_back(first.remove());
        }
        let_in
    }

    fn wait_outside(&mut self, request: Request<E>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.outside.insert(number, request);
        number
    }

    /// Returns all that wait outside, which are not let in any more.
    pub(super) fn take_outside(&mut self) -> Vec<Request<E>> {
        std::mem::take(&mut self.outside).into_values().collect()
    }

    /// Forgets the batches of a line that was emptied, and returns all that wait outside.
    pub(super) fn clear(&mut self) -> Vec<Request<E>> {
        self.bytes = 0;
        self.take_outside()
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    #[cfg(test)]
    pub(super) fn outside_count(&self) -> usize {
        self.outside.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Returns the bytes that an event is known to hold.
pub(super) fn event_bytes<E: 'static>(event: &E) -> usize {
    let raw = (event as &dyn Any).downcast_ref::<RawEvent>();
    size_of::<E>() + raw.map_or(0, |raw| raw.body().len())
}

/// As the leader: batches of so many bytes were committed, and what waits outside is let in as far as there is room.
pub(super) fn give_room<E: Event>(line: &mut Locked<'_, E>, bytes: usize) {
    if bytes > 0 {
        for request in line.extra.room.leave(bytes) {
            let unled = line.push(request);
            assert!(!unled, "the leader gives room");
        }
    }
}

/// The future of a batch that found no room.
pub(super) struct Submission<E: Event, H: Home<E>> {
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

impl<E: Event, H: Home<E>> Submission<E, H> {
    pub(super) fn new(
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

impl<E: Event, H: Home<E>> Future for Submission<E, H> {
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

impl<E: Event, H: Home<E>> Drop for Submission<E, H> {
    fn drop(&mut self) {
        if let At::Outside(number) = self.at
            && let Some(committer) = self.committer.upgrade()
        {
            // Dropped without the lock: an event's own code may come back here.
            let _withdrawn = committer.line.lock().extra.room.outside.remove(&number);
        }
    }
}

impl<E: Event, H: Home<E>> Unpin for Submission<E, H> {}
