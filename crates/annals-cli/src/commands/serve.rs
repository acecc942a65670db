//! `annals serve`.

use annals_server::{Handle, Running, ServeError, Server};
use tokio::runtime::Runtime;

use crate::args::Format;
use crate::args::serve::Serve;
use crate::console::say;
use crate::failure::Failure;
use crate::store;
use crate::store_path::StorePath;

/// Serves a store until a signal ends the server.
pub(crate) fn run(args: &Serve, _: Option<Format>) -> Result<(), Failure> {
    raise_open_files();
    let runtime = Runtime::new().map_err(Failure::Output)?;
    let is_new = !args.read_only && store::is_vacant(&args.store)?;
    runtime.block_on(async {
        let mut server = server(args)?;
        for &address in &args.listen {
            server = server.listen(address);
        }
        let running = server.start().await.map_err(not_served)?;
        if is_new {
            say::note(&format!("created {}", args.store));
        }
        for address in running.addresses() {
            say::note(&format!("listening on {address}"));
        }
        serve(running).await
    })
}

async fn serve(running: Running) -> Result<(), Failure> {
    let signals = tokio::spawn(until_signals(running.handle()));
    let result = running.wait().await.map_err(not_served);
    signals.abort();
    result
}

fn server(args: &Serve) -> Result<Server, Failure> {
    match &args.store {
        StorePath::Journal(path) if args.read_only => Ok(Server::open_read_only(path)),
        StorePath::Journal(path) => Ok(Server::open(path)),
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(path) if args.read_only => {
            Ok(Server::on(annals_rocksdb::RocksDb::open_read_only(path)?))
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(path) => Ok(Server::on(annals_rocksdb::RocksDb::options().open(path)?)),
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => Err(Failure::NotBuiltIn { store: args.store.clone() }),
    }
}

fn not_served(error: ServeError) -> Failure {
    match error {
        ServeError::Open(error) => error.into(),
        error => Failure::Serve(error),
    }
}

/// Drains the server at the first signal, and ends the process at the second.
async fn until_signals(server: Handle) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            say::warning(&format!("signals cannot be handled: {error}"));
            return;
        }
    };
    signals.next().await;
    say::note("ending; a second signal ends the server at once");
    server.drain();
    signals.next().await;
    std::process::exit(130);
}

/// The signals that end the server.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that end the server.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a handler the process ends at the signal anyway.
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Raises the limit of open files as far as it goes: each connection is one.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files was not raised");
        }
    }
}
