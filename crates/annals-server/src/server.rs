//! The builder of a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use annals::{Backend, Durability, Event, EventStore, Journal, JournalOptions, Memory, Projection};
use axum::Router;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::access::Access;
use crate::access::hosts::Hosts;
use crate::access::tls::TlsFiles;
use crate::dcb::service;
use crate::error::ServeError;
use crate::event::{Store, WireEvent};
use crate::gate::missing::{no_method, no_path};
use crate::gate::pass::pass;
use crate::http_face::routes::routes;
use crate::inspector::routes as pages;
use crate::inspector::state::typed::{Family, One};
use crate::inspector::state::view::View;
use crate::inspector::state::views::Views;
use crate::limits::Limits;
use crate::listen::accept::{Listening, accept};
use crate::running::Running;
use crate::shared::{MetricsText, Readiness, Settings, Shared};
use crate::source::{Opened, Source};

/// Builds a server from a store and its settings. [`start`](Self::start) starts it, and returns a handle.
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
    journal: JournalOptions,
    patience: Duration,
    addresses: Vec<Address>,
    limits: Limits,
    token_file: Option<PathBuf>,
    tls_files: Option<TlsFiles>,
    hosts: Hosts,
    insecure: bool,
    signs: bool,
    traces: bool,
    readiness: Vec<Readiness>,
    metrics: Option<MetricsText>,
    views: Vec<Box<dyn View>>,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
struct Address {
    address: SocketAddr,
    /// Whether it is one of those that ask clients for certificates, if only some do.
    mutual: bool,
}

/// The address of a server that was given none.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

impl Server {
    fn new(source: Source) -> Self {
        Self {
            source,
            journal: Journal::options(),
            patience: Duration::ZERO,
            addresses: Vec::new(),
            limits: Limits::default(),
            token_file: None,
            tls_files: None,
            hosts: Hosts::default(),
            insecure: false,
            signs: false,
            traces: false,
            readiness: Vec::new(),
            metrics: None,
            views: Vec::new(),
        }
    }

    /// Returns a server of the log in the directory `path`, which is created if nothing is there. The server is then
    /// the log's one writer.
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

