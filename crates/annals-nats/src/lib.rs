//! NATS `JetStream` as the engine of a replicated log of the event store annals.
//!
//! A record is a stream, and one message is one entry. An append names the number of the last message that its process
//! has read, and the stream's leader refuses the append if the stream has a later message. The page
//! `docs/REPLICATION.md` says what this promises, and with which settings of the servers.
//!
//! ```no_run
//! use annals_nats::JetStream;
//! use annals_replicated::CommitLog as _;
//!
//! // Three servers of one cluster: the connection goes to one of them, and to another one if that is lost.
//! let record = JetStream::connect("nats://app@n1,n2,n3/shop")?;
//! println!("{}", record.check()?.engine);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//!   address     the URL of a record
//!   options     what a program may set
//!   login       the user of a connection
//!   tls         the certificates that a connection trusts
//!   connection  the connection: it is made, made again, and asked with time limits
//!   shared      what the callers and the thread share: news, the engine's clock
//!   stream      the stream of a record: its settings and its ends
//!   servers     what the servers say about their settings
//!   check       whether the servers and the stream can be trusted
//!   engine      what the tasks of the thread have
//!   reads       how entries are read
//!   appends     appends, several under way
//!   queries     reads, checks and news
//!   jetstream   the face of the engine: hands calls to the thread, and waits
//! ```

#![forbid(unsafe_code)]

mod address;
mod appends;
mod check;
mod connection;
mod engine;
mod jetstream;
mod login;
mod options;
mod queries;
mod reads;
mod servers;
mod shared;
mod stream;
mod tls;

pub use address::ConnectError;
pub use jetstream::JetStream;
pub use options::JetStreamOptions;

/// Compiles the code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
