//! A file system that calls a hook before each call, so that tests force interleavings.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use annals::{FileId, FileSystem, RealFileSystem, StoreDirectory, StoreFile};

/// Gets the call of a directory, and the name that it is about.
type Hook = dyn Fn(&str, &str) + Send + Sync;

/// The operating system's file system.
#[derive(Clone)]
pub(crate) struct Hooked(Arc<Hook>);

impl Hooked {
    pub(crate) fn new(hook: impl Fn(&str, &str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Arc::new(hook)))
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

impl FileSystem for Hooked {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        Ok(Arc::new(Directory(RealFileSystem.open_directory(path)?, self.clone())))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

#[derive(Debug)]
struct Directory(Arc<dyn StoreDirectory>, Hooked);

impl Directory {
    fn at(&self, call: &str, name: &str) -> &dyn StoreDirectory {
        self.1.0(call, name);
        &*self.0
    }
}

impl StoreDirectory for Directory {
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.at("create", name).create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.at("open", name).open(name)
    }
    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.at("open_read_only", name).open_read_only(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.at("list", "").list()
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.at("rename", to).rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.at("remove", name).remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.at("sync", "").sync()
    }
    fn create_directory(&self, name: &str) -> io::Result<()> {
        self.at("create_directory", name).create_directory(name)
    }
    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        let directory = self.at("open_directory", name).open_directory(name)?;
        Ok(Arc::new(Self(directory, self.1.clone())))
    }
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        self.at("file_id", name).file_id(name)
    }
}
