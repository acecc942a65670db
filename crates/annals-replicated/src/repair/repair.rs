//! The repair of a record that lost commits, by an operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{FileSystem, RealFileSystem};
use uuid::Uuid;

use super::compare::compare;
use super::epochs::append_epoch;
use super::error::RepairError;
use super::healing::heal;
use super::held::Held as _;
use super::journal::HeldJournal;
use super::reading::Patience;
use super::standing::{EpochMade, Healed, SetAside, Standing};
use crate::log::commit_log::{CommitLog, LogError};
use crate::replicated::create::{Beginning, check, read_beginning};

/// Repairs a record that lost commits which a replica still has. The replica must not be open in any process.
#[derive(Debug, Clone)]
pub struct Repair {
    dry_run: bool,
    patience: Patience,
    file_system: Arc<dyn FileSystem>,
}

impl Default for Repair {
    fn default() -> Self {
        Self::new()
    }
}

impl Repair {
    /// Returns a repair with the default settings.
    #[must_use]
    pub fn new() -> Self {
        let file_system = Arc::new(RealFileSystem);
        Self { dry_run: false, patience: Patience::default(), file_system }
    }

    /// Sets whether everything is checked, and nothing is appended or moved. Default: false.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets how long the repair waits for the engine. [`Patience`] says the default.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the file system of the replica: the operating system's by default.
    #[must_use]
    pub fn file_system(mut self, file_system: Arc<dyn FileSystem>) -> Self {
        self.file_system = file_system;
        self
    }

    /// Compares the record with the replica in the directory `path`. Changes nothing.
    ///
    /// # Errors
    /// [`RepairError`] if the record or the replica cannot be read, or they do not belong together.
    pub fn compare(
        &self,
        log: &dyn CommitLog,
        path: impl AsRef<Path>,
    ) -> Result<Standing, RepairError> {
        let held = self.open(log, path.as_ref())?;
        compare(log, &held, self.patience)
    }

    /// Appends the commits that the record lost and this replica has, verbatim. They get the same numbers, hashes,
    /// offsets and times. Does nothing if nothing is lost. It can be run again after any failure.
    ///
    /// # Errors
    /// [`RepairError::Overtaken`] if another writer has appended since: the lost commits cannot follow.
    /// [`RepairError::NotBuilt`] and [`RepairError::CommitsUnknown`] if the replica does not have all of it. Nothing was
    /// appended then, and another replica may have it. Others of [`RepairError`].
    pub fn heal(&self, log: &dyn CommitLog, path: impl AsRef<Path>) -> Result<Healed, RepairError> {
        let mut held = self.open(log, path.as_ref())?;
        heal(log, &mut held, self.patience, self.dry_run)
    }

    /// Appends an epoch: the log goes on as the record has it, without what only this replica has. This cannot be
    /// undone: the lost commits can never be appended again. Does nothing if the record has such an epoch already.
    ///
    /// The events that only this replica has stay in its directory. [`Standing::lost`] says which they are.
    ///
    /// # Errors
    /// [`RepairError::NothingLost`] if the record has everything that the replica has, [`RepairError::Reason`] if the
    /// reason is empty or longer than 1,024 bytes, and others of [`RepairError`].
    pub fn append_epoch(
        &self,
        log: &dyn CommitLog,
        path: impl AsRef<Path>,
        reason: &str,
    ) -> Result<EpochMade, RepairError> {
        let held = self.open(log, path.as_ref())?;
        append_epoch(log, &held, reason, self.patience, self.dry_run)
    }

    /// Renames the directory of a replica that an epoch has cut off, to its name with `.cut-` and the number of the
    /// epoch. Opening the log with the old name then makes a new replica. The consumer positions and snapshots in the
    /// directory move with it, since they may rest on events that the log lost.
    ///
    /// # Errors
    /// [`RepairError::NotGivenUp`] if no epoch gives up what only this replica has, [`RepairError::NothingLost`] if
    /// the record has everything, and others of [`RepairError`].
    pub fn set_aside(
        &self,
        log: &dyn CommitLog,
        path: impl AsRef<Path>,
    ) -> Result<SetAside, RepairError> {
        let path = path.as_ref();
        let held = self.open(log, path)?;
        let standing = compare(log, &held, self.patience)?;
        if standing.lost.is_empty() {
            return Err(RepairError::NothingLost);
        }
        let Some(epoch) = standing.epoch.clone() else {
            return Err(RepairError::NotGivenUp(Box::new(standing)));
        };
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".cut-{}", epoch.0));
        let set_aside = SetAside { path: PathBuf::from(name), lost: standing.lost, epoch };
        // Windows renames no directory with open files. Elsewhere the replica stays locked until it is renamed, so that
        // no other process opens it meanwhile.
        if cfg!(windows) {
            drop(held);
            self.rename(path, &set_aside.path)?;
        } else {
            self.rename(path, &set_aside.path)?;
            drop(held);
        }
        Ok(set_aside)
    }

    /// Renames a directory, except in a dry run. Fails if the new name is taken.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), RepairError> {
        if self.dry_run {
            return Ok(());
        }
        let not_moved = |source| RepairError::NotMoved { path: to.to_owned(), source };
        if to.exists() {
            return Err(not_moved(std::io::ErrorKind::AlreadyExists.into()));
        }
        std::fs::rename(from, to).map_err(not_moved)
    }

    /// Checks the engine, and opens the replica of its record.
    fn open(&self, log: &dyn CommitLog, path: &Path) -> Result<HeldJournal, RepairError> {
        let fitness = check(log, self.patience.unavailable)?;
        for warning in &fitness.warnings {
            tracing::warn!(engine = fitness.engine, warning, "the engine of the record");
        }
        let held = HeldJournal::open(path, &self.file_system, log.name())?;
        let (replica, record) = (held.store_id(), record_id(log, self.patience)?);
        match record.filter(|&record| record != replica) {
            Some(record) => Err(RepairError::OtherRecord { replica, record }),
            None => Ok(held),
        }
    }
}

/// Returns the store id of the record; `None` if the record lost its beginning.
fn record_id(log: &dyn CommitLog, patience: Patience) -> Result<Option<Uuid>, RepairError> {
    let started = std::time::Instant::now();
    loop {
        match read_beginning(log) {
            Ok(Beginning::Genesis(genesis)) => return Ok(Some(genesis.header().store_id)),
            Ok(Beginning::Newer(any)) => return Err(RepairError::Newer(any)),
            Ok(Beginning::None { .. }) if started.elapsed() >= patience.end => {
                return Err(RepairError::NoRecord);
            }
            Err(LogError::Trimmed { .. }) => return Ok(None),
            Err(LogError::Unavailable(cause)) if started.elapsed() >= patience.unavailable => {
                return Err(RepairError::Unavailable(cause));
            }
            Ok(Beginning::None { .. }) | Err(LogError::Unavailable(_)) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}
