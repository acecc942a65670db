//! Commands that go on from here: with the paths as they are, and in the form in which the demo was started.

use std::ffi::OsStr;
use std::path::Path;

use super::cast::{Role, channel_id};
use super::story::Story;
use crate::failure::Failure;

/// Lines longer than this are broken, where a shell lets them be.
const WIDTH: usize = 100;

/// Part 8.
pub(super) fn commands(
    story: &mut Story,
    directory: &Path,
    challenged: u64,
) -> Result<(), Failure> {
    story.part("Try next")?;
    let annals = annals();
    let [alice, bob] = [Role::Alice, Role::Bob].map(|role| quoted(directory.join(role.name())));
    let channel = channel_id()?;
    for (what, command, filter) in [
        (
            "The channel when it was challenged; without --at, as it is:",
            format!("state {alice} --at {challenged}"),
            format!("--channel {channel}"),
        ),
        (
            "The same channel, as Bob's log has it:",
            format!("state {bob}"),
            format!("--channel {channel}"),
        ),
        (
            "What happened last, the newest first:",
            format!("read {alice} --reverse --limit 8"),
            format!("--tag channel:{channel}"),
        ),
        (
            "The evidence: all that Bob signed, as it came:",
            format!("read {alice} --type state-received"),
            String::new(),
        ),
        ("Follow Bob's log, until Ctrl-C:", format!("tail {bob}"), String::new()),
        ("How much there is, and whether it is whole:", format!("stats {alice}"), String::new()),
        ("", format!("verify {alice}"), String::new()),
    ] {
        if !what.is_empty() {
            story.line(what)?;
        }
        let (start, whole) =
            (format!("{annals} {command}"), format!("{annals} {command} {filter}"));
        if filter.is_empty() {
            story.line(format_args!("  {start}"))?;
        } else if cfg!(unix) && whole.len() > WIDTH - 5 {
            story.line(format_args!("  {start} \\\n       {filter}"))?;
        } else {
            story.line(format_args!("  {whole}"))?;
        }
    }
    Ok(())
}

/// How this program is called.
fn annals() -> String {
    // Cargo says so to what it runs.
    if std::env::var_os("CARGO").is_some() {
        let release = if cfg!(debug_assertions) { "" } else { "--release " };
        return format!("cargo run {release}-q --");
    }
    std::env::args_os().next().map_or_else(|| "annals".to_owned(), quoted)
}

/// A word as a shell takes it.
fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let plain = |letter: char| letter.is_alphanumeric() || "/\\._-:+,@%=".contains(letter);
    let needs_none = word.chars().all(|letter| plain(letter) && (letter != '\\' || cfg!(windows)));
    if needs_none && !word.is_empty() {
        word.into_owned()
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_the_words_as_they_are() {
        assert_eq!(quoted("annals-demo/alice"), "annals-demo/alice");
        assert_eq!(quoted("/tmp/my demo"), "'/tmp/my demo'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(r"a\b"), r"'a\b'");
        assert_eq!(quoted(""), "''");
    }
}
