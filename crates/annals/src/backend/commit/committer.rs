//! The commit path of a backend: the queue of batches that wait for their commit, and whether the log takes appends.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use annals_base::{Bell, LeaderQueue, LeaderQueueGuard, TargetGuard};

use super::clock::Clock;
use super::helper::Helper;
use super::request::Request;
use super::room::Room;
use super::target::CommitTarget;
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::health::Health;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::metrics::meters::Timed;

/// The commit path of one backend: appends of many threads are committed in groups, by one of these threads at a time.
///
/// The author of a backend passes it a [`CommitTarget`] and the head's publisher, and calls it from
/// [`Backend::append`](crate::Backend::append), `submit`, `sync`, `close` and `health`, and [`retire`](Self::retire)
/// when the backend is dropped. A [`LogAccess`](crate::backend::LogAccess) does that for the backend; its module has an
/// example.
pub struct Committer<E, H> {
    pub(super) head: HeadPublisher<E>,
    pub(super) queue: LeaderQueue<Request<E>, State<E>, H>,
    /// Whether a write failed. The queue's state has the reason.
    pub(super) poisoned: AtomicBool,
    /// Whether the last commit found no room. The queue's state has the reason.
    pub(super) full: AtomicBool,
    pub(super) helper: OnceLock<Option<Arc<Helper>>>,
    pub(super) clock: Clock,
    pub(super) me: Weak<Self>,
}

/// The progress of closing a log.
#[derive(Default)]
pub(super) struct Closing {
    /// The leader is to close the log when the queue is empty.
    pub(super) when_idle: bool,
    /// The backend was dropped: its target is to release its files once it is closed.
    pub(super) release: bool,
    /// The target was closed cleanly.
    pub(super) done: bool,
}

/// The state that the queue's lock guards, apart from the requests.
pub(super) struct State<E> {
    pub(super) poison: Option<AppendError>,
    /// The error of the last append, if there was no room for it.
    pub(super) no_room: Option<AppendError>,
    pub(super) closing: Closing,
    pub(super) room: Room<E>,
    /// The bell of the callers whose batches join the queue now.
    pub(super) bell: Arc<Bell>,
}

pub(super) type Locked<'a, E> = LeaderQueueGuard<'a, Request<E>, State<E>>;

/// The target, for the thread that has it.
pub(super) type Target<'a, E, H> = TargetGuard<'a, Request<E>, State<E>, H>;

impl<E: Event, H: CommitTarget<E>> Committer<E, H> {
    /// Creates the commit path of this target. It publishes commits with `head`.
    #[must_use]
    pub fn new(head: HeadPublisher<E>, target: H) -> Arc<Self> {
        Self::with_clock(head, target, Clock::default())
    }

    /// Creates the commit path of this target as [`new`](Self::new) does, with another clock than the system's.
    #[must_use]
    pub fn with_clock(head: HeadPublisher<E>, target: H, clock: Clock) -> Arc<Self> {
        let state = State {
            poison: None,
            no_room: None,
            closing: Closing::default(),
            room: Room::default(),
            bell: Arc::default(),
        };
        Arc::new_cyclic(|me| Self {
            head,
            queue: LeaderQueue::new(state, target),
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

    /// Calls `f` with the target while no commit runs, and returns its result.
    pub fn with_target<R>(&self, f: impl FnOnce(&mut H) -> R) -> R {
        f(&mut self.queue.borrow_target())
    }

    /// Returns whether a write or sync failed. The log then takes no more appends.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.queue.lock().extra.poison.is_some()
    }

    /// Returns whether the log takes appends, and if not, why.
    #[must_use]
    pub fn health(&self) -> Health {
        let queue = self.queue.lock();
        match (&queue.extra.poison, &queue.extra.no_room) {
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

    /// Returns an error if the log takes no more appends.
    pub(super) fn check(&self, queue: &Locked<'_, E>) -> Result<(), AppendError> {
        match &queue.extra.poison {
            Some(poison) => Err(poison.clone()),
            None if !self.head.takes_appends() => Err(AppendError::Closed),
            None => Ok(()),
        }
    }

    /// Returns the error of further commits, if a write failed. The caller has the target.
    pub(super) fn refusal(&self) -> Option<AppendError> {
        // Relaxed: pairs with the store in `poison`, by a thread that had the target before the caller. A leader that
        // panics without the target stores it too; a caller that does not see that yet commits nothing after it.
        let poisoned = self.poisoned.load(Ordering::Relaxed);
        if poisoned { self.queue.lock().extra.poison.clone() } else { None }
    }

    /// Makes the log refuse appends, since a write failed. Returns the error for the batches of the failed commit. The
    /// caller has the target, or is a leader that panics.
    pub(super) fn poison(&self, error: &Arc<io::Error>) -> AppendError {
        tracing::error!(%error, "a write failed; the store takes no more appends until it is reopened");
        // Relaxed: pairs with the load in `refusal`.
        self.poisoned.store(true, Ordering::Relaxed);
        let poison = AppendError::Poisoned { cause: error.to_string().into() };
        self.queue.lock().extra.poison = Some(poison);
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
