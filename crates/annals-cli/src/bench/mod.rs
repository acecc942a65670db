//! `annals bench` measures how fast annals is on this machine, compared with the disk's own limit.
//!
//! ```text
//!   directory  creates and removes its directory           events  the appended events
//!   measure    measures a log, and a plain file beside it  timed   timed calls, and medians
//!   row        percentiles, and how they are printed
//! ```

mod directory;
mod events;
mod measure;
mod row;
mod timed;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use annals::{AppendError, Durability};

use crate::args::Format;
use crate::args::bench::{Bench, BenchStore};
use crate::failure::Failure;
use crate::out::Out;
use crate::signals::Interrupt;
use crate::store_path::StorePath;
use crate::{progress, store};

use directory::Directory;
use measure::Measure;

/// The number of tests per log, besides those with several writers: bulk, append, append-if, scan, get, tag.
const TESTS: usize = 6;

/// Measures the requested store, and prints the results.
pub(crate) fn run(args: &Bench, format: Option<Format>) -> Result<(), Failure> {
    let stop = directory::stop_on_signal()?;
    let tests = TESTS + args.writers.len();
    let logs = if args.store.is_none() { 2 } else { 1 };
    let slice =
        Duration::from_secs_f64(args.seconds) / u32::try_from(logs * tests).unwrap_or(u32::MAX);
    let bar = progress::spinner("measuring");
    let mut measure = Measure::new(args, slice, stop, bar.clone());
    let measured = measure_all(args, &mut measure);
    bar.finish_and_clear();
    measured?;
    let mut out = Out::new(format);
    row::show(&measure.into_rows(), &mut out)?;
    out.flush()
}

fn measure_all(args: &Bench, measure: &mut Measure) -> Result<(), Failure> {
    let (kind, requested) = match &args.store {
        None => {
            measure.log("memory", &store::in_memory(), None)?;
            (StorePath::Journal as fn(_) -> _, None)
        }
        Some(BenchStore::Memory) => return measure.log("memory", &store::in_memory(), None),
        Some(BenchStore::OnDisk(StorePath::Journal(path))) => {
            (StorePath::Journal as fn(_) -> _, Some(path))
        }
        Some(BenchStore::OnDisk(StorePath::RocksDb(path))) => {
            (StorePath::RocksDb as fn(_) -> _, Some(path))
        }
        Some(BenchStore::OnDisk(path @ StorePath::Record(_))) => {
            return Err(Failure::NotOnRecord { command: "bench", store: path.clone() });
        }
    };
    #[cfg(not(feature = "rocksdb"))]
    if let Some(BenchStore::OnDisk(path @ StorePath::RocksDb(_))) = &args.store {
        return Err(Failure::NotBuiltIn { store: path.clone() });
    }
    let directory = Directory::create(requested.map(PathBuf::as_path))?;
    let log = kind(directory.path().join("log"));
    let file = directory.path().join("plain-file");
    let name = if matches!(log, StorePath::Journal(_)) { "journal" } else { "rocksdb" };
    let measured = store::open(&log, Durability::Sync, &Interrupt::default()).and_then(|store| {
        let measured = measure.log(name, &store, Some(&file));
        if measured.is_err() {
            // An error is ignored here. Removing the file makes room on a full disk, which the store needs to close.
            let _ = fs::remove_file(&file);
        }
        measured.and_then(|()| Ok(store.close()?))
    });
    let measured = measured.map_err(|failure| of_disk(failure, log.path()));
    // If the directory cannot be removed, that is the failure, and results are not printed.
    directory.finish(measured, args.keep)
}

/// Converts errors of writing the log to errors of the disk. Advice about continuing with the log would be useless: the
/// bench removes it.
fn of_disk(failure: Failure, log: &Path) -> Failure {
    let source = match failure {
        Failure::Append(AppendError::NoRoom { source, .. } | AppendError::Failed { source }) => {
            io::Error::new(source.kind(), source)
        }
        Failure::Append(AppendError::Poisoned { cause }) => io::Error::other(&*cause),
        other => return other,
    };
    Failure::BenchDisk { path: log.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;

    use super::*;

    /// A test of the command cannot fill a disk without privileges.
    #[test]
    fn a_full_disk_is_an_error_of_the_disk() {
        let source = Arc::new(ErrorKind::StorageFull.into());
        let failure = Failure::Append(AppendError::NoRoom { bytes: 9, source });
        let failure = of_disk(failure, Path::new("new/log"));
        let message = failure.message();
        assert!(message.starts_with("cannot write new/log: no storage space"), "{message}");
        assert!(failure.advice().unwrap().contains("free some room, measure less"));
    }
}
