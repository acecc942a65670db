//! Some events as one value: neighbours of one commit, with one time.
//!
//! ```text
//!   0         8        12
//!   ┌─────────┬────────┬───────────┬──────┬───────────┬──────┬ … ┐
//!   │ time ms │ count  │ body size │ body │ body size │ body │   │      little-endian
//!   └─────────┴────────┴───────────┴──────┴───────────┴──────┴ … ┘
//! ```
//! The block's key is the offset of its first event. No checksum: RocksDB has one of every block of its files and of
//! every record of its write-ahead log, and looks at it whenever it reads one.

use std::ops::Range;

/// Bytes before the first body.
const HEAD: usize = 12;

/// Room that is kept for the next commit's blocks, at most.
const KEPT_BYTES: usize = 4 << 20;

/// Blocks that are being filled, one after the other, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct BlocksWriter {
    bytes: Vec<u8>,
    /// Their first offsets, and where they begin.
    blocks: Vec<(u64, usize)>,
}

impl BlocksWriter {
    /// Begins a block with the next event, which has this offset.
    pub(crate) fn begin(&mut self, first: u64, time_ms: u64) {
        self.blocks.push((first, self.bytes.len()));
        self.bytes.extend_from_slice(&time_ms.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Adds the next event to the last block.
    pub(crate) fn push(&mut self, body: &[u8]) {
        let Some(&(_, start)) = self.blocks.last() else { return };
        if let Some(count) = self.bytes[start..].get_mut(8..HEAD).and_then(|at| at.as_mut_array()) {
            *count = (u32::from_le_bytes(*count) + 1).to_le_bytes();
        }
        self.bytes.extend_from_slice(&body_size(body).to_le_bytes());
        self.bytes.extend_from_slice(body);
    }

    /// The size of the last block.
    pub(crate) fn last_size(&self) -> Option<usize> {
        self.blocks.last().map(|(_, start)| self.bytes.len() - start)
    }

    /// The blocks, by their first offsets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = self.blocks.iter().skip(1).map(|(_, start)| *start).chain([self.bytes.len()]);
        self.blocks.iter().zip(ends).map(|((first, start), end)| (*first, &self.bytes[*start..end]))
    }

    /// Returns the body of an event that is in one of them.
    #[cfg(test)]
    fn body(&self, offset: u64) -> Option<&[u8]> {
        let at = self.blocks.partition_point(|(first, _)| *first <= offset).checked_sub(1)?;
        let (first, start) = self.blocks[at];
        let block = &self.bytes[start..];
        body(block, offset - first).map(|at| &block[at])
    }

    /// About how many bytes a write batch of them has.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.bytes.len() + 32 * (self.blocks.len() + 1)
    }

    /// Forgets them, but for some of the room that they took.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.blocks.clear();
        self.blocks.shrink_to(KEPT_BYTES / (4 << 10));
    }
}

/// What the head of a block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) time_ms: u64,
    pub(crate) count: u64,
}

/// The head of a block, if it is whole.
pub(crate) fn head(block: &[u8]) -> Option<BlockHead> {
    let (time_ms, rest) = block.split_first_chunk::<8>()?;
    let count = u32::from_le_bytes(*rest.first_chunk()?);
    (count > 0)
        .then(|| BlockHead { time_ms: u64::from_le_bytes(*time_ms), count: u64::from(count) })
}

/// Where the first body lies.
pub(crate) fn first_body(block: &[u8]) -> Option<Range<usize>> {
    body_at(block, HEAD)
}

/// Where the body behind that one lies.
pub(crate) fn body_after(block: &[u8], body: &Range<usize>) -> Option<Range<usize>> {
    body_at(block, body.end)
}

fn body_at(block: &[u8], at: usize) -> Option<Range<usize>> {
    let size = u32::from_le_bytes(*block.get(at..)?.first_chunk()?) as usize;
    let start = at + 4;
    (size <= block.len() - start).then_some(start..start + size)
}

/// Returns where body `index` lies.
#[cfg(test)]
fn body(block: &[u8], index: u64) -> Option<Range<usize>> {
    (0..index).try_fold(first_body(block)?, |body, _| body_after(block, &body))
}

/// The size of a body as it is written. A batch, and so a body, has at most 32 MiB.
fn body_size(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or_else(|_| panic!("a body of {} bytes", body.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_of(bodies: &[&[u8]]) -> Vec<u8> {
        let mut writer = BlocksWriter::default();
        writer.begin(7, 1_234);
        for body in bodies {
            writer.push(body);
        }
        let mut blocks = writer.iter();
        let (first, block) = blocks.next().expect("one block");
        assert_eq!((first, blocks.next()), (7, None));
        block.to_vec()
    }

    #[test]
    fn bodies_come_back_as_they_went_in() {
        let bodies: [&[u8]; 3] = [b"first", b"", b"third"];
        let block = block_of(&bodies);
        assert_eq!(block.len(), 12 + 3 * 4 + 10);
        assert_eq!(head(&block), Some(BlockHead { time_ms: 1_234, count: 3 }));
        for (index, expected) in (0..).zip(bodies) {
            assert_eq!(body(&block, index).map(|at| &block[at]), Some(expected));
        }
        assert_eq!(body(&block, 3), None);
    }

    #[test]
    fn several_blocks_are_told_apart() {
        let mut writer = BlocksWriter::default();
        assert_eq!((writer.last_size(), writer.iter().count(), writer.body(0)), (None, 0, None));
        for again in 0..2 {
            writer.begin(5, 1);
            writer.push(b"five");
            writer.push(b"six");
            writer.begin(7, again);
            writer.push(b"seven");
            assert_eq!(writer.last_size(), Some(12 + 4 + 5));
            let heads: Vec<_> = writer.iter().map(|(first, block)| (first, head(block))).collect();
            let head = |time_ms, count| Some(BlockHead { time_ms, count });
            assert_eq!(heads, [(5, head(1, 2)), (7, head(again, 1))]);
            let bodies = [4, 5, 6, 7].map(|offset| writer.body(offset));
            assert_eq!(bodies, [None, Some(&b"five"[..]), Some(b"six"), Some(b"seven")]);
            writer.clear();
        }
        assert_eq!(writer.iter().count(), 0);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let block = block_of(&[b"some body"]);
        for at in 0..block.len() {
            let mut damaged = block.clone();
            damaged[at] ^= 0xff;
            for bytes in [&block[..at], &damaged] {
                let _ = (head(bytes), body(bytes, 0), body(bytes, 1));
            }
        }
    }
}
