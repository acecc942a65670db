//! `annals bench`: how fast this machine and this disk are, next to the disk's own limit.
//!
//! ```text
//!   place    the directory it writes in, and its removal     events   what is appended
//!   measure  a log, and a plain file on the same disk        timed    calls that were timed, and medians
//!   row      percentiles, and how they are shown
//! ```

mod events;
mod measure;
mod place;
mod row;
mod timed;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use annals::{AppendError, Durability};

use crate::args::{Bench, Format, Target};
use crate::failure::Failure;
use crate::out::Out;
use crate::place::Place;
use crate::{progress, store};

use measure::Measure;
use place::Directory;

/// What is measured of each log, beside several writers: one writer, bulk, condition, scan, get, tag.
const PHASES: usize = 6;

/// Measures what was asked for, and shows it.
pub(crate) fn run(args: &Bench, format: Option<Format>) -> Result<(), Failure> {
    let stop = place::stop_on_signal()?;
    let phases = PHASES + args.writers.len();
    let logs = if args.store.is_none() { 2 } else { 1 };
    let slice =
        Duration::from_secs_f64(args.seconds) / u32::try_from(logs * phases).unwrap_or(u32::MAX);
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
    let (place, asked) = match &args.store {
        None => {
            measure.log("memory", &store::in_memory(), None)?;
            (Place::Journal as fn(_) -> _, None)
        }
        Some(Target::Memory) => return measure.log("memory", &store::in_memory(), None),
        Some(Target::Place(Place::Journal(path))) => (Place::Journal as fn(_) -> _, Some(path)),
        Some(Target::Place(Place::RocksDb(path))) => (Place::RocksDb as fn(_) -> _, Some(path)),
    };
    #[cfg(not(feature = "rocksdb"))]
    if let Some(Target::Place(place @ Place::RocksDb(_))) = &args.store {
        return Err(Failure::NotBuiltIn { store: place.clone() });
    }
    let directory = Directory::make(asked.map(PathBuf::as_path))?;
    let place = place(directory.path().join("log"));
    let file = directory.path().join("plain-file");
    let name = if matches!(place, Place::Journal(_)) { "journal" } else { "rocksdb" };
    let measured = store::open(&place, Durability::Sync).and_then(|store| {
        let measured = measure.log(name, &store, Some(&file));
        if measured.is_err() {
            // On a full disk the store needs some room to close.
            let _ = fs::remove_file(&file);
        }
        measured.and_then(|()| Ok(store.close()?))
    });
    let measured = measured.map_err(|failure| of_disk(failure, place.path()));
    // What was measured is not told if it could not be cleaned up: that is then the failure.
    directory.end(measured, args.keep)
}

/// What the disk did not do is told of the disk: nobody will go on with this log.
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

    /// A test of the command cannot, without privileges, have a disk that is full.
    #[test]
    fn a_full_disk_is_named() {
        let source = Arc::new(ErrorKind::StorageFull.into());
        let failure = Failure::Append(AppendError::NoRoom { bytes: 9, source });
        let failure = of_disk(failure, Path::new("new/log"));
        let message = failure.message();
        assert!(message.starts_with("cannot write new/log: no storage space"), "{message}");
        assert!(failure.advice().unwrap().contains("free some room, measure less"));
    }
}
