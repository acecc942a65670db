//! An open directory of the disk, identified by its path: directories of this disk are never moved.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{FileId, StoreDirectory, StoreFile};

use super::call::Call;
use super::file::FaultFile;
use super::process::Process;

#[derive(Debug)]
pub(super) struct FaultDirectory {
    /// The process that opened it.
    process: Process,
    path: PathBuf,
}

/// Creates a directory.
pub(super) fn create_directory(process: &Process, path: &Path) -> io::Result<()> {
    let mut disk = process.begin(Call::CreateDirectory)?;
    disk.check_room()?;
    disk.names.create_directory(path)
}

impl FaultDirectory {
    /// Opens a directory.
    pub(super) fn open(process: &Process, path: &Path) -> io::Result<Self> {
        let disk = process.read()?;
        disk.names.list(path)?;
        Ok(Self { process: process.in_epoch(disk.epoch), path: path.to_owned() })
    }

    fn open_file(&self, name: &str, write: bool) -> io::Result<Box<dyn StoreFile>> {
        let mut disk = self.process.read()?;
        let file = disk.names.file(&self.path.join(name))?;
        Ok(Box::new(FaultFile::new(&self.process, &mut disk, file, write)))
    }
}

impl StoreDirectory for FaultDirectory {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let mut disk = self.process.begin(Call::Create)?;
        disk.check_room()?;
        let file = disk.names.create(&self.path.join(name))?;
        Ok(Box::new(FaultFile::new(&self.process, &mut disk, file, true)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.open_file(name, true)
    }

    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.open_file(name, false)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.process.read()?;
        disk.names.list(&self.path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.process.begin(Call::Rename)?;
        disk.names.rename(&self.path.join(from), &self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.process.begin(Call::Remove)?;
        disk.names.remove(&self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.process.begin(Call::SyncDirectory)?;
        let lies = disk.lies;
        disk.names.sync_directory(&self.path, lies)
    }

    fn create_directory(&self, name: &str) -> io::Result<()> {
        create_directory(&self.process, &self.path.join(name))
    }

    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Self::open(&self.process, &self.path.join(name))?))
    }

    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        let disk = self.process.read()?;
        match disk.names.file(&self.path.join(name)) {
            Ok(file) => Ok(Some(FileId { device: 0, number: file as u64 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
