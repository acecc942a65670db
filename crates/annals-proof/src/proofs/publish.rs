//! Publishes a log as a directory that any web server can serve to any tlog-tiles client (C2SP tlog-tiles).

use std::path::Path;

use annals::{Backend, Event};

use super::leaves::{TILE, each_raw, tile_root};
use super::proofs::Proofs;
use super::site::Site;
use super::tile_files::{HASH, MAX_BUNDLE, bundle_of, bytes_of, hashes_of, is_bundle, tile_name};
use crate::entry::Entry;
use crate::error::{CheckError, ProofError};
use crate::hash::TreeHash;
use crate::note::checkpoint::Checkpoint;
use crate::tree::frontier::Frontier;
use crate::tree::nodes::Nodes as _;

/// The name of the checkpoint's file.
const CHECKPOINT: &str = "checkpoint";

/// The most bytes of a checkpoint that are read.
const MAX_CHECKPOINT: usize = 1 << 20;

/// The result of [`Proofs::publish`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of files that were written: tiles, partial tiles and bundles of entries.
    pub written: u64,
    /// How many of the files that were written replaced a file that was damaged: too short, or with a wrong byte.
    pub damaged: u64,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Writes a tlog-tiles directory of the log at a checkpoint: the tiles, the partial tiles of this checkpoint, and
    /// at last the checkpoint. With `entries`, also what the tree covers of each event: headers, never payloads. The
    /// directory is created if it does not exist.
    ///
    /// All tiles are durable before the checkpoint that covers them is written, so a power cut never leaves a
    /// checkpoint without its tiles. The tiles that the checkpoint in the directory covers are read and checked: a
    /// damaged or missing file is written again. That reads 32 bytes for each event, and with `entries` about 150.
    /// Tiles beyond that checkpoint are not trusted, and are written again. Nothing is written to the directory but
    /// what leads to the root of the checkpoint.
    ///
    /// # Errors
    /// [`ProofError::Check`] if the directory has a checkpoint of another log, or one that this log contradicts;
    /// [`ProofError::OutOfRange`] if it has a later checkpoint; [`ProofError::Misplaced`] if the directory is in that of a
    /// store, of proofs or of a witness, or has a store or a secret key in it; and others of [`ProofError`]. The checkpoint in the
    /// directory is the old one then, or the new one if only its name could not be made durable. The next call makes it
    /// durable.
    pub fn publish(
        &self,
        checkpoint: &Checkpoint,
        directory: impl AsRef<Path>,
        entries: bool,
    ) -> Result<Published, ProofError> {
        self.reach(checkpoint)?;
        let mut site = Site::open(&*self.files, directory.as_ref())?;
        let before = self.published(checkpoint, &mut site)?;
        let trusted = before.as_ref().map_or(0, Checkpoint::size);
        if before.is_none() {
            site.sync_path(&*self.files)?;
        }
        let done = Published::default();
        let mut publication =
            Publication { proofs: self, checkpoint, site, trusted, entries, done };
        // A reader that has fetched the checkpoint of the directory goes on to its partial tiles.
        for at in before.iter().filter(|before| before.size() < checkpoint.size()) {
            publication.edge(at)?;
        }
        publication.tiles()?;
        let Publication { mut site, done, .. } = publication;
        site.sync()?;
        if before.as_ref() != Some(checkpoint) {
            site.write(CHECKPOINT, checkpoint.to_string().as_bytes())?;
            site.sync()?;
        }
        Ok(done)
    }

    /// Returns the checkpoint that the directory has. One that is not a checkpoint, as after a power cut, counts as
    /// missing. It must be of this log, and `checkpoint` must continue it.
    fn published(
        &self,
        checkpoint: &Checkpoint,
        site: &mut Site,
    ) -> Result<Option<Checkpoint>, ProofError> {
        let Some(bytes) = site.read(CHECKPOINT, MAX_CHECKPOINT)? else { return Ok(None) };
        let before: Checkpoint = match String::from_utf8_lossy(&bytes).parse() {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(%error, "the published checkpoint is damaged, and everything is published again");
                return Ok(None);
            }
        };
        if before.origin() != checkpoint.origin() {
            let (found, expected) = (before.origin().to_owned(), checkpoint.origin().to_owned());
            return Err(CheckError::OtherLog { found, expected }.into());
        }
        let proof = self.prove_consistency(before.size(), checkpoint);
        let checked = proof.and_then(|proof| Ok(proof.check(before.root())?));
        if let Err(error) = checked {
            // A contradiction is remembered, so that the log signs nothing more.
            if self.check_own(&before).is_ok() {
                self.agrees_with(&before)?;
            }
            return Err(error);
        }
        Ok(Some(before))
    }
}

/// The nodes on the right edge of a tree: for each level of tiles from the highest down, the hashes of the partial
/// tile.
type Edge = Vec<(u32, Vec<TreeHash>)>;

/// The work of publishing a checkpoint.
struct Publication<'a, E: Event, B: Backend<E>> {
    proofs: &'a Proofs<E, B>,
    checkpoint: &'a Checkpoint,
    site: Site,
    /// The size of the checkpoint in the directory. Files that it covers may be kept.
    trusted: u64,
    entries: bool,
    done: Published,
}

