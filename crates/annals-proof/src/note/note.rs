//! Signed notes (C2SP signed-note): a text, an empty line, and signature lines.

use std::fmt;

use crate::base64;
use crate::error::FormatError;

/// The largest size of a note, in bytes.
pub(crate) const MAX_BYTES: usize = 64 << 10;

/// The largest number of signature lines.
const MAX_LINES: usize = 100;

/// The beginning of a signature line: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureLine {
    pub(crate) name: String,
    pub(crate) id: [u8; 4],
    pub(crate) signature: Vec<u8>,
}

/// A text with signature lines. The signatures are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// The text; its last line ends with a line feed too.
    pub(crate) text: String,
    pub(crate) signatures: Vec<SignatureLine>,
}

impl Note {
    pub(crate) fn parse(note: &str) -> Result<Self, FormatError> {
        let invalid = |problem: &str| FormatError::new("signed note", problem);
        if note.len() > MAX_BYTES {
            return Err(invalid("it has more than 64 KiB"));
        }
        if note.chars().any(|character| character < ' ' && character != '\n') {
            return Err(invalid("it has a control character"));
        }
        let end = note
            .rfind("\n\n")
            .ok_or_else(|| invalid("it has no empty line before the signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines =
            lines.strip_suffix('\n').ok_or_else(|| invalid("its last line is not complete"))?;
        let signatures: Vec<_> =
            lines.split('\n').map(SignatureLine::parse).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_LINES {
            return Err(invalid("it has more than 100 signature lines"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Adds a signature line. A note with more lines than are read is not written.
    pub(crate) fn add(&mut self, line: SignatureLine) -> Result<(), FormatError> {
        if self.signatures.len() >= MAX_LINES {
            let problem = "it has 100 signature lines, and room for no other";
            return Err(FormatError::new("signed note", problem));
        }
        self.signatures.push(line);
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

impl SignatureLine {
    /// Parses a line without its line feed.
    pub(crate) fn parse(line: &str) -> Result<Self, FormatError> {
        let parts = line.strip_prefix(DASH).and_then(|line| line.split_once(' '));
        let parsed = parts.and_then(|(name, signature)| {
            let bytes = base64::decode(signature)?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            let is_whole = is_name(name) && !signature.is_empty();
            is_whole.then(|| Self {
                name: name.to_owned(),
                id: *id,
                signature: signature.to_owned(),
            })
        });
        parsed.ok_or_else(|| FormatError::new("signature line", format!("{line:?}")))
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.signature].concat();
        writeln!(f, "{DASH}{} {}", self.name, base64::encode(&bytes))
    }
}

/// Returns whether a key may have this name, and a log this origin.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed =
        |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
    (1..=255).contains(&name.len())
        && name.chars().all(allowed)
        && !matches!(name, "cosignature/v1" | "subtree/v1")
}
