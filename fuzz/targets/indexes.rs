//! A sealed segment with an index file of any bytes answers what it should, through the index or without it.
//!
//! Input: a byte that says which golden segment (the lowest bit) and whether the index's checksums are repaired (the
//! next), and the file.

#![no_main]

use libfuzzer_sys::fuzz_target;

const LOGS: [&[u8]; 2] = [
    include_bytes!("../../crates/annals/tests/golden/format-1/00000000000000000000.log"),
    include_bytes!("../../crates/annals/tests/golden/format-1/00000000000000000029.log"),
];

fuzz_target!(|input: &[u8]| {
    let Some((&flags, file)) = input.split_first() else { return };
    let (log, repaired) = (LOGS[usize::from(flags & 1)], flags & 2 != 0);
    let mut file = file.to_vec();
    if repaired {
        annals::fuzzing::repair_index(&mut file, log);
    }
    annals::fuzzing::read_index(log, &file, repaired);
});
