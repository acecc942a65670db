//! Detects a forked process. A fork has copies of the store's handles, but no right to write, and none of the threads
//! that the handles wait for.

use annals_base::process_id;

use crate::error::AppendError;

/// The process that opened a store.
///
/// ```
/// use annals::backend::Opener;
///
/// let opener = Opener::this_process();
/// assert!(opener.is_here() && opener.check().is_ok()); // in a forked process, `check` fails
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opener(u32);

impl Opener {
    /// Returns the calling process.
    #[must_use]
    pub fn this_process() -> Self {
        Self(process_id())
    }

    /// Returns whether the calling process is the one that opened the store.
    #[must_use]
    pub fn is_here(self) -> bool {
        self.0 == process_id()
    }

    /// Checks that the calling process is the one that opened the store.
    ///
    /// # Errors
    /// [`AppendError::Forked`] in any other process.
    pub fn check(self) -> Result<(), AppendError> {
        if self.is_here() { Ok(()) } else { Err(AppendError::Forked { opened_by: self.0 }) }
    }
}
