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

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};

use crate::backend::{AppendFuture, Batch};
use crate::encode::Encoded;
use crate::head::{Published, thread_waker};
use crate::labels::Name;
use crate::limits::MAX_BATCH_BYTES;
use crate::{AppendError, Condition, Event, Head, ReadError};

/// What a home does for the commit path. The leader alone calls it.
pub(crate) trait Home<E>: Send + 'static {
    /// The offset that the next event staged gets.
    fn next_offset(&self) -> u64;

    /// When the last event was recorded; 0 if there is none.
    fn last_time_ms(&self) -> u64;

    /// Makes sure that so many more bytes and labels can be in this commit. If there is no room for them
    /// ([`io::ErrorKind::StorageFull`] and its like), everything stays as it was and may be tried again.
    fn reserve(&mut self, bytes: usize, labels: usize) -> io::Result<()>;

    /// The first event that the condition forbids, staged ones included.
    fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError>;

    /// The event with this id, staged ones included.
    fn find_id(&self, id: Name<'_>) -> Result<Option<u64>, ReadError>;

    /// Whether the event at `offset`, maybe a staged one, says the same as event `index` of the batch.
    fn is_same(
        &self,
        offset: u64,
        events: &[E],
        batch: &Encoded,
        index: usize,
    ) -> Result<bool, ReadError>;

    /// Takes a batch's events at the next offsets. No reader sees them yet.
    fn stage(&mut self, events: Vec<E>, batch: &Encoded, time_ms: u64);

    /// Makes all that is staged durable, and readable below the new head.
    fn commit(&mut self) -> io::Result<Published<E>>;

    /// Makes all that was ever committed durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The commit path of one home.
pub(crate) struct Committer<E, H> {
    head: Arc<Head<E>>,
    queue: Mutex<Queue<E>>,
    /// Told when nobody leads any more.
    idle: Condvar,
    home: Mutex<H>,
    commits: AtomicU64,
    helper: OnceLock<Option<Arc<Helper>>>,
    me: Weak<Self>,
}

struct Queue<E> {
    pending: VecDeque<Request<E>>,
    /// Whether somebody leads, or is told to; never false while anything is pending.
    led: bool,
    closed: bool,
    poison: Option<AppendError>,
}

/// A batch on its way, and who waits for it.
struct Request<E> {
    events: Vec<E>,
    batch: Encoded,
    condition: Option<Condition>,
    time_ms: Option<u64>,
    ticket: Option<Arc<Ticket>>,
}

type Answer = Result<Range<u64>, AppendError>;

/// Where a caller that waits finds its answer, or the leadership.
struct Ticket {
    may_lead: bool,
    state: Mutex<TicketState>,
}

enum TicketState {
    Waiting(Option<Waker>),
    Lead,
    Done(Answer),
}

/// Wakes the thread that leads for those who must not block.
#[derive(Default)]
struct Helper {
    call: Mutex<HelperCall>,
    called: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum HelperCall {
    #[default]
    None,
    Lead,
    End,
}

impl<E: Event, H: Home<E>> Committer<E, H> {
    pub(crate) fn new(head: Arc<Head<E>>, home: H) -> Arc<Self> {
        let queue = Queue { pending: VecDeque::new(), led: false, closed: false, poison: None };
        Arc::new_cyclic(|me| Self {
            head,
            queue: Mutex::new(queue),
            idle: Condvar::new(),
            home: Mutex::new(home),
            commits: AtomicU64::new(0),
            helper: OnceLock::new(),
            me: Weak::clone(me),
        })
    }

    /// Appends and waits for it.
    pub(crate) fn append(&self, batch: Batch<E>, encoded: Encoded) -> Answer {
        let mut request = Request::new(batch, encoded);
        let mut queue = self.queue.lock();
        queue.check()?;
        if self.head.is_delivering() {
            // Called from a callback, so this thread leads already.
            drop(queue);
            return self.lead_one(request);
        }
        if !queue.led {
            queue.led = true;
            drop(queue);
            let answer = self.lead_one(request);
            self.pass_on();
            return answer;
        }
        let ticket = Ticket::new(true);
        request.ticket = Some(Arc::clone(&ticket));
        queue.pending.push_back(request);
        drop(queue);
        if let Some(answer) = ticket.wait() {
            return answer;
        }
        self.lead_pending();
        self.pass_on();
        ticket.wait().unwrap_or(Err(AppendError::Closed))
    }

    /// Appends without waiting: the batch is in the queue when this returns.
    pub(crate) fn submit(&self, batch: Batch<E>, encoded: Encoded) -> AppendFuture {
        let mut request = Request::new(batch, encoded);
        let ticket = Ticket::new(false);
        request.ticket = Some(Arc::clone(&ticket));
        let mut queue = self.queue.lock();
        if let Err(refusal) = queue.check() {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        queue.pending.push_back(request);
        if !queue.led {
            queue.led = true;
            drop(queue);
            self.call_helper();
        }
        Box::pin(Pending(ticket))
    }

    /// Makes all that was ever committed durable.
    pub(crate) fn sync(&self) -> Result<(), AppendError> {
        self.queue.lock().check()?;
        let synced = self.home.lock().sync();
        synced.map_err(|error| self.poison(&Arc::new(error)))
    }

    /// Refuses appends from now on, and waits for those that are under way.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        if !self.head.is_delivering() {
            self.idle.wait_while(&mut queue, |queue| queue.led);
        }
        drop(queue);
        self.head.close();
    }

    pub(crate) fn home(&self) -> &Mutex<H> {
        &self.home
    }

    /// Whether a write failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.queue.lock().poison.is_some()
    }

    /// Commits so far.
    pub(crate) fn commits(&self) -> u64 {
        // Relaxed: a number to look at, which orders nothing.
        self.commits.load(Ordering::Relaxed)
    }

    /// As the leader: commits this batch alone. (A leader who finds nobody waiting needs no queue.)
    fn lead_one(&self, request: Request<E>) -> Answer {
        let mut answer = Err(AppendError::Closed);
        self.commit(&mut [request].into_iter(), &mut |_, given| answer = given);
        answer
    }

    /// As the leader: commits all that wait, as far as one commit may go, and answers them.
    fn lead_pending(&self) {
        let mut queue = self.queue.lock();
        let poison = queue.poison.clone();
        let mut group = queue.gather();
        drop(queue);
        let tickets: Vec<_> = group.iter_mut().map(|request| request.ticket.take()).collect();
        let mut answers = Vec::with_capacity(tickets.len());
        match poison {
            None => self.commit(&mut group.into_iter(), &mut |_, answer| answers.push(answer)),
            Some(poison) => answers.resize(tickets.len(), Err(poison)),
        }
        for (ticket, answer) in tickets.into_iter().zip(answers) {
            if let Some(ticket) = ticket {
                ticket.set(TicketState::Done(answer));
            }
        }
    }

    /// Ends a leadership: whoever waits first leads next.
    fn pass_on(&self) {
        let mut queue = self.queue.lock();
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
        let mut home = self.home.lock();
        let before = home.next_offset();
        let mut answers = Answers::default();
        let now = now_ms();
        let mut failure = None;
        for request in group {
            let admitted = match &failure {
                None => admit(&mut *home, request, now),
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
            match home.commit() {
                Ok(events) => {
                    drop(home);
                    // Relaxed: see `commits`.
                    self.commits.fetch_add(1, Ordering::Relaxed);
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

    /// Refuses appends from now on since a write failed; answers the error for those who were in it.
    fn poison(&self, error: &Arc<io::Error>) -> AppendError {
        tracing::error!(%error, "a write failed; the store takes no more appends until it is reopened");
        self.queue.lock().poison = Some(AppendError::Poisoned { cause: error.to_string().into() });
        AppendError::Failed { source: Arc::clone(error) }
    }

    /// Has the helper lead; without one (no thread can be had) this thread does.
    fn call_helper(&self) {
        match self.helper.get_or_init(|| self.start_helper()) {
            Some(helper) => helper.set(HelperCall::Lead),
            None => loop {
                self.lead_pending();
                let mut queue = self.queue.lock();
                if queue.pending.is_empty() {
                    queue.led = false;
                    self.idle.notify_all();
                    return;
                }
            },
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
        committer.pass_on();
    }
}

impl Helper {
    fn set(&self, call: HelperCall) {
        *self.call.lock() = call;
        self.called.notify_one();
    }

    fn wait(&self) -> HelperCall {
        let mut call = self.call.lock();
        self.called.wait_while(&mut call, |call| *call == HelperCall::None);
        std::mem::take(&mut *call)
    }
}

impl<E, H> Drop for Committer<E, H> {
    fn drop(&mut self) {
        if let Some(Some(helper)) = self.helper.get() {
            helper.set(HelperCall::End);
        }
    }
}

/// Decides on one batch: its offsets if it is staged now or was recorded before, or why not.
fn admit<E: Event>(home: &mut impl Home<E>, request: Request<E>, now: u64) -> Answer {
    let Request { events, batch, condition, time_ms, .. } = request;
    if let Some(range) = recorded_before(home, &events, &batch)? {
        return Ok(range);
    }
    if let Some(condition) = condition
        && let Some(offset) = home.conflict(&condition)?
    {
        return Err(AppendError::Conflict { offset });
    }
    let last = home.last_time_ms();
    if let Some(given) = time_ms.filter(|&given| given < last) {
        return Err(AppendError::TimeGoesBack { given, last });
    }
    home.reserve(batch.size(), batch.labels.label_count())
        .map_err(|error| no_room(error, batch.size()))?;
    let first = home.next_offset();
    let count = events.len() as u64;
    if count > 0 {
        home.stage(events, &batch, time_ms.unwrap_or(now.max(last)));
    }
    debug_assert_eq!(
        home.next_offset(),
        first + count,
        "a home stages each event at the next offset"
    );
    Ok(first..first + count)
}

/// Tells a lack of room from a failure.
fn no_room(error: io::Error, bytes: usize) -> AppendError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            AppendError::NoRoom { bytes: bytes as u64, source: Arc::new(error) }
        }
        _ => AppendError::Failed { source: Arc::new(error) },
    }
}

/// Where the log has this batch already, if its events' ids say so.
fn recorded_before<E: Event>(
    home: &impl Home<E>,
    events: &[E],
    batch: &Encoded,
) -> Result<Option<Range<u64>>, AppendError> {
    let labels = &batch.labels;
    if !labels.has_ids() {
        return Ok(None);
    }
    let mut ids = HashSet::new();
    let mut found = None;
    for index in 0..labels.len() {
        let Some(id) = labels.event(index).id_name() else { continue };
        if !ids.insert(id.text) {
            return Err(AppendError::IdTwice { id: id.text.to_owned() });
        }
        if found.is_none() {
            found = home.find_id(id)?.map(|offset| (index as u64, offset, id));
        }
    }
    let Some((index, offset, id)) = found else { return Ok(None) };
    let conflict =
        |id: &str, offset, how| Err(AppendError::IdConflict { id: id.to_owned(), offset, how });
    let Some(first) = offset.checked_sub(index) else {
        return conflict(id.text, offset, "where this batch cannot be");
    };
    for (index, offset) in (0..labels.len()).zip(first..) {
        let Some(own) = labels.event(index).id_name() else {
            return conflict(id.text, offset, "and not all of this batch's events have ids");
        };
        match home.find_id(own)? {
            Some(found) if found == offset => {}
            Some(found) => {
                return conflict(own.text, found, "at another place than the rest of this batch");
            }
            None => return conflict(id.text, offset, "but not all of this batch is"),
        }
        if !home.is_same(offset, events, batch, index)? {
            return conflict(own.text, offset, "with other content");
        }
    }
    Ok(Some(first..first + labels.len() as u64))
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

    /// Turns every success into this failure.
    fn fail(&mut self, error: &AppendError) {
        for answer in self.first.iter_mut().chain(&mut self.rest).filter(|answer| answer.is_ok()) {
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
    fn check(&self) -> Result<(), AppendError> {
        if self.closed { Err(AppendError::Closed) } else { self.poison.clone().map_or(Ok(()), Err) }
    }

    /// All that wait, in order, as far as they fit into one commit; at least one.
    fn gather(&mut self) -> Vec<Request<E>> {
        let mut bytes = 0;
        let fits = self.pending.iter().take_while(|request| {
            bytes += request.batch.size();
            bytes <= MAX_BATCH_BYTES
        });
        let count = fits.count().max(1).min(self.pending.len());
        self.pending.drain(..count).collect()
    }
}

impl<E> Request<E> {
    fn new(batch: Batch<E>, encoded: Encoded) -> Self {
        let Batch { events, condition, time_ms } = batch;
        Self { events, batch: encoded, condition, time_ms, ticket: None }
    }
}

impl Ticket {
    fn new(may_lead: bool) -> Arc<Self> {
        Arc::new(Self { may_lead, state: Mutex::new(TicketState::Waiting(None)) })
    }

    fn set(&self, state: TicketState) {
        let before = std::mem::replace(&mut *self.state.lock(), state);
        if let TicketState::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    /// The answer, `None` for the leadership, or pending.
    fn poll(&self, waker: &Waker) -> Poll<Option<Answer>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, TicketState::Waiting(Some(waker.clone()))) {
            TicketState::Waiting(_) => Poll::Pending,
            TicketState::Lead => Poll::Ready(None),
            TicketState::Done(answer) => Poll::Ready(Some(answer)),
        }
    }

    /// Blocks until there is an answer, or the leadership (`None`).
    fn wait(&self) -> Option<Answer> {
        let waker = thread_waker();
        loop {
            if let Poll::Ready(outcome) = self.poll(&waker) {
                return outcome;
            }
            std::thread::park();
        }
    }
}

/// The future of a batch in the queue.
struct Pending(Arc<Ticket>);

impl Future for Pending {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        match self.0.poll(context.waker()) {
            Poll::Ready(Some(answer)) => Poll::Ready(answer),
            // Only tickets that may lead are told to.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Milliseconds since 1970-01-01 UTC.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
