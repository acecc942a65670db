//! Prints the demo's text. A claim is printed only after it was checked.

use std::fmt::Display;

use crate::args::Format;
use crate::failure::Failure;
use crate::out::Out;

/// The demo's output, with counts of its parts and claims.
pub(super) struct Story {
    out: Out,
    parts: u64,
    checked: u64,
}

impl Story {
    pub(super) fn new(format: Option<Format>) -> Self {
        Self { out: Out::new(format), parts: 0, checked: 0 }
    }

    /// Prints the title of the next part.
    pub(super) fn part(&mut self, title: &str) -> Result<(), Failure> {
        self.parts += 1;
        let number = self.parts;
        self.say(format_args!("\n{number}. {title}\n"))
    }

    /// Prints a line, and flushes it.
    pub(super) fn say(&mut self, line: impl Display) -> Result<(), Failure> {
        self.out.text(format_args!("{line}"))?;
        self.out.flush()
    }

    /// Prints a line of a part, indented.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.say(format_args!("   {line}"))
    }

    /// Prints a claim if it is true; otherwise the demo fails.
    pub(super) fn claim(&mut self, claim: impl Display, is_true: bool) -> Result<(), Failure> {
        if !is_true {
            return Err(Failure::FalseClaim { claim: claim.to_string() });
        }
        self.checked += 1;
        self.line(format_args!("✓ {claim}"))
    }

    /// Returns the number of claims that were checked.
    pub(super) fn checked(&self) -> u64 {
        self.checked
    }
}
