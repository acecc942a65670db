//! The process that opened a store. One that was forked from it has copies of the store's handles, but not the right to
//! write, and none of the threads that others may wait for.

use annals_base::process_id;

use crate::error::AppendError;

/// The process that opened a store for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opener(u32);

impl Opener {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        Self(process_id())
    }

    /// Whether the calling process is the one that opened the store.
    #[must_use]
    pub fn is_here(self) -> bool {
        self.0 == process_id()
    }

    /// Refuses an append in any other process than the one that opened the store.
    ///
    /// # Errors
    /// [`AppendError::Forked`].
    pub fn check(self) -> Result<(), AppendError> {
        if self.is_here() { Ok(()) } else { Err(AppendError::Forked { opened_by: self.0 }) }
    }
}
