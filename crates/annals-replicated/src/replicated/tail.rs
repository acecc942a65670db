//! The file `record.tail`: where the last commits of a replica are in the record.
//!
//! ```text
//!   head    "ANtail1\0", store id (16), zeroes up to 64
//!   places  65,536 of 80 bytes; the commit with number n is at n % 65,536
//!   place   crc of the rest (4), entries (2), zeroes (2), slot, number, head, time (8 each), hash (32), zeroes (8)
//! ```
//! Numbers are little-endian. The file is not synced. A place that is missing or not whole only makes the next opening
//! read more of the record: everything is compared with the record and with the replica.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use annals::{StoreDirectory, StoreFile};
use uuid::Uuid;

use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::entry::crc32c;
use crate::format::hash::CommitHash;

const NAME: &str = "record.tail";
const MAGIC: &[u8; 8] = b"ANtail1\0";
const HEAD: usize = 64;
const PLACE: usize = 80;
/// The number of places.
const PLACES: u64 = 65_536;

/// The open file.
#[derive(Debug)]
pub(crate) struct Tail {
    file: Box<dyn StoreFile>,
}

impl Tail {
    /// Opens the file in the directory of a replica, or creates it. Returns it with the positions in it, by their
    /// numbers: the longest row without a gap that ends at or below the event `head`.
    pub(super) fn open(
        directory: &Arc<dyn StoreDirectory>,
        store_id: Uuid,
        head: u64,
    ) -> io::Result<(Self, Vec<Position>)> {
        let start = start(store_id);
        let file = match directory.open(NAME) {
            Err(error) if error.kind() == ErrorKind::NotFound => directory.create(NAME)?,
            opened => opened?,
        };
        let bytes = read(&*file)?;
        if let Some(positions) = positions_in(&bytes, store_id) {
            return Ok((Self { file }, last_row(positions, head)));
        }
        file.set_size(0)?;
        file.write_at(&start, 0)?;
        Ok((Self { file }, Vec::new()))
    }

    /// Returns the positions in the file in `directory`, as [`open`](Self::open) does, without a change. Returns none if
    /// there is no such file.
    pub(crate) fn read(directory: &Path, store_id: Uuid, head: u64) -> Vec<Position> {
        let bytes = std::fs::read(directory.join(NAME)).unwrap_or_default();
        last_row(positions_in(&bytes, store_id).unwrap_or_default(), head)
    }

    /// Writes the place of a commit that the replica has.
    pub(super) fn put(&self, position: &Position) -> io::Result<()> {
        let place = position.tip.number % PLACES;
        self.file.write_at(&encode(position), HEAD as u64 + place * PLACE as u64)
    }
}

/// Returns the head of the file of a store.
fn start(store_id: Uuid) -> [u8; HEAD] {
    let mut start = [0; HEAD];
    start[..8].copy_from_slice(MAGIC);
    start[8..24].copy_from_slice(store_id.as_bytes());
    start
}

/// Returns the positions in the bytes of a file; none if they are not the file of this store.
fn positions_in(bytes: &[u8], store_id: Uuid) -> Option<Vec<Position>> {
    let places = bytes.strip_prefix(&start(store_id)[..])?.chunks_exact(PLACE);
    Some(places.filter_map(|place| decode(place, store_id)).collect())
}

fn read(file: &dyn StoreFile) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.size()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(HEAD + PLACE * 65_536)];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Returns the positions up to the last one with at most `head` events, as far back as no number is missing.
fn last_row(mut positions: Vec<Position>, head: u64) -> Vec<Position> {
    positions.retain(|position| position.tip.head <= head);
    positions.sort_unstable_by_key(|position| position.tip.number);
    let follows = |pair: &[Position]| {
        let (one, next) = (&pair[0], &pair[1]);
        one.tip.number + 1 == next.tip.number
            && one.tip.head <= next.tip.head
            && one.slot <= next.before()
    };
    let from = positions.windows(2).rposition(|pair| !follows(pair)).map_or(0, |gap| gap + 1);
    positions.drain(..from);
    positions
}

fn encode(position: &Position) -> [u8; PLACE] {
    let mut place = [0; PLACE];
    place[4..6].copy_from_slice(&position.entries.to_le_bytes());
    let Tip { number, hash, head, time_ms, .. } = position.tip;
    for (at, value) in (8..).step_by(8).zip([position.slot.0, number, head, time_ms]) {
        place[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    place[40..72].copy_from_slice(&hash.0);
    let sum = crc32c(&place[4..]);
    place[..4].copy_from_slice(&sum.to_le_bytes());
    place
}

fn decode(place: &[u8], store_id: Uuid) -> Option<Position> {
    if crc32c(&place[4..]).to_le_bytes() != place[..4] {
        return None;
    }
    let number = |at: usize| place[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let entries = u16::from_le_bytes([place[4], place[5]]);
    let tip = Tip {
        store_id,
        number: number(16)?,
        hash: CommitHash(place[40..72].try_into().ok()?),
        head: number(24)?,
        time_ms: number(32)?,
    };
    let slot = Slot(number(8)?);
    (entries > 0 && u64::from(entries) <= slot.0).then_some(Position { slot, entries, tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(number: u64) -> Position {
        let hash = CommitHash([number.to_le_bytes()[0]; 32]);
        let store_id = Uuid::from_u128(7);
        let tip = Tip { store_id, number, hash, head: number * 2, time_ms: 9 + number };
        Position { slot: Slot(1 + number * 3), entries: 2, tip }
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_not_with_a_flipped_bit() {
        let place = encode(&position(5));
        assert_eq!(decode(&place, Uuid::from_u128(7)), Some(position(5)));
        for bit in 0..PLACE * 8 {
            let mut flipped = place;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, Uuid::from_u128(7)), None, "bit {bit}");
        }
    }

    #[test]
    fn the_row_ends_at_the_head_and_begins_behind_the_last_gap() {
        let numbers = |numbers: &[u64], head| {
            let positions = numbers.iter().map(|&number| position(number)).collect();
            let row = last_row(positions, head);
            row.iter().map(|position| position.tip.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[4, 1, 2, 3], 8), [1, 2, 3, 4]);
        assert_eq!(numbers(&[4, 1, 2, 3], 7), [1, 2, 3]);
        assert_eq!(numbers(&[5, 1, 2, 4], 10), [4, 5]);
        assert_eq!(numbers(&[5, 6], 9), Vec::<u64>::new());
    }
}
