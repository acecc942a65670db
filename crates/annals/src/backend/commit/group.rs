//! One leadership: the leader commits, answers, and passes the lead on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::admit::admit;
use super::committer::{Committer, Locked};
use super::request::{Request, answer_all};
use super::target::CommitTarget;
use super::ticket::{Answer, Ticket};
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::limits::MAX_BATCH_BYTES;
use crate::metrics::meters::Timed;

/// Bytes of a commit that a target may need for each of its batches, beside their events.
const BATCH_ROOM: usize = 64;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// As the leader: commits this batch alone. (A leader that finds nothing waiting needs no line.)
    pub(crate) fn lead_one(&self, request: Request<E>) -> Answer {
        let mut answer = Err(AppendError::Closed);
        self.commit(&mut [request].into_iter(), &mut |_, given| answer = given);
        answer
    }

    /// Leads once: commits all that wait, as far as one commit may go, answers them, and passes the lead on.
    pub(crate) fn lead_pending(&self) {
        let leadership = Leadership::of(self);
        let mut line = self.line.lock();
        line.take_lead();
        let mut group = gather(&mut line);
        drop(line);
        let bytes: usize = group.iter().map(|request| request.bytes).sum();
        let mut tickets = Tickets(group.iter_mut().map(|request| request.ticket.take()).collect());
        let mut answers = Vec::with_capacity(group.len());
        self.commit(&mut group.into_iter(), &mut |_, answer| answers.push(answer));
        let mut line = self.line.lock();
        give_room(&mut line, bytes);
        // Before the last are answered: then the store is closed, and opens again.
        drop(self.close_if_last(line));
        for (ticket, answer) in tickets.0.iter_mut().zip(answers) {
            if let Some(ticket) = ticket.take() {
                ticket.answer(answer);
            }
        }
        leadership.end();
    }

    /// Ends a leadership: what waits first is led next.
    fn pass_on(&self, mut line: Locked<'_, E>) {
        if !self.line.resign(&mut line) {
            return;
        }
        let next = line.waiting().next().and_then(|next| next.ticket.clone());
        drop(line);
        match next {
            Some(ticket) if ticket.may_lead => ticket.lead(),
            _ => self.call_helper(),
        }
    }

    /// One commit: admits each batch in order, makes them durable together, publishes, and answers in order.
    fn commit(
        &self,
        group: &mut dyn ExactSizeIterator<Item = Request<E>>,
        answer: &mut dyn FnMut(usize, Answer),
    ) {
        let meters = self.head.meters();
        let mut target = self.target.lock();
        let committing = Committing { committer: self, done: false };
        let before = target.next_offset();
        let mut answers = Answers::default();
        let now = self.clock.now_ms();
        // Looked at again: a write or sync may have failed since the batches were let in.
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
            answers.push(admitted);
        }
        let head = target.next_offset();
        self.note_room(&answers, head > before);
        let mut published = None;
        if let Some(failure) = &failure {
            answers.fail(failure);
        } else if head > before {
            match meters.time(Timed::Sync, || target.commit()) {
                Ok(events) => {
                    // With the target's lock: one thread at a time.
                    meters.committed(head - before);
                    published = Some(events);
                }
                Err(error) => {
                    let failure = self.poison(&Arc::new(error));
                    answers.fail(&failure);
                }
            }
        }
        committing.end();
        drop(target);
        if let Some(events) = published {
            self.head.publish(head, events);
        }
        answers.into_iter().enumerate().for_each(|(index, given)| answer(index, given));
    }

    /// Notes whether the last append of a commit found room. Those that needed none say nothing of it.
    fn note_room(&self, answers: &Answers, staged: bool) {
        match answers.last() {
            Some(Err(refusal @ AppendError::NoRoom { .. })) => {
                // Relaxed: it changes under the target's lock only.
                self.full.store(true, Ordering::Relaxed);
                self.line.lock().extra.no_room = Some(refusal.clone());
            }
            // Relaxed: as above.
            _ if staged && self.full.load(Ordering::Relaxed) => {
                self.full.store(false, Ordering::Relaxed);
                self.line.lock().extra.no_room = None;
            }
            _ => {}
        }
    }
}

