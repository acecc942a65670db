//! What is found on opening.

use std::path::Path;

/// Changes a byte of the first place where `file` has `needle`.
pub(crate) fn flip(file: &Path, needle: &[u8]) -> bool {
    let mut bytes = std::fs::read(file).unwrap();
    let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) else {
        return false;
    };
    bytes[at] ^= 1;
    // Another file of the same name.
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
    true
}
