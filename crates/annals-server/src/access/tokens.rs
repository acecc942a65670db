//! The token file: who may do what.
//!
//! ```text
//!   # name   SHA-256 of the token, or of a client's certificate (DER)           rights
//!   billing  9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  read,append
//! ```
//! The file has no secrets: a token of many random bytes cannot be found from its hash.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::rights::Rights;

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// The tokens of a server.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    hash: Hash,
    rights: Rights,
}

/// Returns the hash of a token or of a certificate.
pub(crate) fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

impl Tokens {
    /// Parses a token file.
    ///
    /// # Errors
    /// The number of the first wrong line, and what is wrong with it. The message does not contain the line.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut entries: Vec<Entry> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            let entry = entry(&words).map_err(|problem| (number, problem))?;
            if entries.iter().any(|other| other.hash == entry.hash) {
                return Err((number, "an earlier line has the same hash".into()));
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            return Err((1, "the file has no tokens".into()));
        }
        Ok(Self(entries))
    }

    /// Returns the name and the rights of a hash. Takes the same time whichever entry has it, and if none has.
    pub(crate) fn find(&self, hash: &Hash) -> Option<(Arc<str>, Rights)> {
        let mut found = None;
        for entry in &self.0 {
            if bool::from(entry.hash.ct_eq(hash)) {
                found = Some(entry);
            }
        }
        found.map(|entry| (Arc::clone(&entry.name), entry.rights))
    }
}

fn entry(words: &[&str]) -> Result<Entry, String> {
    let [name, hash, rights] = words else {
        return Err(format!(
            "expected 3 words, a name, a SHA-256 and rights, but there are {}",
            words.len()
        ));
    };
    let hash = parse_hash(hash)
        .ok_or("the second word must be a SHA-256: 64 hexadecimal digits, as `sha256sum` prints")?;
    Ok(Entry { name: (*name).into(), hash, rights: Rights::parse(rights)? })
}

fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn line(name: &str, secret: &str, rights: &str) -> String {
        let mut hex = String::new();
        for byte in hash(secret.as_bytes()) {
            write!(hex, "{byte:02x}").unwrap();
        }
        format!("{name} {hex} {rights}\n")
    }

    #[test]
    fn a_token_has_the_rights_of_its_line() {
        let text = format!(
            "# tokens\n\n{}{}",
            line("billing", "one", "read,append"),
            line("admin", "two", "admin")
        );
        let tokens = Tokens::parse(&text).unwrap();
        let (name, rights) = tokens.find(&hash(b"one")).unwrap();
        assert_eq!((&*name, rights.names().as_str()), ("billing", "read, append"));
        assert!(rights.contain(Rights::READ) && !rights.contain(Rights::ADMIN));
        assert!(tokens.find(&hash(b"three")).is_none());
    }

    #[test]
    fn a_wrong_line_is_named_and_not_quoted() {
        let good = line("a", "x", "read");
        for (text, at, words) in [
            (String::new(), 1, "no tokens"),
            (format!("{good}b secret read"), 2, "SHA-256"),
            (format!("{good}b"), 2, "3 words"),
            (format!("{good}{}", line("b", "y", "write")), 2, "not a right"),
            (format!("{good}{}", line("b", "x", "read")), 2, "same hash"),
            (format!("b {} read", "zé".repeat(21)), 1, "SHA-256"),
        ] {
            let (number, problem) = Tokens::parse(&text).unwrap_err();
            assert!(number == at && problem.contains(words), "{number}: {problem}");
            assert!(!problem.contains("secret"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic(text in "\\PC{0,200}") {
            let _ = Tokens::parse(&text);
        }
    }
}
