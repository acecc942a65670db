//! Publishes a log as a directory that any web server can serve to any tlog-tiles client (C2SP tlog-tiles).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use annals::{Backend, Event};

use super::leaves::{TILE, each_raw};
use super::proofs::Proofs;
use super::reader::NodeReader;
use crate::entry::Entry;
use crate::error::{CheckError, ProofError};
use crate::hash::TreeHash;
use crate::note::checkpoint::Checkpoint;
use crate::tree::nodes::{Nodes as _, root};

/// The name of the checkpoint's file.
const CHECKPOINT: &str = "checkpoint";

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Writes a tlog-tiles directory of the log at a checkpoint: the tiles, the partial tiles of this checkpoint, and
    /// at last the checkpoint. With `entries`, also what the tree covers of each event: headers, never payloads.
    ///
    /// Tiles that the directory has are not written again.
    ///
    /// # Errors
    /// [`ProofError::Check`] if the directory has a checkpoint of another log, or one that this log contradicts; and
    /// others of [`ProofError`].
    pub fn publish(
        &self,
        checkpoint: &Checkpoint,
        directory: impl AsRef<Path>,
        entries: bool,
    ) -> Result<(), ProofError> {
        let directory = directory.as_ref();
        self.reach(checkpoint)?;
        // The nodes are checked first, and rebuilt if they are damaged.
        let expected = *checkpoint.root();
        let size = checkpoint.size();
        let wrong = || CheckError::WrongRoot { proof: "the tiles", size };
        self.proved(
            checkpoint,
            |nodes| root(nodes, 0..size),
            |found| if found == expected { Ok(()) } else { Err(wrong()) },
        )?;
        self.check_published(checkpoint, directory)?;
        let mut level = 0;
        while size >> (8 * level) > 0 {
            self.publish_level(directory, level, size)?;
            level += 1;
        }
        if entries {
            self.publish_entries(directory, size)?;
        }
        write(&directory.join(CHECKPOINT), checkpoint.to_string().as_bytes())
    }

    fn check_published(&self, checkpoint: &Checkpoint, directory: &Path) -> Result<(), ProofError> {
        let path = directory.join(CHECKPOINT);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(ProofError::io("read", &path))?,
        };
        let before: Checkpoint = text.parse()?;
        if before.origin() != checkpoint.origin() {
            let (found, expected) = (before.origin().to_owned(), checkpoint.origin().to_owned());
            return Err(CheckError::OtherLog { found, expected }.into());
        }
        self.prove_consistency(before.size(), checkpoint)?.check(before.root())?;
        Ok(())
    }

    fn publish_level(&self, directory: &Path, level: u64, size: u64) -> Result<(), ProofError> {
        let count = size >> (8 * level);
        let place = directory.join("tile").join(level.to_string());
        for tile in 0..count.div_ceil(TILE) {
            let (start, end) = (tile * TILE, ((tile + 1) * TILE).min(count));
            let path = tile_path(&place, tile, end - start);
            if path.exists() {
                continue;
            }
            let state = self.lock();
            let mut nodes = NodeReader::new(&self.store, &state.nodes, size);
            let mut bytes = Vec::with_capacity(32 * 256);
            for index in start..end {
                let hash: TreeHash =
                    nodes.node(u32::try_from(8 * level).unwrap_or(u32::MAX), index)?;
                bytes.extend_from_slice(hash.as_bytes());
            }
            drop(state);
            write(&path, &bytes)?;
        }
        Ok(())
    }

    fn publish_entries(&self, directory: &Path, size: u64) -> Result<(), ProofError> {
        let place = directory.join("tile").join("entries");
        for tile in 0..size.div_ceil(TILE) {
            let (start, end) = (tile * TILE, ((tile + 1) * TILE).min(size));
            let path = tile_path(&place, tile, end - start);
            if path.exists() {
                continue;
            }
            let mut bytes = Vec::new();
            each_raw(&self.store, start..end, |event| {
                let entry = Entry::of(event);
                // An entry has at most 16,951 bytes.
                let length = u16::try_from(entry.as_bytes().len()).unwrap_or(u16::MAX);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(entry.as_bytes());
            })?;
            write(&path, &bytes)?;
        }
        Ok(())
    }
}

/// Returns the path of a tile: its number in groups of three digits, all but the last with an x in front; and its width
/// if it is partial.
fn tile_path(place: &Path, tile: u64, width: u64) -> PathBuf {
    let mut groups = vec![format!("{:03}", tile % 1_000)];
    let mut rest = tile / 1_000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1_000));
        rest /= 1_000;
    }
    let last = groups.remove(0);
    let last = if width == TILE { last } else { format!("{last}.p/{width}") };
    groups.iter().rev().fold(place.to_owned(), |path, group| path.join(group)).join(last)
}

/// Writes a file whole, with the directories above it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ProofError> {
    let unfinished = path.with_extension("unfinished");
    let write = || -> io::Result<()> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(&unfinished, bytes)?;
        fs::rename(&unfinished, path)
    };
    write().map_err(ProofError::io("write", path))
}
