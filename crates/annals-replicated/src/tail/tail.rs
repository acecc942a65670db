//! The file `record.tail`.
//!
//! ```text
//!   head     "ANtail2\0", store id (16), whether the replica has diverged (1), zeroes up to 64
//!   details  a ring of 1 MiB: the details of all commits, one behind the other
//!   places   65,536 of 104 bytes; the commit with number n is at n % 65,536
//! ```
//! Numbers are little-endian. The file is not synced. A place that is missing or not whole only makes the next opening
//! read more of the record: everything is compared with the record and with the replica. Details have no checksum: a
//! commit that is built of them must have the hash of its place.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use annals::{StoreDirectory, StoreFile};
use uuid::Uuid;

use super::details;
use super::place::{self, PLACE, PLACE_1, Place, PlaceHeader};
use crate::chain::chain::Position;
use crate::format::commit::Commit;

const NAME: &str = "record.tail";
const MAGIC: &[u8; 8] = b"ANtail2\0";
/// The magic of a file with positions only: places of 80 bytes, directly behind the head.
const MAGIC_1: &[u8; 8] = b"ANtail1\0";
const HEAD: u64 = 64;
/// Where the head says whether the replica has diverged.
const DIVERGED: u64 = 24;
/// The size of the ring of details, in bytes.
const DETAILS: u64 = 1 << 20;
/// The number of places.
const PLACES: u64 = 65_536;

/// The open file.
#[derive(Debug)]
pub(crate) struct Tail {
    file: Box<dyn StoreFile>,
    store_id: Uuid,
    /// The highest number of a place in the file.
    last: Option<u64>,
    /// The bytes of all details so far.
    details_end: u64,
    /// Whether the replica has diverged since it was last equal to the record.
    diverged: bool,
}

impl Tail {
    /// Opens the file in the directory of a replica, or creates it. Returns it with the places in it, by their numbers:
    /// the longest row without a gap that ends at or below the event `head`.
    pub(crate) fn open(
        directory: &Arc<dyn StoreDirectory>,
        store_id: Uuid,
        head: u64,
    ) -> io::Result<(Self, Vec<Place>)> {
        let file = match directory.open(NAME) {
            Err(error) if error.kind() == ErrorKind::NotFound => directory.create(NAME)?,
            opened => opened?,
        };
        let mut tail = Self { file, store_id, last: None, details_end: 0, diverged: false };
        let places = tail.read_places()?;
        let ends = places.iter().filter_map(|place| place.header).map(|header| header.end());
        tail.details_end = ends.max().unwrap_or(0);
        let mut diverged = [0];
        tail.diverged = tail.file.read_at(&mut diverged, DIVERGED)? == 1 && diverged != [0];
        tail.last = places.iter().map(|place| place.position.tip.number).max();
        Ok((tail, last_row(places, head)))
    }

    /// Returns whether the replica has diverged since it was last equal to the record.
    pub(crate) fn has_diverged(&self) -> bool {
        self.diverged
    }

    /// Notes whether the replica has diverged. The next opening then compares all places with the record: some may be
    /// out of date.
    pub(crate) fn note_diverged(&mut self, diverged: bool) -> io::Result<()> {
        if self.diverged != diverged {
            self.file.write_at(&[u8::from(diverged)], DIVERGED)?;
            self.diverged = diverged;
        }
        Ok(())
    }

    /// Reads all places that are whole. Makes the file anew if it is not one of this store. A file of version 1 is
    /// written again in this version.
    fn read_places(&self) -> io::Result<Vec<Place>> {
        let mut start = [0; 24];
        let count = self.file.read_at(&mut start, 0)?;
        let is_own = count == start.len() && start[8..] == *self.store_id.as_bytes();
        if is_own && start[..8] == *MAGIC {
            return Ok(places_in(&self.read(HEAD + DETAILS, PLACE)?, self.store_id));
        }
        let mut places = Vec::new();
        if is_own && start[..8] == *MAGIC_1 {
            places = places_of_version_1_in(&self.read(HEAD, PLACE_1)?, self.store_id);
        }
        self.file.set_size(0)?;
        start[..8].copy_from_slice(MAGIC);
        start[8..].copy_from_slice(self.store_id.as_bytes());
        self.file.write_at(&start, 0)?;
        for place in &places {
            self.write(place)?;
        }
        Ok(places)
    }

