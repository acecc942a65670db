//! The options of a connection to a record.

use std::path::PathBuf;
use std::time::Duration;

/// Sets up a connection to a record.
///
/// ```no_run
/// use std::time::Duration;
///
/// use annals_postgres::Postgres;
///
/// let record = Postgres::options()
///     .password_file("/run/secrets/record")
///     .timeout(Duration::from_secs(5))
///     .connect("postgres://app@db1,db2,db3/app?store=shop")?;
/// # Ok::<(), annals_postgres::ConnectError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) accepts_unsynced: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { password_file: None, timeout: Duration::from_secs(10), accepts_unsynced: false }
    }
}

impl PostgresOptions {
    /// Sets the file whose first line is the password. Without it, the variable `PGPASSWORD` has the password, if there
    /// is one.
    #[must_use]
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password_file = Some(path.into());
        self
    }

    /// Sets how long a server may take to answer a call (default: 10 s). After that the call fails, and the next one
    /// makes another connection. The outcome of an append is then unknown until it is read. The old connection stays
    /// open while the server is at work on the call, for example while it waits for a standby.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Accepts a server that loses acknowledged commits when its power fails: one with `fsync`, `full_page_writes` or
    /// `synchronous_commit` switched off. For tests.
    #[must_use]
    pub fn accept_unsynced(mut self, accepts: bool) -> Self {
        self.accepts_unsynced = accepts;
        self
    }
}