/// Takes all that wait, in order, as far as they fit into one commit; at least one.
fn gather<E>(line: &mut Locked<'_, E>) -> Vec<Request<E>> {
    let mut bytes = 0;
    let fits = line.waiting().take_while(|request| {
        bytes += request.batch.size() + BATCH_ROOM;
        bytes <= MAX_BATCH_BYTES
    });
    let count = fits.count().max(1).min(line.waiting().count());
    line.take(count)
}

/// Held while this thread leads. If it is dropped before its end, the leader panicked (in an event's own code): that
/// must not leave the others waiting for ever. It does not ask whether the thread panics: an append in a destructor
/// that runs while a thread unwinds is an append like any other.
pub(crate) struct Leadership<'a, E: Event, H: CommitTarget<E>> {
    committer: &'a Committer<E, H>,
    ended: bool,
}

impl<'a, E: Event, H: CommitTarget<E>> Leadership<'a, E, H> {
    pub(crate) fn of(committer: &'a Committer<E, H>) -> Self {
        Self { committer, ended: false }
    }

    /// Ends the leadership, and closes what was to be closed once nothing waits.
    pub(crate) fn end(mut self) {
        let line = self.committer.close_if_last(self.committer.line.lock());
        self.ended = true;
        self.committer.pass_on(line);
    }
}

impl<E: Event, H: CommitTarget<E>> Drop for Leadership<'_, E, H> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let committer = self.committer;
        let error = committer.poison(&panicked());
        let mut line = committer.line.lock();
        let count = line.waiting().count();
        let mut refused = line.take(count);
        refused.extend(line.extra.room.clear());
        drop(line);
        let mut line = committer.close_if_last(committer.line.lock());
        let waits = committer.line.resign(&mut line);
        drop(line);
        debug_assert!(!waits, "a poisoned line takes no requests");
        answer_all(refused, &error);
    }
}

/// Held while the target is at work: if it is dropped before its end, a panic left the target half done.
struct Committing<'a, E: Event, H: CommitTarget<E>> {
    committer: &'a Committer<E, H>,
    done: bool,
}

impl<E: Event, H: CommitTarget<E>> Committing<'_, E, H> {
    fn end(mut self) {
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

/// The tickets of a group; one that was not answered when this is dropped is told that the commit failed.
struct Tickets(Vec<Option<Arc<Ticket>>>);

impl Drop for Tickets {
    fn drop(&mut self) {
        for ticket in self.0.iter_mut().filter_map(Option::take) {
            ticket.answer(Err(AppendError::Failed { source: panicked() }));
        }
    }
}

fn panicked() -> Arc<io::Error> {
    Arc::new(io::Error::other("a panic while committing"))
}

/// As the leader: batches of so many bytes were committed, and what waits outside is let in as far as there is room.
fn give_room<E: Event>(line: &mut Locked<'_, E>, bytes: usize) {
    if bytes > 0 {
        for request in line.extra.room.leave(bytes) {
            let unled = line.push(request);
            assert!(!unled, "the leader gives room");
        }
    }
}

/// The answers of one commit; the usual one needs no allocation.
#[derive(Default)]
struct Answers {
    first: Option<Answer>,
    rest: Vec<Answer>,
}

impl Answers {
    fn push(&mut self, answer: Answer) {
        match self.first {
            None => self.first = Some(answer),
            Some(_) => self.rest.push(answer),
        }
    }

    fn last(&self) -> Option<&Answer> {
        self.rest.last().or(self.first.as_ref())
    }

    /// Turns all of them into this failure: also a refusal may be due to an event that is not there after all.
    fn fail(&mut self, error: &AppendError) {
        for answer in self.first.iter_mut().chain(&mut self.rest) {
            *answer = Err(error.clone());
        }
    }
}

impl IntoIterator for Answers {
    type Item = Answer;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Answer>, std::vec::IntoIter<Answer>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
