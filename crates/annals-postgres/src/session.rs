//! One connection: it is made, its server is checked, and its notices are counted.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals_replicated::{Cause, Fitness, Unfit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::causes::cause_of;
use crate::settings::Settings;
use crate::statements::{AT_WORK, SETTINGS};

/// After a connection could not be made, the next call within this time fails for the same reason. A caller that polls
/// does not flood a server that starts.
const PAUSE: Duration = Duration::from_millis(100);

/// The statements that set up each session. The timeouts of a database must not end a wait for a standby, and the
/// warning of a cancelled wait must arrive.
const PREPARE: &str = "set default_transaction_isolation = 'read committed'; set statement_timeout = 0; \
                       set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; \
                       set client_min_messages = warning";

/// The parameters of a connection.
pub(crate) struct Connector {
    pub(crate) address: Address,
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) timeout: Duration,
    pub(crate) accepts_unsynced: bool,
}

/// Why a session was not opened.
#[derive(Debug, Clone)]
pub(crate) enum SessionError {
    /// No server that takes writes was reached.
    Unreachable(Cause),
    /// The server was reached, and it cannot be trusted.
    Unfit(Unfit),
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(cause) => cause.fmt(f),
            Self::Unfit(unfit) => unfit.fmt(f),
        }
    }
}

/// The process of a server that serves a session: its number, and when it began.
type Process = (i32, Option<String>);
impl From<SessionError> for Cause {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unreachable(cause) => cause,
            SessionError::Unfit(unfit) => Self::new(unfit),
        }
    }
}

/// A connection to the primary server.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) fitness: Fitness,
    /// The server, and when it was started.
    server: String,
    process: Process,
    driver: Driver,
    /// The number of warnings that the server has sent.
    warnings: Arc<AtomicU64>,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    /// Connects to the first server that takes writes, and checks its settings. Calls `notified` with the text of each
    /// notification that arrives later, if the session is to listen. Each server has the time limit to itself.
    async fn open<N>(
        connector: &Connector,
        listens: bool,
        notified: &N,
    ) -> Result<Self, SessionError>
    where
        N: Fn(&str) + Clone + Send + 'static,
    {
        let mut causes = Vec::new();
        for server in &connector.address.servers {
            let open = Self::open_on(server, connector, listens, notified.clone());
            match tokio::time::timeout(connector.timeout, open).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error @ SessionError::Unfit(_))) => return Err(error),
                Ok(Err(SessionError::Unreachable(cause))) => causes.push(cause),
                Err(_) => {
                    causes.push(Cause::new(format!("no answer within {:?}", connector.timeout)));
                }
            }
        }
        let names = connector.address.servers.iter().map(name_of);
        let reasons: Vec<_> =
            names.zip(&causes).map(|(name, cause)| format!("{name}: {cause}")).collect();
        let reason = reasons.join("; ");
        // A server that is away may be the one that takes the caller in.
        let is_lasting = causes.iter().all(Cause::is_lasting);
        let cause = if is_lasting { Cause::lasting(reason) } else { Cause::new(reason) };
        Err(SessionError::Unreachable(cause))
    }

    async fn open_on(
        server: &Config,
        connector: &Connector,
        listens: bool,
        notified: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, SessionError> {
        let unreachable =
            |error: tokio_postgres::Error| SessionError::Unreachable(cause_of(&error));
        let (client, connection) =
            server.connect(connector.tls.clone()).await.map_err(unreachable)?;
        let warnings = Arc::new(AtomicU64::new(0));
        let driver = Driver(tokio::spawn(drive(connection, Arc::clone(&warnings), notified)));
        client.batch_execute(PREPARE).await.map_err(unreachable)?;
        let row = client.query_one(SETTINGS, &[]).await.map_err(unreachable)?;
        let settings = Settings {
            version: row.get(0),
            fsync: row.get(1),
            full_page_writes: row.get(2),
            synchronous_commit: row.get(3),
            standbys: row.get(4),
            data_checksums: row.get(5),
            is_standby: row.get(6),
        };
        let fitness = settings.judge(connector.accepts_unsynced).map_err(SessionError::Unfit)?;
        // The judged value holds for this session, also if the operator changes the setting of the server.
        let pinned = format!("set synchronous_commit = '{}'", settings.synchronous_commit);
        client.batch_execute(&pinned).await.map_err(unreachable)?;
        if listens {
            let listen = format!("listen \"{}\"", connector.address.channel());
            client.batch_execute(&listen).await.map_err(unreachable)?;
        }
        // A server that was started anew has another time.
        let server = format!("{} {}", name_of(server), row.get::<_, String>(7));
        let process = (row.get(8), row.get(9));
        let statements = HashMap::new();
        Ok(Self { client, fitness, server, process, driver, warnings, statements })
    }

    /// Returns a prepared statement.
    pub(crate) async fn statement(
        &mut self,
        sql: &'static str,
    ) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Returns the number of warnings so far.
    pub(crate) fn warnings(&self) -> u64 {
        // Acquire: pairs with Release in `drive`, which counts a warning before it passes on the answer behind it.
        self.warnings.load(Ordering::Acquire)
    }
}

