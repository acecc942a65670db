//! The seam: what a backend of the log must do, and nothing else.
//!
//! ```text
//!   EventStore ──append, submit──▶ Backend ──head().publish(…)──▶ readers, cursors, callbacks
//!              ──get, read───────▶         (reading never meets the way of an append)
//! ```
//! Offsets and conditions are the backend's: nothing above assumes that only this process appends. Whoever writes
//! one runs the suite of the crate `annals-conformance` on it.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use super::head::Head;
use crate::error::{AppendError, ReadError};
use crate::event::error::CodecError;
use crate::event::event::{Event, EventRef};
use crate::metrics::stats::{SegmentStats, Stats};
use crate::query::{Condition, Query};
use crate::snapshot::SnapshotStore;
use crate::snapshot::digest::EventDigest;

/// The answer of an append that is under way.
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Range<u64>, AppendError>> + Send>>;

/// Where a log lives. Every method may be called from any number of threads at once.
pub trait Backend<E: Event>: Send + Sync {
    /// Appends a batch, all or none, and answers its offsets once it is as durable as was asked and published.
    ///
    /// # Errors
    /// [`AppendError`]; then the log holds nothing of the batch.
    fn append(&self, batch: Batch<E>) -> Result<Range<u64>, AppendError>;

    /// As [`append`](Self::append), without blocking: the batch is on its way when this returns, whether or not the
    /// future is awaited.
    fn submit(&self, batch: Batch<E>) -> AppendFuture;

    /// Returns the published head: what readers see of the log's length, and wait for. The backend moves it with the
    /// [`HeadPublisher`](crate::backend::HeadPublisher) that it was made from.
    fn head(&self) -> &Head<E>;

    /// The event at `offset`; `None` at and beyond the head.
    ///
    /// # Errors
    /// [`ReadError`] when it is there and cannot be read.
    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError>;

    /// When the event at `offset` was recorded, in ms since 1970 UTC; `None` at and beyond the head. A backend that
    /// decodes events should answer without doing so, for the time of one that cannot be decoded is asked for as well.
    ///
    /// # Errors
    /// [`ReadError`] when it is there and cannot be read.
    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        Ok(self.get(offset)?.map(|event| event.time_ms))
    }

    /// Returns the digest of the event at `offset`; `None` at and beyond the head. A snapshot is bound by it to the log
    /// that was folded, so it must differ between any two events that this offset may ever have, and stay the same while
    /// the event does, also when the log is opened again.
    ///
    /// By default it is of the event as [`get`](Self::get) decodes it and [`Event::encode`] writes it. A backend that
    /// stores bytes returns the digest of these, without decoding: snapshots then outlive a new version of the program,
    /// and an event that this program cannot decode does not hinder them.
    ///
    /// # Errors
    /// [`ReadError`] when the event is there and cannot be read, or, by default, cannot be encoded.
    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        let Some(event) = self.get(offset)? else { return Ok(None) };
        match EventDigest::of_event(&event.event) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) => Err(ReadError::Decode {
                offset,
                event_type: event.event.event_type().to_owned(),
                source: CodecError::payload(error),
            }),
        }
    }

    /// The largest `selection.limit` that [`read`](Self::read) is asked with where many events are wanted, at least 16:
    /// 256 unless a backend, for which each call has a price of its own, says more. They are in memory at once.
    fn page_limit(&self) -> usize {
        256
    }

    /// Adds the next events of a selection to `page`, in its direction: at most `selection.limit`, and at least one
    /// unless there are no more. Answers what is left of the range: empty when all of it was looked at.
    ///
    /// # Errors
    /// [`ReadError`] for the first that cannot be read, if it comes first; those before it are answered without. The offset
    /// of a [`ReadError::Decode`] is that of the event: readers go on behind it.
    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError>;

    /// The names of a kind that begin with `prefix`, each with its number of events, in no order.
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read.
    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError>;

    /// How much there is, as far as the backend knows. What is measured as the log is used, its [`Head`] knows;
    /// [`EventStore::stats`](crate::EventStore::stats) puts the two together.
    fn stats(&self) -> Stats;

    /// How much there is of each segment, in order; nothing where a backend has none.
    fn segments(&self) -> Vec<SegmentStats> {
        Vec::new()
    }

    /// Makes all that was appended durable, whatever durability appends have.
    ///
    /// # Errors
    /// [`AppendError`] when that fails; then the store is poisoned.
    fn sync(&self) -> Result<(), AppendError>;

    /// Takes no more appends, waits for those under way, makes all that was appended durable, and then closes the head, so
    /// that cursors end behind the last event. Called again it does nothing more, but for what failed before.
    ///
    /// # Errors
    /// [`AppendError`] for whatever would otherwise be found when the backend is dropped. The head is closed all the same.
    fn close(&self) -> Result<(), AppendError>;

    /// Returns whether appends are taken, and why not. A backend that may be read-only, run full or fail says so; by
    /// default only whether it is closed.
    fn health(&self) -> Health {
        if self.head().takes_appends() { Health::Open } else { Health::Closed }
    }

    /// The id that this log has and no other, the same whenever it is opened; `None` if it has none. What is kept
    /// beside a log, as snapshots are, tells by it whose it is.
    fn store_id(&self) -> Option<[u8; 16]> {
        None
    }

    /// The backend's own place for snapshots; `None` if it has none.
    fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
        None
    }
}

