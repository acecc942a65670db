//! The state that the tasks of the thread share.

use std::sync::Arc;

use annals_replicated::{CheckError, Fitness};

use crate::address::Address;
use crate::check::Checker;
use crate::connection::Connection;
use crate::shared::Shared;

/// The state that the tasks of the thread share.
pub(crate) struct Engine {
    pub(crate) address: Address,
    pub(crate) connection: Connection,
    pub(crate) checker: Checker,
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Checks the servers and the stream.
    pub(crate) async fn check(&self) -> Result<Fitness, CheckError> {
        self.checker.check(&self.connection, &self.address, &self.shared).await
    }
}