    /// Returns the positions in the file in `directory`, as [`open`](Self::open) does, without a change. Returns none
    /// if there is no such file.
    pub(crate) fn positions(directory: &Path, store_id: Uuid, head: u64) -> Vec<Position> {
        let bytes = std::fs::read(directory.join(NAME)).unwrap_or_default();
        let behind = |start: u64| {
            usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default()
        };
        let is_own = bytes.get(8..24) == Some(store_id.as_bytes());
        let places = match bytes.get(..8) {
            Some(magic) if is_own && magic == MAGIC => places_in(behind(HEAD + DETAILS), store_id),
            Some(magic) if is_own && magic == MAGIC_1 => {
                places_of_version_1_in(behind(HEAD), store_id)
            }
            _ => Vec::new(),
        };
        last_row(places, head).into_iter().map(|place| place.position).collect()
    }

    /// Reads the places of `size` bytes that begin at `position`.
    fn read(&self, position: u64, size: usize) -> io::Result<Vec<u8>> {
        let most = PLACES * size as u64;
        let bytes = self.file.size()?.saturating_sub(position).min(most);
        let mut bytes = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let count = self.file.read_at(&mut bytes, position)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes the place of a commit that the replica has, or is about to apply. Places of later commits are removed if
    /// they followed another commit with this number.
    pub(crate) fn put(&mut self, position: Position, commit: &Commit) -> io::Result<()> {
        let number = position.tip.number;
        let known = self.last.filter(|last| *last >= number);
        let known =
            known.map(|last| Ok::<_, io::Error>((last, self.place(number)?))).transpose()?;
        let mut details_at = self.details_end;
        match known {
            Some((_, Some(place))) if place.position.tip == position.tip => {
                // The details of a commit stay where they are, so that those of later ones do too.
                details_at = place.header.map_or(details_at, |header| header.details_at);
            }
            Some((last, _)) => self.remove(number + 1, last)?,
            None => {}
        }
        let details = details::of(commit);
        self.write_details(details_at, &details)?;
        let header = PlaceHeader {
            kind: commit.header().kind,
            writer_id: commit.header().writer_id,
            events: commit.header().events,
            details_at,
            details_bytes: u32::try_from(details.len()).expect("details are small"),
        };
        self.details_end = self.details_end.max(header.end());
        self.write(&Place { position, header: Some(header) })?;
        self.last = self.last.max(Some(number));
        Ok(())
    }

    fn write(&self, place: &Place) -> io::Result<()> {
        self.file.write_at(&place::encode(place), place_at(place.position.tip.number))
    }

    /// Returns the place of the commit with this number, if the file has it.
    fn place(&self, number: u64) -> io::Result<Option<Place>> {
        let mut bytes = [0; PLACE];
        let count = self.file.read_at(&mut bytes, place_at(number))?;
        let place = (count == PLACE).then(|| place::decode(&bytes, self.store_id)).flatten();
        Ok(place.filter(|place| place.position.tip.number == number))
    }

    /// Removes the places of the commits from `first` to `last`.
    fn remove(&mut self, first: u64, last: u64) -> io::Result<()> {
        for number in first.max((last + 1).saturating_sub(PLACES))..=last {
            self.file.write_at(&[0; PLACE], place_at(number))?;
        }
        self.last = first.checked_sub(1);
        Ok(())
    }

    fn write_details(&self, at: u64, details: &[u8]) -> io::Result<()> {
        let (first, second) = details.split_at(before_wrap(at, details.len()));
        for (part, position) in [(first, HEAD + at % DETAILS), (second, HEAD)] {
            if !part.is_empty() {
                self.file.write_at(part, position)?;
            }
        }
        Ok(())
    }

    /// Returns the details of a commit. They may be those of later commits: only the hash of the commit tells.
    pub(crate) fn details(&self, header: &PlaceHeader) -> io::Result<Vec<u8>> {
        let bytes = u64::from(header.details_bytes).min(DETAILS);
        let mut details = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let room = before_wrap(header.details_at, details.len());
        let (first, second) = details.split_at_mut(room);
        self.file.read_at(first, HEAD + header.details_at % DETAILS)?;
        self.file.read_at(second, HEAD)?;
        Ok(details)
    }

    /// Returns the numbers of events in the batches of a commit with events.
    pub(crate) fn batches(&self, header: &PlaceHeader) -> io::Result<Vec<u32>> {
        Ok(details::batches(&self.details(header)?, header.events))
    }
}

/// Returns the places that are whole.
fn places_in(bytes: &[u8], store_id: Uuid) -> Vec<Place> {
    bytes.chunks_exact(PLACE).filter_map(|place| place::decode(place, store_id)).collect()
}

/// Returns the places of version 1 that are whole.
fn places_of_version_1_in(bytes: &[u8], store_id: Uuid) -> Vec<Place> {
    let positions = bytes.chunks_exact(PLACE_1);
    let positions = positions.filter_map(|place| place::decode_position(place, store_id));
    positions.map(|position| Place { position, header: None }).collect()
}

impl PlaceHeader {
    /// Returns the bytes of all details up to these.
    fn end(&self) -> u64 {
        self.details_at.saturating_add(u64::from(self.details_bytes))
    }
}

/// Returns how many of `count` bytes of details at `at` are before the end of the ring.
fn before_wrap(at: u64, count: usize) -> usize {
    usize::try_from(DETAILS - at % DETAILS).map_or(count, |room| room.min(count))
}

fn place_at(number: u64) -> u64 {
    HEAD + DETAILS + number % PLACES * PLACE as u64
}

/// Returns the places up to the last one with at most `head` events, as far back as no number is missing.
fn last_row(mut places: Vec<Place>, head: u64) -> Vec<Place> {
    places.retain(|place| place.position.tip.head <= head);
    places.sort_unstable_by_key(|place| place.position.tip.number);
    let follows = |pair: &[Place]| {
        let (one, next) = (&pair[0].position, &pair[1].position);
        one.tip.number + 1 == next.tip.number
            && one.tip.head <= next.tip.head
            && one.slot <= next.before()
    };
    let from = places.windows(2).rposition(|pair| !follows(pair)).map_or(0, |gap| gap + 1);
    places.drain(..from);
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::slot::Slot;
    use crate::chain::tip::Tip;
    use crate::format::hash::CommitHash;

    fn place(number: u64) -> Place {
        let hash = CommitHash([number.to_le_bytes()[0]; 32]);
        let store_id = Uuid::from_u128(7);
        let tip = Tip { store_id, number, hash, head: number * 2, time_ms: 9 + number };
        Place { position: Position { slot: Slot(1 + number * 3), entries: 2, tip }, header: None }
    }

    #[test]
    fn the_row_ends_at_the_head_and_begins_behind_the_last_gap() {
        let numbers = |numbers: &[u64], head| {
            let places = numbers.iter().map(|&number| place(number)).collect();
            let row = last_row(places, head);
            row.iter().map(|place| place.position.tip.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[4, 1, 2, 3], 8), [1, 2, 3, 4]);
        assert_eq!(numbers(&[4, 1, 2, 3], 7), [1, 2, 3]);
        assert_eq!(numbers(&[5, 1, 2, 4], 10), [4, 5]);
        assert_eq!(numbers(&[5, 6], 9), Vec::<u64>::new());
    }
}
