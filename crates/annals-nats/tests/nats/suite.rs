//! The suite for engines.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use annals_nats::JetStream;
use annals_replicated::create;
use annals_replicated::suite::{LogSubject, run};

use crate::cutting;
use crate::server::{Servers, Settings};

struct Subject {
    servers: Mutex<Servers>,
    /// The port that the connections of the suite use, if it is not that of the servers.
    port: Option<u16>,
    records: AtomicU32,
}

impl Subject {
    fn new(servers: Servers, port: Option<u16>) -> Self {
        Self { servers: Mutex::new(servers), port, records: AtomicU32::new(0) }
    }

    fn connect_to(&self, number: u32) -> JetStream {
        let servers = self.servers.lock().unwrap();
        let url = servers.url(&format!("s{number}"));
        let url = match self.port {
            Some(port) => {
                let direct = format!("nats://127.0.0.1:{}/", servers.node(0).port);
                url.replace(&direct, &format!("nats://127.0.0.1:{port}/"))
            }
            None => url,
        };
        JetStream::connect(&url).unwrap()
    }
}

impl LogSubject for Subject {
    type Log = JetStream;

    fn create(&self) -> JetStream {
        // Relaxed: the counter guards nothing, and the suite makes one record after the other.
        let number = self.records.fetch_add(1, Ordering::Relaxed);
        let url = self.servers.lock().unwrap().url(&format!("s{number}"));
        let direct = JetStream::connect(&url).unwrap();
        create(&direct).unwrap();
        self.connect_to(number)
    }

    fn connect(&self, _: &JetStream) -> JetStream {
        // Relaxed: as in `create`.
        self.connect_to(self.records.load(Ordering::Relaxed) - 1)
    }

    fn reconnect(&self, _: &JetStream) -> bool {
        let mut servers = self.servers.lock().unwrap();
        // With several, a connection may be to any of them.
        if servers.count() > 1 {
            return false;
        }
        servers.kill(0);
        servers.run(0);
        true
    }
}

#[test]
fn the_engine_passes_the_suite() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    assert_eq!(run(&Subject::new(servers, None)), []);
}

#[test]
fn the_engine_passes_the_suite_on_three_servers() {
    let Some(servers) = Servers::start(Settings::three()) else { return };
    assert_eq!(run(&Subject::new(servers, None)), []);
}

#[test]
fn the_engine_passes_the_suite_where_answers_are_lost() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let (port, kept_back) = cutting::start(servers.node(0).port);
    assert_eq!(run(&Subject::new(servers, Some(port))), []);
    // Relaxed: the counter guards nothing.
    assert!(kept_back.load(Ordering::Relaxed) > 0, "no answer was lost");
}
