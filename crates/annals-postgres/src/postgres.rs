//! The engine: hands calls to the thread that has the connections, and waits.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, CheckError, CommitLog, Done, Fitness, HEADER_BYTES,
    LogError, LogLimits, MAX_BODY_BYTES, NewEntry, Page, ReadLimit, Slot,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::address::{Address, ConnectError};
use crate::appends::{self, Append};
use crate::options::PostgresOptions;
use crate::queries::{self, Query};
use crate::session::Connector;
use crate::shared::Shared;
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
        let shared = Arc::new(Shared::default());
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

impl PostgresOptions {
    /// Sets up a connection to the record at `url`: `postgres://USER@HOST,HOST,…/DATABASE?store=NAME`. The connection
    /// itself is made by the first call that needs it, and made again whenever it is lost.
    ///
    /// Connections to other machines use TLS and check the server's certificate: against the file that the parameter
    /// `sslrootcert=PATH` names, or against the certificates of the system. `sslmode=disable` switches TLS off.
    ///
    /// # Errors
    /// [`ConnectError`] if the URL, the password file or the certificates are wrong.
    pub fn connect(self, url: &str) -> Result<Postgres, ConnectError> {
        let mut address = Address::parse(url)?;
        let password = match &self.password_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConnectError::PasswordFile { path: path.clone(), error })?;
                Some(text.lines().next().unwrap_or_default().to_owned())
            }
            None => std::env::var("PGPASSWORD").ok(),
        };
        for server in &mut address.servers {
            if let Some(password) = &password {
                server.password(password);
            }
            server.application_name("annals");
        }
        Postgres::start(address, &self)
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

    fn compares_hashes(&self) -> bool {
        true
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        self.ask(|answer| Query::Ends { answer }).unwrap_or_else(|| Err(gone()))
    }

    fn wait(&self, after: Slot, until: Instant) {
        let poll = || drop(self.queries.send(Query::Poll));
        self.shared.news.wait(after, until, POLL_EVERY, poll);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        let gone = || Err(CheckError::Unavailable(Cause::new(GONE)));
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
        self.shared.news.on_hint(see);
    }
}

fn gone() -> LogError {
    LogError::Unavailable(Cause::new(GONE))
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("last_slot", &self.shared.news.seen().0)
            .finish_non_exhaustive()
    }
}
