//! SHA-256 of two messages at once, with the instructions that x86-64 processors have for it.
//!
//! Each round of SHA-256 waits for the one before it, so a processor that hashes one message is idle for half of the
//! time. The rounds of a second message fill the gaps.

/// Compresses as many blocks of two messages into their two SHA-256 states, both at once. Returns false, and changes
/// nothing, if the processor has no instructions for it.
///
/// # Panics
/// If the messages do not have the same number of blocks.
///
/// ```
/// // "abc", padded, and the initial state.
/// let mut block = [0; 64];
/// block[..4].copy_from_slice(b"abc\x80");
/// block[63] = 24;
/// let mut states = [annals_base::SHA256_INITIAL; 2];
/// if annals_base::sha256_compress_two(&mut states, [&[block], &[block]]) {
///     assert_eq!(states.map(|state| state[0]), [0xba7816bf; 2]);
/// }
/// ```
#[must_use]
pub fn sha256_compress_two(states: &mut [[u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) -> bool {
    assert_eq!(blocks[0].len(), blocks[1].len(), "two messages are compressed together");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sha")
        && std::arch::is_x86_feature_detected!("sse4.1")
        && std::arch::is_x86_feature_detected!("ssse3")
    {
        // SAFETY: the processor has the features that the function is compiled for.
        unsafe { x86::compress(states, blocks) };
        return true;
    }
    let _ = states;
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
        _mm_shuffle_epi32,
    };

    use super::super::ROUNDS;

    /// A message in work. The state is in the order that the instructions want: its words a, b, e, f and c, d, g, h.
    #[derive(Clone, Copy)]
    struct Lane {
        abef: __m128i,
        cdgh: __m128i,
        words: [__m128i; 4],
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn compress(states: &mut [[u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) {
        let mut lanes = [lane(&states[0]), lane(&states[1])];
        for (first, second) in blocks[0].iter().zip(blocks[1]) {
            let before = lanes;
            for (lane, block) in lanes.iter_mut().zip([first, second]) {
                lane.words = words(block);
            }
            for group in 0..4 {
                for lane in &mut lanes {
                    four_rounds(lane, group, lane.words[group]);
                }
            }
            for group in 4..16 {
                for lane in &mut lanes {
                    let next = next_words(&lane.words, group);
                    lane.words[group % 4] = next;
                    four_rounds(lane, group, next);
                }
            }
            for (lane, before) in lanes.iter_mut().zip(before) {
                lane.abef = _mm_add_epi32(lane.abef, before.abef);
                lane.cdgh = _mm_add_epi32(lane.cdgh, before.cdgh);
            }
        }
        for (state, lane) in states.iter_mut().zip(lanes) {
            *state = state_of(lane);
        }
    }

    /// Returns the words of the message for rounds 4 · group and on, from the sixteen before them.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn next_words(words: &[__m128i; 4], group: usize) -> __m128i {
        let at = |index: usize| words[(group + index) % 4];
        let sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(at(0), at(1)), _mm_alignr_epi8::<4>(at(3), at(2)));
        _mm_sha256msg2_epu32(sum, at(3))
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn four_rounds(lane: &mut Lane, group: usize, words: __m128i) {
        let added = _mm_add_epi32(words, four(&ROUNDS, 4 * group));
        lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, added);
        lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32::<0x0E>(added));
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn four(words: &[u32; 64], at: usize) -> __m128i {
        let word = |index: usize| words[at + index].cast_signed();
        _mm_set_epi32(word(3), word(2), word(1), word(0))
    }

    /// Returns a block as big-endian words.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn words(block: &[u8; 64]) -> [__m128i; 4] {
        let order = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
        let halves = block.as_chunks::<8>().0;
        let half = |index: usize| i64::from_le_bytes(halves[index]);
        [0, 2, 4, 6].map(|at| _mm_shuffle_epi8(_mm_set_epi64x(half(at + 1), half(at)), order))
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn lane(state: &[u32; 8]) -> Lane {
        let at = |index: usize| state[index].cast_signed();
        let words = [_mm_set_epi64x(0, 0); 4];
        Lane {
            abef: _mm_set_epi32(at(0), at(1), at(4), at(5)),
            cdgh: _mm_set_epi32(at(2), at(3), at(6), at(7)),
            words,
        }
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn state_of(lane: Lane) -> [u32; 8] {
        let Lane { abef, cdgh, .. } = lane;
        let words = [
            _mm_extract_epi32::<3>(abef),
            _mm_extract_epi32::<2>(abef),
            _mm_extract_epi32::<3>(cdgh),
            _mm_extract_epi32::<2>(cdgh),
            _mm_extract_epi32::<1>(abef),
            _mm_extract_epi32::<0>(abef),
            _mm_extract_epi32::<1>(cdgh),
            _mm_extract_epi32::<0>(cdgh),
        ];
        words.map(i32::cast_unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SHA256_INITIAL as INITIAL;
    use super::*;

    /// The blocks of a message, padded.
    fn padded(message: &[u8]) -> Vec<[u8; 64]> {
        let mut bytes = message.to_vec();
        bytes.push(0x80);
        bytes.resize((bytes.len() + 8).next_multiple_of(64) - 8, 0);
        bytes.extend_from_slice(&(8 * message.len() as u64).to_be_bytes());
        bytes.as_chunks::<64>().0.to_vec()
    }

    #[test]
    fn two_messages_have_the_hashes_of_the_standard() {
        // FIPS 180-4's examples of one and of two blocks, and of the same number of blocks beside them.
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let (first, second) = (padded(long), padded(&[b'a'; 64]));
        let mut states = [INITIAL; 2];
        if !sha256_compress_two(&mut states, [&first, &second]) {
            return;
        }
        let [long, many] = states;
        assert_eq!(long[..2], [0x248d_6a61, 0xd206_38b8]);
        assert_eq!(long[6..], [0xf6ec_edd4, 0x19db_06c1]);
        assert_eq!(many[..2], [0xffe0_54fe, 0x7ae0_cb6d]);
        let (abc, empty) = (padded(b"abc"), padded(b""));
        let mut states = [INITIAL; 2];
        assert!(sha256_compress_two(&mut states, [&abc, &empty]));
        assert_eq!(states[0][0], 0xba78_16bf);
        assert_eq!(states[0][7], 0xf200_15ad);
        assert_eq!((states[1][0], states[1][7]), (0xe3b0_c442, 0x7852_b855));
        let mut states = [INITIAL; 2];
        assert!(sha256_compress_two(&mut states, [&[], &[]]));
        assert_eq!(states, [INITIAL; 2]);
    }
}
