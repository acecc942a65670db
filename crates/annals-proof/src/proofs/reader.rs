//! Any node of the tree: from the stored nodes, and from the log below them.

use std::collections::HashMap;

use annals::{Backend, Event, EventStore};

use super::leaves::{TILE, leaves};
use super::nodes::Nodes8;
use crate::error::ProofError;
use crate::hash::TreeHash;
use crate::tree::nodes::Nodes;

/// The highest level that is stored.
const TOP: u32 = 32;

/// Reads the nodes of a tree of `size` leaves. Nodes and events are read in tiles of 256, each at most once.
pub(crate) struct NodeReader<'a, E: Event, B: Backend<E>> {
    store: &'a EventStore<E, B>,
    nodes: &'a Nodes8,
    size: u64,
    tiles: HashMap<(u32, u64), Vec<Vec<TreeHash>>>,
}

impl<'a, E: Event, B: Backend<E>> NodeReader<'a, E, B> {
    pub(crate) fn new(store: &'a EventStore<E, B>, nodes: &'a Nodes8, size: u64) -> Self {
        Self { store, nodes, size, tiles: HashMap::new() }
    }

    /// Returns the rows of a tile: its nodes at `level`, and those above them as far as they are whole.
    fn rows(&mut self, level: u32, tile: u64) -> Result<&Vec<Vec<TreeHash>>, ProofError> {
        if !self.tiles.contains_key(&(level, tile)) {
            let (start, end) = (tile * TILE, (tile + 1) * TILE);
            let first = if level == 0 && !self.nodes.keeps_leaves() {
                leaves(self.store, start..end.min(self.size))?
            } else {
                let read = self.nodes.read(level, start, self.size >> level);
                read.map_err(ProofError::io("read", format!("nodes.{level}")))?
            };
            let mut rows = vec![first];
            while let Some(pairs) =
                rows.last().map(|row| row.as_chunks::<2>().0).filter(|pairs| !pairs.is_empty())
            {
                rows.push(TreeHash::of_nodes(pairs));
            }
            self.tiles.insert((level, tile), rows);
        }
        Ok(&self.tiles[&(level, tile)])
    }
}

impl<E: Event, B: Backend<E>> Nodes for NodeReader<'_, E, B> {
    type Error = ProofError;

    fn node(&mut self, level: u32, index: u64) -> Result<TreeHash, ProofError> {
        if level > TOP + 8 {
            let (left, right) =
                (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
            return Ok(TreeHash::of_node(&left, &right));
        }
        let base = (level - level % 8).min(TOP);
        let row = level - base;
        let tile = (index << row) / TILE;
        let at = index - ((tile * TILE) >> row);
        let rows = self.rows(base, tile)?;
        let node = rows.get(row as usize).and_then(|row| row.get(usize::try_from(at).ok()?));
        node.copied().ok_or_else(|| ProofError::Damaged {
            path: format!("nodes.{base}").into(),
            problem: format!("node {index} of level {level} is missing"),
        })
    }
}
