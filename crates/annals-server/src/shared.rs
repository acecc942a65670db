//! What all requests of a server share: the store, the permits, and whether the server ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use annals::{Backend, Head, Health};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, watch};

use crate::access::access::Access;
use crate::access::hosts::Hosts;
use crate::cursors::Cursors;
use crate::event::{Store, WireEvent};
use crate::fault::{Fault, Kind};
use crate::groups::registry::Groups;
use crate::limits::Limits;
use crate::memory::Budget;

/// Whether a server takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    Draining,
}

/// Returns the metrics as text for Prometheus.
pub(crate) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Returns why the server is not ready; `None` if it is.
pub(crate) type Readiness = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// The settings of a server that requests meet.
pub(crate) struct Settings {
    pub(crate) signs: bool,
    pub(crate) traces: bool,
    pub(crate) access: Access,
    pub(crate) hosts: Hosts,
    pub(crate) metrics: Option<MetricsText>,
    pub(crate) path: Option<PathBuf>,
    pub(crate) readiness: Vec<Readiness>,
}

/// The last verification of the store that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) at: SystemTime,
    /// The number of problems that it found; `None` if it failed.
    pub(crate) problems: Option<usize>,
}

/// What all requests of a server share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) readers: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
    /// The memory of bodies and of appends that wait.
    pub(crate) memory: Arc<Budget>,
    phase: watch::Sender<Phase>,
    /// The directory of a store in files.
    pub(crate) path: Option<PathBuf>,
    /// The permit for the one verification at a time.
    pub(crate) verification: Arc<Semaphore>,
    /// The last verification since the server started, through any face.
    pub(crate) verified: Mutex<Option<Verified>>,
    /// Each open connection has a clone.
    connections: Arc<()>,
    /// The permit for the one scan of all names at a time: a log may have millions of tags, and each scan holds all of
    /// them in memory.
    scans: Arc<Semaphore>,
    /// Each append that will be logged holds it for reading.
    pub(crate) unlogged: Arc<RwLock<()>>,
    pub(crate) cursors: Cursors,
    /// The groups of workers.
    pub(crate) groups: Groups,
    /// Whether the name of the client is written into the events that it appends.
    pub(crate) signs: bool,
    /// Whether the trace of the client is written into the events that it appends.
    pub(crate) traces: bool,
    /// The program's own checks of whether the server is ready.
    readiness: Vec<Readiness>,
    pub(crate) access: Access,
    pub(crate) hosts: Hosts,
    /// Returns the text of `/metrics`, if the program has a recorder.
    pub(crate) metrics: Option<MetricsText>,
}

impl Shared {
    pub(crate) fn new(store: Store, limits: Limits, settings: Settings) -> Self {
        let Settings { signs, traces, access, hosts, metrics, path, readiness } = settings;
        Self {
            readers: Arc::new(Semaphore::new(limits.reads)),
            subscriptions: Arc::new(Semaphore::new(limits.subscriptions)),
            memory: Arc::new(Budget::new(limits.request_memory)),
            phase: watch::Sender::new(Phase::Serving),
            unlogged: Arc::default(),
            cursors: Cursors::default(),
            groups: Groups::new(store.clone()),
            path,
            verification: Arc::new(Semaphore::new(1)),
            verified: Mutex::default(),
            connections: Arc::default(),
            scans: Arc::new(Semaphore::new(1)),
            signs,
            traces,
            readiness,
            access,
            hosts,
            metrics,
            store,
            limits,
        }
    }

    pub(crate) fn backend(&self) -> &dyn Backend<WireEvent> {
        &**self.store.backend()
    }

    pub(crate) fn head(&self) -> &Head<WireEvent> {
        self.backend().head()
    }

    /// Ends subscriptions, and refuses requests from now on.
    pub(crate) fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() == Phase::Draining
    }

    /// Returns a receiver of the phase.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Counts a connection until the returned value is dropped.
    pub(crate) fn connected(&self) -> Arc<()> {
        Arc::clone(&self.connections)
    }

    /// Returns the number of open connections.
    pub(crate) fn connections(&self) -> usize {
        Arc::strong_count(&self.connections) - 1
    }

    /// Keeps the outcome of a verification.
    pub(crate) fn keep_verified(&self, problems: Option<usize>) {
        *self.verified.lock() = Some(Verified { at: SystemTime::now(), problems });
    }

    /// Returns why the server cannot answer requests for the store; `None` if it can.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("the server is shutting down".into());
        }
        match self.store.health() {
            health @ (Health::Closed | Health::Poisoned { .. } | Health::Diverged { .. }) => {
                Some(health.to_string())
            }
            _ => self.readiness.iter().find_map(|check| check()),
        }
    }

    /// Waits until no other request scans the names of the log.
    pub(crate) async fn scan_permit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.scans).acquire_owned().await.map_err(|_| Fault::closing())
    }

    /// Takes the permit for one more subscription.
    pub(crate) fn subscription_permit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.subscriptions).try_acquire_owned().map_err(|_| {
            let most = self.limits.subscriptions;
            Fault::new(
                Kind::Busy,
                format!("the server has {most} subscriptions, as many as it takes"),
            )
        })
    }
}

/// Waits until the server drains.
pub(crate) async fn draining(phase: &mut watch::Receiver<Phase>) {
    // An error says that the server is gone.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}

#[cfg(test)]
impl Shared {
    /// Returns what the requests of a server share, on an empty log in memory.
    pub(crate) fn in_memory() -> Self {
        let backend: Box<dyn Backend<WireEvent>> = Box::new(annals::Memory::<WireEvent>::encoded());
        let settings = Settings {
            signs: false,
            traces: false,
            readiness: Vec::new(),
            access: Access::read(None, None).expect("there is no file to read"),
            hosts: Hosts::default(),
            metrics: None,
            path: None,
        };
        Self::new(annals::EventStore::on(backend), Limits::default(), settings)
    }

    /// Adds a check of whether the server is ready.
    pub(crate) fn with_readiness(
        mut self,
        check: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.readiness.push(Box::new(check));
        self
    }
}
