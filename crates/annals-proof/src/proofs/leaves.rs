//! Hashes events of the log.

use std::ops::Range;
use std::thread;

use annals::{Backend, Event, EventStore, RawEvent, ReadError, Recorded};

use crate::entry::hash_leaves;
use crate::hash::TreeHash;

/// The number of leaves of a tile.
pub(crate) const TILE: u64 = 256;

/// The largest number of events that are read at once.
const PAGE: usize = 512;

/// Calls `see` with the stored bytes of each event of a range. All events of the range exist.
pub(crate) fn each_raw<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    range: Range<u64>,
    mut see: impl FnMut(&Recorded<RawEvent>),
) -> Result<(), ReadError> {
    each_page(store, range, |page| page.iter().for_each(&mut see))
}

/// Calls `see` with the stored bytes of the events of a range, a page at a time. All events of the range exist.
fn each_page<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    mut range: Range<u64>,
    mut see: impl FnMut(&[Recorded<RawEvent>]),
) -> Result<(), ReadError> {
    let mut page = Vec::new();
    while !range.is_empty() {
        let before = range.start;
        range = store.backend().read_raw(range, PAGE, &mut page)?;
        assert!(
            range.is_empty() || range.start > before,
            "a backend returned nothing of {range:?}"
        );
        see(&page);
        page.clear();
    }
    Ok(())
}

/// Returns the leaves of a range of events.
pub(crate) fn leaves<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    range: Range<u64>,
) -> Result<Vec<TreeHash>, ReadError> {
    let mut leaves = Vec::new();
    each_page(store, range, |page| hash_leaves(page, &mut leaves))?;
    Ok(leaves)
}

/// Returns the root of 256 leaves.
pub(crate) fn tile_root(leaves: &[TreeHash]) -> TreeHash {
    assert_eq!(leaves.len() as u64, TILE, "a tile has 256 leaves");
    let mut row = TreeHash::of_nodes(leaves.as_chunks::<2>().0);
    while row.len() > 1 {
        row = TreeHash::of_nodes(row.as_chunks::<2>().0);
    }
    row[0]
}

/// A whole tile that was hashed.
pub(crate) struct Tile {
    pub(crate) root: TreeHash,
    pub(crate) leaves: Vec<TreeHash>,
}

/// Returns whole tiles, hashed by several threads.
pub(crate) fn tiles<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    tiles: Range<u64>,
    threads: usize,
) -> Result<Vec<Tile>, ReadError> {
    let each = (tiles.end - tiles.start).div_ceil(threads.max(1) as u64).max(1);
    let part = |part: Range<u64>| {
        let tile = |tile: u64| {
            leaves(store, tile * TILE..(tile + 1) * TILE)
                .map(|leaves| Tile { root: tile_root(&leaves), leaves })
        };
        part.map(tile).collect::<Result<Vec<_>, _>>()
    };
    let mut starts = tiles.clone().step_by(usize::try_from(each).unwrap_or(usize::MAX));
    let first = starts.next().unwrap_or(tiles.start);
    thread::scope(|scope| {
        let others: Vec<_> = starts
            .map(|start| scope.spawn(move || part(start..(start + each).min(tiles.end))))
            .collect();
        let mut hashed = part(first..(first + each).min(tiles.end))?;
        for other in others {
            hashed.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(hashed)
    })
}
