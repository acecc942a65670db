//! SHA-256 of messages that are in memory whole: of one, or of many, sixteen or two at once.
//!
//! Sixteen messages are hashed at once with AVX-512. A message that ends makes room for the next one, so messages may
//! have different sizes. Without AVX-512, and for the last few messages, two are hashed at once.

use annals_base::{SHA256_INITIAL, SHA256_LANES, sha256_compress_sixteen, sha256_compress_two};
use sha2::block_api::compress256;

/// The fewest messages that take less time sixteen at once than two at once.
const LEAST: usize = 8;

/// A message in blocks: those that it fills, and one or two more with its end and the padding. Some are compressed.
struct Message<'a> {
    filled: &'a [[u8; 64]],
    last: [[u8; 64]; 2],
    /// How many of the last blocks are used.
    used: usize,
    /// How many blocks are compressed.
    done: usize,
}

impl<'a> Message<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let (filled, rest) = bytes.as_chunks::<64>();
        let mut last = [[0; 64]; 2];
        last[0][..rest.len()].copy_from_slice(rest);
        last[0][rest.len()] = 0x80;
        // The size, in bits, takes the last eight bytes of the last block.
        let used = if rest.len() < 56 { 1 } else { 2 };
        last[used - 1][56..].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
        Self { filled, last, used, done: 0 }
    }

    /// Returns the filled blocks that are not compressed.
    fn filled(&self) -> &[[u8; 64]] {
        &self.filled[self.done.min(self.filled.len())..]
    }

    /// Returns the last blocks that are not compressed.
    fn last(&self) -> &[[u8; 64]] {
        &self.last[self.done.saturating_sub(self.filled.len())..self.used]
    }

    /// Returns the next blocks, as far as they are one slice; none if all are compressed.
    fn next(&self) -> &[[u8; 64]] {
        if self.filled().is_empty() { self.last() } else { self.filled() }
    }
}

/// Returns the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let message = Message::new(bytes);
    let mut state = SHA256_INITIAL;
    compress256(&mut state, message.filled());
    compress256(&mut state, message.last());
    bytes_of(state)
}

/// Returns the SHA-256 of each message.
pub(crate) fn sha256_of_many<M: AsRef<[u8]>>(messages: &[M]) -> Vec<[u8; 32]> {
    let mut hashes = vec![[0; 32]; messages.len()];
    let messages = messages.iter().map(|message| Message::new(message.as_ref()));
    let mut waiting = messages.enumerate();
    let mut lanes = Lanes::default();
    waiting.by_ref().take(SHA256_LANES).for_each(|message| lanes.add(message));
    while lanes.messages.len() >= LEAST && lanes.compress() {
        lanes.finish(&mut hashes, &mut waiting);
    }
    let mut rest =
        lanes.into_messages().chain(waiting.map(|(at, message)| (at, message, SHA256_INITIAL)));
    while let Some((at, message, mut state)) = rest.next() {
        let Some((other_at, other, other_state)) = rest.next() else {
            compress256(&mut state, message.filled());
            compress256(&mut state, message.last());
            hashes[at] = bytes_of(state);
            break;
        };
        let mut states = [state, other_state];
        both(&mut states, [message.filled(), other.filled()]);
        both(&mut states, [message.last(), other.last()]);
        [hashes[at], hashes[other_at]] = states.map(bytes_of);
    }
    hashes
}

/// Up to sixteen messages that are hashed at once, each with its index.
#[derive(Default)]
struct Lanes<'a> {
    messages: Vec<(usize, Message<'a>)>,
    /// Word `w` of the state of message `m` is `states[w][m]`.
    states: [[u32; SHA256_LANES]; 8],
}

impl<'a> Lanes<'a> {
    fn add(&mut self, message: (usize, Message<'a>)) {
        self.start(self.messages.len());
        self.messages.push(message);
    }

    /// Gives a lane the state before the first block.
    fn start(&mut self, lane: usize) {
        for (words, initial) in self.states.iter_mut().zip(SHA256_INITIAL) {
            words[lane] = initial;
        }
    }

    /// Compresses as many blocks of each message as all of them have. Returns false if the processor cannot.
    fn compress(&mut self) -> bool {
        let sizes = self.messages.iter().map(|(_, message)| message.next().len());
        let count = sizes.min().unwrap_or(0);
        // A lane without a message gets the first one. Its state is not used.
        let message = |lane| &self.messages.get(lane).unwrap_or(&self.messages[0]).1;
        let blocks = std::array::from_fn(|lane| &message(lane).next()[..count]);
        let is_done = sha256_compress_sixteen(&mut self.states, blocks);
        if is_done {
            self.messages.iter_mut().for_each(|(_, message)| message.done += count);
        }
        is_done
    }

    /// Stores the hashes of the messages that are compressed, and puts waiting messages in their lanes.
    fn finish(
        &mut self,
        hashes: &mut [[u8; 32]],
        waiting: &mut impl Iterator<Item = (usize, Message<'a>)>,
    ) {
        for lane in (0..self.messages.len()).rev() {
            if !self.messages[lane].1.next().is_empty() {
                continue;
            }
            hashes[self.messages[lane].0] = bytes_of(self.state(lane));
            if let Some(message) = waiting.next() {
                self.messages[lane] = message;
                self.start(lane);
            } else {
                self.messages.swap_remove(lane);
                let last = self.messages.len();
                self.states.iter_mut().for_each(|words| words[lane] = words[last]);
            }
        }
    }

    fn state(&self, lane: usize) -> [u32; 8] {
        std::array::from_fn(|word| self.states[word][lane])
    }

    /// Returns the messages with their indexes and states.
    fn into_messages(mut self) -> impl Iterator<Item = (usize, Message<'a>, [u32; 8])> {
        let messages = std::mem::take(&mut self.messages).into_iter().enumerate();
        messages.map(move |(lane, (at, message))| (at, message, self.state(lane)))
    }
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
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn expected(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn every_length_has_the_hash_of_another_implementation() {
        let bytes: Vec<u8> = (0..700_u32).map(|n| (n * 7 % 251) as u8).collect();
        for size in 0..bytes.len() {
            let message = &bytes[..size];
            assert_eq!(sha256(message), expected(message), "{size}");
            // As many as are hashed two at once, sixteen at once, and both.
            for count in [1, 2, 7, 8, 16, 19] {
                assert_eq!(sha256_of_many(&vec![message; count]), vec![expected(message); count]);
            }
            for other in [0, 55, 56, 64, 119, 200, 699].map(|other| &bytes[..other]) {
                let messages = [message, other];
                assert_eq!(sha256_of_many(&messages), messages.map(expected), "{size}");
            }
        }
    }

    proptest! {
        #[test]
        fn messages_of_any_sizes_have_the_hashes_of_another_implementation(
            messages in vec(vec(any::<u8>(), 0..300), 0..70),
        ) {
            let hashes: Vec<_> = messages.iter().map(|message| expected(message)).collect();
            prop_assert_eq!(sha256_of_many(&messages), hashes);
        }
    }
}
