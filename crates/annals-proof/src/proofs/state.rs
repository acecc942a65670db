//! The tree of a log, as far as it is hashed.

use annals::{Backend, Event, EventStore, ReadError};

use super::leaves::{TILE, Tile, leaves, tile_root, tiles};
use super::nodes::Nodes8;
use super::reader::NodeReader;
use crate::error::ProofError;
use crate::hash::TreeHash;
use crate::note::checkpoint::Checkpoint;
use crate::tree::frontier::Frontier;
use crate::tree::nodes::{Nodes as _, root};

/// The number of tiles that a thread hashes before the nodes are stored.
const TILES_AT_ONCE: u64 = 64;

/// The hashes of events that follow a tree, before they are part of it.
pub(crate) enum Hashed {
    /// Whole tiles.
    Tiles(Vec<Tile>),
    /// Leaves of one tile.
    Leaves(Vec<TreeHash>),
}

/// Hashes the next events of a tree of `size` events, which is smaller than `end`: some of them, and at least one. All
/// of them exist.
pub(crate) fn hash_next<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    size: u64,
    end: u64,
    threads: usize,
) -> Result<Hashed, ReadError> {
    let (tile, whole) = (size / TILE, (end - size) / TILE);
    if size.is_multiple_of(TILE) && whole > 1 {
        let count = whole.min(TILES_AT_ONCE * threads.max(1) as u64);
        return tiles(store, tile..tile + count, threads).map(Hashed::Tiles);
    }
    leaves(store, size..end.min((tile + 1) * TILE)).map(Hashed::Leaves)
}

/// A contradiction between the log and a checkpoint that was signed or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    RolledBack { events: u64, signed: u64 },
    Forked { signed: u64 },
}

impl From<Contradiction> for ProofError {
    fn from(found: Contradiction) -> Self {
        match found {
            Contradiction::RolledBack { events, signed } => Self::RolledBack { events, signed },
            Contradiction::Forked { signed } => Self::Forked { signed },
        }
    }
}

/// The tree of a log, as far as it is hashed.
///
/// The hashes here come from the log, or lead to a root that the log's owner signed. Only these are signed. So a stored
/// node that was changed is never signed.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The stored nodes, which are not trusted.
    pub(crate) nodes: Nodes8,
    /// The whole tiles.
    full: Frontier,
    /// The leaves after the whole tiles: fewer than 256.
    tail: Vec<TreeHash>,
    /// The last checkpoint that was signed.
    pub(crate) last: Option<Checkpoint>,
    pub(crate) contradiction: Option<Contradiction>,
}

impl State {
    /// Returns the empty tree, in memory. Its leaves are kept if `leaves`.
    pub(crate) fn in_memory(leaves: bool) -> Self {
        Self { nodes: Nodes8::in_memory(leaves), ..Self::default() }
    }

    /// Returns the number of events that are hashed.
    pub(crate) fn size(&self) -> u64 {
        self.full.size() + self.tail.len() as u64
    }

    /// Returns the root of the events that are hashed.
    pub(crate) fn root(&self) -> TreeHash {
        let mut tree = self.full.clone();
        self.tail.iter().for_each(|leaf| tree.push(0, *leaf, |_, _| {}));
        tree.root()
    }

