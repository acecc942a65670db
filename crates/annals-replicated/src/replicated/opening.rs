//! Opening a replicated log: the record is found, the replica is opened, and it reads what it lacks.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use annals::backend::{Hasher, Opener};
use annals::{Backend as _, Event, Journal, JournalReplica};
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::applier;
use super::create::{Beginning, check, read_beginning};
use super::driver::Driver;
use super::engine::Engine;
use super::inbox::Inbox;
use super::meters::Meters;
use super::open_error::OpenReplicatedError;
use super::options::ReplicatedOptions;
use super::replicated::Replicated;
use super::requests::Requests;
use super::shared::{Closing, Jobs, Shared};
use super::status::{CaughtUp, Progress};
use super::wakers::Wakers;
use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::core::core::{Core, Start};
use crate::core::messages::Input;
use crate::core::settings::CoreSettings;
use crate::log::commit_log::{Cause, CommitLog, LogError};
use crate::tail::tail::Tail;

/// How long an engine that shows no entries is asked again: a read may miss the newest entries.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

impl ReplicatedOptions {
    /// Opens the log that `log` stores, with the replica in the directory `path`, which is created if nothing is there.
    /// Returns when the replica has everything that the record had.
    ///
    /// If the record no longer contains what the replica contains, this succeeds: the events of the replica are
    /// readable, and [`health`](annals::EventStore::health) reports the divergence.
    ///
    /// # Errors
    /// [`OpenReplicatedError`]: the engine cannot be trusted, does not answer within
    /// [`open_timeout`](Self::open_timeout), has no record or another one, or the replica does not open.
    pub fn open<E: Event>(
        self,
        log: impl CommitLog + 'static,
        path: impl AsRef<Path>,
    ) -> Result<Replicated<E>, OpenReplicatedError> {
        open(Arc::new(log), path.as_ref(), self)
    }
}

fn open<E: Event>(
    log: Arc<dyn CommitLog>,
    path: &Path,
    options: ReplicatedOptions,
) -> Result<Replicated<E>, OpenReplicatedError> {
    let fitness = check(&*log, options.open_timeout)?;
    for warning in &fitness.warnings {
        tracing::warn!(engine = fitness.engine, warning, "the engine of the record");
    }
    let record = find_record(&*log, options.open_timeout)?;
    let label = log.name();
    let replica = open_replica::<E>(&options, path, record, label)?;
    let store_id = Uuid::from_bytes(replica.journal().store_id().unwrap_or_default());
    if let Some(record) = record.filter(|&record| record != store_id) {
        replica.release();
        return Err(OpenReplicatedError::OtherRecord { replica: store_id, record });
    }
    let (tail, mut positions) = open_tail(&replica, store_id);
    let (wakers, waking) = Wakers::start().map_err(OpenReplicatedError::NoThread)?;
    let (inbox, progress) = (Arc::<Inbox>::default(), Arc::<Progress>::default());
    if let Some(position) = positions.last() {
        progress.applied(position);
    }
    let replica_head = replica.head().get();
    let compare_all = tail.as_ref().is_some_and(Tail::has_diverged);
    let shared = Arc::new(Shared {
        hasher: Hasher::new(store_id.as_bytes()),
        replica,
        inbox: Arc::clone(&inbox),
        jobs: Jobs::default(),
        requests: Requests::new(&options, wakers),
        progress: Arc::clone(&progress),
        options,
        opener: Opener::this_process(),
        tail: Mutex::new(tail),
        differs: AtomicBool::new(false),
        started: Instant::now(),
        applier: OnceLock::new(),
        driver: OnceLock::new(),
        closing: Mutex::new(Closing::default()),
        closed: Condvar::new(),
    });
    let mut settings = CoreSettings::new(Uuid::new_v4(), log.limits());
    let timeout = shared.options.append_timeout.as_millis();
    settings.append_timeout_ms = u64::try_from(timeout).unwrap_or(u64::MAX).max(1);
    if log.compares_hashes() {
        settings.confirm_ms = None;
    }
    // Without an answer, the core reads until a read shows no more.
    let ends = log.ends().ok();
    if let Some((first, _)) = ends {
        leave_out_trimmed(&mut positions, first);
    }
    let last = ends.map(|(_, last)| last);
    let start = Start { store_id: Some(store_id), positions, replica_head, compare_all, last };
    let core = Core::new(settings, start, shared.now());
    let hinted = Arc::downgrade(&inbox);
    log.on_hint(Box::new(move || {
        if let Some(inbox) = hinted.upgrade() {
            inbox.push(Input::Hinted);
        }
    }));
    let engine = Engine::start(log, inbox, progress).map_err(OpenReplicatedError::NoThread)?;
    let meters = Meters::new(label);
    let driver = Driver { shared: Arc::clone(&shared), core, engine, meters };
    let replicated = start_threads(shared, driver, waking)?;
    caught_up(&replicated)?;
    Ok(replicated)
}

