//! The header of an entry: 256 bytes.

use std::ops::Range;

use uuid::Uuid;

use super::hash::CommitHash;

/// The size of an entry's header, in bytes.
pub const HEADER_BYTES: usize = 256;
/// The largest body of a commit, in bytes: 64 MiB.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// The largest number of batches in a commit.
pub const MAX_COMMIT_BATCHES: usize = 65_536;
/// The version of the format that this crate writes.
pub const FORMAT: u16 = 1;

pub(super) const MAGIC: [u8; 4] = *b"ANcm";
/// The header's size as it stands in the header.
const STORED_HEADER_BYTES: u16 = 256;
/// Where the checksum of an entry is. It covers all other bytes of the entry, in every version of the format.
pub(super) const CHECKSUM: Range<usize> = 8..12;
/// The fields that are the same in every part of a commit begin here.
pub(super) const COMMIT_FIELDS: usize = 24;
/// The position behind the last used field. The bytes from there on are zero in this format.
const RESERVED: usize = 124;

/// The kind of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first commit of a record.
    Genesis,
    /// A commit with events.
    Events,
    /// A commit without events, for a linearizable read or to end a doubt.
    Barrier,
    /// A commit that records the decision of an operator.
    Epoch,
}

impl Kind {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Genesis => 0,
            Self::Events => 1,
            Self::Barrier => 2,
            Self::Epoch => 3,
        }
    }

    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Genesis, Self::Events, Self::Barrier, Self::Epoch]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }
}

/// The fields of a header that belong to the commit. They are the same in each of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The kind of the commit.
    pub kind: Kind,
    /// The number of the commit: 0 for the genesis, then one more for each valid commit.
    pub number: u64,
    /// The hash of the commit that this one was decided on.
    pub previous: CommitHash,
    /// The id of the store, which is also the id of its replicas.
    pub store_id: Uuid,
    /// The id of the writer, new at every opening.
    pub writer_id: Uuid,
    /// The offset of the commit's first event: the number of events before it.
    pub first_offset: u64,
    /// The number of events.
    pub events: u32,
    /// The number of batches.
    pub batches: u32,
    /// The size of the whole body, in bytes.
    pub body_bytes: u32,
}

/// The fields of a header that belong to one part of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The part's number, from 0.
    pub index: u16,
    /// The number of parts, at least 1.
    pub count: u16,
    /// The position of the part in the body, in bytes.
    pub start: u32,
    /// The size of the part, in bytes, without the header.
    pub bytes: u32,
}

/// The fields that stand at the same positions in every version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnyVersion {
    /// The version of the format.
    pub format: u16,
    /// The number of the commit.
    pub number: u64,
    /// The hash of the commit that this one was decided on.
    pub previous: CommitHash,
    /// The id of the store.
    pub store_id: Uuid,
}

/// Writes the header of a part. The checksum, at bytes 8 to 12, is left zero.
pub(super) fn encode(header: &Header, part: Part) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &MAGIC);
    put(4, &FORMAT.to_le_bytes());
    put(6, &STORED_HEADER_BYTES.to_le_bytes());
    put(12, &part.index.to_le_bytes());
    put(14, &part.count.to_le_bytes());
    put(16, &part.start.to_le_bytes());
    put(20, &part.bytes.to_le_bytes());
    put(24, &[header.kind.byte()]);
    put(32, &header.number.to_le_bytes());
    put(40, &header.previous.0);
    put(72, header.store_id.as_bytes());
    put(88, header.writer_id.as_bytes());
    put(104, &header.first_offset.to_le_bytes());
    put(112, &header.events.to_le_bytes());
    put(116, &header.batches.to_le_bytes());
    put(120, &header.body_bytes.to_le_bytes());
    bytes
}

/// Reads the fields that every version has at the same position. Returns `None` if the bytes are not an entry.
pub(super) fn any_version(bytes: &[u8]) -> Option<AnyVersion> {
    let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    (bytes[..4] == MAGIC).then(|| AnyVersion {
        format: u16::from_le_bytes(take(bytes, 4)),
        number: u64::from_le_bytes(take(bytes, 32)),
        previous: CommitHash(take(bytes, 40)),
        store_id: Uuid::from_bytes(take(bytes, 72)),
    })
}

/// Reads a header of format 1.
///
/// # Errors
/// A sentence that says which field is not valid.
pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<(Header, Part), &'static str> {
    if u16::from_le_bytes(take(bytes, 6)) != STORED_HEADER_BYTES {
        return Err("its header has another size");
    }
    let kind = Kind::of(bytes[24]).ok_or("its kind is unknown")?;
    if bytes[25..32].iter().chain(&bytes[RESERVED..]).any(|&byte| byte != 0) {
        return Err("a reserved byte is not 0");
    }
    let part = Part {
        index: u16::from_le_bytes(take(bytes, 12)),
        count: u16::from_le_bytes(take(bytes, 14)),
        start: u32::from_le_bytes(take(bytes, 16)),
        bytes: u32::from_le_bytes(take(bytes, 20)),
    };
    let header = Header {
        kind,
        number: u64::from_le_bytes(take(bytes, 32)),
        previous: CommitHash(take(bytes, 40)),
        store_id: Uuid::from_bytes(take(bytes, 72)),
        writer_id: Uuid::from_bytes(take(bytes, 88)),
        first_offset: u64::from_le_bytes(take(bytes, 104)),
        events: u32::from_le_bytes(take(bytes, 112)),
        batches: u32::from_le_bytes(take(bytes, 116)),
        body_bytes: u32::from_le_bytes(take(bytes, 120)),
    };
    check(&header, part)?;
    Ok((header, part))
}

/// Checks what a header says on its own.
fn check(header: &Header, part: Part) -> Result<(), &'static str> {
    if header.body_bytes as usize > MAX_BODY_BYTES {
        return Err("its body is too large");
    }
    if header.batches as usize > MAX_COMMIT_BATCHES {
        return Err("it has too many batches");
    }
    if header.first_offset.checked_add(u64::from(header.events)).is_none() {
        return Err("its offsets do not fit");
    }
    let with_events = header.kind == Kind::Events;
    if with_events != (header.events > 0) || with_events != (header.batches > 0) {
        return Err("its kind does not fit its number of events");
    }
    if (header.kind == Kind::Genesis) != (header.number == 0)
        || (header.number == 0 && header.previous != CommitHash::NONE)
        || (header.number == 0 && header.first_offset != 0)
    {
        return Err("only the genesis has number 0, no predecessor and offset 0");
    }
    let end = u64::from(part.start) + u64::from(part.bytes);
    let is_last = part.index.checked_add(1) == Some(part.count);
    let whole = part.count == 1 && part.start == 0;
    if part.index >= part.count
        || end > u64::from(header.body_bytes)
        || is_last != (end == u64::from(header.body_bytes))
        || (part.index == 0) != (part.start == 0)
        || (part.bytes == 0 && !whole)
    {
        return Err("its part does not fit its body");
    }
    Ok(())
}

fn take<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

const _: () = assert!(STORED_HEADER_BYTES as usize == HEADER_BYTES);
