//! `PostgreSQL` as the engine of a replicated log of the event store annals.
//!
//! A record is a set of rows in the table `annals_commits`, one row for each commit. An append is one statement, which
//! stores a commit only behind the commit that it was decided on. The page `docs/REPLICATION.md` says what this
//! promises, and with which settings of the server.
//!
//! ```no_run
//! use annals_postgres::Postgres;
//! use annals_replicated::CommitLog as _;
//!
//! // Three servers: the engine uses the one that takes writes.
//! let record = Postgres::connect("postgres://app@db1,db2,db3/app?store=shop")?;
//! println!("{}", record.check()?.engine);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//!   address     the URL of a record
//!   options     what a program may set
//!   tls         the certificates that a connection trusts
//!   causes      what an error says, and whether it passes by itself
//!   session     one connection: it is made, its server is checked, its notices are counted
//!   statements  the SQL
//!   appends     appends, in turn, on a connection of their own
//!   queries     reads and notifications, on another connection
//!   shared      what the callers and the two share: the last slot, hints
//!   postgres    the engine: hands calls to the two, and waits
//! ```

#![forbid(unsafe_code)]

mod address;
mod appends;
mod causes;
mod options;
mod postgres;
mod queries;
mod session;
mod settings;
mod shared;
mod statements;
mod tls;

pub use address::ConnectError;
pub use options::PostgresOptions;
pub use postgres::Postgres;

/// Compiles the code of docs/REPLICATION.md.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/REPLICATION.md")]
mod replication_page {}
