//! The arguments of `annals serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::append::Durability;
use crate::args::creation::{Wait, time, wait};
use crate::args::values::{request_memory, segment_bytes, unread_time};
use crate::store_path::StorePath;

/// Serve a store to other programs and machines: gRPC for UmaDB's clients, HTTP with JSON, and pages for a browser
///
/// The server is a store's one writer, and creates the store if nothing exists at its path. With --read-only it
/// follows a store that another process writes; appends then fail.
///
/// If the store is the address of a record (postgres://… or nats://…), any number of servers can serve one log, on
/// machines of their own, each with a replica of its own (--replica). Clients can append at each of them.
///
/// A browser shows what is in the store at <http://localhost:50051/ui>: events, tags, the state at any offset,
/// consumers.
///
/// Only programs on this machine can reach the server, unless --listen gives another address. That takes TLS
/// (--tls-cert and --tls-key), and tokens (--tokens) or certificates of clients (--client-ca).
///
/// After Ctrl-C or SIGTERM the server takes no more requests, ends all subscriptions, finishes the requests at work,
/// and closes the store. A second signal ends it at once. After SIGHUP it reads the tokens and the certificates again.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  annals serve my.store
  annals serve my.store --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem --tokens tokens
  curl http://localhost:50051/v1/events -H 'Content-Type: application/json' \
    -d '{"events":[{"type":"seat-sold","tags":["seat:12A"]}]}'
A line of the token file has a name, the SHA-256 of the token, and rights:
  billing 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 read,append"#)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command")]
pub(crate) struct Serve {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…; a path is created if nothing exists there
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// An address to listen on, with its port; may be given several times [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<SocketAddr>,

    /// An address, with its port, whose clients need certificates of --client-ca; those of --listen then need none
    #[arg(long, value_name = "ADDRESS", requires = "client_ca")]
    pub(crate) listen_mutual: Vec<SocketAddr>,

    /// Serve a store that another process may be writing to; appends fail
    #[arg(long, conflicts_with_all = ["durability", "wait", "segment_bytes"])]
    pub(crate) read_only: bool,

    /// When an append is answered
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    pub(crate) durability: Durability,

    /// The size at which a segment is sealed and the next is begun, 4KiB to 2GiB [default: 64MiB]
    ///
    /// The server keeps the index of the last segment in memory. So smaller segments take less memory, up to 160 bytes
    /// for each event of a segment; but each takes two files. Segments that exist keep their sizes.
    #[arg(long, value_name = "SIZE", value_parser = segment_bytes)]
    pub(crate) segment_bytes: Option<u64>,

    /// Wait for another process to close the store, at most for this time [without a TIME: without a limit]
    ///
    /// The server listens once it has the store. So it can be started before the server that it replaces has ended.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "forever")]
    #[arg(value_parser = wait)]
    pub(crate) wait: Option<Wait>,

    /// A file with the clients' tokens: each line has a name, the SHA-256 of a token, and rights out of read, append,
    /// consume and admin, separated by commas
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,

    /// The server's certificate chain, in PEM; turns on TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// The authority that signs the certificates of clients, in PEM; every client then needs one, or those
    /// of --listen-mutual
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,

    /// Allow an address that other machines can reach without TLS and without tokens
    #[arg(long)]
    pub(crate) insecure: bool,

    /// A name or an address, without a port, under which clients reach this server; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Vec<String>,

    /// The origin of web pages that may use this server, the inspector apart, such as `https://shop.example`; may be
    /// given several times
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) cors_origin: Vec<String>,

    /// Write the name of the client's token into the metadata $actor of each event that it appends
    #[arg(long)]
    pub(crate) actor_metadata: bool,

    /// Write the header traceparent of an append into the metadata of its events
    #[arg(long)]
    pub(crate) trace_metadata: bool,

    /// The largest number of connections at once
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) max_connections: usize,

    /// The largest number of subscriptions at once
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_subscriptions: usize,

    /// The memory that the bodies of all requests and the appends that wait may take together, 40MiB or more
    ///
    /// A request beyond it is refused, and can be repeated. The last eighth is for requests that take at most 64 KiB.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = request_memory)]
    pub(crate) request_memory: usize,

    /// The time in which a client must finish its TLS handshake, and the headers of a request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) header_time: Duration,

    /// The time in which a client must send the body of a request; 1 s more for each KiB that has come
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) body_time: Duration,

    /// End a connection whose client takes nothing of what was sent for this time, because it is gone or does not read
    ///
    /// By default the system gives up a client that is gone after about 15 minutes, and one that does not read keeps
    /// its connection. The option has an effect on Linux only.
    #[arg(long, value_name = "TIME", value_parser = unread_time)]
    pub(crate) unread_time: Option<Duration>,
}
