//! Where the bench writes: a directory of its own, removed whatever happens; never where something is already.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::Failure;

/// How often a directory is emptied that does not stay empty.
const REMOVALS: usize = 100;

/// What the bench has written. Who removes it holds the lock until that is done: a second signal waits for it.
static WRITTEN: Mutex<Option<Written>> = Mutex::new(None);

struct Written {
    directory: PathBuf,
    /// Whether the directory was made here; one that was there, empty, is left empty.
    ours: bool,
}

/// A flag that Ctrl-C or SIGTERM sets. A second one does not wait for the work to end: it removes what is there and ends
/// the process.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    let handle = move || {
        // Relaxed: the flag carries nothing else.
        if flag.swap(true, Ordering::Relaxed) {
            if let Err(failure) = remove_written(Err(Failure::BenchInterrupted)) {
                failure.tell();
            }
            std::process::exit(1);
        }
    };
    ctrlc::set_handler(handle).map_err(Failure::Signals)?;
    Ok(told)
}

/// The bench's directory.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory that was asked for, or the first of `annals-bench`, `annals-bench-2`, … that is not there.
    pub(super) fn make(asked: Option<&Path>) -> Result<Self, Failure> {
        let (path, ours) = if let Some(path) = asked {
            let ours = made(path)?;
            if !ours && !is_empty(path)? {
                return Err(Failure::BenchPlaceTaken { directory: path.to_owned() });
            }
            (path.to_owned(), ours)
        } else {
            let mut path = PathBuf::from("annals-bench");
            for number in 2_u64.. {
                if made(&path)? {
                    break;
                }
                path = format!("annals-bench-{number}").into();
            }
            (path, true)
        };
        *written() = Some(Written { directory: path.clone(), ours });
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything; or everything but the log, if that is to be kept and was measured. What went wrong is
    /// answered: with measuring, with removing, or with both.
    pub(super) fn end(self, measured: Result<(), Failure>, keep: bool) -> Result<(), Failure> {
        if measured.is_err() || !keep {
            return remove_written(measured);
        }
        *written() = None;
        let path = self.path.join("plain-file");
        fs::remove_file(&path).map_err(|source| Failure::BenchLeft { path, source, problem: None })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Something is still there only after a panic, and that is told.
        let _ = remove_written(Ok(()));
    }
}

fn written() -> MutexGuard<'static, Option<Written>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what was written, if that is not done; a failure of that goes with what went wrong before.
fn remove_written(before: Result<(), Failure>) -> Result<(), Failure> {
    let mut written = written();
    let Some(Written { directory: path, ours }) = written.take() else { return before };
    match remove(&path, ours) {
        Ok(()) => before,
        Err(source) => {
            Err(Failure::BenchLeft { path, source, problem: before.err().map(Box::new) })
        }
    }
}

/// Removes what the bench wrote in its directory, and the directory if it is its own.
fn remove(directory: &Path, ours: bool) -> io::Result<()> {
    for name in ["log", "plain-file"] {
        let path = directory.join(name);
        // Asked first: where nothing can be written, removing what is not there fails as well.
        if path.try_exists()? {
            remove_one(&path)?;
        }
    }
    if ours { fs::remove_dir(directory) } else { Ok(()) }
}

/// Removes a file, or a directory with all that is in it.
fn remove_one(path: &Path) -> io::Result<()> {
    for _ in 0..REMOVALS {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed.as_ref().map_err(io::Error::kind) {
            Err(ErrorKind::NotFound) => return Ok(()),
            // After a second signal the log is still written to.
            Err(ErrorKind::DirectoryNotEmpty) => {}
            _ => return removed,
        }
    }
    Err(ErrorKind::DirectoryNotEmpty.into())
}

fn made(directory: &Path) -> Result<bool, Failure> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Failure::BenchDisk { path: directory.to_owned(), source }),
    }
}

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

    /// One test, since what was written is known to the whole process.
    #[test]
    fn what_is_left_is_named_beside_what_went_wrong() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new");
        let interrupted = || Err(Failure::BenchInterrupted);
        let written = || {
            let directory = Directory::make(Some(&path)).unwrap();
            fs::create_dir(path.join("log")).unwrap();
            fs::write(path.join("plain-file"), "hello").unwrap();
            directory
        };

        let failure = written().end(interrupted(), true).unwrap_err();
        assert_eq!(failure.advice().unwrap(), "nothing is left behind");
        assert!(!path.exists());

        let directory = written();
        fs::write(path.join("mine"), "somebody else's").unwrap();
        let failure = directory.end(interrupted(), false).unwrap_err();
        let message = failure.message();
        assert!(message.starts_with("interrupted: "), "{message}");
        assert!(message.contains(&format!("; cannot remove {}: ", path.display())), "{message}");
        assert!(failure.advice().unwrap().contains("still there"));
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|left| left.unwrap().path()).collect();
        assert_eq!(left, [path.join("mine")]);
    }
}
