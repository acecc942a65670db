//! Where the bench writes: a directory of its own, removed whatever happens; never where something is already.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Failure;

/// What a second signal removes, since it does not wait for the work to end.
static TO_REMOVE: Mutex<Option<(PathBuf, bool)>> = Mutex::new(None);

/// A flag that Ctrl-C or SIGTERM sets. A second one removes what is there and ends the process.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    let handle = move || {
        // Relaxed: the flag carries nothing else.
        if flag.swap(true, Ordering::Relaxed) {
            if let Some((path, ours)) =
                TO_REMOVE.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                // There is no time left to tell of it.
                let _ = remove(&path, ours);
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
    /// Whether it was made here; one that was there, empty, is left empty.
    ours: bool,
    ended: bool,
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
        *TO_REMOVE.lock().unwrap_or_else(PoisonError::into_inner) = Some((path.clone(), ours));
        Ok(Self { path, ours, ended: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything, or everything but the log.
    pub(super) fn end(mut self, keep: bool) -> Result<(), Failure> {
        self.ended = true;
        *TO_REMOVE.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let removed = if keep {
            fs::remove_file(self.path.join("plain-file"))
        } else {
            remove(&self.path, self.ours)
        };
        removed.map_err(|source| Failure::BenchLeft { directory: self.path.clone(), source })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.ended {
            // Something else went wrong, and that is told.
            let _ = remove(&self.path, self.ours);
        }
    }
}

fn remove(path: &Path, ours: bool) -> io::Result<()> {
    if ours {
        return fs::remove_dir_all(path);
    }
    for name in ["log", "plain-file"] {
        let path = path.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
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
