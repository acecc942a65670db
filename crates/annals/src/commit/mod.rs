//! The way of an append, shared by every home that only one process writes to.
//!
//! ```text
//!   append ─┐
//!   append ─┼▶ queue ─▶ the leader takes all that wait ─▶ admit each ─▶ Home::commit ─▶ head published ─▶ answers
//!   submit ─┘              (one of the callers)          id, condition,  one write,      callbacks,
//!                                                        offset          one sync        cursors
//! ```
//! While a commit is being made durable the next one gathers in the queue. There is no timer: a lone writer never
//! waits for company. Leadership passes to whoever waits first; for `submit`, whose caller must not block, to a
//! thread of the committer's own. (Group commit by a leader is how `LevelDB` and `RocksDB` do it.)

mod admit;
mod home;
mod request;
mod ticket;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, ThreadId};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::backend::{AppendFuture, Batch};
use crate::encode::Encoded;
use crate::limits::MAX_BATCH_BYTES;
use crate::meters::Timed;
use crate::{AppendError, Event, Head};
use admit::admit;
pub use home::Home;
use request::Request;
use ticket::{Answer, Helper, HelperCall, Pending, Ticket, TicketState};

/// Bytes of a commit that a home may need for each of its batches, beside their events.
const BATCH_ROOM: usize = 64;

/// How often who waits for a commit in memory lets others go first before it sleeps.
const TURNS_AWAKE: u32 = 64;

/// The commit path of one home.
pub struct Committer<E, H> {
    head: Arc<Head<E>>,
    queue: Mutex<Queue<E>>,
    /// Told when nobody leads any more.
    idle: Condvar,
    home: Mutex<H>,
    /// Whether a write failed; why, the queue knows.
    poisoned: AtomicBool,
    helper: OnceLock<Option<Arc<Helper>>>,
    me: Weak<Self>,
}

struct Queue<E> {
    pending: VecDeque<Request<E>>,
    /// Whether somebody leads, or is told to; never false while anything is pending.
    led: bool,
    /// Who leads, once he does.
    leader: Option<ThreadId>,
    poison: Option<AppendError>,
}

impl<E: Event, H: Home<E>> Committer<E, H> {
    /// The commit path of this home, whose published head `head` is.
    #[must_use]
    pub fn new(head: Arc<Head<E>>, home: H) -> Arc<Self> {
        let queue = Queue { pending: VecDeque::new(), led: false, leader: None, poison: None };
        Arc::new_cyclic(|me| Self {
            head,
            queue: Mutex::new(queue),
            idle: Condvar::new(),
            home: Mutex::new(home),
            poisoned: AtomicBool::new(false),
            helper: OnceLock::new(),
            me: Weak::clone(me),
        })
    }

