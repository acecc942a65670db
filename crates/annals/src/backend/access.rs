//! The common part of backends that store encoded events: one process writes the log, and other processes follow it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::backend::Selection;
use super::batch::{AppendFuture, Appended, Batch};
use super::commit::clock::Clock;
use super::commit::committer::Committer;
use super::commit::host::{Foreign, Host, Hosting};
use super::commit::target::CommitTarget;
use super::encode::Encoded;
use super::follower::Follower;
use super::head::callbacks::Published;
use super::head::publisher::HeadPublisher;
use super::health::Health;
use super::process::Opener;
use crate::error::{AppendError, FollowError, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::name::Hasher;
use crate::event::raw::RawEvent;
use crate::query::Query;

/// The access that a process has to a log: the commit path of the one writer, or the thread that follows it.
///
/// A backend that stores encoded events has one as its first field, and implements
/// [`Backend::append`](crate::Backend::append), `submit`, `head`, `sync`, `close` and `health` with the methods of the
/// same names. Dropping it closes the log of a writer. For a follower, it closes the head and ends the thread.
///
/// All calls that write check that the process was not forked from the one that opened the log.
///
/// The module [`backend`](crate::backend) has an example.
pub struct LogAccess<E: Event, T: CommitTarget<E>> {
    head: HeadPublisher<E>,
    role: Role<E, T>,
    opener: Opener,
}

enum Role<E, T> {
    Writer(Arc<Committer<E, T>>),
    Follower(Follower),
    /// Another access in this process writes the log, for events of another type.
    Guest(Box<dyn Host>),
    /// Another access in this process follows the log, or another part of the backend moves the head. Contains why the
    /// log is not followed any more, which the follower sets.
    Reader(Arc<OnceLock<FollowError>>),
}

impl<E: Event, T: CommitTarget<E>> LogAccess<E, T> {
    /// Returns the access of the log's one writer, whose commits go to `target`. Events without a time of their own get
    /// theirs from `clock`.
    #[must_use]
    pub fn writer(head: HeadPublisher<E>, target: T, clock: Clock) -> Self {
        let role = Role::Writer(Committer::with_clock(head.clone(), target, clock));
        Self { head, role, opener: Opener::this_process() }
    }

    /// Returns the access of a process that reads the log. `follower` moves `head`.
    #[must_use]
    pub fn follower(head: HeadPublisher<E>, follower: Follower) -> Self {
        Self { head, role: Role::Follower(follower), opener: Opener::this_process() }
    }

    /// Returns the access to a replica. It takes no appends: another part of the backend moves `head`.
    #[cfg(feature = "journal")]
    pub(crate) fn replica(head: HeadPublisher<E>) -> Self {
        Self { head, role: Role::Reader(Arc::default()), opener: Opener::this_process() }
    }

    /// Returns an access to the same log for events of another type. `read` returns the events at these offsets, for
    /// its callbacks.
    #[cfg_attr(
        not(feature = "journal"),
        allow(dead_code, reason = "only the Journal has such handles")
    )]
    pub(crate) fn guest<F: Event, U: CommitTarget<F>>(
        &self,
        read: impl Fn(Range<u64>) -> Published<F> + Send + Sync + 'static,
    ) -> LogAccess<F, U> {
        let role = match &self.role {
            Role::Writer(committer) => Role::Guest(Box::new(Hosting(Arc::clone(committer)))),
            Role::Guest(host) => Role::Guest(host.copy()),
            Role::Follower(follower) => Role::Reader(follower.shared_error()),
            Role::Reader(error) => Role::Reader(Arc::clone(error)),
        };
        LogAccess { head: self.head.twin(read), role, opener: self.opener }
    }

    /// Returns the published head.
    #[must_use]
    pub fn head(&self) -> &HeadPublisher<E> {
        &self.head
    }

    /// Reads events as they are stored, for [`Backend::read_raw`](crate::Backend::read_raw). `read` reads a selection
    /// of the log.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read_raw<'a>(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
        read: impl FnOnce(
            Selection<'_>,
            &mut Vec<EventRef<'a, RawEvent>>,
        ) -> Result<Range<u64>, ReadError>,
    ) -> Result<Range<u64>, ReadError> {
        let (range, query) = (range.start..range.end.min(self.head.get()), Query::all());
        let mut events = Vec::with_capacity(limit);
        let rest = read(Selection { query: &query, range, reverse: false, limit }, &mut events)?;
        page.extend(events.into_iter().map(EventRef::into_owned));
        Ok(rest)
    }

    /// Returns why the log is not followed any more; `None` while it is followed, and for a writer.
    #[must_use]
    pub fn follow_error(&self) -> Option<&FollowError> {
        match &self.role {
            Role::Writer(_) | Role::Guest(_) => None,
            Role::Follower(follower) => follower.error(),
            Role::Reader(error) => error.get(),
        }
    }

    /// Calls `read` if `offset` is below the head, and returns what it reads. Otherwise returns `None`.
    ///
    /// # Errors
    /// The error of `read`.
    pub fn below_head<V>(
        &self,
        offset: u64,
        read: impl FnOnce() -> Result<V, ReadError>,
    ) -> Result<Option<V>, ReadError> {
        (offset < self.head.get()).then(read).transpose()
    }

    /// Encodes a batch, appends it, and waits for its commit. Returns what the commit path returns.
    ///
    /// # Errors
    /// [`AppendError`]; the log then shows nothing of the batch.
    pub fn append(&self, batch: Batch<E>, hasher: &Hasher) -> Result<Appended, AppendError> {
        let encoded = self.encode(&batch, hasher)?;
        match &self.role {
            Role::Writer(committer) => committer.append(batch, encoded),
            Role::Guest(host) => host.append(Foreign::of(batch), encoded),
            Role::Follower(_) | Role::Reader(_) => Err(AppendError::ReadOnly),
        }
    }

    /// Encodes a batch and appends it without blocking the caller. The future returns what [`append`](Self::append)
    /// returns.
    #[expect(
        clippy::must_use_candidate,
        reason = "the batch is appended also if nothing awaits it"
    )]
    pub fn submit(&self, batch: Batch<E>, hasher: &Hasher) -> AppendFuture {
        let result = self.encode(&batch, hasher).and_then(|encoded| match &self.role {
            Role::Writer(committer) => Ok(committer.submit(batch, encoded)),
            Role::Guest(host) => Ok(host.submit(Foreign::of(batch), encoded)),
            Role::Follower(_) | Role::Reader(_) => Err(AppendError::ReadOnly),
        });
        result.unwrap_or_else(|error| Box::pin(std::future::ready(Err(error))))
    }

    /// Returns the encoded batch, or the error of a log that takes no appends from this process.
    fn encode(&self, batch: &Batch<E>, hasher: &Hasher) -> Result<Encoded, AppendError> {
        let encoded = match &self.role {
            Role::Follower(_) | Role::Reader(_) => Err(AppendError::ReadOnly),
            Role::Writer(_) | Role::Guest(_) => {
                self.opener.check().and_then(|()| Encoded::records(&batch.events, hasher))
            }
        };
        encoded.map_err(|error| self.head.refused(error))
    }

    /// Makes everything appended so far durable. Does nothing for a follower.
    ///
    /// # Errors
    /// [`AppendError`] when that fails. The log then takes no more appends.
    pub fn sync(&self) -> Result<(), AppendError> {
        match &self.role {
            Role::Writer(committer) => {
                self.opener.check()?;
                committer.sync()
            }
            Role::Guest(host) => {
                self.opener.check()?;
                host.sync()
            }
            Role::Follower(_) | Role::Reader(_) => Ok(()),
        }
    }

    /// Closes a writer's log as [`Committer::close`] does. Closes a follower's head.
    ///
    /// # Errors
    /// [`AppendError`] when something was not made durable, or the target was not closed cleanly.
    pub fn close(&self) -> Result<(), AppendError> {
        match &self.role {
            Role::Writer(committer) => {
                self.opener.check()?;
                committer.close()
            }
            Role::Guest(host) => {
                self.opener.check()?;
                host.close()
            }
            Role::Follower(_) | Role::Reader(_) => {
                self.head.close();
                Ok(())
            }
        }
    }

    /// Returns whether the log takes appends, and if not, why.
    #[must_use]
    pub fn health(&self) -> Health {
        match &self.role {
            Role::Writer(committer) => committer.health(),
            Role::Guest(host) => host.health(),
            Role::Follower(_) | Role::Reader(_) if self.head.is_closed() => Health::Closed,
            Role::Follower(_) | Role::Reader(_) => Health::ReadOnly,
        }
    }
}

impl<E: Event, T: CommitTarget<E>> Drop for LogAccess<E, T> {
    fn drop(&mut self) {
        // In a forked process, the log, its lock and its commits belong to the process that opened it.
        if !self.opener.is_here() {
            return;
        }
        match &self.role {
            Role::Writer(committer) => committer.retire(),
            // Nothing moves the head any more, and a handle for events of another type may wait for it.
            Role::Follower(_) => self.head.close(),
            Role::Guest(_) | Role::Reader(_) => {}
        }
    }
}

impl<E: Event, T: CommitTarget<E>> std::fmt::Debug for LogAccess<E, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogAccess").field("head", &self.head).finish_non_exhaustive()
    }
}
