//! `annals serve`.

use std::time::Duration;

#[cfg(feature = "replicated")]
use annals_replicated::{Replicated, ReplicatedOptions};
use annals_server::{Handle, Limits, Running, ServeError, Server};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusRecorder};
use tokio::runtime::Runtime;

use crate::args::Format;
use crate::args::creation::Wait;
use crate::args::serve::Serve;
use crate::console::say;
use crate::failure::Failure;
#[cfg(feature = "replicated")]
use crate::record_address::RecordAddress;
#[cfg(feature = "replicated")]
use crate::replicated::{engine, replica};
#[cfg(feature = "replicated")]
use crate::signals::Interrupt;
use crate::store;
use crate::store_path::StorePath;

/// The time after which the recorded values are counted in their buckets. Until then, each takes 16 bytes.
const UPKEEP: Duration = Duration::from_secs(1);

/// The upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 22] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
    5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The upper bounds of the buckets of numbers of events.
const COUNTS: [f64; 11] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0];

/// The time between two attempts to open a locked store.
#[cfg(any(feature = "rocksdb", feature = "replicated"))]
const RETRY: Duration = Duration::from_millis(20);

/// Serves a store until a signal ends the server.
pub(crate) fn run(args: &Serve, _: Option<Format>) -> Result<(), Failure> {
    raise_open_files();
    let runtime =
        Runtime::new().map_err(|error| Failure::Serve(ServeError::Start(error.to_string())))?;
    let served = runtime.block_on(served(args));
    // Dropping the runtime waits for its threads: a verification, a scan of names or a fold may still read the store,
    // which is closed. The end of the process ends them.
    runtime.shutdown_background();
    served
}

/// Starts the server and waits for its end.
async fn served(args: &Serve) -> Result<(), Failure> {
    let is_new = !args.read_only && store::is_vacant(&args.store)?;
    // Before the server listens: a signal that comes early drains it, too.
    let signals = Signals::new().map_err(|error| {
        Failure::Serve(ServeError::Start(format!("signals cannot be handled: {error}")))
    })?;
    let mut signals = signals;
    let starting = async {
        let server = configured(server(args).await?, args)?;
        server.start().await.map_err(not_served)
    };
    let running = tokio::select! {
        running = starting => running?,
        // It may wait for the lock of the store.
        () = signals.end() => return Ok(()),
    };
    if is_new {
        say::note(&format!("created {}", args.store));
    }
    for address in running.addresses() {
        say::note(&format!("listening on {address}"));
    }
    if let Some(address) = running.addresses().first() {
        let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
        say::note(&format!("pages for a browser are at {scheme}://{address}/ui"));
    }
    serve(running, signals).await
}

async fn serve(running: Running, signals: Signals) -> Result<(), Failure> {
    // Until the process ends: a second signal must end it while the store is closed, too.
    tokio::spawn(until_signals(running.handle(), signals));
    running.wait().await.map_err(not_served)
}

