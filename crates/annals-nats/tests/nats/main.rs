//! The engine on servers that the tests start: the suite for engines, the conformance suite, histories, lost answers,
//! servers and streams that lose commits, a leader that is killed or paused, older data put back, large commits, TLS,
//! credentials, and stores whose record is on such servers.
//!
//! The tests need the program `nats-server`, version 2.12 or newer: the variable `ANNALS_NATS_SERVER` names it, or it
//! is on the path. Where it is missing, each test says that it was skipped.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod bad;
mod conformance;
mod credentials;
#[path = "../../../annals-replicated/tests/engine/cutting.rs"]
mod cutting;
mod faults;
#[cfg(target_os = "linux")]
mod histories;
#[cfg(target_os = "linux")]
#[path = "../../../annals-replicated/tests/engine/history/mod.rs"]
mod history;
mod parts;
mod raw;
mod server;
mod store;
mod suite;
mod tls;
#[path = "../../../annals-replicated/tests/engine/writer.rs"]
mod writer;

/// Connects to the record of a history.
#[cfg(target_os = "linux")]
fn connect(url: &str) -> annals_nats::JetStream {
    let options = annals_nats::JetStream::options();
    options.timeout(std::time::Duration::from_secs(3)).connect(url).unwrap()
}
