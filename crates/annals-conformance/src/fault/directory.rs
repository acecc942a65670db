//! An open directory of the disk. It is known by its path: directories of this disk are not moved.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use annals::{FileId, FileSystem as _, StoreDirectory, StoreFile};

use super::{Call, FaultFileSystem};

#[derive(Debug)]
pub(super) struct FaultDirectory {
    /// Of the process that opened it.
    pub(super) system: FaultFileSystem,
    pub(super) path: PathBuf,
}

impl FaultDirectory {
    fn open_file(&self, name: &str, write: bool) -> io::Result<Box<dyn StoreFile>> {
        let mut disk = self.system.disk();
        disk.check_power(self.system.process)?;
        let file = disk.names.file(&self.path.join(name))?;
        Ok(self.system.handle(&mut disk, file, write))
    }
}

impl StoreDirectory for FaultDirectory {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        let mut disk = self.system.begin(Call::Create)?;
        disk.check_room()?;
        let file = disk.names.create(&self.path.join(name))?;
        Ok(self.system.handle(&mut disk, file, true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.open_file(name, true)
    }

    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.open_file(name, false)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.system.disk();
        disk.check_power(self.system.process)?;
        disk.names.list(&self.path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.system.begin(Call::Rename)?;
        disk.names.rename(&self.path.join(from), &self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.system.begin(Call::Remove)?;
        disk.names.remove(&self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.system.begin(Call::SyncDirectory)?;
        let lies = disk.lies;
        disk.names.sync_directory(&self.path, lies)
    }

    fn create_directory(&self, name: &str) -> io::Result<()> {
        self.system.create_directory(&self.path.join(name))
    }

    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        self.system.open_directory(&self.path.join(name))
    }

    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        let disk = self.system.disk();
        disk.check_power(self.system.process)?;
        match disk.names.file(&self.path.join(name)) {
            Ok(file) => Ok(Some(FileId { device: 0, number: file as u64 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
