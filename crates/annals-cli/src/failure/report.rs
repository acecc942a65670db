//! Prints a failure on standard error.

use super::Failure;
use crate::console::say;

impl Failure {
    /// Prints the failure, and what the user can do about it in indented lines below.
    pub(crate) fn report(&self) {
        let advice = self.advice().unwrap_or_default();
        say::error(&self.message(), advice.lines());
    }
}
