//! The engine on servers that the tests start: the suite for engines, the conformance suite, lost answers, settings
//! that lose commits, a wait that is cancelled, TLS, rights, a primary that is killed, and stores whose record is on
//! such a server.
//!
//! The tests need `PostgreSQL`'s programs (Debian's package `postgresql`). Where they are missing, each test says that
//! it was skipped.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod bad;
mod cluster;
mod conformance;
#[path = "../../../annals-replicated/tests/engine/cutting.rs"]
mod cutting;
mod failover;
#[cfg(target_os = "linux")]
mod histories;
#[cfg(target_os = "linux")]
#[path = "../../../annals-replicated/tests/engine/history/mod.rs"]
mod history;
mod proxy;
mod server;
mod store;
mod suite;
mod tls;
#[path = "../../../annals-replicated/tests/engine/writer.rs"]
mod writer;

/// Connects to the record of a history.
#[cfg(target_os = "linux")]
fn connect(url: &str) -> annals_postgres::Postgres {
    let options = annals_postgres::Postgres::options();
    options.timeout(std::time::Duration::from_secs(3)).connect(url).unwrap()
}
