//! The disk as one process sees it: every call first checks that the process still runs.

use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::call::Call;
use super::disk::{Disk, Ending};

/// A process on a disk. Clones are the same process.
#[derive(Debug, Clone)]
pub(super) struct Process {
    disk: Arc<Mutex<Disk>>,
    /// The epoch of the process. `None` for the test itself, whose calls succeed in every epoch.
    epoch: Option<u64>,
}

/// A failed call. It holds the disk, so that the call can still be done in part.
pub(super) struct Refused<'a> {
    pub(super) disk: MutexGuard<'a, Disk>,
    pub(super) error: io::Error,
    pub(super) ending: Ending,
}

impl From<Refused<'_>> for io::Error {
    fn from(refused: Refused<'_>) -> Self {
        refused.error
    }
}

impl Process {
    /// Returns the test itself, which sees the disk in every epoch.
    pub(super) fn test(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)), epoch: None }
    }

    /// Returns the process that runs on the disk now.
    pub(super) fn current(&self) -> Self {
        let epoch = self.disk().epoch;
        self.in_epoch(epoch)
    }

    pub(super) fn in_epoch(&self, epoch: u64) -> Self {
        Self { disk: Arc::clone(&self.disk), epoch: Some(epoch) }
    }

    /// Returns whether this process is the one that runs on the disk now.
    pub(super) fn is_current(&self, disk: &Disk) -> bool {
        self.epoch == Some(disk.epoch)
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock()
    }

    /// Begins a call that changes nothing. It fails only if the process does not run any more.
    pub(super) fn read(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk();
        disk.check_power(self.epoch)?;
        Ok(disk)
    }

    /// Begins a call that changes something. It stops if the call is held, and fails if the call is to fail.
    pub(super) fn begin(&self, call: Call) -> Result<MutexGuard<'_, Disk>, Refused<'_>> {
        let mut disk = self.disk();
        let held = disk.hold.take_if(|(held, _)| *held == call);
        if let Some((_, gate)) = held {
            drop(disk);
            gate.pass();
            disk = self.disk();
        }
        match disk.begin(self.epoch, call) {
            Ok(()) => Ok(disk),
            Err((error, ending)) => Err(Refused { disk, error, ending }),
        }
    }
}
