//! The replica role: a Journal with a copy of a log that several machines append to. Its events come from the log's
//! record, in order, and no caller appends to it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use annals_base::Mutex;

use super::directory::Directory;
use super::fs::StoreDirectory;
use super::options::{Durability, JournalOptions};
use super::published::published;
use super::recovery::recover::recover;
use super::writer::state::JournalTarget;
use super::{Journal, Parts, absolute};
use crate::backend::access::LogAccess;
use crate::backend::commit::target::CommitTarget;
use crate::backend::encode::{Encoded, RECORD_HEAD};
use crate::backend::head::publisher::HeadPublisher;
use crate::backend::process::Opener;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::event::Event;
use crate::event::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::event::raw::RawEvent;
use crate::query::Condition;

/// The most bytes of a batch that a segment has room for, without the head of its frame.
const MOST_BYTES: usize = MAX_BATCH_BYTES + (RECORD_HEAD + 8) * MAX_BATCH_EVENTS;

/// A Journal that is a copy of a log elsewhere. Meant for authors of backends.
///
/// The backend applies what the log has, in order. Nothing is synced meanwhile: the log is the durable copy, and a
/// replica that lost its end is read anew from there. Dropping the replica closes its head.
///
/// ```
/// use annals::{Backend as _, Journal, JournalReplica, RawEvent};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("replica.store");
/// let options = Journal::options().store_id([7; 16]);
/// let replica: JournalReplica<RawEvent> = options.open_replica(&path, "my-engine")?;
/// let event = RawEvent::builder("seat-sold").tag("seat:12A").build()?;
/// replica.apply([(1_700_000_000_000, &[event.clone()][..])])?;
/// assert_eq!(replica.journal().get(0)?.unwrap().event, event);
/// replica.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JournalReplica<E: Event> {
    journal: Journal<E>,
    writer: Mutex<Writer>,
    opener: Opener,
}

/// The side that is written to.
struct Writer {
    target: JournalTarget<RawEvent>,
    /// Whether a commit failed, or panicked.
    failed: bool,
    closed: bool,
}

impl JournalOptions {
    /// Opens the replica in the directory `path`, and creates it if nothing is there. Its durability is
    /// [`Buffered`](Durability::Buffered), whatever the options say. `label` is the value of the label `backend` of its
    /// metrics.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_replica<E: Event>(
        self,
        path: impl AsRef<Path>,
        label: &'static str,
    ) -> Result<JournalReplica<E>, OpenError> {
        self.check()?;
        let options = self.durability(Durability::Buffered);
        let path = &absolute(path.as_ref())?;
        let (directory, lock) =
            Directory::open_locked(&*options.file_system, path, options.store_id)?;
        let recovered = recover(&directory, &options)?;
        #[cfg(feature = "snapshots")]
        let snapshots = super::snapshots(&directory);
        let Parts { log, head, sealed, active } = Journal::parts(label, directory, recovered);
        let target = JournalTarget::new(Arc::clone(&log), sealed, active, options, lock)
            .map_err(OpenError::io("look at", path))?;
        let journal = Journal {
            access: LogAccess::replica(head),
            log,
            #[cfg(feature = "snapshots")]
            snapshots,
        };
        let writer = Mutex::new(Writer { target, failed: false, closed: false });
        Ok(JournalReplica { journal, writer, opener: Opener::this_process() })
    }
}

impl<E: Event> JournalReplica<E> {
    /// Returns the Journal, for reading. It takes no appends.
    #[must_use]
    pub fn journal(&self) -> &Journal<E> {
        &self.journal
    }

    /// Returns the published head.
    #[must_use]
    pub fn head(&self) -> &HeadPublisher<E> {
        self.journal.access.head()
    }

    /// Returns the store's directory, for files that the backend keeps beside the log.
    #[must_use]
    pub fn directory(&self) -> &Arc<dyn StoreDirectory> {
        &self.journal.log.directory.handle
    }

