//! How many signatures are verified for one file.

use crate::error::CheckError;

/// The largest number of signatures that are verified for one file: they take about 0.6 s.
const MOST: usize = 16_384;

/// Counts the Ed25519 signatures that are verified for one file, so that no file asks for any number of them: at most
/// 16,384.
#[derive(Debug)]
pub struct SignatureChecks {
    left: usize,
}

impl Default for SignatureChecks {
    fn default() -> Self {
        Self { left: MOST }
    }
}

impl SignatureChecks {
    /// Allows any number of signatures, for a text that is small.
    pub(crate) fn without_limit() -> Self {
        Self { left: usize::MAX }
    }

    /// Counts a signature that is about to be verified.
    pub(crate) fn count(&mut self) -> Result<(), CheckError> {
        let too_many = CheckError::TooManySignatures { most: MOST };
        self.left = self.left.checked_sub(1).ok_or(too_many)?;
        Ok(())
    }
}
