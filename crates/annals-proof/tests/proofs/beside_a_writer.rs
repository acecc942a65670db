//! Proofs of a log that another process writes and signs meanwhile. The tests force the interleavings.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::{FileId, FileSystem, RealFileSystem, StoreDirectory, StoreFile};
use annals_proof::{ProofOptions, Proofs};

use crate::common::{Log, ORIGIN, alice, noted};

/// Directories whose log is signed by another process while they are listed.
#[derive(Debug)]
struct SignedInList(Log);

#[derive(Debug)]
struct Directory(PathBuf, Arc<dyn StoreDirectory>, Log);

impl FileSystem for SignedInList {
    fn open_directory(&self, path: &Path) -> io::Result<Arc<dyn StoreDirectory>> {
        let directory = RealFileSystem.open_directory(path)?;
        Ok(Arc::new(Directory(path.to_owned(), directory, self.0.clone())))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_directory(path)
    }
}

impl StoreDirectory for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        Proofs::open(&self.2, &self.0, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        self.1.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.open(name)
    }
    fn open_read_only(&self, name: &str) -> io::Result<Box<dyn StoreFile>> {
        self.1.open_read_only(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.1.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
    fn create_directory(&self, name: &str) -> io::Result<()> {
        self.1.create_directory(name)
    }
    fn open_directory(&self, name: &str) -> io::Result<Arc<dyn StoreDirectory>> {
        self.1.open_directory(name)
    }
    fn file_id(&self, name: &str) -> io::Result<Option<FileId>> {
        self.1.file_id(name)
    }
}

#[test]
fn the_first_checkpoint_is_signed_while_the_proofs_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let store = noted(7);
    let options = ProofOptions::new().path(directory.path().join("proofs"));
    let options = options.file_system(Arc::new(SignedInList(store.clone())));
    let proofs = options.open(&store, ORIGIN).unwrap();
    assert_eq!(proofs.vkey(), Some(alice().vkey()));
    assert_eq!(proofs.last_checkpoint().unwrap().size(), 7);
}
