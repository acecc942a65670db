//! The face of the engine: hands calls to the thread that has the connection, and waits.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, CheckError, CommitLog, Done, Fitness, LogError, LogLimits,
    NewEntry, Page, ReadLimit, Slot,
};
use async_nats::Statistics;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::address::{Address, ConnectError, is_replicas};
use crate::appends::{self, Append};
use crate::check::Checker;
use crate::connection::{Connection, number_of};
use crate::engine::Engine;
use crate::login::Login;
use crate::options::JetStreamOptions;
use crate::queries::{self, Query};
use crate::shared::Shared;
use crate::tls;

/// A writer that waits looks at the record this often, in case that no news come.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// The number of replicas of a new stream, unless the program or the URL says another one.
const REPLICAS: usize = 3;

/// A connection to a record in NATS `JetStream`.
///
/// One thread has a connection to one of the servers. It is made by itself, and made again whenever it is lost. Before
/// the first append on a connection, the settings of the servers and of the stream are checked.
///
/// ```no_run
/// use annals::{EventStore, RawEvent};
/// use annals_nats::JetStream;
/// use annals_replicated::Replicated;
///
/// let url = "nats://app@n1,n2,n3/shop";
/// annals_replicated::create(&JetStream::connect(url)?)?; // once
/// let shop = EventStore::<RawEvent, _>::on(Replicated::open(JetStream::connect(url)?, "data/shop")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JetStream {
    appends: UnboundedSender<Append>,
    queries: UnboundedSender<Query>,
    shared: Arc<Shared>,
    /// The counters of the client.
    statistics: Arc<Statistics>,
}

impl JetStream {
    /// Sets up a connection to the record at `url` with the default options: see [`JetStreamOptions::connect`].
    ///
    /// # Errors
    /// [`ConnectError`] if the URL is wrong. A server that cannot be reached is not an error: the calls report it.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        JetStreamOptions::default().connect(url)
    }

    /// Returns the default options.
    #[must_use]
    pub fn options() -> JetStreamOptions {
        JetStreamOptions::default()
    }

    /// Starts the thread that has the connection.
    fn start(address: &Address, options: &JetStreamOptions) -> Result<Self, ConnectError> {
        let tls = tls::config(address.root_certificates.as_deref())?;
        let login = Login::of_record(address, options)?;
        let system = Login::of_system(address, options)?;
        let &JetStreamOptions { timeout, accepts_unsynced, .. } = options;
        let thread_error = |error: std::io::Error| ConnectError::Thread(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(thread_error)?;
        let shared = Arc::new(Shared::default());
        let engine = runtime.block_on(async {
            let connect =
                async |login| Connection::start(address, login, tls.clone(), timeout).await;
            let connection = connect(&login).await?;
            let system = match &system {
                Some(login) => Some(connect(login).await?),
                None => None,
            };
            let replicas = address.replicas.unwrap_or(REPLICAS);
            let checker = Checker { accepts_unsynced, replicas, system };
            let (address, shared) = (address.clone(), Arc::clone(&shared));
            Ok(Engine { address, connection, checker, shared })
        });
        let engine = Arc::new(engine.map_err(ConnectError::Url)?);
        let statistics = engine.connection.client().statistics();
        let (appends, append_calls) = unbounded_channel();
        let (queries, query_calls) = unbounded_channel();
        let thread = std::thread::Builder::new().name("annals-nats".to_owned());
        let work = async move {
            tokio::join!(
                appends::run(Arc::clone(&engine), append_calls),
                queries::run(engine, query_calls),
            );
        };
        // The thread ends by itself once the engine is dropped and its last append has an answer.
        thread.spawn(move || runtime.block_on(work)).map_err(thread_error)?;
        Ok(Self { appends, queries, shared, statistics })
    }

    /// Sends a call to the thread and waits for its answer. Returns none if the thread has gone.
    fn ask<T>(&self, call: impl FnOnce(SyncSender<T>) -> Query) -> Option<T> {
        let (sender, answer) = sync_channel(1);
        self.queries.send(call(sender)).ok()?;
        answer.recv().ok()
    }
}

impl JetStreamOptions {
    /// Sets up a connection to the record at `url`: `nats://USER@HOST,HOST,…/NAME`. The connection itself is made
    /// in the background, and made again whenever it is lost. A URL with a password is refused.
    ///
    /// `nats://` encrypts a connection if the server asks for it, and `tls://` in any case. Certificates are checked
    /// against the file that the parameter `rootcert=PATH` names, or against the certificates of the system.
    ///
    /// # Errors
    /// [`ConnectError`] if the URL, a file with a secret or the certificates are wrong.
    pub fn connect(self, url: &str) -> Result<JetStream, ConnectError> {
        let mut address = Address::parse(url)?;
        if !self.monitors.is_empty() {
            address.monitors.clear();
        }
        for monitor in &self.monitors {
            address.monitor(monitor)?;
        }
        address.replicas = self.replicas.or(address.replicas);
        if let Some(replicas) = address.replicas.filter(|replicas| !is_replicas(*replicas)) {
            let what = format!("a stream has 1, 3 or 5 replicas, and not {replicas}");
            return Err(ConnectError::Url(what));
        }
        JetStream::start(&address, &self)
    }
}

const GONE: &str = "the thread of the connection has ended";

impl CommitLog for JetStream {
    fn name(&self) -> &'static str {
        "nats"
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

    fn read_again(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.ask(|answer| Query::ReadAgain { after, limit, answer }).unwrap_or_else(|| Err(gone()))
    }

    fn connection(&self) -> u64 {
        number_of(&self.statistics)
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
        let without_thread = || LogLimits { entry_bytes: 1 << 20, under_way: 1 };
        self.ask(|answer| Query::Limits { answer }).unwrap_or_else(without_thread)
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

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.shared.news.seen().0;
        f.debug_struct("JetStream").field("last_slot", &last).finish_non_exhaustive()
    }
}
