//! The settings of the whole process: how much is said on standard error, and which streams get colours.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use clap::ValueEnum;

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// When text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Always, also in files and pipes
    Always,
    /// Never
    Never,
}

/// What the options for the whole process say.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Settings {
    /// No notes and no progress.
    pub(crate) quiet: bool,
    /// The library's messages about what it does.
    pub(crate) verbose: bool,
    /// Whether results are coloured.
    pub(crate) colors_results: bool,
    /// Whether messages on standard error are coloured.
    pub(crate) colors_messages: bool,
}

impl Settings {
    /// Returns the settings for these options and the process's environment.
    pub(crate) fn of(color: Color, quiet: bool, verbose: bool) -> Self {
        Self {
            quiet,
            verbose,
            colors_results: is_on(color, io::stdout().is_terminal()),
            colors_messages: is_on(color, io::stderr().is_terminal()),
        }
    }

    /// Makes these the settings of the process. Later calls have no effect.
    pub(crate) fn install(self) {
        let _ = SETTINGS.set(self);
    }
}

/// Returns the settings of the process.
pub(crate) fn settings() -> Settings {
    SETTINGS.get().copied().unwrap_or_default()
}

/// Returns whether text on a stream is coloured.
pub(crate) fn is_on(color: Color, is_terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            is_terminal
                && !is_colorless(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref())
        }
    }
}

/// Returns whether the environment asks for text without colours (no-color.org).
fn is_colorless(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_some_and(|value| !value.is_empty()) || term == Some(OsStr::new("dumb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_can_ask_for_no_colours() {
        let asks = |no_color: Option<&str>, term: Option<&str>| {
            is_colorless(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(asks(Some("1"), None) && asks(Some("1"), Some("xterm")));
        assert!(asks(None, Some("dumb")));
        assert!(!asks(None, None) && !asks(Some(""), Some("xterm")));
    }
}
