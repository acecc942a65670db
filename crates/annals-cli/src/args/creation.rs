//! The options of every command that writes: whether the store may be created, and the wait for its lock.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// How the store is opened.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Creation {
    /// Whether the store is created if nothing exists at its path
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Create::Auto)]
    pub(crate) create: Create,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// How long a command waits for the right to write.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Waiting {
    /// Wait for another process to close the store, at most for this time [without a TIME: without a limit]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "forever")]
    #[arg(value_parser = wait)]
    pub(crate) wait: Option<Wait>,
}

impl Waiting {
    /// Creates the store if nothing exists at its path, and waits for its lock as long as this says.
    pub(crate) fn creating(self) -> Creation {
        Creation { create: Create::Auto, waiting: self }
    }
}

/// Whether a store is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Create {
    /// If nothing exists at its path; a note says so
    Auto,
    /// Never: a path without a store is an error
    Never,
}

/// The longest time to wait for the lock; `None`: without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Option<Duration>);

pub(crate) fn wait(text: &str) -> Result<Wait, String> {
    if text == "forever" {
        return Ok(Wait(None));
    }
    time(text).map(|time| Wait(Some(time)))
}

/// Parses a time with its unit.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a time with its unit, such as 500ms, 10s or 5min".to_owned())
}
