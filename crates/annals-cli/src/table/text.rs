//! Text in columns of a terminal: its width, and what of it fits.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Returns the number of terminal columns that a text takes.
pub(crate) fn text_width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(1)).sum()
}

/// Returns the text, cut with an ellipsis if it is wider than `width`. Characters that control the terminal are
/// replaced.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    let (mut taken, mut fits, mut is_plain) = (0, 0, true);
    for (at, character) in text.char_indices() {
        is_plain &= !is_control(character);
        taken += character.width().unwrap_or(1);
        if taken > width {
            return Cow::Owned(printable(&text[..fits]) + "…");
        }
        if taken < width {
            fits = at + character.len_utf8();
        }
    }
    if is_plain { Cow::Borrowed(text) } else { Cow::Owned(printable(text)) }
}

/// Returns the text in lines of at most `width` columns, broken between words. A longer word has a line of its own.
pub(crate) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(printable) {
        match lines.last_mut() {
            Some(line) if text_width(line) + 1 + text_width(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Returns the text without characters that control the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if is_control(character) { '\u{fffd}' } else { character })
        .collect()
}

/// Returns whether a character controls the terminal instead of being shown: control characters, and characters that
/// change the direction of writing.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(lines("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(lines("a-long-word b", 4), ["a-long-word", "b"]);
        assert_eq!(lines("世界 世", 4), ["世界", "世"]);
        assert!(lines("", 9).is_empty());
    }

    #[test]
    fn cutting_leaves_room_for_the_ellipsis() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "…");
    }
}
