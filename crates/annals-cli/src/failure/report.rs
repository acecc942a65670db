//! Prints a failure on standard error.

use std::io::{self, Write as _};

use super::Failure;

impl Failure {
    /// Prints the failure, and what the user can do about it in indented lines below.
    pub(crate) fn report(&self) {
        let mut text = format!("annals: {}", self.message());
        for line in self.advice().iter().flat_map(|advice| advice.lines()) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        // An error is ignored: there is no other stream to report it on.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
