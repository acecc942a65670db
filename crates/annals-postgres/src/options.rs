//! What a program may set for a connection to a record.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{Address, ConnectError};
use crate::postgres::Postgres;

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
    password_file: Option<PathBuf>,
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

    /// Sets how long a server may take to answer a call (default: 10 s). After that the connection is closed and the
    /// next call makes another one. The outcome of an append is then unknown until it is read.
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
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConnectError::PasswordFile { path: path.clone(), error })?;
            address.config.password(text.lines().next().unwrap_or_default());
        } else if let Ok(password) = std::env::var("PGPASSWORD") {
            address.config.password(password);
        }
        if address.config.get_connect_timeout().is_none() {
            address.config.connect_timeout(self.timeout);
        }
        address.config.application_name("annals");
        Postgres::start(address, &self)
    }
}