#[cfg_attr(
    not(any(feature = "rocksdb", feature = "replicated")),
    expect(clippy::unused_async, reason = "RocksDB and engines may wait")
)]
async fn server(args: &Serve) -> Result<Server, Failure> {
    match &args.store {
        StorePath::Journal(path) if args.read_only => Ok(Server::open_read_only(path)),
        StorePath::Journal(path) => {
            let server = Server::open(path).durability(args.durability.into());
            let server = args.segment_bytes.into_iter().fold(server, Server::segment_bytes);
            Ok(server.wait_for_lock(patience(args)))
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(path) if args.read_only => {
            let database = std::sync::Arc::new(annals_rocksdb::RocksDb::open_read_only(path)?);
            let followed = std::sync::Arc::clone(&database);
            let check = move || followed.follow_error().map(ToString::to_string);
            Ok(Server::on(database).readiness(check))
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(path) => rocksdb(path, args).await,
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => Err(Failure::NotBuiltIn { store: args.store.clone() }),
        #[cfg(feature = "replicated")]
        StorePath::Record(address) => replicated(address, args).await,
        #[cfg(not(feature = "replicated"))]
        StorePath::Record(_) => Err(Failure::NotBuiltIn { store: args.store.clone() }),
    }
}

/// Returns the longest time to wait for the lock of the store.
fn patience(args: &Serve) -> Duration {
    args.wait.map_or(Duration::ZERO, |Wait(time)| time.unwrap_or(Duration::MAX))
}

/// Opens a store in RocksDB, and waits for its lock if the options say so.
#[cfg(feature = "rocksdb")]
async fn rocksdb(path: &std::path::Path, args: &Serve) -> Result<Server, Failure> {
    let begin = std::time::Instant::now();
    let mut is_first = true;
    loop {
        let options = annals_rocksdb::RocksDb::options().durability(args.durability.into());
        match options.open(path) {
            Err(error @ annals::OpenError::Locked { .. }) if begin.elapsed() < patience(args) => {
                if std::mem::take(&mut is_first) {
                    say::note(&format!("{error}; waiting"));
                }
            }
            opened => return Ok(Server::on(opened?)),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Opens the replica of a record, and waits for its lock if the options say so.
#[cfg(feature = "replicated")]
async fn replicated(address: &RecordAddress, args: &Serve) -> Result<Server, Failure> {
    let (begin, patience) = (std::time::Instant::now(), patience(args));
    let address = address.clone();
    let options = Replicated::options();
    let options = args.segment_bytes.into_iter().fold(options, ReplicatedOptions::segment_bytes);
    let (sender, opened) = tokio::sync::oneshot::channel();
    let open = move || {
        let mut is_first = true;
        let interrupt = Interrupt::default();
        let opened = loop {
            let warn = |fitness: &_| {
                if is_first {
                    engine::warn(fitness);
                }
            };
            match replica::open_watched(&address, options.clone(), &interrupt, warn) {
                Err(problem) if problem.is_locked() && begin.elapsed() < patience => {
                    if std::mem::take(&mut is_first) {
                        say::note(&format!("{}; waiting", problem.message()));
                    }
                }
                opened => break opened,
            }
            std::thread::sleep(RETRY);
        };
        // The main thread may have ended already, because of a signal.
        drop(sender.send(opened));
    };
    // A thread of its own, which a signal need not wait for: the engine may not answer.
    std::thread::Builder::new()
        .name("annals-open".to_owned())
        .spawn(open)
        .map_err(|error| Failure::Serve(ServeError::Start(error.to_string())))?;
    let gone = |_| {
        Failure::Serve(ServeError::Start("the thread that opens the store panicked".to_owned()))
    };
    Ok(Server::on(opened.await.map_err(gone)??))
}

/// Applies the options.
fn configured(mut server: Server, args: &Serve) -> Result<Server, Failure> {
    let limits = Limits::default()
        .connections(args.max_connections)
        .subscriptions(args.max_subscriptions)
        .request_memory(args.request_memory)
        .header_time(args.header_time)
        .body_time(args.body_time);
    let limits = args.unread_time.into_iter().fold(limits, Limits::unread_time);
    server = args.listen.iter().fold(server.limits(limits), |server, &at| server.listen(at));
    server = args.listen_mutual.iter().fold(server, |server, &at| server.listen_mutual(at));
    server = args.host_name.iter().fold(server, Server::host_name);
    server = args.cors_origin.iter().fold(server, Server::cors_origin);
    if let Some(file) = &args.tokens {
        server = server.tokens(file);
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        server = server.tls(certificate, key);
    }
    if let Some(file) = &args.client_ca {
        server = server.client_authority(file);
    }
    if args.insecure {
        server = server.insecure();
    }
    if args.actor_metadata {
        server = server.actor_metadata();
    }
    if args.trace_metadata {
        server = server.trace_metadata();
    }
    #[cfg(feature = "channels")]
    {
        let channel = |id: &str| id.parse().ok().map(annals_channels::Channel);
        server = server.projections("channel:", channel);
    }
    let failed = |error: String| Failure::Serve(ServeError::Start(error));
    let recorder = recorder().map_err(|error| failed(error.to_string()))?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(error.to_string()))?;
    let kept = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(server.metrics(move || {
        handle.run_upkeep();
        handle.render()
    }))
}

/// Returns the recorder of the metrics. Its histograms have buckets: a summary instead takes up to 768 KiB for each set
/// of labels.
fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let counts = Matcher::Suffix("_events".to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
    Ok(builder.set_buckets_for_metric(counts, &COUNTS)?.build_recorder())
}

fn not_served(error: ServeError) -> Failure {
    match error {
        ServeError::Open(error) => error.into(),
        error => Failure::Serve(error),
    }
}

impl Signals {
    /// Waits for a signal that asks for the end.
    async fn end(&mut self) {
        while self.next().await == Asked::Reload {}
    }
}

/// Drains the server at the first signal, and ends the process at the second.
async fn until_signals(server: Handle, mut signals: Signals) {
    while signals.next().await == Asked::Reload {
        match server.reload() {
            Ok(()) => say::note("read the tokens and the certificates again"),
            Err(error) => say::warning(&format!("nothing was changed: {error}")),
        }
    }
    say::note("ending; a second signal ends the server at once");
    server.drain();
    signals.end().await;
    std::process::exit(130);
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has SIGHUP"))]
    Reload,
    End,
}

/// The signals that the server knows.
#[cfg(unix)]
struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.terminate.recv() => Asked::End,
        }
    }
}

/// The signals that the server knows.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Asked {
        // Without a handler the process ends at the signal anyway.
        let _ = tokio::signal::ctrl_c().await;
        Asked::End
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
