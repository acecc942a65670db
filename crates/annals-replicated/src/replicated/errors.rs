//! The core's refusals as errors of appends.

use std::io;
use std::sync::Arc;

use annals::AppendError;

use crate::core::messages::Refusal;
use crate::log::commit_log::Cause;

/// Returns the error for a caller. `bytes` is the size of its batch, and `cause` what the engine answered last.
pub(super) fn append_error(refusal: Refusal, bytes: usize, cause: Option<&Cause>) -> AppendError {
    let cause = || -> Arc<str> {
        cause.map_or_else(|| "the time limit passed".into(), |cause| cause.to_string().into())
    };
    match refusal {
        Refusal::Append(error) => error,
        Refusal::Unavailable => AppendError::Unavailable { cause: cause() },
        Refusal::InDoubt => AppendError::InDoubt { cause: cause() },
        Refusal::Diverged(divergence) => {
            AppendError::Diverged { cause: divergence.to_string().into() }
        }
        Refusal::ClockAhead { ahead_ms } => AppendError::ClockAhead { ahead_ms },
        Refusal::Full => {
            let source = io::Error::new(io::ErrorKind::StorageFull, "the engine has no room");
            AppendError::NoRoom { bytes: bytes as u64, source: Arc::new(source) }
        }
        Refusal::ReplicaFailed => {
            let source = io::Error::other("the replica could not be written");
            AppendError::Failed { source: Arc::new(source) }
        }
    }
}
