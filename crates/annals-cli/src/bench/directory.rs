//! The bench's own directory, which is removed in every case. The bench never writes to a directory with files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::Failure;

/// The number of attempts to remove a directory that another thread still writes to.
const REMOVE_ATTEMPTS: usize = 100;

/// The directory with the bench's files. The lock is held while they are removed, so that the handler of a second
/// signal waits for the removal.
static WRITTEN: Mutex<Option<Written>> = Mutex::new(None);

struct Written {
    directory: PathBuf,
    /// Whether the bench created the directory. A directory that existed is only emptied, not removed.
    is_created: bool,
}

/// Returns a flag that Ctrl-C or SIGTERM sets. A second signal does not wait for the work to end: its handler removes
/// the files and ends the process.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let handle = move || {
        // Relaxed: pairs with the load in `Measure::check_stop`; the flag publishes no other data.
        if flag.swap(true, Ordering::Relaxed) {
            if let Err(failure) = remove_written(Err(Failure::BenchInterrupted)) {
                failure.report();
            }
            std::process::exit(1);
        }
    };
    ctrlc::set_handler(handle).map_err(Failure::Signals)?;
    Ok(stop)
}

/// The bench's directory, with its files removed on drop.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Creates the requested directory, or the first of `annals-bench`, `annals-bench-2`, … that does not exist. A
    /// requested directory may exist if it is empty.
    pub(super) fn create(requested: Option<&Path>) -> Result<Self, Failure> {
        let (path, is_created) = if let Some(path) = requested {
            let is_created = create(path)?;
            if !is_created && !is_empty(path)? {
                return Err(Failure::BenchDirectoryNotEmpty { directory: path.to_owned() });
            }
            (path.to_owned(), is_created)
        } else {
            let mut path = PathBuf::from("annals-bench");
            for number in 2_u64.. {
                if create(&path)? {
                    break;
                }
                path = format!("annals-bench-{number}").into();
            }
            (path, true)
        };
        *written() = Some(Written { directory: path.clone(), is_created });
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes all files; keeps the log if `keep` is true and measuring succeeded. Returns the failure of measuring, of
    /// removing, or of both.
    pub(super) fn finish(self, measured: Result<(), Failure>, keep: bool) -> Result<(), Failure> {
        if measured.is_err() || !keep {
            return remove_written(measured);
        }
        *written() = None;
        let path = self.path.join("plain-file");
        fs::remove_file(&path).map_err(|source| Failure::BenchNotRemoved {
            path,
            source,
            problem: None,
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Files are left here only after a panic, which is reported itself, so an error is ignored.
        let _ = remove_written(Ok(()));
    }
}

fn written() -> MutexGuard<'static, Option<Written>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the files, unless they are removed already. A failure to remove them includes the failure before.
fn remove_written(before: Result<(), Failure>) -> Result<(), Failure> {
    let mut written = written();
    let Some(Written { directory: path, is_created }) = written.take() else { return before };
    match remove(&path, is_created) {
        Ok(()) => before,
        Err(source) => {
            Err(Failure::BenchNotRemoved { path, source, problem: before.err().map(Box::new) })
        }
    }
}

/// Removes the bench's files, and the directory if the bench created it.
fn remove(directory: &Path, is_created: bool) -> io::Result<()> {
    for name in ["log", "plain-file"] {
        let path = directory.join(name);
        // Checked first: on a read-only file system, removing a missing file fails with another error than NotFound.
        if path.try_exists()? {
            remove_one(&path)?;
        }
    }
    if is_created { fs::remove_dir(directory) } else { Ok(()) }
}

/// Removes a file, or a directory with its contents.
fn remove_one(path: &Path) -> io::Result<()> {
    for _ in 0..REMOVE_ATTEMPTS {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed.as_ref().map_err(io::Error::kind) {
            Err(ErrorKind::NotFound) => return Ok(()),
            // After a second signal, other threads still write to the log.
            Err(ErrorKind::DirectoryNotEmpty) => {}
            _ => return removed,
        }
    }
    Err(ErrorKind::DirectoryNotEmpty.into())
}

/// Creates a directory. Returns false if the path exists.
fn create(directory: &Path) -> Result<bool, Failure> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Failure::BenchDisk { path: directory.to_owned(), source }),
    }
}

/// Returns whether the path is an empty directory.
fn is_empty(path: &Path) -> Result<bool, Failure> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(Failure::BenchDisk { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This is one test, because `WRITTEN` is global to the process.
    #[test]
    fn files_that_are_left_are_reported_with_the_earlier_failure() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new");
        let interrupted = || Err(Failure::BenchInterrupted);
        let written = || {
            let directory = Directory::create(Some(&path)).unwrap();
            fs::create_dir(path.join("log")).unwrap();
            fs::write(path.join("plain-file"), "hello").unwrap();
            directory
        };

        let failure = written().finish(interrupted(), true).unwrap_err();
        assert_eq!(failure.advice().unwrap(), "no files are left behind");
        assert!(!path.exists());

        let directory = written();
        fs::write(path.join("mine"), "another file").unwrap();
        let failure = directory.finish(interrupted(), false).unwrap_err();
        let message = failure.message();
        assert!(message.starts_with("interrupted: "), "{message}");
        assert!(message.contains(&format!("; cannot remove {}: ", path.display())), "{message}");
        assert!(failure.advice().unwrap().contains("files that are left"));
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|left| left.unwrap().path()).collect();
        assert_eq!(left, [path.join("mine")]);
    }
}
