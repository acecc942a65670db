//! The suite for engines.

use std::sync::atomic::{AtomicU32, Ordering};

use annals_postgres::Postgres;
use annals_replicated::create;
use annals_replicated::suite::{LogSubject, run};

use crate::cutting;
use crate::server::Server;

struct Subject<'a> {
    server: &'a Server,
    /// The port that the connections of the suite use.
    port: u16,
    records: AtomicU32,
}

impl<'a> Subject<'a> {
    fn new(server: &'a Server, port: u16) -> Self {
        Self { server, port, records: AtomicU32::new(0) }
    }

    fn connect_to(&self, number: u32) -> Postgres {
        let url = format!("postgres://annals@127.0.0.1:{}/postgres?store=s{number}", self.port);
        Postgres::connect(&url).unwrap()
    }
}

impl LogSubject for Subject<'_> {
    type Log = Postgres;

    fn create(&self) -> Postgres {
        // Relaxed: the counter guards nothing, and the suite makes one record after the other.
        let number = self.records.fetch_add(1, Ordering::Relaxed);
        let direct = Postgres::connect(&self.server.url(&format!("s{number}"))).unwrap();
        create(&direct).unwrap();
        self.connect_to(number)
    }

    fn connect(&self, _: &Postgres) -> Postgres {
        // Relaxed: as in `create`.
        self.connect_to(self.records.load(Ordering::Relaxed) - 1)
    }
}

#[test]
fn the_engine_passes_the_suite() {
    let Some(server) = Server::start(&[]) else { return };
    assert_eq!(run(&Subject::new(&server, server.port)), []);
}

#[test]
fn the_engine_passes_the_suite_where_answers_are_lost() {
    let Some(server) = Server::start(&[]) else { return };
    let (port, kept_back) = cutting::start(server.port);
    assert_eq!(run(&Subject::new(&server, port)), []);
    // Relaxed: the counter guards nothing.
    assert!(kept_back.load(Ordering::Relaxed) > 0, "no answer was lost");
}
