//! JSON as HTML that folds. It is written token by token, without recursion, so that its depth and its size are no
//! matter; and every value is shown as it was appended, so no number is rounded.

use maud::{Markup, PreEscaped};

use super::text::{beginning, push_text};

/// The deepest container that folds. Deeper ones are on one line.
const MAX_DEPTH: usize = 24;
/// The containers up to this depth are open at first.
const OPEN_DEPTH: usize = 3;
/// The largest number of tokens shown.
const MAX_TOKENS: usize = 20_000;
/// The largest HTML, in bytes.
const MAX_HTML: usize = 1 << 20;
/// The longest string shown, in bytes.
const MAX_STRING: usize = 4_096;

/// Returns valid JSON as HTML, and whether all of it is there.
pub(super) fn json(text: &str) -> (Markup, bool) {
    let mut view = View { out: String::new(), open: Vec::new() };
    let mut tokens = Tokens { text, at: 0 };
    let mut all = true;
    let mut count = 0;
    while let Some(token) = tokens.next_token() {
        count += 1;
        if count > MAX_TOKENS || view.out.len() > MAX_HTML {
            all = false;
            break;
        }
        view.add(token, &tokens);
    }
    while view.open.pop().is_some_and(|container| container.close(&mut view.out)) {}
    (PreEscaped(view.out), all)
}

/// A container that is not closed yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    /// It folds.
    Fold,
    /// It is on one line.
    Line,
}

impl Container {
    /// Closes the elements of the container that are open.
    fn close(self, out: &mut String) -> bool {
        if self == Self::Fold {
            out.push_str("</div></div></details>");
        }
        true
    }
}

struct View {
    out: String,
    open: Vec<Container>,
}

impl View {
    fn add(&mut self, token: &str, tokens: &Tokens<'_>) {
        match token {
            "{" | "[" => self.begin(token, tokens),
            "}" | "]" => {
                match self.open.pop() {
                    Some(Container::Fold) => {
                        // The details hold the closing bracket too: folded, only the summary is left.
                        self.out.push_str("</div></div><span class=\"end\">");
                        self.out.push_str(token);
                        self.out.push_str("</span></details>");
                    }
                    _ => self.out.push_str(token),
                }
            }
            "," => {
                // A comma behind a container that folds would be on a line of its own.
                let end = "</details>";
                if self.out.ends_with(end) {
                    self.out.insert(self.out.len() - end.len(), ',');
                } else {
                    self.out.push(',');
                }
                if self.open.last() == Some(&Container::Fold) {
                    self.out.push_str("</div><div class=\"m\">");
                } else {
                    self.out.push(' ');
                }
            }
            ":" => self.out.push_str(": "),
            token if token.starts_with('"') => {
                let class = if tokens.peek() == Some(b':') { "k" } else { "s" };
                let (shown, all) = beginning(token, MAX_STRING);
                self.span(class, shown);
                if !all {
                    let more = format!("… {} bytes more", token.len() - shown.len());
                    self.span("dim", &more);
                }
            }
            "true" | "false" | "null" => self.span("l", token),
            number => self.span("n", beginning(number, MAX_STRING).0),
        }
    }

    fn begin(&mut self, token: &str, tokens: &Tokens<'_>) {
        let is_empty = matches!(tokens.peek(), Some(b'}' | b']'));
        if is_empty || self.open.len() >= MAX_DEPTH {
            self.open.push(Container::Line);
            self.out.push_str(token);
            return;
        }
        let attribute = if self.open.len() < OPEN_DEPTH { " open" } else { "" };
        self.open.push(Container::Fold);
        self.out.push_str("<details");
        self.out.push_str(attribute);
        self.out.push_str("><summary>");
        self.out.push_str(token);
        self.out.push_str("</summary><div class=\"in\"><div class=\"m\">");
    }

    fn span(&mut self, class: &str, text: &str) {
        self.out.push_str("<span class=\"");
        self.out.push_str(class);
        self.out.push_str("\">");
        push_text(text, false, &mut self.out);
        self.out.push_str("</span>");
    }
}

/// The tokens of JSON that is known to be valid.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    /// Returns the first byte of the next token.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes()[self.at..].iter().copied().find(|byte| !byte.is_ascii_whitespace())
    }

    fn next_token(&mut self) -> Option<&'t str> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let end = match *bytes.get(start)? {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => start + 1,
            b'"' => end_of_string(bytes, start),
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:{}[]\"".contains(byte);
                bytes[start..].iter().position(ends).map_or(bytes.len(), |length| start + length)
            }
        };
        self.at = end;
        // All these ends are ASCII or the end of the text.
        self.text.get(start..end)
    }
}

/// Returns the offset behind a string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        json(text).0.into_string()
    }

    /// Returns whether each `<tag` has its end.
    fn is_balanced(html: &str) -> bool {
        ["details", "div", "span", "summary"].iter().all(|tag| {
            html.matches(&format!("<{tag}")).count() == html.matches(&format!("</{tag}>")).count()
        })
    }

    #[test]
    fn values_are_shown_as_they_were_appended() {
        let html = shown(r#" {"a" : [1.00, 12345678901234567890], "b":{},"c":"<b>\"\u202e"} "#);
        for part in [
            "<span class=\"k\">&quot;a&quot;</span>: ",
            "<span class=\"n\">1.00</span>",
            "12345678901234567890",
            "{}",
            r"&quot;&lt;b&gt;\&quot;\u202e&quot;",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(is_balanced(&html), "{html}");
        assert_eq!(shown("null"), "<span class=\"l\">null</span>");
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let html = shown(&deep);
        assert!(is_balanced(&html) && html.matches("<details").count() == MAX_DEPTH, "{html}");
        let many = format!("[{}1]", "[1],".repeat(100_000));
        let (html, all) = json(&many);
        assert!(!all && is_balanced(&html.0) && html.0.len() < 2 * MAX_HTML);
        let long = format!("[\"{}\"]", "ä".repeat(100_000));
        let html = shown(&long);
        assert!(html.len() < 10_000 && html.contains("bytes more"), "{html}");
    }
}
