//! How a replicated log is opened.

use std::sync::Arc;
use std::time::Duration;

use annals::{Clock, FileSystem, RealFileSystem};

/// The options of a [`Replicated`](crate::Replicated) backend. Each has a default that suits most logs.
///
/// ```
/// use std::time::Duration;
/// use annals::{EventStore, RawEvent};
/// use annals_replicated::sim::{Faults, SimLog};
/// use annals_replicated::Replicated;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("replica");
/// let log = SimLog::new(Faults::none(), 1); // a test's engine, in memory
/// let options = Replicated::options().append_timeout(Duration::from_secs(5));
/// let store = EventStore::<RawEvent, _>::on(options.open(log, &path)?);
/// assert_eq!(store.append(RawEvent::builder("seat-sold").build()?)?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReplicatedOptions {
    pub(super) append_timeout: Duration,
    pub(super) open_timeout: Duration,
    pub(super) queue_bytes: usize,
    pub(super) queue_batches: usize,
    pub(super) segment_bytes: u64,
    pub(super) clock: Clock,
    pub(super) file_system: Arc<dyn FileSystem>,
}

impl Default for ReplicatedOptions {
    fn default() -> Self {
        Self {
            append_timeout: Duration::from_secs(30),
            open_timeout: Duration::from_secs(30),
            queue_bytes: 64 << 20,
            queue_batches: 65_536,
            segment_bytes: 64 << 20,
            clock: Clock::default(),
            file_system: Arc::new(RealFileSystem),
        }
    }
}

impl ReplicatedOptions {
    /// Sets how long an append waits for the engine: 30 seconds by default, at least 1 ms. Then it returns
    /// [`Unavailable`](annals::AppendError::Unavailable) or [`InDoubt`](annals::AppendError::InDoubt). An append that
    /// the engine has stored in time returns when the replica shows it, which has no time limit.
    #[must_use]
    pub fn append_timeout(mut self, limit: Duration) -> Self {
        self.append_timeout = limit;
        self
    }

    /// Sets how long opening waits for the engine without any progress: 30 seconds by default. Opening takes as long as
    /// it takes to read what the replica lacks.
    #[must_use]
    pub fn open_timeout(mut self, limit: Duration) -> Self {
        self.open_timeout = limit;
        self
    }

    /// Sets the size of the batches that wait for their result, in bytes: 64 MiB by default. Beyond it, an append
    /// blocks, and an asynchronous append waits until its future is polled and there is room. One batch of any size has
    /// room.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets the number of batches that wait for their result: 65,536 by default, at least 1. Beyond it, appends wait as
    /// with [`queue_bytes`](Self::queue_bytes).
    #[must_use]
    pub fn queue_batches(mut self, batches: usize) -> Self {
        self.queue_batches = batches.max(1);
        self
    }

    /// Sets the size of the replica's segments in bytes, as
    /// [`JournalOptions::segment_bytes`](annals::JournalOptions::segment_bytes) says: 64 MiB by default.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets the clock that gives events their times: the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the file system of the replica: the operating system's by default.
    #[must_use]
    pub fn file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }
}
