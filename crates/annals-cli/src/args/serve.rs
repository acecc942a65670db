//! The arguments of `annals serve`.

use std::net::SocketAddr;

use clap::Args;

use crate::store_path::StorePath;

/// Serve a store to other programs and machines: gRPC for UmaDB's clients
///
/// The server is the store's one writer, and creates the store if nothing exists at its path. With --read-only it
/// follows a store that another process writes; appends then fail.
///
/// After Ctrl-C or SIGTERM the server takes no more requests, ends all subscriptions, finishes the requests at work,
/// and closes the store. A second signal ends it at once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals serve my.store\n  annals serve my.store --listen 127.0.0.1:7000"
)]
pub(crate) struct Serve {
    /// The store: PATH or rocksdb:PATH; created if nothing exists there
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// An address to listen on, with its port; may be given several times [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<SocketAddr>,

    /// Serve a store that another process may be writing to; appends fail
    #[arg(long)]
    pub(crate) read_only: bool,
}
