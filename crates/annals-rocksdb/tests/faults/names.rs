//! The names of files and directories, as the process sees them and as the disk has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use annals_conformance::Random;
use annals_conformance::fault::Loss;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
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

/// All names below a machine's directory.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// The changes that are not durable yet, in order.
    changes: Vec<Change>,
}

impl Names {
    /// Returns these names, all of them durable. The path of the root is empty.
    pub(crate) fn durable(names: BTreeMap<PathBuf, Node>) -> Self {
        Self { durable: names.clone(), seen: names, changes: Vec::new() }
    }

    pub(crate) fn file(&self, path: &Path) -> Option<usize> {
        match self.seen.get(path)? {
            Node::File(file) => Some(*file),
            Node::Directory => None,
        }
    }

    pub(crate) fn add(&mut self, path: &Path, node: Node) {
        self.change(path, None, Some((path.to_owned(), node)));
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(node) = self.seen.get(from).copied() {
            self.change(to, Some(from.to_owned()), Some((to.to_owned(), node)));
        }
    }

    pub(crate) fn remove(&mut self, path: &Path) {
        self.change(path, Some(path.to_owned()), None);
    }

    fn change(&mut self, path: &Path, gone: Option<PathBuf>, new: Option<(PathBuf, Node)>) {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let change = Change { directory, gone, new };
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    pub(crate) fn sync(&mut self, directory: &Path) {
        let durable = &mut self.durable;
        self.changes.retain(|change| {
            let here = change.directory == directory;
            if here {
                change.apply(durable);
            }
            !here
        });
    }

    /// Returns the names after a loss of power.
    pub(crate) fn after(&self, loss: Loss, random: &mut Random) -> BTreeMap<PathBuf, Node> {
        let mut names = self.durable.clone();
        let kept = match loss {
            Loss::Everything => 0,
            Loss::Nothing => self.changes.len(),
            // In order, as in a journaling file system. RocksDB relies on that (DURABILITY.md).
            Loss::Pages(_) | Loss::Sectors(_) => random.index(self.changes.len() + 1),
        };
        for change in &self.changes[..kept] {
            change.apply(&mut names);
        }
        // A lost directory takes everything in it with it.
        let all = names.clone();
        names.retain(|path, _| path.ancestors().skip(1).all(|above| all.contains_key(above)));
        names
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