/// Finds the id of the record. Returns `None` if the record lost its beginning.
fn find_record(
    log: &dyn CommitLog,
    open_timeout: Duration,
) -> Result<Option<Uuid>, OpenReplicatedError> {
    let started = Instant::now();
    loop {
        match read_beginning(log) {
            Ok(Beginning::Genesis(genesis)) => return Ok(Some(genesis.header().store_id)),
            Ok(Beginning::Newer(any)) => return Err(OpenReplicatedError::Newer(any)),
            Ok(Beginning::None { .. }) if started.elapsed() >= PATIENCE.min(open_timeout) => {
                return Err(OpenReplicatedError::NoRecord);
            }
            Err(LogError::Trimmed { .. }) => return Ok(None),
            Err(LogError::Unavailable(cause))
                if cause.is_lasting() || started.elapsed() >= open_timeout =>
            {
                return Err(OpenReplicatedError::Unavailable(cause));
            }
            Ok(Beginning::None { .. }) | Err(LogError::Unavailable(_)) => thread::sleep(PAUSE),
        }
    }
}

fn open_replica<E: Event>(
    options: &ReplicatedOptions,
    path: &Path,
    record: Option<Uuid>,
    label: &'static str,
) -> Result<JournalReplica<E>, OpenReplicatedError> {
    let journal = Journal::options()
        .segment_bytes(options.segment_bytes)
        .file_system(Arc::clone(&options.file_system));
    let exists = match options.file_system.open_directory(path) {
        Ok(directory) => {
            let names = directory.list().unwrap_or_default();
            names.iter().any(|name| name == "store.json")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        // The Journal reports what is there.
        Err(_) => true,
    };
    match record {
        // The record tells whether it is the one of an existing replica.
        _ if exists => Ok(journal.open_replica(path, label)?),
        Some(record) => Ok(journal.store_id(*record.as_bytes()).open_replica(path, label)?),
        None => Err(OpenReplicatedError::Trimmed),
    }
}

/// Opens the file of positions. Without it, the record is read from its beginning.
fn open_tail<E: Event>(
    replica: &JournalReplica<E>,
    store_id: Uuid,
) -> (Option<Tail>, Vec<Position>) {
    match Tail::open(replica.directory(), store_id, replica.head().get()) {
        Ok((tail, places)) => (Some(tail), places.iter().map(|place| place.position).collect()),
        Err(error) => {
            tracing::warn!(%error, "cannot use record.tail; the record is read from its beginning");
            (None, Vec::new())
        }
    }
}

/// Leaves out the positions whose entries the record no longer has: nothing can be compared there. The last one stays,
/// so that a replica that ends before the record begins says so.
fn leave_out_trimmed(positions: &mut Vec<Position>, first: Slot) {
    let is_trimmed = |position: &Position| position.before().next() < first;
    let trimmed = positions.partition_point(is_trimmed);
    positions.drain(..trimmed.min(positions.len().saturating_sub(1)));
}

fn start_threads<E: Event>(
    shared: Arc<Shared<E>>,
    driver: Driver<E>,
    waking: JoinHandle<()>,
) -> Result<Replicated<E>, OpenReplicatedError> {
    let applying = Arc::clone(&shared);
    let named = |name: &str| thread::Builder::new().name(name.into());
    let applier = named("annals-apply").spawn(move || applier::run(&applying));
    let applier = applier.map_err(OpenReplicatedError::NoThread)?;
    let driver = match named("annals-record").spawn(move || driver.run()) {
        Ok(driver) => driver,
        Err(error) => {
            shared.jobs.end();
            return Err(OpenReplicatedError::NoThread(error));
        }
    };
    Ok(Replicated::new(shared, vec![applier, driver, waking]))
}

/// Waits until the replica has what the record has.
fn caught_up<E: Event>(replicated: &Replicated<E>) -> Result<(), OpenReplicatedError> {
    let shared = replicated.shared();
    match shared.progress.wait_until_caught_up(shared.options.open_timeout) {
        CaughtUp::Yes => {
            if shared.progress.status().divergence.is_none() {
                shared.note_diverged(false);
            }
            Ok(())
        }
        CaughtUp::NoRecord => Err(OpenReplicatedError::NoRecord),
        CaughtUp::Failed(failure) => Err(OpenReplicatedError::Failed(failure.to_string())),
        CaughtUp::Stalled(cause) => {
            let cause = cause.unwrap_or_else(|| Cause::new("it shows no entries"));
            Err(OpenReplicatedError::Unavailable(cause))
        }
    }
}
