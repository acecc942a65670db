//! What the demo tells. A claim is told only once it was found to be so.

use std::fmt::Display;

use crate::args::Format;
use crate::failure::Failure;
use crate::out::Out;

/// The story, as far as it is told.
pub(super) struct Story {
    out: Out,
    parts: u64,
    checked: u64,
}

impl Story {
    pub(super) fn new(format: Option<Format>) -> Self {
        Self { out: Out::new(format), parts: 0, checked: 0 }
    }

    /// Begins the next part.
    pub(super) fn part(&mut self, title: &str) -> Result<(), Failure> {
        self.parts += 1;
        let number = self.parts;
        self.say(format_args!("\n{number}. {title}\n"))
    }

    /// Tells a line, at once.
    pub(super) fn say(&mut self, line: impl Display) -> Result<(), Failure> {
        self.out.text(format_args!("{line}"))?;
        self.out.flush()
    }

    /// Tells a line of a part.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.say(format_args!("   {line}"))
    }

    /// Tells something that can be wrong; if it is, the demo has failed.
    pub(super) fn claim(&mut self, claim: impl Display, holds: bool) -> Result<(), Failure> {
        if !holds {
            return Err(Failure::NotSo { claim: claim.to_string() });
        }
        self.checked += 1;
        self.line(format_args!("✓ {claim}"))
    }

    /// How many claims were checked.
    pub(super) fn checked(&self) -> u64 {
        self.checked
    }
}
