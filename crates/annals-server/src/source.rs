//! Where the store of a server is, and its opening.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals::backend::Beside;
use annals::{Backend, Journal, JournalOptions, OpenError};

use crate::event::WireEvent;
use crate::shared::Readiness;

/// The time between two attempts to open a store that another process has open for writing.
const RETRY: Duration = Duration::from_millis(20);

/// Where the store of a server is.
pub(crate) enum Source {
    Path(PathBuf),
    ReadOnly(PathBuf),
    Backend(Box<dyn Backend<WireEvent>>),
    /// A log that a program has open: the server must not close it.
    Shared(Journal<WireEvent>),
}

/// An opened store.
pub(crate) struct Opened {
    pub(crate) backend: Box<dyn Backend<WireEvent>>,
    /// The directory of a store in files.
    pub(crate) path: Option<PathBuf>,
    /// Returns why the store is not followed any more.
    pub(crate) readiness: Option<Readiness>,
    /// Whether the server closes the store at its end.
    pub(crate) is_owned: bool,
}

impl Opened {
    fn new(backend: Box<dyn Backend<WireEvent>>) -> Self {
        Self { path: directory(&*backend), backend, readiness: None, is_owned: true }
    }

    /// Returns a Journal that may follow its log. It is not ready once the following has ended.
    fn following(journal: Journal<WireEvent>) -> Self {
        let journal = Arc::new(journal);
        let followed = Arc::clone(&journal);
        let readiness: Readiness =
            Box::new(move || followed.follow_error().map(ToString::to_string));
        Self { readiness: Some(readiness), ..Self::new(Box::new(journal)) }
    }
}

impl Source {
    /// Returns whether the store is in files and exists, so that opening it creates nothing.
    fn exists(&self) -> bool {
        matches!(self, Self::Path(path) if path.join("store.json").exists())
    }

    /// Opens the store. It may wait for the disk.
    pub(crate) fn open(self, options: &JournalOptions) -> Result<Opened, OpenError> {
        match self {
            Self::Path(path) => open_journal(&path, options),
            Self::ReadOnly(path) => {
                Ok(Opened::following(Journal::options().open_read_only::<WireEvent>(&path)?))
            }
            Self::Backend(backend) => Ok(Opened::new(backend)),
            Self::Shared(journal) => Ok(Opened { is_owned: false, ..Opened::following(journal) }),
        }
    }

    /// Opens the store if it exists, and waits up to `patience` while another process has it open for writing. Returns
    /// the source itself if the store does not exist.
    pub(crate) async fn open_waiting(
        self,
        options: &JournalOptions,
        patience: Duration,
    ) -> Result<Result<Opened, OpenError>, Self> {
        if patience.is_zero() || !self.exists() {
            return Err(self);
        }
        let Self::Path(path) = self else { return Err(self) };
        let begin = Instant::now();
        let mut is_first = true;
        loop {
            match open_journal(&path, options) {
                Err(error @ OpenError::Locked { .. }) if begin.elapsed() < patience => {
                    if std::mem::take(&mut is_first) {
                        tracing::warn!("{error}; waiting");
                    }
                }
                opened => return Ok(opened),
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn open_journal(path: &Path, options: &JournalOptions) -> Result<Opened, OpenError> {
    let journal: Journal<WireEvent> = options.clone().open(path)?;
    Ok(Opened::new(Box::new(journal)))
}

/// Returns the directory of a log in the files of a Journal.
fn directory(backend: &dyn Backend<WireEvent>) -> Option<PathBuf> {
    match backend.beside() {
        Some(Beside::Directory(path)) if path.join("store.json").is_file() => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use annals::EventStore;

    use super::*;

    #[test]
    fn a_shared_log_that_is_not_followed_any_more_is_not_ready() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.store");
        let store = EventStore::<WireEvent>::open(&path).expect("opened");
        let event = annals::RawEvent::builder("noted").build().expect("an event");
        store.append(WireEvent::from(event)).expect("appended");
        drop(store);
        let segment = path.join("00000000000000000000.log");
        let mut bytes = std::fs::read(&segment).expect("read");
        let at = bytes.windows(5).position(|part| part == b"noted").expect("the type");
        bytes[at] ^= 1;
        std::fs::write(&segment, bytes).expect("written");
        let follower = Journal::options().open_read_only::<WireEvent>(&path).expect("opened");
        let shared = Source::Shared(follower.raw());
        let opened = shared.open(&Journal::options()).expect("opened");
        let reason = opened.readiness.and_then(|check| check());
        assert_eq!(reason, follower.follow_error().map(ToString::to_string));
        assert!(reason.is_some(), "the log is damaged");
        assert!(!opened.is_owned, "the program closes it");
    }
}
