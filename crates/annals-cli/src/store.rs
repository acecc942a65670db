//! Opening the store that a STORE argument names.

use std::path::Path;

use annals::{Durability, Event, EventStore, Journal, RawEvent};

use crate::failure::Failure;

/// A store of events of any type, or of these.
pub(crate) type Store<E = RawEvent> = EventStore<E, Journal<E>>;

/// Opens a store for appending, and creates it if nothing is there.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<Store, Failure> {
    let journal = Journal::options().durability(durability).open(journal_path(path)?)?;
    Ok(EventStore::on(journal))
}

/// Opens a store for reading, also beside a process that appends to it, and has it read. If it is damaged, what is
/// good is read first, and then that is said.
pub(crate) fn reading<E: Event>(
    path: &Path,
    read: impl FnOnce(&Store<E>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let store = EventStore::<E>::open_read_only(journal_path(path)?)?;
    read(&store)?;
    if store.backend().damage().is_some() { Err(Failure::OnlyTheGoodPart) } else { Ok(()) }
}

/// The path itself, unless it names a store of another kind.
pub(crate) fn journal_path(path: &Path) -> Result<&Path, Failure> {
    if path.as_os_str().as_encoded_bytes().starts_with(b"rocksdb:") {
        return Err(Failure::NotBuiltIn { store: path.display().to_string() });
    }
    Ok(path)
}