/// The task of a connection. Dropping it closes the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns a server's host and port.
fn name_of(server: &Config) -> String {
    let host = match server.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    format!("{host}:{}", server.get_ports().first().unwrap_or(&5_432))
}

/// Drives a connection until it ends, counts its warnings, and passes its notifications on.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    warnings: Arc<AtomicU64>,
    notified: impl Fn(&str) + Send,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                if notice.parsed_severity() == Some(Severity::Warning) {
                    // Release: pairs with Acquire in `Session::warnings`.
                    warnings.fetch_add(1, Ordering::Release);
                }
            }
            Some(Ok(AsyncMessage::Notification(notification))) => notified(notification.payload()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// A session that is made when it is needed, and made again after it was lost.
pub(crate) struct Link<N> {
    connector: Arc<Connector>,
    listens: bool,
    notified: N,
    session: Option<Session>,
    failed: Option<(Instant, SessionError)>,
    /// Connections whose call had no answer in time.
    waiting: Vec<Left>,
}

/// A connection that was given up while its call had no answer.
struct Left {
    /// As in [`Session`].
    server: String,
    process: Process,
    driver: Driver,
}

impl<N: Fn(&str) + Clone + Send + 'static> Link<N> {
    pub(crate) fn new(connector: Arc<Connector>, listens: bool, notified: N) -> Self {
        Self { connector, listens, notified, session: None, failed: None, waiting: Vec::new() }
    }

    /// Returns the session, and whether it is a new one.
    pub(crate) async fn session(&mut self) -> Result<(&mut Session, bool), SessionError> {
        if self.session.as_ref().is_some_and(|session| session.client.is_closed()) {
            self.session = None;
        }
        let is_new = self.session.is_none();
        if is_new {
            if let Some((at, error)) = &self.failed
                && at.elapsed() < PAUSE
            {
                return Err(error.clone());
            }
            match Session::open(&self.connector, self.listens, &self.notified).await {
                Ok(session) => self.session = Some(session),
                Err(error) => {
                    self.failed = Some((Instant::now(), error.clone()));
                    return Err(error);
                }
            }
        }
        let session = self.session.as_mut().expect("it was set above");
        Ok((session, is_new))
    }

    /// Returns whether an earlier call on this server still waits for a standby. Another one would wait behind it, and
    /// the server keeps a process for each.
    pub(crate) async fn is_waiting(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        self.waiting.retain(|left| left.server == session.server && !left.driver.0.is_finished());
        if self.waiting.is_empty() {
            return false;
        }
        // The answer, or the end of the connection, may have been lost on the way. The server knows.
        let numbers: Vec<i32> = self.waiting.iter().map(|left| left.process.0).collect();
        let found = tokio::time::timeout(self.connector.timeout, async {
            let statement = session.statement(AT_WORK).await?;
            session.client.query(&statement, &[&numbers]).await
        });
        if let Ok(Ok(rows)) = found.await {
            let at_work: Vec<Process> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            self.waiting.retain(|left| at_work.contains(&left.process));
        }
        !self.waiting.is_empty()
    }

    /// Gives up a session whose call has no answer yet, and keeps its connection until the answer arrives, or until the
    /// server is no longer at work on it.
    pub(crate) fn leave(&mut self) {
        if let Some(Session { server, process, driver, .. }) = self.session.take() {
            self.waiting.push(Left { server, process, driver });
        }
    }

    /// Returns whether the server has sent a warning since it had sent this many.
    pub(crate) fn has_warned_since(&self, warnings: u64) -> bool {
        self.session.as_ref().is_some_and(|session| session.warnings() != warnings)
    }

    /// Gives the session up: the next call makes another one.
    pub(crate) fn close(&mut self) {
        self.session = None;
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }
}
