//! The names of files and directories, as processes see them and as the disk has them.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::content::Content;
use super::loss::Loss;
use crate::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// A change of names in one directory. It reaches the disk as a whole or not at all.
#[derive(Debug, Clone)]
struct Change {
    directory: PathBuf,
    gone: Option<PathBuf>,
    new: Option<(PathBuf, Node)>,
}

/// All names of a disk, and the contents of its files.
#[derive(Debug)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// The changes that are not durable yet, in order.
    changes: Vec<Change>,
    /// The contents by file number. A file without a name stays, since a process may have it open.
    contents: Vec<Content>,
}

impl Names {
    pub(super) fn new(root: &Path) -> Self {
        let seen = BTreeMap::from([(root.to_owned(), Node::Directory)]);
        Self { durable: seen.clone(), seen, changes: Vec::new(), contents: Vec::new() }
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        match self.seen.get(directory) {
            None => return Err(ErrorKind::NotFound.into()),
            Some(Node::File(_)) => return Err(ErrorKind::NotADirectory.into()),
            Some(Node::Directory) => {}
        }
        let inside = self.seen.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        match self.seen.get(path) {
            Some(&Node::File(file)) => Ok(file),
            Some(Node::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn content(&mut self, file: usize) -> &mut Content {
        &mut self.contents[file]
    }

    /// Returns the bytes of disk space that all files take.
    pub(super) fn used(&self) -> u64 {
        self.files().map(|file| self.contents[file].used()).sum()
    }

    fn files(&self) -> impl Iterator<Item = usize> {
        self.seen.values().filter_map(|node| match node {
            Node::File(file) => Some(*file),
            Node::Directory => None,
        })
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.check_free(path)?;
        self.contents.push(Content::default());
        let file = self.contents.len() - 1;
        self.change(path, None, Some((path.to_owned(), Node::File(file))));
        Ok(file)
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.check_free(path)?;
        self.change(path, None, Some((path.to_owned(), Node::Directory)));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = *self.seen.get(from).ok_or(ErrorKind::NotFound)?;
        self.change(to, Some(from.to_owned()), Some((to.to_owned(), node)));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.change(path, Some(path.to_owned()), None);
        Ok(())
    }

    fn check_free(&self, path: &Path) -> io::Result<()> {
        if self.seen.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        match path.parent().and_then(|parent| self.seen.get(parent)) {
            Some(Node::Directory) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, path: &Path, gone: Option<PathBuf>, new: Option<(PathBuf, Node)>) {
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let change = Change { directory, gone, new };
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    pub(super) fn sync_directory(&mut self, directory: &Path, lies: bool) -> io::Result<()> {
        self.list(directory)?;
        if !lies {
            let durable = &mut self.durable;
            self.changes.retain(|change| {
                let here = change.directory == directory;
                if here {
                    change.apply(durable);
                }
                !here
            });
        }
        Ok(())
    }

    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) {
        // A content without a mapping cannot fail here.
        let Ok(content) = Content::of(bytes) else { return };
        self.contents.push(content);
        let node = Node::File(self.contents.len() - 1);
        self.seen.insert(path.to_owned(), node);
        self.durable.insert(path.to_owned(), node);
    }

    pub(super) fn take_away(&mut self, path: &Path) -> bool {
        self.durable.remove(path);
        self.seen.remove(path).is_some()
    }

    /// Returns the same names and bytes, all of them durable.
    pub(super) fn settled(&self) -> Self {
        let contents = self.contents.iter().map(Content::settled).collect();
        Self { seen: self.seen.clone(), durable: self.seen.clone(), changes: Vec::new(), contents }
    }

    /// Ends the locks and mappings of the process.
    pub(super) fn forget_process(&mut self) {
        self.contents.iter_mut().for_each(Content::forget_process);
    }

    /// Returns the state after a loss of power.
    pub(super) fn after(&self, loss: Loss, random: &mut Random) -> Self {
        let mut names = self.durable.clone();
        let kept = match loss {
            Loss::Everything => 0,
            Loss::Nothing | Loss::Sectors(_) => self.changes.len(),
            Loss::Pages(_) => random.index(self.changes.len() + 1),
        };
        for change in &self.changes[..kept] {
            if !matches!(loss, Loss::Sectors(_)) || random.once_in(2) {
                change.apply(&mut names);
            }
        }
        // A lost directory takes everything in it with it.
        let all = names.clone();
        names.retain(|path, _| {
            let mut above = path.ancestors().skip(1).filter(|above| above.parent().is_some());
            above.all(|above| all.contains_key(above))
        });
        let contents = self.contents.iter().map(|content| content.after(loss, random)).collect();
        Self { seen: names.clone(), durable: names, changes: Vec::new(), contents }
    }
}

impl Clone for Names {
    fn clone(&self) -> Self {
        self.settled()
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((path, node)) = &self.new {
            names.insert(path.clone(), *node);
        }
    }
}
