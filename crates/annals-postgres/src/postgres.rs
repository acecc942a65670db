//! The engine: hands calls to the thread that has the connections, and waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, CommitLog, Done, Fitness, HEADER_BYTES, LogError,
    LogLimits, MAX_BODY_BYTES, NewEntry, Page, ReadLimit, Slot, Unfit,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::address::{Address, ConnectError};
use crate::appends::{self, Append};
use crate::options::PostgresOptions;
use crate::queries::{self, Query};
use crate::session::Connector;
use crate::tls;

/// A writer that waits looks at the record this often, in case that no notification comes.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A connection to a record in `PostgreSQL`.
///
/// One thread has two connections to the primary server, one for appends and one for reads. It makes them when they are
/// needed, again after they were lost, and checks the settings of the server each time.
///
/// ```no_run
/// use annals::{EventStore, RawEvent};
/// use annals_postgres::Postgres;
/// use annals_replicated::Replicated;
///
/// let url = "postgres://app@db1,db2,db3/app?store=shop";
/// annals_replicated::create(&Postgres::connect(url)?)?; // once
/// let shop = EventStore::<RawEvent, _>::on(Replicated::open(Postgres::connect(url)?, "data/shop")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Postgres {
    appends: UnboundedSender<Append>,
    queries: UnboundedSender<Query>,
    shared: Arc<Shared>,
}

impl Postgres {
    /// Sets up a connection to the record at `url` with the default options: see [`PostgresOptions::connect`].
    ///
    /// # Errors
    /// [`ConnectError`] if the URL is wrong. A server that cannot be reached is not an error: the calls report it.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        PostgresOptions::default().connect(url)
    }

    /// Returns the default options.
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Starts the thread that has the connections.
    pub(crate) fn start(address: Address, options: &PostgresOptions) -> Result<Self, ConnectError> {
        let tls = tls::connector(address.root_certificates.as_deref())?;
        let &PostgresOptions { timeout, accepts_unsynced, .. } = options;
        let connector = Arc::new(Connector { address, tls, timeout, accepts_unsynced });
        let shared = Arc::new(Shared::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ConnectError::Thread)?;
        let (appends, append_calls) = unbounded_channel();
        let (queries, query_calls) = unbounded_channel();
        let thread = std::thread::Builder::new().name("annals-postgres".to_owned());
        let work = {
            let shared = Arc::clone(&shared);
            async move {
                tokio::join!(
                    appends::run(Arc::clone(&connector), Arc::clone(&shared), append_calls),
                    queries::run(connector, shared, query_calls),
                );
            }
        };
        // The thread ends by itself once the engine is dropped and its last append has an answer.
        thread.spawn(move || runtime.block_on(work)).map_err(ConnectError::Thread)?;
        Ok(Self { appends, queries, shared })
    }

    /// Sends a call to the thread and waits for its answer. Returns none if the thread has gone.
    fn ask<T>(&self, call: impl FnOnce(SyncSender<T>) -> Query) -> Option<T> {
        let (sender, answer) = sync_channel(1);
        self.queries.send(call(sender)).ok()?;
        answer.recv().ok()
    }
}

const GONE: &str = "the thread of the connection has ended";

impl CommitLog for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        if let Err(call) = self.appends.send(Append { after, entry, done }) {
            let outcome = AppendOutcome::NotSent(Cause::new(GONE));
            (call.0.done)(AppendAnswer { outcome, time_ms: None });
        }
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.ask(|answer| Query::Read { after, limit, answer }).unwrap_or_else(|| Err(gone()))
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        self.ask(|answer| Query::Ends { answer }).unwrap_or_else(|| Err(gone()))
    }

    fn wait(&self, after: Slot, until: Instant) {
        let mut seen = self.shared.seen.lock();
        while *seen <= after && Instant::now() < until {
            let step = until.min(Instant::now() + POLL_EVERY);
            let waited = self.shared.grown.wait_until(&mut seen, step);
            if waited.timed_out() && step < until && self.shared.poll_begins() {
                drop(self.queries.send(Query::Poll));
            }
        }
    }

    fn check(&self) -> Result<Fitness, Unfit> {
        let gone = || Err(Unfit { reasons: vec![GONE.to_owned()] });
        self.ask(|answer| Query::Check { answer }).unwrap_or_else(gone)
    }

    fn limits(&self) -> LogLimits {
        // One connection runs its statements in turn, and a row holds the largest commit in one piece.
        LogLimits { entry_bytes: HEADER_BYTES + MAX_BODY_BYTES, under_way: 1 }
    }

    fn hint(&self) {
        drop(self.queries.send(Query::Hint));
    }

    fn on_hint(&self, see: Box<dyn Fn() + Send + Sync>) {
        self.shared.hints.lock().push(see.into());
    }
}

fn gone() -> LogError {
    LogError::Unavailable(Cause::new(GONE))
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("last_slot", &self.shared.seen().0).finish_non_exhaustive()
    }
}

/// What the callers and the thread share.
pub(crate) struct Shared {
    /// The last slot that is known.
    seen: Mutex<Slot>,
    grown: Condvar,
    /// Whether a poll is under way.
    is_polling: AtomicBool,
    /// Tells the thread that an append landed.
    pub(crate) landed: Notify,
    hints: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    /// Tells this connection's hints from those of others.
    id: Uuid,
}

impl Shared {
    fn new() -> Self {
        Self {
            seen: Mutex::default(),
            grown: Condvar::new(),
            is_polling: AtomicBool::new(false),
            landed: Notify::new(),
            hints: Mutex::default(),
            id: Uuid::new_v4(),
        }
    }

    pub(crate) fn seen(&self) -> Slot {
        *self.seen.lock()
    }

    /// Takes note of an entry.
    pub(crate) fn saw(&self, slot: Slot) {
        let mut seen = self.seen.lock();
        *seen = slot.max(*seen);
        self.grown.notify_all();
    }

    /// Takes note of the end of the record, which is earlier than what is known if the record lost its tail.
    pub(crate) fn found_end(&self, last: Slot) {
        *self.seen.lock() = last;
        self.grown.notify_all();
    }

    /// Takes a notification: the number of a slot, or the hint of a writer.
    pub(crate) fn notified(&self, text: &str) {
        if let Ok(slot) = text.parse() {
            self.saw(Slot(slot));
        } else if text.starts_with(HINT) && text != self.hint_text() {
            let hints = self.hints.lock().clone();
            for hint in hints {
                hint();
            }
        }
    }

    pub(crate) fn hint_text(&self) -> String {
        format!("{HINT}{}", self.id)
    }

    /// Returns whether a poll may begin, which it may if none is under way.
    fn poll_begins(&self) -> bool {
        // Relaxed: the flag guards nothing but itself. What a poll finds is behind the lock of `seen`.
        !self.is_polling.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn poll_ended(&self) {
        // Relaxed: as in `poll_begins`.
        self.is_polling.store(false, Ordering::Relaxed);
    }
}

const HINT: &str = "wait ";
