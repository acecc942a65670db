//! Why a server does not start, or did not end well.

use std::io;
use std::net::SocketAddr;

use annals::{AppendError, OpenError};

/// Why a server does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The store could not be closed. The message says what is durable.
    #[error("the store was not closed: {0}")]
    Close(#[source] AppendError),
    /// A part of the server could not be built.
    #[error("cannot start the server: {0}")]
    Start(String),
}
