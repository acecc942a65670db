//! Why a server does not start, or did not end well.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// The address can be reached from other machines, and the server would let everybody in.
    #[error(
        "{address} can be reached from other machines, which takes TLS, and tokens or certificates of clients"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// A [host name](crate::Server::host_name) that no request can have.
    #[error(
        "{name:?} is not a host name: give a name or an address without a port, such as log.example or 203.0.113.7"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// An [origin](crate::Server::cors_origin) that no web page can have.
    #[error(
        "{origin:?} is not the origin of a web page: give its scheme and host in lower case, without a path, and a port \
         only if it is not the scheme's own, such as https://shop.example or http://localhost:3000"
    )]
    Origin {
        /// The origin.
        origin: String,
    },
    /// A file with settings could not be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A line of the token file is wrong.
    #[error("{}, line {line}: {problem}", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A file with a certificate or a key is wrong.
    #[error("{}: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The store could not be closed. The message says what is durable.
    #[error("the store was not closed: {0}")]
    Close(#[source] AppendError),
    /// A part of the server could not be built.
    #[error("cannot start the server: {0}")]
    Start(String),
}
