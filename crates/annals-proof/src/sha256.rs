//! SHA-256 of messages that are in memory whole, one at a time or two at once.

use annals_base::sha256_compress_two;
use sha2::block_api::compress256;

/// The state before the first block (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A message in blocks: those that it fills, and one or two more with its end and the padding.
pub(crate) struct Message<'a> {
    filled: &'a [[u8; 64]],
    last: [[u8; 64]; 2],
    /// How many of the last blocks are used.
    used: usize,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (filled, rest) = bytes.as_chunks::<64>();
        let mut last = [[0; 64]; 2];
        last[0][..rest.len()].copy_from_slice(rest);
        last[0][rest.len()] = 0x80;
        // The size, in bits, takes the last eight bytes of the last block.
        let used = if rest.len() < 56 { 1 } else { 2 };
        last[used - 1][56..].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
        Self { filled, last, used }
    }

    fn last(&self) -> &[[u8; 64]] {
        &self.last[..self.used]
    }
}

/// Returns the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let message = Message::new(bytes);
    let mut state = INITIAL;
    compress256(&mut state, message.filled);
    compress256(&mut state, message.last());
    bytes_of(state)
}

/// Returns the SHA-256 of two messages. Processors with instructions for it hash both at once.
pub(crate) fn sha256_of_two(messages: &[Message<'_>; 2]) -> [[u8; 32]; 2] {
    let mut states = [INITIAL; 2];
    both(&mut states, messages.each_ref().map(|message| message.filled));
    both(&mut states, messages.each_ref().map(Message::last));
    states.map(bytes_of)
}

/// Compresses blocks of two messages: as many as both have at once, and then the others of the longer message.
fn both(states: &mut [[u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) {
    let shared = blocks[0].len().min(blocks[1].len());
    let done = if sha256_compress_two(states, blocks.map(|blocks| &blocks[..shared])) {
        shared
    } else {
        0
    };
    for (state, blocks) in states.iter_mut().zip(blocks) {
        compress256(state, &blocks[done..]);
    }
}

fn bytes_of(state: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn every_length_has_the_hash_of_another_implementation() {
        let bytes: Vec<u8> = (0..700_u32).map(|n| (n * 7 % 251) as u8).collect();
        let expected = |size: usize| <[u8; 32]>::from(Sha256::digest(&bytes[..size]));
        for size in 0..bytes.len() {
            assert_eq!(sha256(&bytes[..size]), expected(size), "{size}");
            for other in [size, 0, 55, 56, 64, 119, 200, 699] {
                let messages = [size, other].map(|size| Message::new(&bytes[..size]));
                assert_eq!(sha256_of_two(&messages), [size, other].map(expected), "{size} {other}");
            }
        }
    }
}