    /// Returns the root of the tree of `size` events, which are hashed, from the stored nodes.
    pub(crate) fn stored_root<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        size: u64,
    ) -> Result<TreeHash, ProofError> {
        root(&mut NodeReader::new(store, &self.nodes, size), 0..size)
    }

    /// Hashes the events up to `end`, and stores the nodes. All of them exist.
    pub(crate) fn extend<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        end: u64,
        threads: usize,
    ) -> Result<(), ProofError> {
        while self.size() < end {
            let hashed = hash_next(store, self.size(), end, threads)?;
            self.add(hashed);
        }
        self.store_nodes();
        Ok(())
    }

    /// Adds what [`hash_next`] returned for this size.
    pub(crate) fn add(&mut self, hashed: Hashed) {
        match hashed {
            Hashed::Tiles(tiles) => {
                for tile in tiles {
                    tile.leaves.iter().for_each(|leaf| self.nodes.push(0, *leaf));
                    self.push_tile(tile.root);
                }
            }
            Hashed::Leaves(leaves) => {
                for leaf in &leaves {
                    self.nodes.push(0, *leaf);
                }
                self.tail.extend(leaves);
                if self.tail.len() as u64 == TILE {
                    let root = tile_root(&self.tail);
                    self.tail.clear();
                    self.push_tile(root);
                }
            }
        }
    }

    /// Writes the nodes that are only in memory to the files.
    pub(crate) fn store_nodes(&mut self) {
        if let Err(error) = self.nodes.flush() {
            tracing::warn!(%error, "the nodes of the tree cannot be written; they stay in memory");
        }
    }

    fn push_tile(&mut self, tile: TreeHash) {
        self.nodes.push(8, tile);
        let nodes = &mut self.nodes;
        self.full.push(8, tile, |level, hash| nodes.push(level, hash));
    }

    /// Returns to the tree of `size` events, which the stored nodes have. Checks only that the last events are those of
    /// the log: the caller compares the root.
    pub(crate) fn restore<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        size: u64,
    ) -> Result<(), ProofError> {
        let whole = size / TILE * TILE;
        let mut full = Frontier::default();
        let mut reader = NodeReader::new(store, &self.nodes, whole);
        for level in (8..64).rev().filter(|level| whole >> level & 1 == 1) {
            let hash = reader.node(level, full.size() >> level)?;
            full.push(level, hash, |_, _| {});
        }
        self.tail = leaves(store, whole..size)?;
        // Without a tail, the root does not depend on any event that was read.
        if self.tail.is_empty() && whole > 0 {
            let last = leaves(store, whole - TILE..whole)?;
            if reader.node(8, whole / TILE - 1)? != tile_root(&last) {
                let problem = "its last node is not that of the log's last events".to_owned();
                return Err(ProofError::Damaged { path: "nodes.8".into(), problem });
            }
        }
        self.full = full;
        Ok(())
    }

    /// Hashes everything again, up to `size`. If the log is found to be another one than it signed, that is a
    /// contradiction from then on.
    pub(crate) fn rebuild<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        size: u64,
        threads: usize,
    ) -> Result<(), ProofError> {
        self.nodes.clear();
        self.full = Frontier::default();
        self.tail.clear();
        self.extend(store, size, threads)?;
        let signed = self.last.as_ref().map(|last| (last.size(), *last.root()));
        if let Some((signed, root)) = signed.filter(|(signed, _)| *signed <= size)
            && self.stored_root(store, signed)? != root
        {
            self.contradiction.get_or_insert(Contradiction::Forked { signed });
        }
        Ok(())
    }

    /// Checks, before a signature, that the tree continues a checkpoint that the log signed: the same nodes lead to the
    /// signed root and to the next one. Nodes that do not may be damaged, and are rebuilt. If the log is another one
    /// than it signed, that is a contradiction from then on.
    pub(crate) fn continues<E: Event, B: Backend<E>>(
        &mut self,
        store: &EventStore<E, B>,
        signed: &Checkpoint,
        threads: usize,
    ) -> Result<(), ProofError> {
        let (size, events) = (signed.size(), self.size());
        if size > events {
            let found = Contradiction::RolledBack { events, signed: size };
            self.contradiction.get_or_insert(found);
        } else if !self.leads_to(store, signed).unwrap_or(false) {
            self.rebuild(store, events, threads)?;
            if !self.leads_to(store, signed)? {
                self.contradiction.get_or_insert(Contradiction::Forked { signed: size });
            }
        }
        self.contradiction.map_or(Ok(()), |found| Err(found.into()))
    }

    /// Returns whether the stored nodes lead to the root of a checkpoint, and to the root of all hashed events.
    fn leads_to<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        signed: &Checkpoint,
    ) -> Result<bool, ProofError> {
        Ok(self.stored_root(store, signed.size())? == *signed.root()
            && self.stored_root(store, self.size())? == self.root())
    }
}
