//! Replicated logs on PostgreSQL beside plain inserts of the same bytes into the same servers: appends of one writer and
//! of three, and the catch-up of a new replica. Each figure has the durability of the servers: with one server a commit
//! is on its disk, with three also on that of a standby.

mod catch_up;
#[allow(dead_code, reason = "the tests of annals-postgres use the rest")]
#[path = "../../../crates/annals-postgres/tests/postgres/cluster.rs"]
mod cluster;
mod plain;
#[allow(dead_code, reason = "the tests of annals-postgres use the rest")]
#[path = "../../../crates/annals-postgres/tests/postgres/server.rs"]
mod server;
mod writers;

use std::path::Path;

use annals::RawEvent;
use annals_postgres::Postgres;

use crate::event::events;
use crate::report::Report;
use cluster::Cluster;
use server::Server;

/// Events of a commit.
const SIZES: [usize; 3] = [1, 100, 1_000];

/// The servers of a measurement.
enum Servers {
    One(Server),
    Three(Cluster),
}

impl Servers {
    const NAMES: [&str; 2] = ["one server", "three servers, one standby waited for"];

    /// Starts the servers. Returns none where PostgreSQL is not installed.
    fn start(name: &str) -> Option<Self> {
        Some(if name == Self::NAMES[0] {
            Self::One(Server::start(&[])?)
        } else {
            Self::Three(Cluster::start()?)
        })
    }

    fn primary(&self) -> &Server {
        match self {
            Self::One(server) => server,
            Self::Three(cluster) => cluster.primary(),
        }
    }

    /// Connects to the record of a store.
    fn connect(&self, store: &str) -> Postgres {
        let url = match self {
            Self::One(server) => server.url(store),
            Self::Three(cluster) => cluster.url(store),
        };
        Postgres::connect(&url).expect("a URL")
    }
}

pub fn run(rounds: usize, directory: &Path, only: &[String], report: &mut Report) {
    let events: Vec<RawEvent> = events(20_000);
    for name in Servers::NAMES {
        if !only.is_empty() && !only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let Some(servers) = Servers::start(name) else {
            report.note("PostgreSQL's initdb is not installed: the part `replicated` was skipped.");
            return;
        };
        plain::create_table(servers.primary());
        writers::run(name, &servers, rounds, &events, directory, report);
        catch_up::run(name, &servers, rounds, &events, directory, report);
    }
}