    /// Returns a server of the log that this program has open with events of its own type. The program and the clients
    /// append to the same log; the program's callbacks and subscriptions see the events of clients. The log stays open
    /// when the server ends.
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("my.store");
    /// use annals::{Event, EventStore};
    /// use annals_server::Server;
    ///
    /// #[derive(Event)]
    /// enum Booking {
    ///     SeatSold { #[event(tag = "seat")] seat: String },
    /// }
    ///
    /// let store: EventStore<Booking, _> = EventStore::open(path)?;
    /// let running = Server::share(&store).listen("127.0.0.1:0".parse()?).start().await?;
    /// store.append(Booking::SeatSold { seat: "12A".into() })?; // the clients of the server see it
    /// running.drain();
    /// running.wait().await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn share<E: Event>(store: &EventStore<E, Journal<E>>) -> Self {
        Self::new(Source::Shared(store.backend().raw()))
    }

    /// Adds an address to listen on: 127.0.0.1:50051 if none is added. Port 0 takes a free port, which
    /// [`Running::addresses`] returns.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.addresses.push(Address { address, mutual: false });
        self
    }

    /// Adds an address whose clients need a certificate of the [authority](Self::client_authority). The clients of the
    /// other addresses then need none: they speak TLS, and show tokens if there is a token file.
    pub fn listen_mutual(mut self, address: SocketAddr) -> Self {
        self.addresses.push(Address { address, mutual: true });
        self
    }

    /// Sets when an append is answered: when it survives a power failure ([`Durability::Sync`], the default), or when
    /// it survives the end of the process. It has no effect on a store in a [backend](Self::on), which has options of
    /// its own.
    pub fn durability(self, durability: Durability) -> Self {
        Self { journal: self.journal.durability(durability), ..self }
    }

    /// Sets the size in bytes at which a segment of the store is sealed, as
    /// [`JournalOptions::segment_bytes`](annals::JournalOptions::segment_bytes) does: 64 MiB by default, 4 KiB to 2
    /// GiB. Existing segments keep their sizes. The index of the last segment is in memory, so smaller segments take
    /// less of it. It has no effect on a store that is [read-only](Self::open_read_only), [shared](Self::share) or in a
    /// [backend](Self::on).
    pub fn segment_bytes(self, bytes: u64) -> Self {
        Self { journal: self.journal.segment_bytes(bytes), ..self }
    }

    /// Sets the longest time that [`start`](Self::start) waits while another process has the store open for writing: 0
    /// by default. Meanwhile the server does not listen, so a server can be started before the one that it replaces has
    /// ended.
    pub fn wait_for_lock(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets the limits.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the token file: each line has a name, the SHA-256 of a token, and rights. Without one, and without
    /// certificates of clients, every client may do everything.
    /// [`Handle::reload`](crate::Handle::reload) reads the file again.
    pub fn tokens(self, file: impl Into<PathBuf>) -> Self {
        Self { token_file: Some(file.into()), ..self }
    }

    /// Sets the files with the server's certificate chain and its key, both in PEM. The server then speaks TLS only.
    /// [`Handle::reload`](crate::Handle::reload) reads the files again.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let client_authority = self.tls_files.and_then(|files| files.client_authority);
        let (certificate, key) = (certificate.into(), key.into());
        self.tls_files = Some(TlsFiles { certificate, key, client_authority });
        self
    }

    /// Sets the file with the authority, in PEM, that signs the certificates of clients. Every client then needs such a
    /// certificate. It must follow [`tls`](Self::tls), without which it has no effect.
    pub fn client_authority(mut self, file: impl Into<PathBuf>) -> Self {
        if let Some(files) = &mut self.tls_files {
            files.client_authority = Some(file.into());
        }
        self
    }

    /// Allows addresses that other machines can reach without TLS and without tokens. A warning is logged for each.
    pub fn insecure(self) -> Self {
        Self { insecure: true, ..self }
    }

    /// Adds a host name or an address, without a port, under which clients reach the server. `localhost` and the
    /// addresses on which it listens need not be added.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.hosts.names.push(name.into());
        self
    }

    /// Allows the web pages of an origin, such as `https://shop.example`, to use the server's faces for programs. By
    /// default only its own pages may. The inspector takes requests from its own pages only.
    pub fn cors_origin(mut self, origin: impl Into<String>) -> Self {
        self.hosts.origins.push(origin.into());
        self
    }

    /// Writes the name of the client's token or certificate into the metadata `$actor` of each event that it appends.
    pub fn actor_metadata(self) -> Self {
        Self { signs: true, ..self }
    }

    /// Writes the header `traceparent` of an append into the metadata `traceparent` of its events, unless an event has
    /// one. The header is in the tracing span of each request in any case.
    pub fn trace_metadata(self) -> Self {
        Self { traces: true, ..self }
    }

    /// Adds a check of readiness, which returns why the server is not ready, or `None`. `/health/ready` and gRPC's
    /// health service ask it at each request, and for each open `Watch` once a second, so it must not wait. The server
    /// itself checks its store.
    pub fn readiness(mut self, check: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.readiness.push(Box::new(check));
        self
    }

    /// Sets the function that returns the text of `/metrics`, usually that of a recorder of the crate `metrics`.
    /// Without it there is no `/metrics`.
    pub fn metrics(self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { metrics: Some(Arc::new(text)), ..self }
    }

    /// Shows a projection of the program in the inspector, at any offset: on the page of states, under `name`. The
    /// events are decoded from the log as the program's own type; events of types that it does not know are skipped.
    ///
    /// ```
    /// # use annals::{Event, Projection, Query, Recorded};
    /// # #[derive(Event)]
    /// # enum Booking { SeatSold { #[event(tag = "seat")] seat: String } }
    /// # struct Sales;
    /// # impl Projection for Sales {
    /// #     type Event = Booking;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::event_type("seat-sold") }
    /// #     fn apply(&self, sales: &mut u64, _: &Recorded<Booking>) { *sales += 1 }
    /// # }
    /// # struct Sold(String);
    /// # impl Projection for Sold {
    /// #     type Event = Booking;
    /// #     type State = bool;
    /// #     fn initial(&self) -> bool { false }
    /// #     fn query(&self) -> Query { Query::tag(format!("seat:{}", self.0)) }
    /// #     fn apply(&self, sold: &mut bool, _: &Recorded<Booking>) { *sold = true }
    /// # }
    /// use annals_server::Server;
    ///
    /// let server = Server::in_memory()
    ///     .projection("sales", Sales)
    ///     .projections("seat:", |seat| Some(Sold(seat.to_owned()))); // one for each seat
    /// ```
    pub fn projection<P>(mut self, name: impl Into<String>, projection: P) -> Self
    where
        P: Projection + Send + Sync + 'static,
        P::State: Serialize + Send,
    {
        self.views.push(Box::new(One { name: name.into(), projection: Arc::new(projection) }));
        self
    }

    /// Shows a family of projections in the inspector: one for each value that follows `prefix` in a tag, as `12A` in
    /// `seat:12A`. `open` returns the projection for a value, and `None` for text that is not one.
    /// [`projection`](Self::projection) has an example.
    pub fn projections<P>(
        mut self,
        prefix: impl Into<String>,
        open: impl Fn(&str) -> Option<P> + Send + Sync + 'static,
    ) -> Self
    where
        P: Projection + Send + Sync + 'static,
        P::State: Serialize + Send,
    {
        self.views.push(Box::new(Family { prefix: prefix.into(), open }));
        self
    }

    /// Returns an error if a stranger could use the server from another machine.
    fn check_exposure(
        &self,
        access: &Access,
        Address { address, mutual }: Address,
    ) -> Result<(), ServeError> {
        if address.ip().is_loopback() || access.is_closed_to_strangers(mutual) {
            return Ok(());
        }
        if self.insecure {
            tracing::warn!(
                "everybody who reaches {address} can use this server: it lacks TLS, or tokens, or client certificates"
            );
            return Ok(());
        }
        Err(ServeError::Exposed { address })
    }

    /// Opens the store and the addresses, and begins to serve. It must run inside a tokio runtime with several threads.
    ///
    /// # Errors
    /// [`ServeError`], if the store or an address cannot be opened.
    pub async fn start(mut self) -> Result<Running, ServeError> {
        let mut wanted = std::mem::take(&mut self.addresses);
        if wanted.is_empty() {
            let address = DEFAULT_ADDRESS.parse::<SocketAddr>();
            wanted.extend(address.map(|address| Address { address, mutual: false }));
        }
        let some_mutual = wanted.iter().any(|address| address.mutual);
        if !some_mutual {
            // Then all ask for certificates, if there is an authority.
            for address in &mut wanted {
                address.mutual = true;
            }
        }
        self.hosts.check_settings()?;
        let access = Access::read(self.token_file.clone(), self.tls_files.clone())?;
        if some_mutual {
            access.check_mutual()?;
        }
        for &address in &wanted {
            self.check_exposure(&access, address)?;
        }
        let source = std::mem::replace(&mut self.source, Source::ReadOnly(PathBuf::new()));
        // With patience, an existing store comes first, since the process that has it may listen on the same address.
        // Otherwise the addresses do: a server that cannot listen must not create a store.
        match source.open_waiting(&self.journal, self.patience).await {
            Ok(opened) => {
                let opened = opened?;
                self.serve(opened, access, listeners(&wanted).await?)
            }
            Err(source) => {
                let listeners = listeners(&wanted).await?;
                let opened = source.open(&self.journal)?;
                self.serve(opened, access, listeners)
            }
        }
    }

    /// Begins to serve an opened store.
    fn serve(
        self,
        opened: Opened,
        access: Access,
        listeners: Vec<(TcpListener, bool)>,
    ) -> Result<Running, ServeError> {
        let owns = opened.is_owned;
        let store: Store = EventStore::on(opened.backend);
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let mut hosts = self.hosts;
        let address = |(listener, _): &(TcpListener, bool)| listener.local_addr().ok();
        hosts.addresses = listeners.iter().filter_map(address).collect();
        hosts.tls = access.tls(false).is_some();
        let addresses = hosts.addresses.clone();
        let settings = Settings {
            signs: self.signs,
            traces: self.traces,
            access,
            hosts,
            metrics: self.metrics,
            path: opened.path,
            readiness: self.readiness.into_iter().chain(opened.readiness).collect(),
        };
        let shared = Arc::new(Shared::new(store, self.limits, settings));
        let router = router(&shared, Views::new(self.views))?;
        let mut loops = JoinSet::new();
        for (listener, mutual) in listeners {
            let listening = Listening { listener, mutual };
            loops.spawn(accept(
                listening,
                router.clone(),
                Arc::clone(&shared),
                Arc::clone(&permits),
            ));
        }
        Ok(Running { addresses, shared, loops, owns })
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

/// Binds the addresses.
async fn listeners(addresses: &[Address]) -> Result<Vec<(TcpListener, bool)>, ServeError> {
    let mut listeners = Vec::new();
    for &Address { address, mutual } in addresses {
        let failed = |source| ServeError::Listen { address, source };
        listeners.push((TcpListener::bind(address).await.map_err(failed)?, mutual));
    }
    Ok(listeners)
}

/// Returns the routes of all faces.
fn router(shared: &Arc<Shared>, views: Views) -> Result<Router, ServeError> {
    let reflection = service::reflection().map_err(|error| ServeError::Start(error.to_string()))?;
    let gate = axum::middleware::from_fn_with_state(Arc::clone(shared), pass);
    let grpc = service::routes(shared).merge(reflection);
    let faces = routes(shared).merge(grpc).merge(pages::routes(shared, views));
    // After the merge: the fallbacks hold for the routes of all faces.
    Ok(faces.method_not_allowed_fallback(no_method).fallback(no_path).layer(gate))
}
