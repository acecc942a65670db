//! The way of an append, shared by every backend that only one process writes to.
//!
//! ```text
//!   append ─┐
//!   append ─┼▶ line ─▶ the leader takes all that wait ─▶ admit each ─▶ Home::commit ─▶ head published ─▶ answers
//!   submit ─┘            (one of the callers)            id, condition,  one write,      callbacks,
//!     └ no room: waits outside of the line               offset          one sync        cursors
//! ```
//! While a commit is being made durable the next one gathers in the line. There is no timer: a lone writer never
//! waits for company. Leadership passes to what waits first; for `submit`, whose caller must not block, to a
//! thread of the committer's own. (Group commit by a leader is how `LevelDB` and `RocksDB` do it.)
//!
//! ```text
//!   group    one leadership: commits, answers, passes on      admit    one batch before its commit
//!   room     asynchronous batches that find no room           closing  the end
//!   ticket   how callers wait       helper   the thread that leads for those who must not block
//! ```

mod admit;
mod clock;
mod closing;
mod group;
mod helper;
mod home;
mod request;
mod room;
#[cfg(test)]
mod tests;
mod ticket;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;

use annals_base::{Line, LineGuard};
use parking_lot::Mutex;

use crate::backend::{AppendFuture, Batch, Health};
use crate::encode::Encoded;
use crate::head::HeadPublisher;
use crate::meters::Timed;
use crate::{AppendError, Event};
pub(crate) use clock::Clock;
use closing::Closing;
use group::Leadership;
use helper::Helper;
pub use home::Home;
use request::Request;
use room::{Room, Submission};
use ticket::{Answer, Pending, Ticket};

/// How often a caller that waits for a commit in memory lets others go first before it sleeps.
const TURNS_AWAKE: u32 = 64;

/// The commit path of one backend.
pub struct Committer<E, H> {
    head: HeadPublisher<E>,
    line: Line<Request<E>, State<E>>,
    home: Mutex<H>,
    /// Whether a write failed; why, the line's state says.
    poisoned: AtomicBool,
    /// Whether the last commit was refused for want of room; why, the line's state says.
    full: AtomicBool,
    helper: OnceLock<Option<Arc<Helper>>>,
    clock: Clock,
    me: Weak<Self>,
}

/// What the line's lock guards beside the requests.
struct State<E> {
    poison: Option<AppendError>,
    /// The refusal of the last append, if that was for want of room.
    no_room: Option<AppendError>,
    closing: Closing,
    room: Room<E>,
}

type Locked<'a, E> = LineGuard<'a, Request<E>, State<E>>;

impl<E: Event, H: Home<E>> Committer<E, H> {
    /// Makes the commit path of this home, whose published head `head` moves.
    #[must_use]
    pub fn new(head: HeadPublisher<E>, home: H) -> Arc<Self> {
        Self::with_clock(head, home, Clock::default())
    }

    pub(crate) fn with_clock(head: HeadPublisher<E>, home: H, clock: Clock) -> Arc<Self> {
        let state = State {
            poison: None,
            no_room: None,
            closing: Closing::default(),
            room: Room::default(),
        };
        Arc::new_cyclic(|me| Self {
            head,
            line: Line::new(state),
            home: Mutex::new(home),
            poisoned: AtomicBool::new(false),
            full: AtomicBool::new(false),
            helper: OnceLock::new(),
            clock,
            me: Weak::clone(me),
        })
    }

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
    /// whether or not the future is awaited. If there is none, the batch joins the line behind those that came before it
    /// as soon as the future was polled and there is room; a future that is dropped before that appends nothing.
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

    /// Puts an asynchronous request into the line, or answers it at once: with a refusal, or since this thread leads and
    /// may wait for the answer in the callback that it is in.
    fn enter(&self, mut line: Locked<'_, E>, mut request: Request<E>) {
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
        self.sync_home(&mut self.home.lock())
    }

    fn sync_home(&self, home: &mut H) -> Result<(), AppendError> {
        if let Some(poison) = self.refusal() {
            return Err(poison);
        }
        let synced = self.head.meters().time(Timed::Sync, || home.sync());
        synced.map_err(|error| self.poison(&Arc::new(error)))
    }

    /// Returns what `f` makes of the home, while nothing is committed.
    pub fn with_home<R>(&self, f: impl FnOnce(&mut H) -> R) -> R {
        f(&mut self.home.lock())
    }

    /// Returns whether a write failed, so that no more appends are taken.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.line.lock().extra.poison.is_some()
    }

    /// Returns whether appends are taken, and why not.
    #[must_use]
    pub fn health(&self) -> Health {
        let line = self.line.lock();
        match (&line.extra.poison, &line.extra.no_room) {
            (Some(AppendError::Poisoned { cause }), _) => {
                Health::Poisoned { cause: Arc::clone(cause) }
            }
            _ if !self.head.takes_appends() => Health::Closed,
            (_, Some(AppendError::NoRoom { bytes, source })) => {
                Health::NoRoom { bytes: *bytes, source: Arc::clone(source) }
            }
            _ => Health::Open,
        }
    }

    /// Returns why no more appends are taken, if they are not.
    fn check(&self, line: &Locked<'_, E>) -> Result<(), AppendError> {
        match &line.extra.poison {
            Some(poison) => Err(poison.clone()),
            None if !self.head.takes_appends() => Err(AppendError::Closed),
            None => Ok(()),
        }
    }

    /// Returns why nothing more is committed, if a write failed. (Called with the home's lock held.)
    fn refusal(&self) -> Option<AppendError> {
        // Relaxed: it changes under the home's lock only.
        let poisoned = self.poisoned.load(Ordering::Relaxed);
        if poisoned { self.line.lock().extra.poison.clone() } else { None }
    }

    /// Refuses appends from now on since a write failed; returns the error for those that were in it. (Called with the
    /// home's lock held, or by a leader that panics.)
    fn poison(&self, error: &Arc<io::Error>) -> AppendError {
        tracing::error!(%error, "a write failed; the store takes no more appends until it is reopened");
        // Relaxed: see `refusal`.
        self.poisoned.store(true, Ordering::Relaxed);
        let poison = AppendError::Poisoned { cause: error.to_string().into() };
        self.line.lock().extra.poison = Some(poison);
        AppendError::Failed { source: Arc::clone(error) }
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
