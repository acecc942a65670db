//! A server that runs, and the handle that ends it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::error::ServeError;
use crate::shared::{Phase, Shared, draining};

/// A server that runs. Dropping it ends the accept loops and their connections at once: [`drain`](Self::drain) it
/// first.
pub struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) loops: JoinSet<()>,
    /// Whether the store is the server's own, and is closed with it.
    pub(crate) owns: bool,
}

impl Running {
    /// Returns the addresses on which the server listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns a handle with which another task or thread ends the server.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Ends the server: it takes no more requests, subscriptions end, and requests at work finish.
    /// [`wait`](Self::wait) waits for that.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Waits until the server was told to [drain](Self::drain) and its requests have finished, for at most the drain
    /// time of the [limits](crate::Limits::drain_time). Then closes the store, or makes everything durable if it is
    /// [shared](crate::Server::share).
    ///
    /// A verification or a long read may still be at work on a thread for blocking work afterwards. Dropping tokio's
    /// `Runtime` waits for it; `Runtime::shutdown_background` does not.
    ///
    /// # Errors
    /// [`ServeError::Close`] if the store could not be closed.
    pub async fn wait(mut self) -> Result<(), ServeError> {
        draining(&mut self.shared.phase()).await;
        let all = async { while self.loops.join_next().await.is_some() {} };
        let limit = self.shared.limits.drain_time;
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(
                "requests were still at work after {limit:?}; their connections are closed"
            );
            self.loops.shutdown().await;
        }
        self.shared.groups.close_all().await;
        let (shared, owns) = (Arc::clone(&self.shared), self.owns);
        let closed = tokio::task::spawn_blocking(move || {
            if owns { shared.store.close() } else { shared.store.sync() }
        })
        .await;
        // The appends have ended with the store. Those of clients that are gone may not be logged yet.
        if tokio::time::timeout(limit, self.shared.unlogged.write()).await.is_err() {
            tracing::warn!("appends were still at work {limit:?} after the store was closed");
        }
        closed.map_err(|panic| ServeError::Start(panic.to_string()))?.map_err(ServeError::Close)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Ends a [`Running`] server from another task or thread.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Does what [`Running::drain`] does.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Reads the token file and the TLS files again. Requests and connections from now on use them, and open streams end
    /// whose tokens are gone or lost their right. Nothing changes if one of the files is wrong.
    ///
    /// # Errors
    /// [`ServeError`], with the file and what is wrong.
    pub fn reload(&self) -> Result<(), ServeError> {
        self.0.access.reload()
    }

    /// Returns whether the server was told to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.phase().borrow() == Phase::Draining
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("draining", &self.is_draining()).finish()
    }
}
