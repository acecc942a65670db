//! What `record.tail` has of one commit: its position in the record, and the fields of its header.
//!
//! ```text
//!    0  crc of the rest (4), entries (2), kind (1), zero (1)
//!    8  slot, number, head, time (8 each)
//!   40  hash (32)
//!   72  writer id (16)
//!   88  where its details are (8), bytes of its details (4), events (4)
//! ```

use uuid::Uuid;

use crate::chain::chain::Position;
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::entry::crc32c;
use crate::format::hash::CommitHash;
use crate::format::header::Kind;

/// The size of a place, in bytes.
pub(super) const PLACE: usize = 104;
/// The size of a place in a file of version 1, which has no fields of the header.
pub(super) const PLACE_1: usize = 80;
/// The kind of a commit whose header the file does not have.
const NO_HEADER: u8 = 255;

/// What the file has of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Position,
    /// The fields of its header; `None` if the place comes from a file that did not have them.
    pub(crate) header: Option<PlaceHeader>,
}

/// What is needed of a commit's header, besides its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceHeader {
    pub(crate) kind: Kind,
    pub(crate) writer_id: Uuid,
    pub(crate) events: u32,
    /// The bytes of all details before these.
    pub(super) details_at: u64,
    pub(super) details_bytes: u32,
}

pub(super) fn encode(place: &Place) -> [u8; PLACE] {
    let mut bytes = [0; PLACE];
    bytes[4..6].copy_from_slice(&place.position.entries.to_le_bytes());
    bytes[6] = place.header.map_or(NO_HEADER, |header| header.kind.byte());
    let Tip { number, hash, head, time_ms, .. } = place.position.tip;
    for (at, value) in (8..).step_by(8).zip([place.position.slot.0, number, head, time_ms]) {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes[40..72].copy_from_slice(&hash.0);
    if let Some(header) = &place.header {
        bytes[72..88].copy_from_slice(header.writer_id.as_bytes());
        bytes[88..96].copy_from_slice(&header.details_at.to_le_bytes());
        bytes[96..100].copy_from_slice(&header.details_bytes.to_le_bytes());
        bytes[100..104].copy_from_slice(&header.events.to_le_bytes());
    }
    let sum = crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8], store_id: Uuid) -> Option<Place> {
    let position = decode_position(bytes, store_id)?;
    if bytes[6] == NO_HEADER {
        return Some(Place { position, header: None });
    }
    let header = PlaceHeader {
        kind: Kind::of(bytes[6])?,
        writer_id: Uuid::from_slice(&bytes[72..88]).ok()?,
        details_at: u64::from_le_bytes(bytes[88..96].try_into().ok()?),
        details_bytes: u32::from_le_bytes(bytes[96..100].try_into().ok()?),
        events: u32::from_le_bytes(bytes[100..104].try_into().ok()?),
    };
    (u64::from(header.events) <= position.tip.head)
        .then_some(Place { position, header: Some(header) })
}

/// Reads the fields up to the hash, which are the same in a file of version 1.
pub(super) fn decode_position(bytes: &[u8], store_id: Uuid) -> Option<Position> {
    if crc32c(&bytes[4..]).to_le_bytes() != bytes[..4] {
        return None;
    }
    let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let entries = u16::from_le_bytes([bytes[4], bytes[5]]);
    let tip = Tip {
        store_id,
        number: number(16)?,
        hash: CommitHash(bytes[40..72].try_into().ok()?),
        head: number(24)?,
        time_ms: number(32)?,
    };
    let slot = Slot(number(8)?);
    (entries > 0 && u64::from(entries) <= slot.0).then_some(Position { slot, entries, tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(header: bool) -> Place {
        let store_id = Uuid::from_u128(7);
        let tip = Tip { store_id, number: 5, hash: CommitHash([9; 32]), head: 10, time_ms: 14 };
        let header = header.then_some(PlaceHeader {
            kind: Kind::Events,
            writer_id: Uuid::from_u128(8),
            events: 3,
            details_at: 1 << 40,
            details_bytes: 6,
        });
        Place { position: Position { slot: Slot(16), entries: 2, tip }, header }
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_not_with_a_flipped_bit() {
        for place in [place(true), place(false)] {
            let bytes = encode(&place);
            assert_eq!(decode(&bytes, Uuid::from_u128(7)), Some(place));
            for bit in 0..PLACE * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&flipped, Uuid::from_u128(7)), None, "bit {bit}");
            }
        }
    }
}