    /// Appends batches of the log, each with the time of its events in ms since 1970 UTC, and publishes them together.
    /// The bodies of the events stay as they are.
    ///
    /// The caller makes sure that one thread applies at a time, or a callback of that thread.
    ///
    /// # Errors
    /// The system's. Nothing of these batches is published then, and the replica takes no more until it is opened
    /// again.
    pub fn apply<'a>(
        &self,
        batches: impl IntoIterator<Item = (u64, &'a [RawEvent])>,
    ) -> io::Result<()> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Err(io::Error::other("the replica is closed"));
        }
        if std::mem::replace(&mut writer.failed, true) {
            return Err(io::Error::other("an earlier write to the replica failed"));
        }
        let before = writer.target.next_offset();
        for (time_ms, events) in batches {
            writer.stage(events, &self.journal.log.hasher, time_ms)?;
        }
        writer.commit()?;
        let head = writer.target.next_offset();
        if head > before {
            // Under the lock, so one thread at a time.
            self.head().meters().committed(head - before);
        }
        writer.failed = false;
        drop(writer);
        self.head().publish_with(head, || published(Arc::clone(&self.journal.log), before..head));
        Ok(())
    }

    /// Returns the offset of the first event that the condition forbids.
    ///
    /// # Errors
    /// [`ReadError`] if the index cannot be read.
    pub fn conflict(&self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        self.journal.log.conflict(condition, self.head().get())
    }

    /// Returns the type of the event at `offset`, as it is stored.
    ///
    /// # Errors
    /// [`ReadError`] if the event cannot be read.
    ///
    /// # Panics
    /// If `offset` is not below the head.
    pub fn event_type(&self, offset: u64) -> Result<String, ReadError> {
        assert!(offset < self.head().get(), "offset {offset} is beyond the head");
        Ok(self.journal.log.get_raw(offset)?.0.event_type().to_owned())
    }

    /// Makes everything durable that was applied, closes the files cleanly and then the head. A second call does
    /// nothing.
    ///
    /// # Errors
    /// [`AppendError`] if something was not made durable, or the files were not closed cleanly. The head is closed in
    /// any case.
    pub fn close(&self) -> Result<(), AppendError> {
        let mut writer = self.writer.lock();
        let closed = if std::mem::replace(&mut writer.closed, true) || writer.failed {
            Ok(())
        } else {
            let synced = writer.target.sync();
            let failed = |error| AppendError::Failed { source: Arc::new(error) };
            synced.map_err(failed).and_then(|()| {
                let not_closed = |error| AppendError::NotClosed { source: Arc::new(error) };
                writer.target.close().map_err(not_closed)
            })
        };
        drop(writer);
        self.head().close();
        closed
    }

    /// Releases the lock of the files, so that the replica can be opened again. Nothing is applied after that.
    pub fn release(&self) {
        let mut writer = self.writer.lock();
        writer.closed = true;
        writer.target.release();
    }
}

impl<E: Event> Drop for JournalReplica<E> {
    fn drop(&mut self) {
        // Nothing moves the head any more, and a handle for events of another type may wait for it. In a forked
        // process, the head belongs to the process that opened the replica.
        if self.opener.is_here() {
            self.head().close();
        }
    }
}

impl Writer {
    /// Adds a batch to the commit that is being built. Writes that commit first if both together are too large.
    fn stage(
        &mut self,
        events: &[RawEvent],
        hasher: &crate::event::name::Hasher,
        time_ms: u64,
    ) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let bytes: usize = events.iter().map(|event| event.body().len()).sum();
        if events.len() > MAX_BATCH_EVENTS || bytes + (RECORD_HEAD + 8) * events.len() > MOST_BYTES
        {
            let text = format!("a batch of {} events and {bytes} bytes is too large", events.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let batch = Encoded::stored(events, hasher);
        if self.target.staged_bytes() > 0
            && self.target.staged_bytes() + batch.size() > MAX_BATCH_BYTES
        {
            self.commit()?;
        }
        self.target.reserve(batch.size(), batch.labels.label_count())?;
        self.target.stage(events.to_vec(), batch, time_ms);
        Ok(())
    }

    fn commit(&mut self) -> io::Result<()> {
        if self.target.staged_bytes() > 0 {
            self.target.commit()?;
        }
        Ok(())
    }
}

impl<E: Event> std::fmt::Debug for JournalReplica<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JournalReplica").field(&self.journal).finish()
    }
}
