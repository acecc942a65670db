//! Prints commands to try next, with the demo's paths, and called in the same way as the demo.

use std::ffi::OsStr;
use std::path::Path;

use super::cast::{Role, channel_id};
use super::story::Story;
use crate::failure::Failure;

/// Commands longer than this number of characters are broken into two lines, if the shell allows it.
const WIDTH: usize = 100;

/// Runs part 9.
pub(super) fn commands(
    story: &mut Story,
    directory: &Path,
    challenged: u64,
    evidence: &str,
) -> Result<(), Failure> {
    story.part("Try next")?;
    let annals = annals();
    let [alice, bob] = [Role::Alice, Role::Bob].map(|role| quoted(directory.join(role.name())));
    let (channel, evidence) = (channel_id()?, quoted(directory.join(evidence)));
    let [alices, bobs] = [Role::Alice.address()?, Role::Bob.address()?];
    for (what, command, filter) in [
        (
            "The channel after the challenge; omit --at for the current state:",
            format!("state {alice} --at {challenged}"),
            format!("--channel {channel}"),
        ),
        ("The same channel in Bob's log:", format!("state {bob}"), format!("--channel {channel}")),
        (
            "The last events, newest first:",
            format!("read {alice} --reverse --limit 8"),
            format!("--tag channel:{channel}"),
        ),
        (
            "The evidence: everything that Bob signed, in the order received:",
            format!("read {alice} --type state-received"),
            String::new(),
        ),
        (
            "The file that convicts Bob; it needs neither log, only the accounts of the two:",
            format!("check {evidence}"),
            format!("--address {alices} --address {bobs}"),
        ),
        ("Follow Bob's log, until Ctrl-C:", format!("tail {bob}"), String::new()),
        (
            "The size of the log, and a check of every byte:",
            format!("stats {alice}"),
            String::new(),
        ),
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

/// Returns the command that runs this program.
fn annals() -> String {
    // Cargo sets this variable for programs that it runs.
    if std::env::var_os("CARGO").is_some() {
        let release = if cfg!(debug_assertions) { "" } else { "--release " };
        return format!("cargo run {release}-q --");
    }
    std::env::args_os().next().map_or_else(|| "annals".to_owned(), quoted)
}

/// Returns a word, quoted for a shell if necessary.
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
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("annals-demo/alice"), "annals-demo/alice");
        assert_eq!(quoted("/tmp/my demo"), "'/tmp/my demo'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(r"a\b"), r"'a\b'");
        assert_eq!(quoted(""), "''");
    }
}
