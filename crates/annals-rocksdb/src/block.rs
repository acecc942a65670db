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

/// A block that is being filled.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    pub(crate) first: u64,
    pub(crate) time_ms: u64,
    count: u32,
    bytes: Vec<u8>,
}

impl BlockWriter {
    pub(crate) fn new(first: u64, time_ms: u64) -> Self {
        let mut bytes = Vec::with_capacity(1 << 10);
        bytes.extend_from_slice(&time_ms.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self { first, time_ms, count: 0, bytes }
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, body: &[u8]) {
        // A batch, and so a body, has at most 32 MiB.
        self.bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(body);
        self.count += 1;
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// What there is so far; the count is not in it yet.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[8..HEAD].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
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

/// Where body `index` lies.
pub(crate) fn body(block: &[u8], index: u64) -> Option<Range<usize>> {
    (0..index).try_fold(first_body(block)?, |body, _| body_after(block, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_as_they_went_in() {
        let bodies: [&[u8]; 3] = [b"first", b"", b"third"];
        let mut writer = BlockWriter::new(7, 1_234);
        for body in bodies {
            writer.push(body);
        }
        assert_eq!(writer.size(), 12 + 3 * 4 + 10);
        let block = writer.finish();
        assert_eq!(head(&block), Some(BlockHead { time_ms: 1_234, count: 3 }));
        for (index, expected) in (0..).zip(bodies) {
            assert_eq!(body(&block, index).map(|at| &block[at]), Some(expected));
        }
        assert_eq!(body(&block, 3), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut writer = BlockWriter::new(0, 1);
        writer.push(b"some body");
        let block = writer.finish();
        for at in 0..block.len() {
            let mut damaged = block.clone();
            damaged[at] ^= 0xff;
            for bytes in [&block[..at], &damaged] {
                let _ = (head(bytes), body(bytes, 0), body(bytes, 1));
            }
        }
    }
}
