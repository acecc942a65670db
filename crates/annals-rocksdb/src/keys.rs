//! The formats of all keys. Keys sort in the order of the things that they identify.
//!
//! ```text
//!   events      first offset of the block (8, big-endian)
//!   index       kind (1) │ name │ 0 │ chunk (4, big-endian)       a name has no control characters, so no 0
//!               "b" │ 0 │ chunk                                   the starts of the chunk's blocks
//!   ids         id
//!   snapshots   series │ 0 │ head (8, big-endian)
//!   default     "annals/format", "annals/store-id", "annals/created", "annals/closed-head"
//! ```

use annals::backend::Kind;

/// The number of events in a chunk of the index. A local offset in it takes two bytes.
pub(crate) const CHUNK_EVENTS: u64 = 1 << 16;

/// The key of the format number, big-endian.
pub(crate) const FORMAT: &[u8] = b"annals/format";
/// The key of the store id.
pub(crate) const STORE_ID: &[u8] = b"annals/store-id";
/// The key of the creation time, as text for people.
pub(crate) const CREATED: &[u8] = b"annals/created";
/// The key of the head when the store was last closed cleanly, big-endian.
pub(crate) const CLOSED_HEAD: &[u8] = b"annals/closed-head";

/// Returns the chunk of an offset.
pub(crate) fn chunk_of(offset: u64) -> u64 {
    offset / CHUNK_EVENTS
}

/// Returns the local offset of an offset: its distance from the first offset of its chunk.
pub(crate) fn local_offset(offset: u64) -> u32 {
    const { assert!(CHUNK_EVENTS <= 1 << 16) };
    (offset % CHUNK_EVENTS) as u32
}

/// Returns the distance of `offset`, a bound of a range, from the first offset of a chunk. It is at most 65,536,
/// where the next chunk begins.
pub(crate) fn local_bound(offset: u64, first: u64) -> u32 {
    offset
        .checked_sub(first)
        .filter(|&local| local <= CHUNK_EVENTS)
        .and_then(|local| u32::try_from(local).ok())
        .unwrap_or_else(|| panic!("offset {offset} is not in the chunk from {first} on"))
}

/// Decodes a key or value of 8 bytes as a number; `None` if it has another size.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Type => b't',
        Kind::Tag => b'g',
        Kind::Id => b'i',
    }
}

/// Returns the start of the index keys of all names of this kind that start with `prefix`.
pub(crate) fn names_prefix(kind: Kind, prefix: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 6);
    key.push(kind_byte(kind));
    key.extend_from_slice(prefix.as_bytes());
    key
}

/// Returns the start of the index keys of a name.
pub(crate) fn name_prefix(kind: Kind, name: &str) -> Vec<u8> {
    let mut key = names_prefix(kind, name);
    key.push(0);
    key
}

/// Returns the index key of a name in a chunk.
pub(crate) fn index_key(kind: Kind, name: &str, chunk: u64) -> Vec<u8> {
    let mut key = name_prefix(kind, name);
    key.extend_from_slice(&chunk_number(chunk).to_be_bytes());
    key
}

/// Returns the number of a chunk as it is stored in keys. A log with more chunks would have 2^48 events.
fn chunk_number(chunk: u64) -> u32 {
    u32::try_from(chunk).unwrap_or_else(|_| panic!("chunk {chunk} has no key"))
}

/// Returns the index key of the block starts of a chunk.
pub(crate) fn blocks_key(chunk: u64) -> [u8; 6] {
    let [a, b, c, d] = chunk_number(chunk).to_be_bytes();
    [b'b', 0, a, b, c, d]
}

/// Decodes an index key to its kind, name and chunk; `None` if it is not valid.
pub(crate) fn read_index_key(key: &[u8]) -> Option<(Kind, &str, u64)> {
    let (front, chunk) = key.split_last_chunk::<4>()?;
    let (&kind, name) = front.strip_suffix(&[0])?.split_first()?;
    let kind = [Kind::Type, Kind::Tag].into_iter().find(|&known| kind_byte(known) == kind)?;
    Some((kind, std::str::from_utf8(name).ok()?, u64::from(u32::from_be_bytes(*chunk))))
}

/// Returns the part of an index key that all keys of its name have in common: everything up to and including the 0.
pub(crate) fn name_part(key: &[u8]) -> &[u8] {
    key.iter().position(|&byte| byte == 0).map_or(key, |end| &key[..=end])
}

/// Returns the key of a snapshot.
pub(crate) fn snapshot_key(series: &str, head: u64) -> Vec<u8> {
    let mut key = snapshots_prefix(series);
    key.extend_from_slice(&head.to_be_bytes());
    key
}

/// Returns the start of the keys of all snapshots of a series.
pub(crate) fn snapshots_prefix(series: &str) -> Vec<u8> {
    let mut key = series.as_bytes().to_vec();
    key.push(0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_key_reads_back() {
        let key = index_key(Kind::Tag, "seat:12Ä", 258);
        assert_eq!(read_index_key(&key), Some((Kind::Tag, "seat:12Ä", 258)));
        assert_eq!(name_part(&key), name_prefix(Kind::Tag, "seat:12Ä"));
        for bad in [&b""[..], b"g", b"gseat", b"xseat\0\0\0\0\0", b"g\xff\0\0\0\0\0"] {
            assert_eq!(read_index_key(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn keys_of_one_name_are_together_and_in_order() {
        let mut keys: Vec<_> = ["a", "ab", "a:b"]
            .into_iter()
            .flat_map(|name| [1, 256, 65_536].map(|chunk| index_key(Kind::Type, name, chunk)))
            .collect();
        keys.sort();
        let names: Vec<_> = keys.iter().filter_map(|key| read_index_key(key)).collect();
        let expected = ["a", "a:b", "ab"]
            .into_iter()
            .flat_map(|name| [1, 256, 65_536].map(|chunk| (Kind::Type, name, chunk)));
        assert!(names.into_iter().eq(expected));
    }
}
