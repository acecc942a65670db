//! Keys: of a log, which signs checkpoints, and of a witness, which cosigns them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::str::FromStr;

use annals::RealFileSystem;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use super::note::{Note, SignatureLine, is_name};
use crate::apart::refuse_inside;
use crate::base64;
use crate::error::{CheckError, FormatError, ProofError};
use crate::hash::hex;
use crate::sha256::sha256;
use crate::sync_name::sync_name_if_possible;

/// The beginning of a key file.
const PREFIX: &str = "PRIVATE+KEY+";

/// The largest time of a cosignature, in seconds since 1970 UTC, by C2SP tlog-cosignature.
const MAX_TIME: u64 = i64::MAX as u64;

/// The largest size of a key file, in bytes. The largest key has about 400.
const MAX_BYTES: u64 = 4 << 10;

/// The use of a key: the checkpoints that it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// The checkpoints of its own log: type 0x01 of C2SP, an Ed25519 signature of the note.
    Log,
    /// The checkpoints of other logs, each with a time: type 0x04 of C2SP, `cosignature/v1`.
    Witness,
}

impl KeyKind {
    fn number(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A public key with its name, a "vkey": `name+id+key`. It verifies the signatures of the key.
///
/// ```
/// use annals_proof::{KeyKind, VerifierKey};
///
/// let vkey = "annals.example/alice+9d5a48b4+ARfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO";
/// let key: VerifierKey = vkey.parse()?;
/// assert_eq!((key.name(), key.kind()), ("annals.example/alice", KeyKind::Log));
/// assert_eq!(key.to_string(), vkey);
/// # Ok::<(), annals_proof::FormatError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Returns the key's name. That of a log key is the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the key's id: the beginning of a hash of the name, the kind and the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let bytes =
            [self.name.as_bytes(), &[b'\n', self.kind.number()], self.key.as_bytes()].concat();
        let [a, b, c, d, ..] = sha256(&bytes);
        [a, b, c, d]
    }

    /// Returns whether a signature line claims to be of this key.
    pub(crate) fn made(&self, line: &SignatureLine) -> bool {
        line.name == self.name && line.id == self.id()
    }

    /// Returns whether both have the same key, whatever their names and kinds are.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Checks the signature of a line over a text. Returns the time of a cosignature, in seconds since 1970 UTC.
    pub(crate) fn verify(
        &self,
        text: &str,
        line: &SignatureLine,
    ) -> Result<Option<u64>, CheckError> {
        let bad = || CheckError::BadSignature { name: self.name.clone() };
        let (time, signature) = match self.kind {
            KeyKind::Log => (None, &line.signature[..]),
            KeyKind::Witness => {
                let (time, signature) = line.signature.split_first_chunk::<8>().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                if time > MAX_TIME {
                    return Err(bad());
                }
                (Some(time), signature)
            }
        };
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| bad())?;
        let signed = signed_text(text, time);
        self.key.verify_strict(signed.as_bytes(), &signature).map_err(|_| bad())?;
        Ok(time)
    }
}

/// Returns what a signature covers: the text itself, or for a cosignature its time and the text.
fn signed_text(text: &str, time: Option<u64>) -> String {
    match time {
        None => text.to_owned(),
        Some(time) => format!("cosignature/v1\ntime {time}\n{text}"),
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.number()], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), base64::encode(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let invalid = |problem: &str| FormatError::new("vkey", format!("{problem} in {text:?}"));
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("expected NAME+ID+KEY"));
        };
        let bytes = base64::decode(key).ok_or_else(|| invalid("the key is not base64"))?;
        let (kind, key) = bytes.split_first().ok_or_else(|| invalid("no key"))?;
        let kind = match kind {
            1 => KeyKind::Log,
            4 => KeyKind::Witness,
            _ => return Err(invalid("a key of an unknown type")),
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let key = key.filter(|key| !key.is_weak()).ok_or_else(|| invalid("not an Ed25519 key"))?;
        if !is_name(name) {
            return Err(invalid("not a valid name"));
        }
        let vkey = Self { name: name.to_owned(), kind, key };
        if hex(&vkey.id()) != id {
            return Err(invalid("the id is not that of the key"));
        }
        Ok(vkey)
    }
}

/// The private key of a log or a witness, with its name. Keep it out of the store's directory and out of its backups.
///
/// ```
/// use annals_proof::LogKey;
///
/// let key = LogKey::generate("example.com/alice")?;
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("alice.key");
/// key.write_new(&path)?; // only its owner can read the file
/// assert_eq!(LogKey::read(&path)?.vkey(), key.vkey());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LogKey {
    name: String,
    key: SigningKey,
}

