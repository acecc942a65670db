//! Replicated logs on PostgreSQL and on NATS JetStream beside plain inserts and publishes of the same bytes into the
//! same servers: appends of one writer and of three, and the catch-up of a new replica. Each figure has the durability
//! of the servers: with one server a commit is on its disk, with three also on that of another one. Last, reads of a
//! replica beside those of a Journal.

mod catch_up;
#[allow(dead_code, reason = "the tests of annals-postgres use the rest")]
#[path = "../../../crates/annals-postgres/tests/postgres/cluster.rs"]
mod cluster;
mod engine;
mod jetstream;
#[allow(dead_code, reason = "the tests of annals-nats use the rest")]
#[path = "../../../crates/annals-nats/tests/nats/server.rs"]
mod nats;
mod postgres;
mod reads;
#[allow(dead_code, reason = "the tests of annals-postgres use the rest")]
#[path = "../../../crates/annals-postgres/tests/postgres/server.rs"]
mod server;
mod writers;

use std::path::Path;

use annals::RawEvent;

use crate::event::events;
use crate::report::Report;
use engine::Engine;
use jetstream::JetStreamServers;
use postgres::PostgresServers;

/// The setups of servers.
const NAMES: [&str; 3] = [
    "PostgreSQL on one server",
    "PostgreSQL on three servers, a standby waited for",
    "JetStream on three servers, sync_interval always",
];

pub fn run(rounds: usize, directory: &Path, only: &[String], report: &mut Report) {
    let events: Vec<RawEvent> = events(20_000);
    for name in NAMES {
        if !only.is_empty() && !only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let measured = if name == NAMES[2] {
            measure(JetStreamServers::start(), name, rounds, &events, directory, report)
        } else {
            let servers = PostgresServers::start(name == NAMES[0]);
            measure(servers, name, rounds, &events, directory, report)
        };
        if !measured {
            report.note(&format!("{name} was skipped: its programs are not installed."));
        }
    }
}

/// Measures an engine. Returns `false` if its servers could not be had.
fn measure<E: Engine>(
    servers: Option<E>,
    name: &str,
    rounds: usize,
    events: &[RawEvent],
    directory: &Path,
    report: &mut Report,
) -> bool {
    let Some(servers) = servers else { return false };
    writers::run(name, &servers, rounds, events, directory, report);
    catch_up::run(name, &servers, rounds, events, directory, report);
    reads::run(name, &servers, rounds, events, directory, report);
    true
}