impl<E: Event, B: Backend<E>> Publication<'_, E, B> {
    /// Publishes all tiles of the checkpoint. Every hash is compared with the one above it, up to the root.
    fn tiles(&mut self) -> Result<(), ProofError> {
        for (level, hashes) in self.edge(self.checkpoint)? {
            let first = self.checkpoint.size() >> (8 * level) & !(TILE - 1);
            for (index, hash) in (first..).zip(&hashes).filter(|_| level > 0) {
                self.tile(level - 1, index, hash)?;
            }
        }
        Ok(())
    }

    /// Publishes the partial tiles of a checkpoint and returns them. Their hashes lead to its root.
    fn edge(&mut self, of: &Checkpoint) -> Result<Edge, ProofError> {
        let size = of.size();
        let levels = (0..8).rev().filter(|level| !(size >> (8 * level)).is_multiple_of(TILE));
        let edge = self.proofs.proved(
            of,
            |nodes| {
                let mut partial = |level: u32| {
                    let count = size >> (8 * level);
                    let indexes = count & !(TILE - 1)..count;
                    indexes.map(|index| nodes.node(8 * level, index)).collect::<Result<Vec<_>, _>>()
                };
                levels
                    .clone()
                    .map(|level| Ok((level, partial(level)?)))
                    .collect::<Result<Edge, _>>()
            },
            |edge| {
                let mut tree = Frontier::default();
                for (level, hashes) in &edge {
                    for hash in hashes {
                        tree.push(8 * level, *hash, |_, _| {});
                    }
                }
                if tree.root() == *of.root() { Ok(edge) } else { Err(wrong(size)) }
            },
        )?;
        for (level, hashes) in &edge {
            let width = hashes.len() as u64;
            let name = tile_name(&level.to_string(), size >> (8 * level) >> 8, width);
            let bytes = bytes_of(hashes);
            let found = self.covered(size, &name, bytes.len() + 1)?;
            if found.as_ref() != Some(&bytes) {
                self.write(&name, &bytes, found.is_some())?;
            }
            if *level == 0 {
                self.bundle(size / TILE, hashes)?;
            }
        }
        Ok(edge)
    }

    /// Publishes a whole tile, whose root is `root`, and all tiles below it.
    fn tile(&mut self, level: u32, tile: u64, root: &TreeHash) -> Result<(), ProofError> {
        let name = tile_name(&level.to_string(), tile, TILE);
        let end = (tile + 1) << (8 * (level + 1));
        let found = self.covered(end, &name, HASH * 256 + 1)?;
        let kept = found.as_deref().and_then(hashes_of);
        let kept = kept.filter(|hashes| hashes.len() == 256 && tile_root(hashes) == *root);
        let hashes = if let Some(hashes) = kept {
            hashes
        } else {
            let indexes = tile * TILE..(tile + 1) * TILE;
            let hashes = self.proofs.proved(
                self.checkpoint,
                |nodes| {
                    let indexes = indexes.clone();
                    indexes.map(|index| nodes.node(8 * level, index)).collect::<Result<Vec<_>, _>>()
                },
                |hashes| if tile_root(&hashes) == *root { Ok(hashes) } else { Err(wrong(end)) },
            )?;
            self.write(&name, &bytes_of(&hashes), found.is_some())?;
            hashes
        };
        if level == 0 {
            return self.bundle(tile, &hashes);
        }
        for (index, hash) in (tile * TILE..).zip(&hashes) {
            self.tile(level - 1, index, hash)?;
        }
        Ok(())
    }

    /// Publishes the bundle of the entries with these leaves, if entries are published.
    fn bundle(&mut self, tile: u64, leaves: &[TreeHash]) -> Result<(), ProofError> {
        if !self.entries {
            return Ok(());
        }
        let start = tile * TILE;
        let end = start + leaves.len() as u64;
        let name = tile_name("entries", tile, leaves.len() as u64);
        let found = self.covered(end, &name, MAX_BUNDLE + 1)?;
        if found.as_deref().is_some_and(|found| is_bundle(found, leaves)) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        each_raw(&self.proofs.store, start..end, |event| {
            bundle_of(&Entry::of(event), &mut bytes);
        })?;
        if !is_bundle(&bytes, leaves) {
            return Err(wrong(end).into());
        }
        self.write(&name, &bytes, found.is_some())
    }

    /// Reads a file of the tree's leaves up to `end`, if the directory's checkpoint covers them.
    fn covered(
        &mut self,
        end: u64,
        name: &str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, ProofError> {
        if end <= self.trusted { self.site.read(name, most) } else { Ok(None) }
    }

    fn write(&mut self, name: &str, bytes: &[u8], damaged: bool) -> Result<(), ProofError> {
        if damaged {
            tracing::warn!(name, "a published file is damaged, and is written again");
            self.done.damaged += 1;
        }
        self.done.written += 1;
        self.site.write(name, bytes)
    }
}

fn wrong(size: u64) -> CheckError {
    CheckError::WrongRoot { proof: "the tiles", size }
}
