//! Writes a table of names, a section of an index file.

use crate::event::name::Hasher;
use crate::index::names::Names;
use crate::util::little_endian::u32_at;
use crate::util::local_offset::local_size;

/// The number of bytes of an entry, which each name has.
pub(super) const ENTRY: usize = 16;

/// Returns the part of a name's hash that its entry has.
pub(super) fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Appends the table of these names to an index file.
pub(super) fn encode_table(out: &mut Vec<u8>, names: &Names, hasher: &Hasher) {
    let base = out.len();
    let count = names.len();
    // The same number as `slots`, which `check_size` uses.
    let slot_count = (count * 2).next_power_of_two();
    let (slots, entries) = (base + 8, base + 8 + slot_count * 4);
    out.extend_from_slice(&local_size(count).to_le_bytes());
    out.extend_from_slice(&local_size(slot_count).to_le_bytes());
    out.resize(entries + count * ENTRY, 0);
    for (entry, (name, _)) in names.iter().enumerate() {
        let hash = hasher.hash(name.as_bytes());
        let at = entries + entry * ENTRY;
        let start = local_size(out.len() - base);
        out[at..at + 4].copy_from_slice(&upper(hash).to_le_bytes());
        out[at + 4..at + 8].copy_from_slice(&start.to_le_bytes());
        out.push(name_size(name));
        out.extend_from_slice(name.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
        let mut slot = hash as usize & (slot_count - 1);
        while u32_at(out, slots + slot * 4) != 0 {
            slot = (slot + 1) & (slot_count - 1);
        }
        out[slots + slot * 4..slots + slot * 4 + 4]
            .copy_from_slice(&local_size(entry + 1).to_le_bytes());
    }
    out.resize(base + (out.len() - base).next_multiple_of(4), 0);
    for (entry, (_, mut posting)) in names.iter().enumerate() {
        let at = entries + entry * ENTRY;
        let start = local_size(out.len() - base);
        out[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        out[at + 12..at + 16].copy_from_slice(&posting.len().to_le_bytes());
        (0..posting.len()).for_each(|at| out.extend_from_slice(&posting.get(at).to_le_bytes()));
    }
}

/// Returns the byte in front of a name. Names have at most 255 bytes.
fn name_size(name: &str) -> u8 {
    u8::try_from(name.len()).unwrap_or_else(|_| panic!("a name of {} bytes", name.len()))
}
