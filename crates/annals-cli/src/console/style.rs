//! Colours of text, as escape sequences of a terminal.

use std::borrow::Cow;

/// What a text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The word before an error.
    Error,
    /// The word before a warning.
    Warning,
    /// The word before a note.
    Note,
    /// Titles of columns, and dates.
    Heading,
    /// Offsets and times, which are seldom read.
    Dim,
    /// The type of an event.
    Type,
    /// Tags and ids.
    Tag,
    /// A bar.
    Bar,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Error => "\u{1b}[1;31m",
            Self::Warning => "\u{1b}[1;33m",
            Self::Note => "\u{1b}[1;36m",
            Self::Heading => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Type => "\u{1b}[36m",
            Self::Tag => "\u{1b}[32m",
            Self::Bar => "\u{1b}[34m",
        }
    }

    /// Returns the text in this style, or as it is if colours are off.
    pub(crate) fn paint(self, text: &str, is_on: bool) -> Cow<'_, str> {
        if !is_on || text.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(format!("{}{text}\u{1b}[0m", self.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_colours_stays_as_it_is() {
        assert_eq!(Style::Type.paint("a", false), "a");
        assert_eq!(Style::Type.paint("", true), "");
        assert_eq!(Style::Type.paint("a", true), "\u{1b}[36ma\u{1b}[0m");
    }
}
