//! One connection: it is made, its server is checked, and its notices are counted.

use std::collections::HashMap;
use std::error::Error as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals_replicated::{Fitness, Unfit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Connection, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::settings::Settings;
use crate::statements::SETTINGS;

/// After a connection could not be made, the next call within this time fails for the same reason. A caller that polls
/// does not flood a server that starts.
const PAUSE: Duration = Duration::from_millis(100);

/// What each session sets. The timeouts of a database must not end a wait for a standby.
const PREPARE: &str = "set default_transaction_isolation = 'read committed'; set statement_timeout = 0; \
                       set lock_timeout = 0; set idle_in_transaction_session_timeout = 0";

/// What is needed to make a connection.
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
    Unreachable(String),
    /// The server was reached, and it cannot be trusted.
    Unfit(Unfit),
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::Unfit(unfit) => unfit.fmt(f),
        }
    }
}

/// A connection to the primary server.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) fitness: Fitness,
    /// The number of warnings that the server has sent.
    warnings: Arc<AtomicU64>,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    /// Connects to the primary server and checks its settings. Calls `notified` with the text of each notification
    /// that arrives later.
    async fn open(
        connector: &Connector,
        notified: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, SessionError> {
        let unreachable = |error: &tokio_postgres::Error| SessionError::Unreachable(text_of(error));
        let (client, connection) = connector
            .address
            .config
            .connect(connector.tls.clone())
            .await
            .map_err(|error| unreachable(&error))?;
        let warnings = Arc::new(AtomicU64::new(0));
        tokio::spawn(drive(connection, Arc::clone(&warnings), notified));
        client.batch_execute(PREPARE).await.map_err(|error| unreachable(&error))?;
        let row = client.query_one(SETTINGS, &[]).await.map_err(|error| unreachable(&error))?;
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
        Ok(Self { client, fitness, warnings, statements: HashMap::new() })
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
    notified: N,
    session: Option<Session>,
    failed: Option<(Instant, SessionError)>,
}

impl<N: Fn(&str) + Clone + Send + 'static> Link<N> {
    pub(crate) fn new(connector: Arc<Connector>, notified: N) -> Self {
        Self { connector, notified, session: None, failed: None }
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
            let open = Session::open(&self.connector, self.notified.clone());
            let late = || SessionError::Unreachable("no server answered in time".to_owned());
            // Each of the hosts has the time limit to itself.
            let hosts =
                u32::try_from(self.connector.address.config.get_hosts().len()).unwrap_or(u32::MAX);
            let limit = self.connector.timeout.saturating_mul(hosts.saturating_add(1));
            let opened = tokio::time::timeout(limit, open).await.unwrap_or_else(|_| Err(late()));
            match opened {
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

/// Returns what an error says, with its cause.
pub(crate) fn text_of(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => match answer.hint() {
            Some(hint) => format!("{} ({hint})", answer.message()),
            None => answer.message().to_owned(),
        },
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