/// Events to append together.
#[derive(Debug, Clone)]
pub struct Batch<E> {
    /// The events, next to each other in this order.
    pub events: Vec<E>,
    /// What must not have happened.
    pub condition: Option<Condition>,
    /// When they were recorded, in ms since 1970 UTC, for copying logs; `None`: now.
    pub time_ms: Option<u64>,
    /// Whether that may be more than a day ahead of the clock.
    pub allow_future_time: bool,
}

impl<E> Batch<E> {
    /// These events, without a condition, recorded now.
    #[must_use]
    pub fn new(events: Vec<E>) -> Self {
        Self { events, condition: None, time_ms: None, allow_future_time: false }
    }

    /// The same, but only if nothing happened that the condition forbids.
    #[must_use]
    pub fn condition(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// Returns the same batch, recorded at `time_ms`, in milliseconds since 1970-01-01 UTC: for copying logs.
    ///
    /// The time is not before the last event's ([`AppendError::TimeGoesBack`]), and at most a day ahead of the clock
    /// ([`AppendError::TimeInFuture`]), unless [`allow_future_time`](Self::allow_future_time) allows it. Times in a log
    /// never go back: after an event with a time in the future all later events get that time, until the clock has
    /// reached it. So it is, too, after events that were appended while the system's clock was wrong. Their offsets still
    /// tell their order. To get rid of such times, copy the log into a new one with other times.
    #[must_use]
    pub fn time_ms(self, time_ms: u64) -> Self {
        Self { time_ms: Some(time_ms), ..self }
    }

    /// Returns the same batch, whose given time may be more than a day ahead of the clock: for copying a log that has such
    /// times.
    #[must_use]
    pub fn allow_future_time(self) -> Self {
        Self { allow_future_time: true, ..self }
    }
}

/// Whether a store takes appends, and why not.
///
/// ```
/// use annals::{EventStore, Health, RawEvent};
/// let store = EventStore::<RawEvent>::in_memory();
/// assert!(store.health().takes_appends());
/// store.close()?;
/// assert!(matches!(store.health(), Health::Closed));
/// # Ok::<(), annals::AppendError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Health {
    /// Appends are taken.
    Open,
    /// Appends are taken, but the last one was refused, since there was no room for it. The next one that succeeds ends
    /// this.
    NoRoom {
        /// How many bytes were wanted.
        bytes: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The store was opened read-only.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// A write or sync failed: no appends are taken until the store is reopened.
    Poisoned {
        /// The failure.
        cause: Arc<str>,
    },
}

impl Health {
    /// Returns whether the store takes appends, though there may be no room for them.
    #[must_use]
    pub fn takes_appends(&self) -> bool {
        matches!(self, Self::Open | Self::NoRoom { .. })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => write!(f, "open"),
            Self::NoRoom { bytes, source } => {
                write!(f, "open, but there was no room for the last {bytes} bytes: {source}")
            }
            Self::ReadOnly => write!(f, "open read-only"),
            Self::Closed => write!(f, "closed"),
            Self::Poisoned { cause } => write!(f, "a write failed ({cause}); reopen the store"),
        }
    }
}

/// Which events to read, and which way.
#[derive(Debug, Clone)]
pub struct Selection<'q> {
    /// Those that match.
    pub query: &'q Query,
    /// Of these offsets; all below the head.
    pub range: Range<u64>,
    /// From the last to the first.
    pub reverse: bool,
    /// At most so many; at least 1.
    pub limit: usize,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// An event type.
    Type,
    /// A tag.
    Tag,
}

/// A type or tag, and how many events have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCount {
    /// The type or tag.
    pub name: String,
    /// Its number of events, at least 1.
    pub count: u64,
}

/// What points to a backend is one.
macro_rules! pointer_is_backend {
    ($pointer:ident) => {
        impl<E: Event, B: Backend<E> + ?Sized> Backend<E> for $pointer<B> {
            fn append(&self, batch: Batch<E>) -> Result<Range<u64>, AppendError> {
                (**self).append(batch)
            }

            fn submit(&self, batch: Batch<E>) -> AppendFuture {
                (**self).submit(batch)
            }

            fn head(&self) -> &Head<E> {
                (**self).head()
            }

            fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
                (**self).get(offset)
            }

            fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
                (**self).time_ms(offset)
            }

            fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
                (**self).digest(offset)
            }

            fn page_limit(&self) -> usize {
                (**self).page_limit()
            }

            fn read<'a>(
                &'a self,
                selection: Selection<'_>,
                page: &mut Vec<EventRef<'a, E>>,
            ) -> Result<Range<u64>, ReadError> {
                (**self).read(selection, page)
            }

            fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
                (**self).names(kind, prefix)
            }

            fn stats(&self) -> Stats {
                (**self).stats()
            }

            fn segments(&self) -> Vec<SegmentStats> {
                (**self).segments()
            }

            fn sync(&self) -> Result<(), AppendError> {
                (**self).sync()
            }

            fn close(&self) -> Result<(), AppendError> {
                (**self).close()
            }

            fn health(&self) -> Health {
                (**self).health()
            }

            fn store_id(&self) -> Option<[u8; 16]> {
                (**self).store_id()
            }

            fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
                (**self).snapshots()
            }
        }
    };
}

pointer_is_backend!(Box);
pointer_is_backend!(Arc);
