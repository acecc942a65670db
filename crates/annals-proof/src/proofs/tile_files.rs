//! The files of a published directory, as C2SP tlog-tiles has them: their names and bytes.

use super::leaves::TILE;
use crate::entry::Entry;
use crate::hash::TreeHash;

/// The size of a hash in bytes.
pub(super) const HASH: usize = 32;

/// The most bytes of a bundle: 256 entries of at most 16,951 bytes, each with its size.
pub(super) const MAX_BUNDLE: usize = 256 * (2 + 16_951);

/// Adds an entry to the bytes of a bundle.
pub(super) fn bundle_of(entry: &Entry, bytes: &mut Vec<u8>) {
    let length = entry.as_bytes().len();
    let length = u16::try_from(length).unwrap_or_else(|_| panic!("an entry of {length} bytes"));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(entry.as_bytes());
}

/// Returns the bytes of a tile.
pub(super) fn bytes_of(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Returns the hashes of a tile; `None` if it has a part of one.
pub(super) fn hashes_of(bytes: &[u8]) -> Option<Vec<TreeHash>> {
    let (hashes, rest) = bytes.as_chunks::<HASH>();
    rest.is_empty().then(|| hashes.iter().copied().map(TreeHash::new).collect())
}

/// Returns whether the bytes are the bundle of the entries with these leaves.
pub(super) fn is_bundle(mut bytes: &[u8], leaves: &[TreeHash]) -> bool {
    for leaf in leaves {
        let Some((size, rest)) = bytes.split_first_chunk::<2>() else { return false };
        let size = usize::from(u16::from_be_bytes(*size));
        let Some((entry, rest)) = rest.split_at_checked(size) else { return false };
        if TreeHash::of_leaf(entry) != *leaf {
            return false;
        }
        bytes = rest;
    }
    bytes.is_empty()
}

/// Returns the name of a tile: its number in groups of three digits, all but the last with an x in front; and its width
/// if it is partial.
pub(super) fn tile_name(level: &str, tile: u64, width: u64) -> String {
    let mut number = format!("{:03}", tile % 1_000);
    let mut rest = tile / 1_000;
    while rest > 0 {
        number = format!("x{:03}/{number}", rest % 1_000);
        rest /= 1_000;
    }
    let partial = if width == TILE { String::new() } else { format!(".p/{width}") };
    format!("tile/{level}/{number}{partial}")
}

#[cfg(test)]
mod tests {
    use annals::{MAX_NAME_BYTES, MAX_TAGS, RawEvent, Recorded};

    use super::*;

    #[test]
    fn the_largest_entry_has_the_size_that_bundles_allow() {
        let name = |n: usize| format!("{n:0>MAX_NAME_BYTES$}");
        let tags = (0..MAX_TAGS).map(name);
        let event = tags.fold(RawEvent::builder(name(0)), annals::RawEventBuilder::tag);
        let event = event.id(name(0)).build().unwrap();
        let entry = Entry::of(&Recorded { offset: 0, time_ms: 1, event });
        let mut bytes = Vec::new();
        bundle_of(&entry, &mut bytes);
        assert_eq!(bytes.len() * 256, MAX_BUNDLE);
        assert!(is_bundle(&bytes, &[entry.leaf()]));
    }

    #[test]
    fn tiles_have_the_names_of_the_format() {
        assert_eq!(tile_name("0", 7, 256), "tile/0/007");
        assert_eq!(tile_name("entries", 1_234_067, 256), "tile/entries/x001/x234/067");
        assert_eq!(tile_name("1", 1_000, 9), "tile/1/x001/000.p/9");
    }
}
