//! What keys look like. They sort as what they stand for does.
//!
//! ```text
//!   events      first offset of the block (8, big-endian)
//!   index       kind (1) │ name │ 0 │ chunk (4, big-endian)       a name has no control characters, so no 0
//!               "b" │ 0 │ chunk                                   where the chunk's blocks start
//!   ids         id
//!   snapshots   series │ 0 │ head (8, big-endian)
//!   default     "annals/format", "annals/store-id", "annals/created", "annals/closed-head"
//! ```

use annals::backend::Kind;

/// Events that one chunk of the index covers: places in it take two bytes.
pub(crate) const CHUNK_EVENTS: u64 = 1 << 16;

/// Metadata: the format's number, big-endian.
pub(crate) const FORMAT: &[u8] = b"annals/format";
/// Metadata: the store's id.
pub(crate) const STORE_ID: &[u8] = b"annals/store-id";
/// Metadata: when the store was made, for people.
pub(crate) const CREATED: &[u8] = b"annals/created";
/// Metadata: the head when the store was last closed cleanly, big-endian.
pub(crate) const CLOSED_HEAD: &[u8] = b"annals/closed-head";

/// The chunk of an offset.
pub(crate) fn chunk_of(offset: u64) -> u64 {
    offset / CHUNK_EVENTS
}

/// Where an offset lies in its chunk.
pub(crate) fn place_of(offset: u64) -> u32 {
    const { assert!(CHUNK_EVENTS <= 1 << 16) };
    (offset % CHUNK_EVENTS) as u32
}

/// How far an offset lies behind the first of its chunk: up to 65,536, where the next chunk begins.
pub(crate) fn place_from(offset: u64, first: u64) -> u32 {
    offset
        .checked_sub(first)
        .filter(|&place| place <= CHUNK_EVENTS)
        .and_then(|place| u32::try_from(place).ok())
        .unwrap_or_else(|| panic!("offset {offset} is not in the chunk from {first} on"))
}

/// The number that a key or value of 8 bytes is.
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

/// What the index's keys of names of this kind that start with `prefix` start with.
pub(crate) fn names_prefix(kind: Kind, prefix: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 6);
    key.push(kind_byte(kind));
    key.extend_from_slice(prefix.as_bytes());
    key
}

/// What the index's keys of this name start with.
pub(crate) fn name_prefix(kind: Kind, name: &str) -> Vec<u8> {
    let mut key = names_prefix(kind, name);
    key.push(0);
    key
}

/// The index's key of a name in a chunk.
pub(crate) fn index_key(kind: Kind, name: &str, chunk: u64) -> Vec<u8> {
    let mut key = name_prefix(kind, name);
    key.extend_from_slice(&chunk_number(chunk).to_be_bytes());
    key
}

/// The number of a chunk as keys have it: a log of more chunks would have 2^48 events.
fn chunk_number(chunk: u64) -> u32 {
    u32::try_from(chunk).unwrap_or_else(|_| panic!("chunk {chunk} has no key"))
}

/// The index's key of where the blocks of a chunk start.
pub(crate) fn blocks_key(chunk: u64) -> [u8; 6] {
    let [a, b, c, d] = chunk_number(chunk).to_be_bytes();
    [b'b', 0, a, b, c, d]
}

/// The kind, name and chunk of a key of the index.
pub(crate) fn read_index_key(key: &[u8]) -> Option<(Kind, &str, u64)> {
    let (front, chunk) = key.split_last_chunk::<4>()?;
    let (&kind, name) = front.strip_suffix(&[0])?.split_first()?;
    let kind = [Kind::Type, Kind::Tag].into_iter().find(|&known| kind_byte(known) == kind)?;
    Some((kind, std::str::from_utf8(name).ok()?, u64::from(u32::from_be_bytes(*chunk))))
}

/// The part of a key of the index that all keys of its name start with: up to and with the 0.
pub(crate) fn name_part(key: &[u8]) -> &[u8] {
    key.iter().position(|&byte| byte == 0).map_or(key, |end| &key[..=end])
}

/// The key of a snapshot.
pub(crate) fn snapshot_key(series: &str, head: u64) -> Vec<u8> {
    let mut key = snapshots_prefix(series);
    key.extend_from_slice(&head.to_be_bytes());
    key
}

/// What the keys of a series' snapshots start with.
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
