//! Any entries are valid commits that read back, or void.
//!
//! Input: a byte of flags, whose lowest bit says that the checksums of entries are repaired, and the entries, each with
//! its size in 2 bytes before it.

#![no_main]

use annals_replicated::{Chain, Entry, Slot, Step};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&flags, mut rest)) = input.split_first() else { return };
    let mut chain = Chain::new(None);
    let mut slot = Slot(0);
    while let Some((size, more)) = rest.split_first_chunk() {
        let (entry, more) = more.split_at(usize::from(u16::from_le_bytes(*size)).min(more.len()));
        rest = more;
        let mut entry = entry.to_vec();
        if flags & 1 == 1 && entry.len() >= 12 {
            let covered = [&entry[..8], &entry[12..]].concat();
            let checksum = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, &covered);
            entry[8..12].copy_from_slice(&checksum.to_le_bytes()[..4]);
        }
        slot = slot.next();
        let before = chain.tip().copied();
        match chain.push(slot, &Bytes::from(entry)) {
            Step::Valid(commit) => {
                let tip = chain.tip().expect("a tip");
                assert_eq!(tip.hash, commit.hash());
                assert!(before.is_none_or(|before| before.after(&commit) == Ok(*tip)));
                assert!(
                    before.is_none_or(
                        |before| before.head <= tip.head && before.time_ms <= tip.time_ms
                    )
                );
                let again: Vec<Entry> = commit
                    .entries(2_048)
                    .iter()
                    .map(|entry| Entry::decode(entry).expect("whole"))
                    .collect();
                assert_eq!(annals_replicated::Commit::from_parts(&again), Ok(commit));
            }
            Step::Part | Step::Void(_) => assert_eq!(chain.tip().copied(), before),
            Step::Newer(_) => return,
        }
    }
});