    /// Appends and waits for it.
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
        let mut queue = self.queue.lock();
        if self.head.is_delivering() {
            // Called from a callback, so this thread leads already.
            self.check(&queue)?;
            drop(queue);
            return self.lead_one(request);
        }
        if !self.head.meters().durable() {
            wait_awake(&mut queue);
        }
        self.check(&queue)?;
        if !queue.led {
            (queue.led, queue.leader) = (true, Some(thread::current().id()));
            drop(queue);
            let _leadership = Leadership(self);
            let answer = self.lead_one(request);
            self.pass_on();
            return answer;
        }
        let ticket = Ticket::new();
        request.ticket = Some(Arc::clone(&ticket));
        queue.pending.push_back(request);
        drop(queue);
        if let Some(answer) = ticket.wait() {
            return answer;
        }
        self.lead_pending();
        ticket.wait().unwrap_or(Err(AppendError::Closed))
    }

    /// Appends without waiting: the batch is in the queue when this returns.
    pub fn submit(&self, batch: Batch<E>, encoded: Encoded) -> AppendFuture {
        let mut request = Request::new(batch, encoded);
        let ticket = Ticket::for_future(self.head.meters());
        request.ticket = Some(Arc::clone(&ticket));
        let mut queue = self.queue.lock();
        if let Err(refusal) = self.check(&queue) {
            ticket.set(TicketState::Done(Err(refusal)));
            return Box::pin(Pending(ticket));
        }
        if self.head.is_delivering() {
            // Called from a callback, so this thread leads already, and may wait for the future there.
            drop(queue);
            ticket.set(TicketState::Done(self.lead_one(request)));
            return Box::pin(Pending(ticket));
        }
        queue.pending.push_back(request);
        if !queue.led {
            queue.led = true;
            drop(queue);
            self.call_helper();
        }
        Box::pin(Pending(ticket))
    }

    /// Makes all that was ever committed durable; once no more appends are taken, all that were.
    ///
    /// # Errors
    /// [`AppendError`] when that fails; then no more appends are taken.
    pub fn sync(&self) -> Result<(), AppendError> {
        if !self.head.takes_appends() {
            self.wait_for_others();
        }
        let mut home = self.home.lock();
        if let Some(poison) = &self.queue.lock().poison {
            return Err(poison.clone());
        }
        let synced = self.head.meters().time(Timed::Sync, || home.sync());
        synced.map_err(|error| self.poison(&Arc::new(error)))
    }

    /// Refuses appends from now on, and waits for those that are under way.
    pub fn close(&self) {
        self.head.stop_appends();
        let mut queue = self.queue.lock();
        if queue.is_led_here() {
            // A callback, or a waker, dropped the store's last handle: what waits, waits for this thread.
            let pending = std::mem::take(&mut queue.pending);
            drop(queue);
            answer_all(pending, &AppendError::Closed);
        } else {
            drop(queue);
            self.wait_for_others();
        }
        self.head.close();
    }

    /// Waits until nobody leads, unless this thread does.
    fn wait_for_others(&self) {
        let mut queue = self.queue.lock();
        if !queue.is_led_here() {
            self.idle.wait_while(&mut queue, |queue| queue.led);
        }
    }

    /// What `f` makes of the home, while nothing is committed.
    pub fn with_home<R>(&self, f: impl FnOnce(&mut H) -> R) -> R {
        f(&mut self.home.lock())
    }

    /// Whether a write failed, so that no more appends are taken.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.queue.lock().poison.is_some()
    }

    /// Why no more appends are taken, if they are not.
    fn check(&self, queue: &Queue<E>) -> Result<(), AppendError> {
        match &queue.poison {
            Some(poison) => Err(poison.clone()),
            None if !self.head.takes_appends() => Err(AppendError::Closed),
            None => Ok(()),
        }
    }

    /// As the leader: commits this batch alone. (A leader who finds nobody waiting needs no queue.)
    fn lead_one(&self, request: Request<E>) -> Answer {
        let mut answer = Err(AppendError::Closed);
        self.commit(&mut [request].into_iter(), &mut |_, given| answer = given);
        answer
    }

    /// Leads once: commits all that wait, as far as one commit may go, answers them, and passes the leadership on.
    fn lead_pending(&self) {
        let _leadership = Leadership(self);
        let mut queue = self.queue.lock();
        queue.leader = Some(thread::current().id());
        let mut group = queue.gather();
        drop(queue);
        let mut tickets = Tickets(group.iter_mut().map(|request| request.ticket.take()).collect());
        let mut answers = Vec::with_capacity(group.len());
        self.commit(&mut group.into_iter(), &mut |_, answer| answers.push(answer));
        for (ticket, answer) in tickets.0.iter_mut().zip(answers) {
            if let Some(ticket) = ticket.take() {
                ticket.set(TicketState::Done(answer));
            }
        }
        self.pass_on();
    }

    /// Ends a leadership: whoever waits first leads next.
    fn pass_on(&self) {
        let mut queue = self.queue.lock();
        queue.leader = None;
        let Some(next) = queue.pending.front() else {
            queue.led = false;
            self.idle.notify_all();
            return;
        };
        match &next.ticket {
            Some(ticket) if ticket.may_lead => {
                let ticket = Arc::clone(ticket);
                drop(queue);
                ticket.set(TicketState::Lead);
            }
            _ => {
                drop(queue);
                self.call_helper();
            }
        }
    }

    /// One commit: admits each batch in order, makes them durable together, publishes, and answers in order.
    fn commit(
        &self,
        group: &mut dyn ExactSizeIterator<Item = Request<E>>,
        answer: &mut dyn FnMut(usize, Answer),
    ) {
        let meters = self.head.meters();
        let mut home = self.home.lock();
        let before = home.next_offset();
        let mut answers = Answers::default();
        let now = now_ms();
        // Looked at again: a write or sync may have failed since the batches were let in.
        let mut failure = self.refusal();
        for request in group {
            let admitted = match &failure {
                None => admit(&mut *home, request, now, meters),
                Some(failure) => Err(AppendError::clone(failure)),
            };
            if let Err(AppendError::Failed { source }) = &admitted
                && failure.is_none()
            {
                failure = Some(self.poison(source));
            }
            answers.push(admitted);
        }
        let head = home.next_offset();
        if let Some(failure) = &failure {
            answers.fail(failure);
        } else if head > before {
            match meters.time(Timed::Sync, || home.commit()) {
                Ok(events) => {
                    // With the home's lock: one thread at a time.
                    meters.committed(head - before);
                    drop(home);
                    self.head.publish(head, events);
                }
                Err(error) => {
                    let failure = self.poison(&Arc::new(error));
                    answers.fail(&failure);
                }
            }
        }
        answers.into_iter().enumerate().for_each(|(index, given)| answer(index, given));
    }

    /// Why nothing more is committed, if a write failed. (Asked with the home's lock held.)
    fn refusal(&self) -> Option<AppendError> {
        // Relaxed: it changes under the home's lock only.
        if self.poisoned.load(Ordering::Relaxed) { self.queue.lock().poison.clone() } else { None }
    }

    /// Refuses appends from now on since a write failed; answers the error for those who were in it. (Called with the
    /// home's lock held.)
    fn poison(&self, error: &Arc<io::Error>) -> AppendError {
        tracing::error!(%error, "a write failed; the store takes no more appends until it is reopened");
        // Relaxed: see `refusal`.
        self.poisoned.store(true, Ordering::Relaxed);
        self.queue.lock().poison = Some(AppendError::Poisoned { cause: error.to_string().into() });
        AppendError::Failed { source: Arc::clone(error) }
    }

    /// Has the helper lead; without one (no thread can be had) this thread does.
    fn call_helper(&self) {
        match self.helper.get_or_init(|| self.start_helper()) {
            Some(helper) => helper.set(HelperCall::Lead),
            None => self.lead_pending(),
        }
    }

    fn start_helper(&self) -> Option<Arc<Helper>> {
        let helper = Arc::new(Helper::default());
        let (mine, me) = (Arc::clone(&helper), Weak::clone(&self.me));
        let thread = std::thread::Builder::new().name("annals-commit".into());
        match thread.spawn(move || help(&mine, &me)) {
            Ok(_) => Some(helper),
            Err(error) => {
                tracing::warn!(%error, "no thread for asynchronous appends: their callers commit");
                None
            }
        }
    }
}

