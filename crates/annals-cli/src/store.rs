//! Opening the store that a STORE argument names: here, and nowhere else, it matters of which kind it is.

use std::sync::Arc;

use annals::{
    Backend, Durability, Event, EventStore, FollowError, Journal, Memory, OpenError, RawEvent,
    VerifyReport,
};
#[cfg(feature = "rocksdb")]
use annals_rocksdb::RocksDb;

use crate::failure::Failure;
use crate::place::Place;

/// A store of events of any type, or of these, wherever it lives.
pub(crate) type Store<E = RawEvent> = EventStore<E, Box<dyn Backend<E>>>;

fn on<E: Event>(backend: impl Backend<E> + 'static) -> Store<E> {
    EventStore::<E>::on(Box::new(backend))
}

/// A store in memory, gone with the process.
pub(crate) fn in_memory() -> Store {
    on(Memory::new())
}

/// Opens a store for appending, and creates it if nothing is there.
pub(crate) fn open(place: &Place, durability: Durability) -> Result<Store, Failure> {
    match place {
        Place::Journal(path) => Ok(on(Journal::options().durability(durability).open(path)?)),
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) => Ok(on(RocksDb::options().durability(durability).open(path)?)),
        #[cfg(not(feature = "rocksdb"))]
        Place::RocksDb(_) => Err(not_built_in(place)),
    }
}

/// Returns whether nothing is there: no store, and nothing that is in the way of one.
pub(crate) fn is_vacant(place: &Place) -> Result<bool, Failure> {
    let opened = match place {
        Place::Journal(path) if path.join("store.json").exists() => return Ok(false),
        Place::Journal(path) => Journal::options().open_read_only::<RawEvent>(path).map(drop),
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) if !path.exists() => return Ok(true),
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) if path.join("CURRENT").exists() => return Ok(false),
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) => RocksDb::<RawEvent>::open_read_only(path).map(drop),
        #[cfg(not(feature = "rocksdb"))]
        Place::RocksDb(_) => return Err(not_built_in(place)),
    };
    match opened {
        Ok(()) => Ok(false),
        Err(OpenError::NotFound { .. }) => Ok(true),
        Err(problem) => Err(problem.into()),
    }
}

/// Opens a store for reading, also beside a process that appends to it, and has it read. If it is a Journal that is
/// damaged, what is good is read first, and then that is said. So is why a Journal is not followed any more.
pub(crate) fn reading<E: Event>(
    place: &Place,
    read: impl FnOnce(&Store<E>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match place {
        Place::Journal(path) => {
            let journal = Arc::new(Journal::options().open_read_only(path)?);
            // Then opening it has warned of that.
            let told = journal.damage().is_some();
            read(&on(Arc::clone(&journal)))?;
            // Asked last: it may be found while the log is followed.
            match journal.follow_error() {
                None => Ok(()),
                Some(FollowError::Damaged(_)) if told => Err(Failure::OnlyTheGoodPart),
                Some(error) => Err(Failure::NotFollowed(error.clone())),
            }
        }
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) => read(&on(RocksDb::open_read_only(path)?)),
        #[cfg(not(feature = "rocksdb"))]
        Place::RocksDb(_) => Err(not_built_in(place)),
    }
}

/// Looks at every byte of a store.
pub(crate) fn verify(place: &Place) -> Result<VerifyReport, Failure> {
    match place {
        Place::Journal(path) => Ok(annals::verify(path)?),
        #[cfg(feature = "rocksdb")]
        Place::RocksDb(path) => Ok(annals_rocksdb::verify(path)?),
        #[cfg(not(feature = "rocksdb"))]
        Place::RocksDb(_) => Err(not_built_in(place)),
    }
}

#[cfg(not(feature = "rocksdb"))]
fn not_built_in(place: &Place) -> Failure {
    Failure::NotBuiltIn { store: place.clone() }
}
