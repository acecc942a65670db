//! A block: consecutive events of one commit as one value, with one time.
//!
//! ```text
//!   0         8        12
//!   ┌─────────┬────────┬───────────┬──────┬───────────┬──────┬ … ┐
//!   │ time ms │ count  │ body size │ body │ body size │ body │   │      little-endian
//!   └─────────┴────────┴───────────┴──────┴───────────┴──────┴ … ┘
//! ```
//! The key of a block is the offset of its first event. A block has no checksum of its own: RocksDB has one for every
//! block of its files and every record of its write-ahead log, and verifies it on each read.

use std::ops::Range;

/// The bytes before the first body.
const HEAD: usize = 12;

/// The most bytes of buffer that are kept for the next commit.
const KEPT_BYTES: usize = 4 << 20;

/// The blocks of a commit, filled one after the other in one buffer.
#[derive(Debug, Default)]
pub(crate) struct BlocksWriter {
    bytes: Vec<u8>,
    /// The first offset of each block, and its start in `bytes`.
    blocks: Vec<(u64, usize)>,
}

impl BlocksWriter {
    /// Begins a block whose first event has the offset `first`.
    pub(crate) fn begin(&mut self, first: u64, time_ms: u64) {
        self.blocks.push((first, self.bytes.len()));
        self.bytes.extend_from_slice(&time_ms.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Adds the next event to the last block.
    pub(crate) fn push(&mut self, body: &[u8]) {
        let Some(&(_, start)) = self.blocks.last() else { return };
        let at = start + 8..start + HEAD;
        let count = u32::from_le_bytes(
            self.bytes[at.clone()].try_into().expect("a block's head has a count of 4 bytes"),
        );
        self.bytes[at].copy_from_slice(&(count + 1).to_le_bytes());
        self.bytes.extend_from_slice(&body_size(body).to_le_bytes());
        self.bytes.extend_from_slice(body);
    }

    /// Returns the size of the last block in bytes.
    pub(crate) fn last_size(&self) -> Option<usize> {
        self.blocks.last().map(|(_, start)| self.bytes.len() - start)
    }

    /// Returns the blocks with their first offsets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = self.blocks.iter().skip(1).map(|(_, start)| *start).chain([self.bytes.len()]);
        self.blocks.iter().zip(ends).map(|((first, start), end)| (*first, &self.bytes[*start..end]))
    }

    /// Returns the body of an event in one of the blocks.
    #[cfg(test)]
    fn body(&self, offset: u64) -> Option<&[u8]> {
        let at = self.blocks.partition_point(|(first, _)| *first <= offset).checked_sub(1)?;
        let (first, start) = self.blocks[at];
        let block = &self.bytes[start..];
        body(block, offset - first).map(|at| &block[at])
    }

    /// Returns the approximate size of a write batch of the blocks in bytes.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.bytes.len() + 32 * (self.blocks.len() + 1)
    }

    /// Removes all blocks, and keeps a part of the buffer for the next ones.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.blocks.clear();
        self.blocks.shrink_to(KEPT_BYTES / (4 << 10));
    }
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) time_ms: u64,
    pub(crate) count: u64,
}

/// Returns the head of a block; `None` if it is not valid.
pub(crate) fn head(block: &[u8]) -> Option<BlockHead> {
    let (time_ms, rest) = block.split_first_chunk::<8>()?;
    let count = u32::from_le_bytes(*rest.first_chunk()?);
    (count > 0)
        .then(|| BlockHead { time_ms: u64::from_le_bytes(*time_ms), count: u64::from(count) })
}

/// Returns the range of the first body.
pub(crate) fn first_body(block: &[u8]) -> Option<Range<usize>> {
    body_at(block, HEAD)
}

/// Returns the range of the body after `body`.
pub(crate) fn body_after(block: &[u8], body: &Range<usize>) -> Option<Range<usize>> {
    body_at(block, body.end)
}

fn body_at(block: &[u8], at: usize) -> Option<Range<usize>> {
    let size = u32::from_le_bytes(*block.get(at..)?.first_chunk()?) as usize;
    let start = at + 4;
    (size <= block.len() - start).then_some(start..start + size)
}

/// Returns the range of body `index`.
#[cfg(test)]
fn body(block: &[u8], index: u64) -> Option<Range<usize>> {
    (0..index).try_fold(first_body(block)?, |body, _| body_after(block, &body))
}

/// Returns the size of a body as it is stored. A batch has at most 32 MiB, and so has a body.
fn body_size(body: &[u8]) -> u32 {
    u32::try_from(body.len())
        .unwrap_or_else(|_| panic!("a body of {} bytes does not fit into a block", body.len()))
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
