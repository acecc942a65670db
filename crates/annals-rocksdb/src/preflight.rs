//! Inspects a path before it is opened: it is free, has a store, or has something else, which is not changed.

use std::path::Path;

use annals::OpenError;
use rocksdb::{DB, Options};

use crate::status::open_error;
use crate::wal_repair;

/// The content of a path.
pub(crate) enum Found {
    Nothing,
    Database,
}

/// Inspects a path without changing anything.
///
/// # Errors
/// [`OpenError::NotAStore`] if it has something else than a RocksDB database.
pub(crate) fn look(path: &Path) -> Result<Found, OpenError> {
    let io = |source| OpenError::Io { action: "look at", path: path.to_owned(), source };
    let not_a_store =
        |found: &str| OpenError::NotAStore { path: path.to_owned(), found: found.to_owned() };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        found if !found.as_ref().is_ok_and(std::fs::Metadata::is_dir) => {
            found.map_err(io)?;
            return Err(not_a_store("it is a file"));
        }
        _ => {}
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    if names.iter().any(|name| name == "CURRENT") {
        return Ok(Found::Database);
    }
    if names.iter().any(|name| name == "store.json") {
        return Err(not_a_store(
            "it is a Journal, which is opened without `rocksdb:`, with EventStore::open",
        ));
    }
    // RocksDB leaves such files if it is interrupted while it creates a database, before the database has any content.
    let of_rocksdb = |name: &String| {
        ["LOCK", "LOG", "IDENTITY"].contains(&name.as_str())
            || ["LOG.old.", "MANIFEST-", "OPTIONS-"].iter().any(|start| name.starts_with(start))
            || [".dbtmp", ".log"].iter().any(|end| name.ends_with(end))
    };
    match names.iter().find(|name| !of_rocksdb(name)) {
        None => Ok(Found::Nothing),
        Some(other) if names.iter().any(|name| name.starts_with("MANIFEST-")) => Err(not_a_store(
            &format!("a RocksDB database without its file CURRENT, and with {other}"),
        )),
        Some(other) => Err(not_a_store(&format!("there is {other} in it"))),
    }
}

/// Checks that a database is a store, and returns whether it has all the column families in `ours`.
///
/// A database with fewer of them is a store whose creation was interrupted, which has no keys; or it is not a store,
/// and must not get more column families.
///
/// # Errors
/// [`OpenError::NotAStore`] if the database is not a store.
pub(crate) fn check_families(
    path: &Path,
    options: &Options,
    ours: &[&str],
) -> Result<bool, OpenError> {
    let failed = |error| open_error(path, error);
    wal_repair::check_manifest(path)?;
    let families = DB::list_cf(options, path).map_err(failed)?;
    if let Some(other) = families.iter().find(|name| !ours.contains(&name.as_str())) {
        return Err(not_ours_at_all(path, &format!("with a column family {other:?}")));
    }
    if families.len() == ours.len() {
        return Ok(true);
    }
    // The log of a store whose creation was interrupted is empty, so it is not torn.
    wal_repair::refuse_torn(path, "it is not repaired, since it is not the log of a store")?;
    let database = DB::open_cf_for_read_only(options, path, &families, false).map_err(failed)?;
    let mut all = database.raw_iterator();
    all.seek_to_first();
    match all.key() {
        Some(key) => Err(has_a_key(path, key)),
        None => all.status().map(|()| false).map_err(failed),
    }
}

/// Returns the error for a database with a key that no store has.
pub(crate) fn has_a_key(path: &Path, key: &[u8]) -> OpenError {
    not_ours_at_all(path, &format!("with a key {:?}", String::from_utf8_lossy(key)))
}

fn not_ours_at_all(path: &Path, what: &str) -> OpenError {
    OpenError::NotAStore {
        path: path.to_owned(),
        found: format!("a RocksDB database of something else, {what}"),
    }
}