/// Leads whenever it is called to, until the committer is gone.
fn help<E: Event, H: Home<E>>(helper: &Helper, committer: &Weak<Committer<E, H>>) {
    while helper.wait() == HelperCall::Lead {
        let Some(committer) = committer.upgrade() else { return };
        committer.lead_pending();
    }
}

/// Held while this thread leads: a panic (of an event's own code) must not leave the others waiting for ever.
struct Leadership<'a, E: Event, H: Home<E>>(&'a Committer<E, H>);

impl<E: Event, H: Home<E>> Drop for Leadership<'_, E, H> {
    fn drop(&mut self) {
        if thread::panicking() {
            let committer = self.0;
            let error = committer.poison(&Arc::new(io::Error::other("a panic while committing")));
            let mut queue = committer.queue.lock();
            let pending = std::mem::take(&mut queue.pending);
            (queue.led, queue.leader) = (false, None);
            committer.idle.notify_all();
            drop(queue);
            answer_all(pending, &error);
        }
    }
}

/// Those who wait for a commit; whoever was not answered when this is dropped is told that it failed.
struct Tickets(Vec<Option<Arc<Ticket>>>);

impl Drop for Tickets {
    fn drop(&mut self) {
        for ticket in self.0.iter_mut().filter_map(Option::take) {
            let source = Arc::new(io::Error::other("a panic while committing"));
            ticket.set(TicketState::Done(Err(AppendError::Failed { source })));
        }
    }
}

/// Waits until nobody leads, or for some turns of the others: what commits in memory is done sooner than a thread
/// sleeps and wakes.
fn wait_awake<E>(queue: &mut MutexGuard<'_, Queue<E>>) {
    for _ in 0..TURNS_AWAKE {
        if !queue.led {
            return;
        }
        MutexGuard::unlocked(queue, thread::yield_now);
    }
}

/// Gives all of these requests the same answer.
fn answer_all<E>(requests: VecDeque<Request<E>>, error: &AppendError) {
    for ticket in requests.into_iter().filter_map(|request| request.ticket) {
        ticket.set(TicketState::Done(Err(error.clone())));
    }
}

impl<E, H> Drop for Committer<E, H> {
    fn drop(&mut self) {
        if let Some(Some(helper)) = self.helper.get() {
            helper.set(HelperCall::End);
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

impl<E> Queue<E> {
    /// Whether this thread leads.
    fn is_led_here(&self) -> bool {
        self.leader == Some(thread::current().id())
    }

    /// All that wait, in order, as far as they fit into one commit; at least one.
    fn gather(&mut self) -> Vec<Request<E>> {
        let mut bytes = 0;
        let fits = self.pending.iter().take_while(|request| {
            bytes += request.batch.size() + BATCH_ROOM;
            bytes <= MAX_BATCH_BYTES
        });
        let count = fits.count().max(1).min(self.pending.len());
        self.pending.drain(..count).collect()
    }
}

/// Milliseconds since 1970-01-01 UTC.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
