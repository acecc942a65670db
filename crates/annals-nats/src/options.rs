//! The options of a connection to a record.

use std::path::PathBuf;
use std::time::Duration;

/// Sets up a connection to a record.
///
/// ```no_run
/// use std::time::Duration;
///
/// use annals_nats::JetStream;
///
/// let record = JetStream::options()
///     .password_file("/run/secrets/record")
///     .timeout(Duration::from_secs(5))
///     .connect("nats://app@n1,n2,n3/shop")?;
/// # Ok::<(), annals_nats::ConnectError>(())
/// ```
#[derive(Debug, Clone)]
pub struct JetStreamOptions {
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) credentials_file: Option<PathBuf>,
    pub(crate) system_user: Option<(String, PathBuf)>,
    pub(crate) system_credentials_file: Option<PathBuf>,
    pub(crate) monitors: Vec<String>,
    pub(crate) replicas: Option<usize>,
    pub(crate) timeout: Duration,
    pub(crate) accepts_unsynced: bool,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        Self {
            password_file: None,
            token_file: None,
            credentials_file: None,
            system_user: None,
            system_credentials_file: None,
            monitors: Vec::new(),
            replicas: None,
            timeout: Duration::from_secs(10),
            accepts_unsynced: false,
        }
    }
}

impl JetStreamOptions {
    /// Sets the file whose first line is the password of the URL's user. Without it, the variable `NATS_PASSWORD` has
    /// the password. A URL with a password is refused, because URLs show in lists of processes.
    #[must_use]
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password_file = Some(path.into());
        self
    }

    /// Sets the file whose first line is a token. Without it, the variable `NATS_TOKEN` has the token. It counts only
    /// if the URL has no user.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Sets the file with the credentials of the user, as `nsc` writes it. The URL may name it as well: `creds=PATH`.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials_file = Some(path.into());
        self
    }

    /// Sets a user of the system account, and the file whose first line is the user's password. With it, the check of
    /// the servers' settings asks the system account and not the monitoring endpoints.
    #[must_use]
    pub fn system_user(mut self, user: impl Into<String>, password: impl Into<PathBuf>) -> Self {
        self.system_user = Some((user.into(), password.into()));
        self
    }

    /// Sets the file with the credentials of a user of the system account, as [`system_user`](Self::system_user) sets
    /// a user. The URL may name it as well: `system_creds=PATH`.
    #[must_use]
    pub fn system_credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.system_credentials_file = Some(path.into());
        self
    }

    /// Adds a monitoring endpoint, which says how a server syncs: `HOST:PORT`, or a port for each server of the URL
    /// (default: 8222). The URL may name them as well: `monitor=8222` or `monitor=n1:8222,n2:8222`.
    #[must_use]
    pub fn monitor(mut self, endpoint: impl Into<String>) -> Self {
        self.monitors.push(endpoint.into());
        self
    }

    /// Sets how many servers store the stream of a new record: 1, 3 or 5 (default: 3). The URL may say it as well:
    /// `replicas=1`. It changes nothing for a record that is there.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Sets how long a server may take to answer an append (default: 10 s). The outcome of the append is then unknown
    /// until it is read. Other calls have a fifth of that time to begin their answer, and then fail.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Accepts servers that lose acknowledged commits when their power fails: those without `sync_interval: always`,
    /// and those that do not say how they sync. For tests.
    #[must_use]
    pub fn accept_unsynced(mut self, accepts: bool) -> Self {
        self.accepts_unsynced = accepts;
        self
    }
}
