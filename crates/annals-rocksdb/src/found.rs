//! What is at a path before it is opened: nothing, a store, or something else, which is left as it is.

use std::path::Path;

use annals::OpenError;
use rocksdb::{DB, Options};

use crate::status::open_error;
use crate::torn;

/// What a path has.
pub(crate) enum Found {
    Nothing,
    Database,
}

/// Looks at a path, and changes nothing.
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
    // What RocksDB leaves when it is stopped while it makes a database, before there is anything in it.
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

/// Refuses a database of something else. True if it has all column families that are `ours`.
///
/// One with fewer than ours was being made, and has nothing in it yet; or it is not ours, and must not get any of them.
pub(crate) fn check_families(
    path: &Path,
    options: &Options,
    ours: &[&str],
) -> Result<bool, OpenError> {
    let failed = |error| open_error(path, error);
    torn::check_manifest(path)?;
    let families = DB::list_cf(options, path).map_err(failed)?;
    if let Some(other) = families.iter().find(|name| !ours.contains(&name.as_str())) {
        return Err(not_ours_at_all(path, &format!("with a column family {other:?}")));
    }
    if families.len() == ours.len() {
        return Ok(true);
    }
    // While a store is made, nothing is in its log.
    torn::refuse_torn(path, "it is of no store, which would be mended")?;
    let database = DB::open_cf_for_read_only(options, path, &families, false).map_err(failed)?;
    let mut all = database.raw_iterator();
    all.seek_to_first();
    match all.key() {
        Some(key) => Err(has_a_key(path, key)),
        None => all.status().map(|()| false).map_err(failed),
    }
}

/// That a database has a key that no store has.
pub(crate) fn has_a_key(path: &Path, key: &[u8]) -> OpenError {
    not_ours_at_all(path, &format!("with a key {:?}", String::from_utf8_lossy(key)))
}

fn not_ours_at_all(path: &Path, what: &str) -> OpenError {
    OpenError::NotAStore {
        path: path.to_owned(),
        found: format!("a RocksDB database of something else, {what}"),
    }
}
