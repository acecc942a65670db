//! Errors, warnings and notes on standard error, in one style.
//!
//! ```text
//!   annals: cannot open my.store            what is wrong
//!     check the path                        what would be right, one sentence per line
//!   annals: warning: …
//!   annals: note: created my.store          not with --quiet
//! ```

use std::io::{self, Write as _};

use super::settings::settings;
use super::style::Style;

/// Prints an error, and what would be right in indented lines below.
pub(crate) fn error<'a>(text: &str, advice: impl IntoIterator<Item = &'a str>) {
    let mut all = format!("{} {text}", Style::Error.paint("annals:", settings().colors_messages));
    for line in advice {
        all.push_str("\n  ");
        all.push_str(line);
    }
    print(&all);
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    let word = Style::Warning.paint("warning:", settings().colors_messages);
    print(&format!("annals: {word} {text}"));
}

/// Prints a note, unless the command is quiet.
pub(crate) fn note(text: &str) {
    if !settings().quiet {
        let word = Style::Note.paint("note:", settings().colors_messages);
        print(&format!("annals: {word} {text}"));
    }
}

fn print(text: &str) {
    // An error is ignored: no other stream exists to report it on.
    let _ = writeln!(io::stderr(), "{text}");
}
