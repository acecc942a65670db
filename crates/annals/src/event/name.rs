//! Names: event types, tags and ids, their limits and their hashes.

use std::hash::Hasher as _;

use super::limits::MAX_NAME_BYTES;
use crate::event::error::InvalidEvent;

/// A name and its hash.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// The event type, tag or id.
    pub text: &'a str,
    pub(crate) hash: u64,
}

/// The keyed hash function of names: SipHash-1-3. An attacker who can choose names but does not know the key cannot
/// make their hashes collide. The module [`backend`](crate::backend) has an example.
#[derive(Debug, Clone, Copy)]
pub struct Hasher(siphasher::sip::SipHasher13);

impl Hasher {
    /// Returns the hash function with this key. A store uses its id as the key, so each store hashes differently.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self(siphasher::sip::SipHasher13::new_with_key(key))
    }

    pub(crate) fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write(name);
        hasher.finish()
    }

    /// Returns `text` as a name with its hash.
    #[must_use]
    pub fn name<'a>(&self, text: &'a str) -> Name<'a> {
        Name { text, hash: self.hash(text.as_bytes()) }
    }
}

/// Returns an error if `name` is empty, too long, or has control characters.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), InvalidEvent> {
    if name.is_empty() {
        return Err(InvalidEvent::EmptyName { what });
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(InvalidEvent::NameTooLong {
            what,
            start: name.chars().take(24).collect(),
            bytes: name.len(),
        });
    }
    // Control characters are those below U+0020, DEL, and U+0080 to U+009F, which begin with 0xC2 in UTF-8.
    let suspect = |byte: u8| byte < 0x20 || byte == 0x7f || byte == 0xc2;
    // The fold has no early exit, so it compiles to SIMD: faster for names of tens of bytes.
    let plain = !name.bytes().fold(false, |any, byte| any | suspect(byte));
    match name.char_indices().find(|(_, character)| !plain && character.is_control()) {
        Some((at, character)) => {
            Err(InvalidEvent::ControlCharacter { what, name: name.to_owned(), character, at })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_limits_are_refused() {
        assert!(matches!(check_name("tag", ""), Err(InvalidEvent::EmptyName { what: "tag" })));
        assert!(check_name("tag", &"x".repeat(255)).is_ok());
        assert!(matches!(
            check_name("tag", &"x".repeat(256)),
            Err(InvalidEvent::NameTooLong { bytes: 256, .. })
        ));
        for bad in ["a\0", "a\n", "a\u{7f}", "a\u{85}"] {
            assert!(
                matches!(check_name("tag", bad), Err(InvalidEvent::ControlCharacter { at: 1, .. })),
                "{bad:?}"
            );
        }
        assert!(check_name("tag", "Ä ©").is_ok());
    }
}
