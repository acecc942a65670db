//! An entry: what an engine stores in one slot. A commit is one entry, or several at adjacent slots.

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

use super::hash::CommitHash;
use super::header::{
    self, AnyVersion, CHECKSUM, COMMIT_FIELDS, FORMAT, HEADER_BYTES, Header, Part,
};

/// The smallest limit on the size of an entry, in bytes: 2 KiB. It splits the largest body into fewer than 65,536
/// parts.
pub const MIN_ENTRY_BYTES: usize = 2 << 10;

/// An entry that was read and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The fields of the commit.
    pub header: Header,
    /// The fields of this part.
    pub part: Part,
    /// The part of the body that is in this entry.
    pub body: Bytes,
}

/// Why bytes are not an entry that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The bytes do not begin as an entry does.
    #[error("not an entry of an annals record")]
    Foreign,
    /// The entry has a format that this version does not know.
    #[error("the entry has format {}, which this version of annals does not know; use a newer one", .0.format)]
    Newer(AnyVersion),
    /// The entry is not whole.
    #[error("the entry is not whole: {0}")]
    Damaged(&'static str),
}

impl Entry {
    /// Reads an entry and checks that it is whole. The events of the body are not checked.
    ///
    /// # Errors
    /// [`EntryError`] if the bytes are not a whole entry of a known format.
    pub fn decode(bytes: &Bytes) -> Result<Self, EntryError> {
        let any = header::any_version(bytes).ok_or(EntryError::Foreign)?;
        if bytes[CHECKSUM] != checksum(bytes) {
            return Err(EntryError::Damaged("its checksum differs"));
        }
        match any.format {
            FORMAT => {}
            0 => return Err(EntryError::Damaged("the format is 0, and formats begin at 1")),
            _ => return Err(EntryError::Newer(any)),
        }
        let head: &[u8; HEADER_BYTES] =
            bytes.first_chunk().ok_or(EntryError::Damaged("it is too short"))?;
        let (header, part) = header::decode(head).map_err(EntryError::Damaged)?;
        if bytes.len() - HEADER_BYTES != part.bytes as usize {
            return Err(EntryError::Damaged("its size differs"));
        }
        Ok(Self { header, part, body: bytes.slice(HEADER_BYTES..) })
    }
}

/// Splits a commit into entries of at most `entry_bytes` bytes each, headers included. A smaller limit than
/// [`MIN_ENTRY_BYTES`] counts as that.
pub(super) fn split(header: &Header, body: &Bytes, entry_bytes: usize) -> Vec<Bytes> {
    let room = entry_bytes.max(MIN_ENTRY_BYTES) - HEADER_BYTES;
    let count = body.len().div_ceil(room).max(1);
    let count = u16::try_from(count)
        .expect("64 MiB in parts of 1,792 bytes or more are fewer than 65,536 parts");
    let mut entries = Vec::with_capacity(usize::from(count));
    for index in 0..count {
        let start = usize::from(index) * room;
        let part = &body[start..body.len().min(start + room)];
        let fields = Part { index, count, start: narrow(start), bytes: narrow(part.len()) };
        let mut entry = BytesMut::with_capacity(HEADER_BYTES + part.len());
        entry.extend_from_slice(&header::encode(header, fields));
        entry.extend_from_slice(part);
        let sum = checksum(&entry);
        entry[CHECKSUM].copy_from_slice(&sum);
        entries.push(entry.freeze());
    }
    entries
}

/// Returns the hash of a commit: that of its header with the fields of the part zero, and its whole body.
pub(super) fn hash(header: &Header, body: &[u8]) -> CommitHash {
    let part = Part { index: 0, count: 0, start: 0, bytes: 0 };
    let head = header::encode(header, part);
    debug_assert!(
        head[CHECKSUM.start..COMMIT_FIELDS].iter().all(|&byte| byte == 0),
        "part fields are zero"
    );
    CommitHash::of(&[&head, body])
}

/// Returns the checksum of an entry, which covers everything but the checksum itself.
fn checksum(entry: &[u8]) -> [u8; 4] {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&entry[..CHECKSUM.start]);
    digest.update(&entry[CHECKSUM.end..]);
    narrow_crc(digest.finalize()).to_le_bytes()
}

/// Returns the CRC-32C of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    narrow_crc(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

fn narrow_crc(sum: u64) -> u32 {
    u32::try_from(sum).expect("a CRC-32C has 32 bits")
}

/// Returns a size in a body as a field of a header.
pub(super) fn narrow(size: usize) -> u32 {
    u32::try_from(size).expect("a body has at most 64 MiB")
}
