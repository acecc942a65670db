//! The nodes that are stored: the roots of the subtrees of 2^8, 2^16, 2^24 and 2^32 leaves, and all leaves if asked
//! for.
//!
//! Everything here can be computed again from the log, and is never trusted: a checkpoint is signed from hashes of the
//! log, and every proof is checked before it is returned.

use std::io::{self, ErrorKind};

use annals::StoreFile;

use super::directory::Directory;
use crate::hash::TreeHash;

/// The size of a hash, in bytes.
const HASH: usize = 32;

/// The highest stored level.
const TOP: u32 = 32;

/// The number of levels that may be stored: 0, 8, 16, 24 and 32.
const LEVELS: usize = TOP as usize / 8 + 1;

/// The number of nodes of a level that a following thread leaves in memory: 128 KiB. A checkpoint writes them, and no
/// opening reads nodes beyond the last checkpoint.
const MANY: usize = 4 << 10;

/// The stored nodes, by level / 8.
#[derive(Debug, Default)]
pub(crate) struct Nodes8 {
    /// Whether the files are written to.
    writes: bool,
    /// Whether the leaves are stored.
    leaves: bool,
    levels: [Level; LEVELS],
}

/// The nodes of a level: the first in a file, the others in memory.
#[derive(Debug, Default)]
struct Level {
    file: Option<Box<dyn StoreFile>>,
    in_file: u64,
    rest: Vec<TreeHash>,
}

impl Nodes8 {
    /// Returns no nodes, in memory.
    pub(crate) fn in_memory(leaves: bool) -> Self {
        Self { leaves, ..Self::default() }
    }

    /// Opens the files of a tree of `size` leaves, as far as they have its nodes. Creates them for a writer.
    pub(crate) fn open(directory: &Directory, size: u64, writes: bool, leaves: bool) -> Self {
        let mut nodes = Self { writes, leaves, ..Self::default() };
        for (index, level) in nodes.levels.iter_mut().enumerate().skip(usize::from(!leaves)) {
            let shift = 8 * index;
            level.file = open(directory, &format!("nodes.{shift}"), writes);
            let stored =
                level.file.as_ref().and_then(|file| file.size().ok()).unwrap_or(0) / HASH as u64;
            level.in_file = stored.min(size >> shift);
        }
        nodes
    }

    /// Returns whether all nodes of a tree of `size` leaves are here.
    pub(crate) fn have(&self, size: u64) -> bool {
        let levels = self.levels.iter().enumerate().skip(usize::from(!self.leaves));
        levels.into_iter().all(|(index, level)| level.len() >= size >> (8 * index))
    }

    /// Returns whether the leaves are stored.
    pub(crate) fn keeps_leaves(&self) -> bool {
        self.leaves
    }

    /// Adds the next node of a level, if that level is stored.
    pub(crate) fn push(&mut self, level: u32, hash: TreeHash) {
        let is_stored = level > 0 || self.leaves;
        if is_stored && level.is_multiple_of(8) && level <= TOP {
            self.levels[level as usize / 8].rest.push(hash);
        }
    }

    /// Forgets all nodes.
    pub(crate) fn clear(&mut self) {
        for level in &mut self.levels {
            level.in_file = 0;
            level.rest.clear();
        }
    }

    /// Returns whether so many nodes are only in memory that they should be written to the files.
    pub(crate) fn are_many_unwritten(&self) -> bool {
        self.writes
            && self.levels.iter().any(|level| level.file.is_some() && level.rest.len() >= MANY)
    }

    /// Writes to the files what is not in them.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        for level in self.levels.iter_mut().filter(|_| self.writes) {
            let Some(file) = &level.file else { continue };
            if !level.rest.is_empty() {
                let bytes: Vec<u8> = level.rest.iter().flat_map(|hash| *hash.as_bytes()).collect();
                file.write_at(&bytes, level.in_file * HASH as u64)?;
                level.in_file += level.rest.len() as u64;
                level.rest.clear();
            }
        }
        Ok(())
    }

    /// Returns up to 256 nodes of a stored level, from `first` on, below `end`.
    pub(crate) fn read(&self, level: u32, first: u64, end: u64) -> io::Result<Vec<TreeHash>> {
        let level = &self.levels[level as usize / 8];
        let end = end.min(level.len()).min(first + 256);
        let mut hashes = Vec::new();
        let in_file = level.in_file.clamp(first, end.max(first));
        if let Some(file) = level.file.as_ref().filter(|_| in_file > first) {
            let mut bytes = vec![0; HASH * usize::try_from(in_file - first).unwrap_or(0)];
            if file.read_at(&mut bytes, first * HASH as u64)? < bytes.len() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            hashes.extend(bytes.as_chunks::<HASH>().0.iter().copied().map(TreeHash::new));
        }
        let skipped = in_file - level.in_file.min(in_file);
        let rest = level.rest.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        hashes.extend(rest.take(usize::try_from(end.saturating_sub(in_file)).unwrap_or(0)));
        Ok(hashes)
    }
}

impl Level {
    fn len(&self) -> u64 {
        self.in_file + self.rest.len() as u64
    }
}

fn open(directory: &Directory, name: &str, writes: bool) -> Option<Box<dyn StoreFile>> {
    let handle = &directory.handle;
    let opened = if writes {
        match handle.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => handle.create(name),
            opened => opened,
        }
    } else {
        handle.open_read_only(name)
    };
    match opened {
        Ok(file) => Some(file),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(%error, name, "the nodes of the tree are kept in memory");
            }
            None
        }
    }
}
