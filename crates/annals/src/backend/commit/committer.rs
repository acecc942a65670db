//! The commit path of a backend: the queue of what waits to be committed, and whether appends are taken.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use annals_base::{Line, LineGuard};
use parking_lot::Mutex;

use super::clock::Clock;
use super::helper::Helper;
use super::request::Request;
use super::room::Room;
use super::target::CommitTarget;
use crate::backend::backend::Health;
use crate::backend::head::publisher::HeadPublisher;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::metrics::meters::Timed;

/// The commit path of one backend.
pub struct Committer<E, H> {
    pub(super) head: HeadPublisher<E>,
    pub(super) line: Line<Request<E>, State<E>>,
    pub(super) target: Mutex<H>,
    /// Whether a write failed; why, the line's state says.
    pub(super) poisoned: AtomicBool,
    /// Whether the last commit was refused for want of room; why, the line's state says.
    pub(super) full: AtomicBool,
    pub(super) helper: OnceLock<Option<Arc<Helper>>>,
    pub(super) clock: Clock,
    pub(super) me: Weak<Self>,
}

/// How far a log is closed.
#[derive(Default)]
pub(super) struct Closing {
    /// The leader closes the log when nothing waits any more.
    pub(super) when_idle: bool,
    /// The backend is gone: its target lets go of its files once it is closed.
    pub(super) release: bool,
    /// The target was closed cleanly.
    pub(super) done: bool,
}

/// What the line's lock guards beside the requests.
pub(super) struct State<E> {
    pub(super) poison: Option<AppendError>,
    /// The refusal of the last append, if that was for want of room.
    pub(super) no_room: Option<AppendError>,
    pub(super) closing: Closing,
    pub(super) room: Room<E>,
}

pub(super) type Locked<'a, E> = LineGuard<'a, Request<E>, State<E>>;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Makes the commit path of this target, whose published head `head` moves.
    #[must_use]
    pub fn new(head: HeadPublisher<E>, target: H) -> Arc<Self> {
        Self::with_clock(head, target, Clock::default())
    }

    pub(crate) fn with_clock(head: HeadPublisher<E>, target: H, clock: Clock) -> Arc<Self> {
        let state = State {
            poison: None,
            no_room: None,
            closing: Closing::default(),
            room: Room::default(),
        };
        Arc::new_cyclic(|me| Self {
            head,
            line: Line::new(state),
            target: Mutex::new(target),
            poisoned: AtomicBool::new(false),
            full: AtomicBool::new(false),
            helper: OnceLock::new(),
            clock,
            me: Weak::clone(me),
        })
    }

    pub(super) fn sync_target(&self, target: &mut H) -> Result<(), AppendError> {
        if let Some(poison) = self.refusal() {
            return Err(poison);
        }
        let synced = self.head.meters().time(Timed::Sync, || target.sync());
        synced.map_err(|error| self.poison(&Arc::new(error)))
    }

    /// Returns what `f` makes of the target, while nothing is committed.
    pub fn with_target<R>(&self, f: impl FnOnce(&mut H) -> R) -> R {
        f(&mut self.target.lock())
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
    pub(super) fn check(&self, line: &Locked<'_, E>) -> Result<(), AppendError> {
        match &line.extra.poison {
            Some(poison) => Err(poison.clone()),
            None if !self.head.takes_appends() => Err(AppendError::Closed),
            None => Ok(()),
        }
    }

    /// Returns why nothing more is committed, if a write failed. (Called with the target's lock held.)
    pub(super) fn refusal(&self) -> Option<AppendError> {
        // Relaxed: it changes under the target's lock only.
        let poisoned = self.poisoned.load(Ordering::Relaxed);
        if poisoned { self.line.lock().extra.poison.clone() } else { None }
    }

    /// Refuses appends from now on since a write failed; returns the error for those that were in it. (Called with the
    /// target's lock held, or by a leader that panics.)
    pub(super) fn poison(&self, error: &Arc<io::Error>) -> AppendError {
        tracing::error!(%error, "a write failed; the store takes no more appends until it is reopened");
        // Relaxed: see `refusal`.
        self.poisoned.store(true, Ordering::Relaxed);
        let poison = AppendError::Poisoned { cause: error.to_string().into() };
        self.line.lock().extra.poison = Some(poison);
        AppendError::Failed { source: Arc::clone(error) }
    }
}

impl<E, H> Drop for Committer<E, H> {
    fn drop(&mut self) {
        if let Some(Some(helper)) = self.helper.get() {
            helper.end();
        }
    }
}
