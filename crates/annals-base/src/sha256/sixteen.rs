//! SHA-256 of sixteen messages at once, with AVX-512: each register has one word of all messages.

/// The number of messages that [`sha256_compress_sixteen`] compresses at once.
pub const SHA256_LANES: usize = 16;

/// Compresses as many blocks of sixteen messages into their SHA-256 states, all at once. Word `w` of the state of
/// message `m` is `states[w][m]`. Returns false, and changes nothing, if the processor does not have AVX-512.
///
/// With AVX-512, a block takes less time than in [`sha256_compress_two`](crate::sha256_compress_two), if the caller has
/// at least eight messages.
///
/// # Panics
/// If the messages do not have the same number of blocks.
///
/// ```
/// // "abc", padded, and the initial state.
/// let mut block = [0; 64];
/// block[..4].copy_from_slice(b"abc\x80");
/// block[63] = 24;
/// let mut states = annals_base::SHA256_INITIAL.map(|word| [word; 16]);
/// if annals_base::sha256_compress_sixteen(&mut states, [&[block]; 16]) {
///     assert_eq!(states[0], [0xba7816bf; 16]);
/// }
/// ```
#[must_use]
pub fn sha256_compress_sixteen(
    states: &mut [[u32; SHA256_LANES]; 8],
    blocks: [&[[u8; 64]]; SHA256_LANES],
) -> bool {
    let count = blocks[0].len();
    assert!(blocks.iter().all(|blocks| blocks.len() == count), "the messages have other sizes");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
    {
        // SAFETY: the processor has the features that the function is compiled for.
        unsafe { x86::compress(states, blocks) };
        return true;
    }
    let _ = states;
    false
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::many_single_char_names, reason = "the registers have their names of FIPS 180-4")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm_set_epi64x, _mm512_add_epi32,
        _mm512_broadcast_i32x4, _mm512_castsi128_si512, _mm512_inserti32x4, _mm512_loadu_si512,
        _mm512_ror_epi32, _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_srli_epi32,
        _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
        _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    use super::super::ROUNDS;
    use super::SHA256_LANES;

    /// The results of the instruction with three operands: a ^ b ^ c, a ? b : c, and the majority.
    const XOR: i32 = 0x96;
    const CHOICE: i32 = 0xCA;
    const MAJORITY: i32 = 0xE8;

    /// One round. The next round has the same registers, each one name further.
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $round:expr, $word:expr) => {
            let added = add($word, _mm512_set1_epi32(ROUNDS[$round].cast_signed()));
            let choice = _mm512_ternarylogic_epi32::<CHOICE>($e, $f, $g);
            let first = add(add($h, added), add(choice, rotated::<6, 11, 25>($e)));
            let majority = _mm512_ternarylogic_epi32::<MAJORITY>($a, $b, $c);
            $d = add($d, first);
            $h = add(first, add(majority, rotated::<2, 13, 22>($a)));
        };
    }

    /// Eight rounds, after which each register has its first name again.
    macro_rules! eight_rounds {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $round:expr, $word:expr) => {
            round!($a $b $c $d $e $f $g $h, $round, $word($round));
            round!($h $a $b $c $d $e $f $g, $round + 1, $word($round + 1));
            round!($g $h $a $b $c $d $e $f, $round + 2, $word($round + 2));
            round!($f $g $h $a $b $c $d $e, $round + 3, $word($round + 3));
            round!($e $f $g $h $a $b $c $d, $round + 4, $word($round + 4));
            round!($d $e $f $g $h $a $b $c, $round + 5, $word($round + 5));
            round!($c $d $e $f $g $h $a $b, $round + 6, $word($round + 6));
            round!($b $c $d $e $f $g $h $a, $round + 7, $word($round + 7));
        };
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn compress(
        states: &mut [[u32; SHA256_LANES]; 8],
        blocks: [&[[u8; 64]]; SHA256_LANES],
    ) {
        for block in 0..blocks[0].len() {
            let mut words = words(&blocks, block);
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = read_all(states);
            for round in [0, 8] {
                eight_rounds!(a b c d e f g h, round, |round: usize| words[round]);
            }
            for round in (16..64).step_by(8) {
                eight_rounds!(a b c d e f g h, round, |round| next_word(&mut words, round));
            }
            for (state, word) in states.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                write(state, add(read(state), word));
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn read_all(states: &[[u32; SHA256_LANES]; 8]) -> [__m512i; 8] {
        let [a, b, c, d, e, f, g, h] = states;
        [read(a), read(b), read(c), read(d), read(e), read(f), read(g), read(h)]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn read(word: &[u32; SHA256_LANES]) -> __m512i {
        // SAFETY: the read is within the 64 bytes of `word`, and needs no alignment.
        unsafe { _mm512_loadu_si512(word.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn write(word: &mut [u32; SHA256_LANES], value: __m512i) {
        // SAFETY: the write is within the 64 bytes of `word`, and needs no alignment.
        unsafe { _mm512_storeu_si512(word.as_mut_ptr().cast(), value) };
    }

    /// Returns the word of the messages for a round after the first sixteen, from the sixteen words before it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn next_word(words: &mut [__m512i; 16], round: usize) -> __m512i {
        let at = |back: usize| words[(round - back) % 16];
        let (fifteenth, second) = (at(15), at(2));
        let first = shifted::<7, 18, 3>(fifteenth);
        let last = shifted::<17, 19, 10>(second);
        let next = add(add(at(16), first), add(at(7), last));
        words[round % 16] = next;
        next
    }

    /// Returns word `0` to `15` of a block of all messages, as big-endian numbers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn words(blocks: &[&[[u8; 64]]; SHA256_LANES], block: usize) -> [__m512i; 16] {
        let order = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
        let order = _mm512_broadcast_i32x4(order);
        let mut words = [_mm512_set1_epi32(0); 16];
        for (quarter, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let bytes = |message: usize| &blocks[message][block].as_chunks::<16>().0[quarter];
            // Four words of the messages `first`, first + 4, first + 8 and first + 12.
            let row = |first: usize| {
                let row = _mm512_castsi128_si512(load(bytes(first)));
                let row = _mm512_inserti32x4::<1>(row, load(bytes(first + 4)));
                let row = _mm512_inserti32x4::<2>(row, load(bytes(first + 8)));
                let row = _mm512_inserti32x4::<3>(row, load(bytes(first + 12)));
                _mm512_shuffle_epi8(row, order)
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low_2, high_2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            words[0] = _mm512_unpacklo_epi64(low, low_2);
            words[1] = _mm512_unpackhi_epi64(low, low_2);
            words[2] = _mm512_unpacklo_epi64(high, high_2);
            words[3] = _mm512_unpackhi_epi64(high, high_2);
        }
        words
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: the read is within the 16 bytes, and needs no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn add(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    /// Returns the word rotated to the right by each of three distances, combined.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn rotated<const A: i32, const B: i32, const C: i32>(word: __m512i) -> __m512i {
        let (a, b) = (_mm512_ror_epi32::<A>(word), _mm512_ror_epi32::<B>(word));
        _mm512_ternarylogic_epi32::<XOR>(a, b, _mm512_ror_epi32::<C>(word))
    }

    /// Returns the word rotated to the right by two distances and shifted by a third, combined.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn shifted<const A: i32, const B: i32, const C: u32>(word: __m512i) -> __m512i {
        let (a, b) = (_mm512_ror_epi32::<A>(word), _mm512_ror_epi32::<B>(word));
        _mm512_ternarylogic_epi32::<XOR>(a, b, _mm512_srli_epi32::<C>(word))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sha256_compress_two;
    use super::*;

    #[test]
    fn sixteen_messages_have_the_states_of_pairs() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for count in [0, 1, 2, 5] {
            let mut block = || [0; 64].map(|_: u8| next().to_le_bytes()[3]);
            let messages: [Vec<_>; 16] =
                std::array::from_fn(|_| (0..count).map(|_| block()).collect());
            let initial: [[u32; 16]; 8] =
                std::array::from_fn(|_| std::array::from_fn(|_| next().to_le_bytes()[0].into()));
            let mut states = initial;
            if !sha256_compress_sixteen(&mut states, messages.each_ref().map(|m| &m[..])) {
                return;
            }
            for first in (0..16).step_by(2) {
                let lanes = [first, first + 1];
                let mut pair = lanes.map(|lane| initial.map(|words| words[lane]));
                if sha256_compress_two(&mut pair, lanes.map(|lane| &messages[lane][..])) {
                    assert_eq!(pair, lanes.map(|lane| states.map(|words| words[lane])));
                }
            }
        }
    }
}
