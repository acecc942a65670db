//! An open file of the disk.

use std::io;

use annals::{FileId, StoreFile};

use parking_lot::MutexGuard;

use super::call::Call;
use super::disk::{Disk, Ending};
use super::process::{Process, Refused};

#[derive(Debug)]
pub(super) struct FaultFile {
    /// The process that opened it.
    process: Process,
    /// The number of the file.
    file: usize,
    /// The number of this handle, for its lock.
    handle: u64,
    write: bool,
}

impl FaultFile {
    /// Returns a handle of a file, for writing if `write` is set.
    pub(super) fn new(process: &Process, disk: &mut Disk, file: usize, write: bool) -> Self {
        let process = process.in_epoch(disk.epoch);
        Self { process, file, handle: disk.next_handle(), write }
    }

    /// Runs a call that changes nothing.
    fn read<T>(&self, read: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        read(&mut *self.process.read()?)
    }

    fn begin(&self, call: Call) -> Result<MutexGuard<'_, Disk>, Refused<'_>> {
        self.process.begin(call)
    }

    /// Does what a failing sync does, and returns its error.
    fn fail_to_sync(&self, refused: Refused<'_>) -> io::Error {
        let Refused { mut disk, error, ending } = refused;
        // After a loss of power, dirty sectors stay dirty until `restart` decides which of them are lost.
        if ending == Ending::Partly && disk.power {
            let Disk { names, random, .. } = &mut *disk;
            names.content(self.file).fail_to_sync(random);
        }
        error
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.write { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl StoreFile for FaultFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        self.read(|disk| {
            let size = disk.names.content(self.file).read(bytes, position);
            disk.reads.calls += 1;
            disk.reads.bytes += size as u64;
            Ok(size)
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.check_writable()?;
        match self.begin(Call::Write) {
            Ok(mut disk) => {
                let left = disk.left();
                let content = disk.names.content(self.file);
                let fitting = content.fitting(position, bytes.len() as u64, left);
                let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
                content.write(&bytes[..fitting], position)?;
                if fitting < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            }
            Err(Refused { mut disk, error, ending }) => {
                if ending == Ending::Partly {
                    let part = disk.random.index(bytes.len() + 1);
                    disk.names.content(self.file).write(&bytes[..part], position)?;
                }
                Err(error)
            }
        }
    }

    fn allocate(&self, position: u64, size: u64) -> io::Result<()> {
        let mut disk = self.begin(Call::Allocate)?;
        let left = disk.left();
        let content = disk.names.content(self.file);
        if content.fitting(position, size, left) < size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.allocate(position, size);
        Ok(())
    }

    fn may_be_filled_beside(&self) -> bool {
        self.process.disk().filled_beside
    }

    fn next_data(&self, position: u64) -> io::Result<Option<u64>> {
        self.read(|disk| Ok(disk.names.content(self.file).next_data(position)))
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        self.begin(Call::SetSize)?.names.content(self.file).resize(size)
    }

    fn size(&self) -> io::Result<u64> {
        self.read(|disk| Ok(disk.names.content(self.file).size()))
    }

    fn start_sync(&self, _position: u64, _size: u64) -> io::Result<()> {
        // The bytes stay unsynced: the next loss of power decides which of them reached the disk.
        self.begin(Call::StartSync).map(drop).map_err(|refused| self.fail_to_sync(refused))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.begin(Call::Sync).map_err(|refused| self.fail_to_sync(refused))?;
        if !disk.lies {
            disk.names.content(self.file).sync();
        }
        Ok(())
    }

    fn file(&self) -> io::Result<std::fs::File> {
        self.read(|disk| {
            disk.reads.files += 1;
            disk.names.content(self.file).real_file()
        })
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        self.read(|_| Ok(Some(FileId { device: 0, number: self.file as u64 })))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.read(|disk| {
            let locked = &mut disk.names.content(self.file).locked;
            if locked.is_some_and(|holder| holder != self.handle) {
                return Ok(false);
            }
            *locked = Some(self.handle);
            Ok(true)
        })
    }
}

impl Drop for FaultFile {
    fn drop(&mut self) {
        let mut disk = self.process.disk();
        if self.process.is_current(&disk) {
            let locked = &mut disk.names.content(self.file).locked;
            if *locked == Some(self.handle) {
                *locked = None;
            }
        }
    }
}