impl LogKey {
    /// Returns a new key with this name, the origin of the log: 1 to 255 bytes without white space and `+`, by
    /// convention a domain and a path without a scheme, such as `example.com/alice`.
    ///
    /// # Errors
    /// [`FormatError`] if the name is not valid. [`io::Error`] of the system's random numbers becomes one too.
    pub fn generate(name: &str) -> Result<Self, FormatError> {
        let mut seed = [0; 32];
        let filled = getrandom::fill(&mut seed);
        filled.map_err(|error| {
            FormatError::new("key", format!("the system has no random numbers: {error}"))
        })?;
        Self::from_seed(name, &seed)
    }

    /// Returns the key of this seed, 32 secret random bytes.
    ///
    /// # Errors
    /// [`FormatError`] if the name is not valid.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, FormatError> {
        if !is_name(name) {
            let problem = format!(
                "{name:?}; it must have 1 to 255 bytes, without white space, control characters and +"
            );
            return Err(FormatError::new("name of a key", problem));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`ProofError::Io`] and [`ProofError::KeyFile`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ProofError> {
        let path = path.as_ref();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        read.map_err(ProofError::io("read", path))?;
        text.parse().map_err(|problem| ProofError::KeyFile { path: path.to_owned(), problem })
    }

    /// Writes a new key file that only its owner can read. The file is durable when this returns, and so is its
    /// name, unless the file system or the rights of this user do not allow to sync the directory. An existing file is
    /// never replaced. After an error, no file is left.
    ///
    /// # Errors
    /// [`ProofError::Io`], with [`io::ErrorKind::AlreadyExists`] if something is at `path`;
    /// [`ProofError::Misplaced`] if `path` is in the directory of a store.
    pub fn write_new(&self, path: impl AsRef<Path>) -> Result<(), ProofError> {
        let path = path.as_ref();
        refuse_inside(path)?;
        let write = || -> io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path)?;
            let written = writeln!(file, "{}", self.line())
                .and_then(|()| file.sync_all())
                .and_then(|()| sync_name_if_possible(&RealFileSystem, path));
            if written.is_err() {
                // A file without the whole key would be in the way of the next attempt. If it cannot be removed, the
                // error of the write says more.
                let _ = std::fs::remove_file(path);
            }
            written
        };
        write().map_err(ProofError::io("write", path))
    }

    /// Returns the content of the key file, which is secret.
    fn line(&self) -> String {
        let key = [&[KeyKind::Log.number()], &self.key.as_bytes()[..]].concat();
        format!("{PREFIX}{}+{}+{}", self.name, hex(&self.vkey().id()), base64::encode(&key))
    }

    /// Returns the key's name, the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the public key with which others verify the log's checkpoints.
    #[must_use]
    pub fn vkey(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), kind: KeyKind::Log, key: self.key.verifying_key() }
    }

    /// Returns the public key with which others verify the cosignatures that this key makes as a witness.
    #[must_use]
    pub fn witness_vkey(&self) -> VerifierKey {
        VerifierKey { kind: KeyKind::Witness, ..self.vkey() }
    }

    /// Signs a text as the log.
    pub(crate) fn sign(&self, text: String) -> Note {
        let signature = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        let line = SignatureLine { name: self.name.clone(), id: self.vkey().id(), signature };
        Note { text, signatures: vec![line] }
    }

    /// Cosigns a text as a witness, at a time in seconds since 1970 UTC.
    pub(crate) fn cosign(&self, text: &str, time: u64) -> SignatureLine {
        let signature = self.key.sign(signed_text(text, Some(time)).as_bytes()).to_bytes();
        let signature = [&time.to_be_bytes()[..], &signature].concat();
        SignatureLine { name: self.name.clone(), id: self.witness_vkey().id(), signature }
    }
}

impl FromStr for LogKey {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        // No message repeats the text, which is secret.
        let invalid = |problem: &str| FormatError::new("key file", problem);
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line
            .strip_prefix(PREFIX)
            .ok_or_else(|| invalid("it does not begin with PRIVATE+KEY+"))?;
        let mut parts = line.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("expected PRIVATE+KEY+NAME+ID+KEY"));
        };
        let bytes = base64::decode(key).ok_or_else(|| invalid("the key is not base64"))?;
        let Some((&1, seed)) = bytes.split_first() else {
            return Err(invalid("the key is of an unknown type"));
        };
        let seed = seed.try_into().map_err(|_| invalid("the key does not have 32 bytes"))?;
        let key = Self::from_seed(name, seed)?;
        if hex(&key.vkey().id()) != id {
            return Err(invalid("the id is not that of the key"));
        }
        Ok(key)
    }
}

/// Never prints the private key.
impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.vkey())
    }
}
