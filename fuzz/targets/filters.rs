//! A filter file of any bytes is refused, or answers.
//!
//! Input: a byte that says whether the head and the checksums are repaired (the lowest bit), and the file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&flags, file)) = input.split_first() else { return };
    let mut file = file.to_vec();
    if flags & 1 != 0 {
        annals::fuzzing::repair_filter(&mut file);
    }
    annals::fuzzing::read_filter(&file);
});
