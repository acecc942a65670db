//! The builder of a server, and a server that runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{Backend, EventStore, Journal, Memory};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::dcb;
use crate::error::ServeError;
use crate::event::WireEvent;
use crate::limits::Limits;
use crate::listen::accept::accept;
use crate::shared::{Phase, Shared, Store, draining};

/// A server to be started: a store and its settings.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use annals_server::Server;
///
/// let running = Server::in_memory().listen("127.0.0.1:0".parse()?).start().await?;
/// println!("listening on {}", running.addresses()[0]);
/// running.drain();
/// running.wait().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[must_use = "a server does nothing until it is started"]
pub struct Server {
    source: Source,
    addresses: Vec<SocketAddr>,
    limits: Limits,
}

/// Where the store of a server is.
enum Source {
    Path(PathBuf),
    ReadOnly(PathBuf),
    Backend(Box<dyn Backend<WireEvent>>),
}

/// The address of a server that was given none.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

impl Server {
    fn new(source: Source) -> Self {
        Self { source, addresses: Vec::new(), limits: Limits::default() }
    }

    /// Returns a server of the log in the directory `path`, which is created if nothing is there. The server is then the
    /// log's one writer.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Path(path.into()))
    }

    /// Returns a server of the log in the directory `path`, which another process may be writing to. Appends fail.
    pub fn open_read_only(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::ReadOnly(path.into()))
    }

    /// Returns a server of a log in memory, which is gone with the server.
    pub fn in_memory() -> Self {
        Self::on(Memory::encoded())
    }

    /// Returns a server of the log in a backend. A log in memory must be [`Memory::encoded`].
    pub fn on(backend: impl Backend<WireEvent> + 'static) -> Self {
        Self::new(Source::Backend(Box::new(backend)))
    }

    /// Adds an address to listen on: 127.0.0.1:50051 if none is added. Port 0 takes a free port, which
    /// [`Running::addresses`] returns.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Sets the limits.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Opens the store and the addresses, and begins to serve. It must run inside a tokio runtime with several threads.
    ///
    /// # Errors
    /// [`ServeError`], if the store or an address cannot be opened.
    pub async fn start(self) -> Result<Running, ServeError> {
        let mut wanted = self.addresses;
        if wanted.is_empty() {
            wanted.extend(DEFAULT_ADDRESS.parse::<SocketAddr>());
        }
        let mut listeners = Vec::new();
        for address in wanted {
            let failed = |source| ServeError::Listen { address, source };
            listeners.push(TcpListener::bind(address).await.map_err(failed)?);
        }
        // The addresses come first: a server that cannot listen must not create a store.
        let backend: Box<dyn Backend<WireEvent>> = match self.source {
            Source::Path(path) => Box::new(Journal::options().open(path)?),
            Source::ReadOnly(path) => Box::new(Journal::options().open_read_only(path)?),
            Source::Backend(backend) => backend,
        };
        let store: Store = EventStore::on(backend);
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let shared = Arc::new(Shared::new(store, self.limits));
        let router = router(&shared)?;
        let (mut addresses, mut loops) = (Vec::new(), JoinSet::new());
        for listener in listeners {
            addresses.extend(listener.local_addr());
            loops.spawn(accept(
                listener,
                router.clone(),
                Arc::clone(&shared),
                Arc::clone(&permits),
            ));
        }
        Ok(Running { addresses, shared, loops })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Returns the routes of all faces.
fn router(shared: &Arc<Shared>) -> Result<Router, ServeError> {
    let reflection =
        dcb::service::reflection().map_err(|error| ServeError::Start(error.to_string()))?;
    Ok(dcb::service::routes(shared).merge(reflection))
}

/// A server that runs. Dropping it ends the accept loops and their connections at once: [`drain`](Self::drain) it first.
pub struct Running {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    loops: JoinSet<()>,
}

impl Running {
    /// Returns the addresses on which the server listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns a handle with which another task or thread ends the server.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Ends the server: it takes no more requests, subscriptions end, and requests at work finish.
    /// [`wait`](Self::wait) waits for that.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Waits until the server was told to [drain](Self::drain) and its requests have finished, for at most the drain time
    /// of the [limits](Limits::drain_time). Then closes the store.
    ///
    /// # Errors
    /// [`ServeError::Close`] if the store could not be closed.
    pub async fn wait(mut self) -> Result<(), ServeError> {
        draining(&mut self.shared.phase()).await;
        let all = async { while self.loops.join_next().await.is_some() {} };
        let limit = self.shared.limits.drain_time;
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(
                "requests were still at work after {limit:?}; their connections are closed"
            );
            self.loops.shutdown().await;
        }
        let shared = Arc::clone(&self.shared);
        let closed = tokio::task::spawn_blocking(move || shared.store.close()).await;
        closed.map_err(|panic| ServeError::Start(panic.to_string()))?.map_err(ServeError::Close)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Ends a [`Running`] server from another task or thread.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Does what [`Running::drain`] does.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Returns whether the server was told to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.phase().borrow() == Phase::Draining
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("draining", &self.is_draining()).finish()
    }
}
