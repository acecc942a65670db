//! A segment file of any bytes is read without a panic, and what is read is indexed as it should be.
//!
//! Input: a byte of flags, what is to be repaired (`annals::fuzzing::REPAIR_…`), and the file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&flags, file)) = input.split_first() else { return };
    let mut file = file.to_vec();
    annals::fuzzing::repair_log(&mut file, flags);
    annals::fuzzing::read_log(&file);
});
