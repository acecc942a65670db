//! A server for an annals store: other languages and machines append to it, read it and follow it.
//!
//! One port speaks gRPC in the contract of UmaDB, and HTTP with JSON, NDJSON and server-sent events. docs/SERVER.md in
//! the project has recipes for clients and all requests.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("my.store");
//! use annals_server::Server;
//!
//! let running = Server::open(path).listen("127.0.0.1:0".parse()?).start().await?;
//! let handle = running.handle(); // ends the server, from another task or thread
//! handle.drain();
//! running.wait().await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! ```text
//!   server     the builder                           shared     what all requests share: the store, permits, the drain
//!   listen/    connections                           gate/      hosts, rights and metrics, before a face
//!   access/    tokens, certificates, TLS             dcb/       gRPC in UmaDB's contract
//!   http_face/ HTTP                                  inspector/ pages for people
//!   pages      reads, those at the head on the reactor
//!   following  subscriptions                         cursors    the open subscriptions
//!   groups/    groups of workers                     reserved   the server's own names in events
//!   fault      what fails, for both faces            event      the type of the store's events
//!   call       the methods of gRPC
//!   client     who sends a request                   audit      who appended what
//!   limits     what the server takes at once         trace      the traces of clients
//!   running    a server that runs, and its end
//!   source     where the store is, and its opening   timed_body  the body of a request must come in time
//!   memory     what the bodies of requests and waiting appends may take together
//!   refused_body  the failure of a body that the server refuses
//!   guarded    a stream that panics has a last message    segment    a part of a path that a client chose
//!   query_size the size of queries
//! ```

#![forbid(unsafe_code)]

mod access;
mod audit;
mod call;
mod client;
mod cursors;
mod dcb;
mod error;
mod event;
mod fault;
mod following;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod groups;
mod guarded;
mod http_face;
mod inspector;
mod limits;
mod listen;
mod memory;
mod pages;
mod query_size;
mod refused_body;
mod reserved;
mod running;
mod segment;
mod server;
mod shared;
mod source;
mod timed_body;
mod trace;

pub use error::ServeError;
pub use event::WireEvent;
pub use limits::Limits;
pub use running::{Handle, Running};
pub use server::Server;

/// The code of the page on the server is compiled like any example.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SERVER.md")]
mod server_page {}

/// The README's code is compiled like any example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
