//! The failure of a body that the server refuses while it comes.

use std::fmt;

use tonic::Status;

use crate::fault::Fault;

/// The failure of a body that the server refuses while it comes. Its source is the status of gRPC, which tonic looks
/// for.
#[derive(Debug)]
pub(crate) struct RefusedBody {
    fault: Fault,
    status: Status,
}

impl RefusedBody {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { status: fault.clone().into(), fault }
    }

    /// Returns why the server refused a body, if an error or one of its causes says that it did.
    pub(crate) fn fault_of(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| error.downcast_ref::<Self>())
            .map(|refused| refused.fault.clone())
    }
}

impl fmt::Display for RefusedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for RefusedBody {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.status)
    }
}
