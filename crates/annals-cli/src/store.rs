//! Opens the store of a STORE argument, whatever its kind. Commands then use it through one type.

use std::sync::Arc;

use annals::{
    Backend, Durability, Event, EventStore, FollowError, Journal, Memory, OpenError, RawEvent,
    VerifyReport,
};
#[cfg(feature = "rocksdb")]
use annals_rocksdb::RocksDb;

use crate::failure::Failure;
#[cfg(feature = "replicated")]
use crate::failure::RecordFailure;
#[cfg(feature = "replicated")]
use crate::record_address::RecordAddress;
#[cfg(feature = "replicated")]
use crate::replicated::replica;
use crate::signals::Interrupt;
use crate::store_path::StorePath;

/// A store on any backend, of events of any type or of type `E`.
pub(crate) type Store<E = RawEvent> = EventStore<E, Box<dyn Backend<E>>>;

fn on<E: Event>(backend: impl Backend<E> + 'static) -> Store<E> {
    EventStore::<E, _>::on(Box::new(backend))
}

/// Returns a new store in memory, which is lost when the process ends.
pub(crate) fn in_memory() -> Store {
    on(Memory::new())
}

/// Opens a store for appending, and creates it if nothing exists at its path. A record is never created.
#[cfg_attr(
    not(feature = "replicated"),
    expect(unused_variables, reason = "only an engine is waited for")
)]
pub(crate) fn open(
    path: &StorePath,
    durability: Durability,
    interrupt: &Interrupt,
) -> Result<Store, Failure> {
    match path {
        StorePath::Journal(directory) => {
            Ok(on(Journal::options().durability(durability).open(directory)?))
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) => {
            Ok(on(RocksDb::options().durability(durability).open(directory)?))
        }
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => Err(not_built_in(path)),
        // The engine says when an append is durable.
        #[cfg(feature = "replicated")]
        StorePath::Record(address) => Ok(on(replica::open(address, interrupt)?)),
        #[cfg(not(feature = "replicated"))]
        StorePath::Record(_) => Err(not_built_in(path)),
    }
}

/// Returns whether the path is free: it has no store, and nothing that prevents creating one. The address of a record
/// is never free.
pub(crate) fn is_vacant(path: &StorePath) -> Result<bool, Failure> {
    let opened = match path {
        StorePath::Journal(directory) if directory.join("store.json").exists() => return Ok(false),
        StorePath::Journal(directory) => {
            Journal::options().open_read_only::<RawEvent>(directory).map(drop)
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) if !directory.exists() => return Ok(true),
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) if directory.join("CURRENT").exists() => return Ok(false),
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) => RocksDb::<RawEvent>::open_read_only(directory).map(drop),
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => return Err(not_built_in(path)),
        #[cfg(feature = "replicated")]
        StorePath::Record(_) => return Ok(false),
        #[cfg(not(feature = "replicated"))]
        StorePath::Record(_) => return Err(not_built_in(path)),
    };
    match opened {
        Ok(()) => Ok(false),
        Err(OpenError::NotFound { .. }) => Ok(true),
        Err(problem) => Err(problem.into()),
    }
}

/// Opens a store for reading and calls `read`. Another process may append to the store meanwhile.
///
/// If a Journal is damaged, `read` gets the events before the damage, and then this function fails. It also fails if
/// the Journal's follower ended while `read` ran, and if a record lost events that its replica has.
pub(crate) fn reading<E: Event>(
    path: &StorePath,
    read: impl FnOnce(&Store<E>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match path {
        StorePath::Journal(directory) => {
            let journal = Arc::new(Journal::options().open_read_only(directory)?);
            // If it is damaged, opening it has logged the damage as a warning.
            let is_logged = journal.damage().is_some();
            read(&on(Arc::clone(&journal)))?;
            // Checked last, because the follower may fail while `read` runs.
            match journal.follow_error() {
                None => Ok(()),
                Some(FollowError::Damaged(_)) if is_logged => Err(Failure::ReadBeforeDamage),
                Some(error) => Err(Failure::NotFollowed(error.clone())),
            }
        }
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) => read(&on(RocksDb::open_read_only(directory)?)),
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => Err(not_built_in(path)),
        #[cfg(feature = "replicated")]
        StorePath::Record(address) => {
            let store = on(replica::open(address, &Interrupt::default())?);
            read(&store)?;
            check_record(&store, address)
        }
        #[cfg(not(feature = "replicated"))]
        StorePath::Record(_) => Err(not_built_in(path)),
    }
}

/// Fails if the record lost events that the replica has.
#[cfg(feature = "replicated")]
fn check_record<E: Event>(store: &Store<E>, address: &RecordAddress) -> Result<(), Failure> {
    match store.health() {
        annals::Health::Diverged { cause } => {
            Err(RecordFailure::Diverged { replica: address.replica().to_owned(), cause }.into())
        }
        _ => Ok(()),
    }
}

/// Checks every byte of a store. Calls `watch` with the amount that was checked, and the whole amount: bytes of a
/// Journal and of a replica, events of a store in RocksDB.
pub(crate) fn verify(
    path: &StorePath,
    watch: impl FnMut(u64, u64),
) -> Result<VerifyReport, Failure> {
    match path {
        StorePath::Journal(directory) => Ok(annals::verify_watched(directory, watch)?),
        #[cfg(feature = "rocksdb")]
        StorePath::RocksDb(directory) => Ok(annals_rocksdb::verify_watched(directory, watch)?),
        #[cfg(not(feature = "rocksdb"))]
        StorePath::RocksDb(_) => Err(not_built_in(path)),
        // The files of the replica. `annals record verify` compares them with the record.
        StorePath::Record(address) => Ok(annals::verify_watched(address.replica(), watch)?),
    }
}

#[cfg(not(all(feature = "rocksdb", feature = "replicated")))]
fn not_built_in(path: &StorePath) -> Failure {
    Failure::NotBuiltIn { store: path.clone() }
}
