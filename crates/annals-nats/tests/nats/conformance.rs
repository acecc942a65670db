//! The conformance suite of annals on replicated logs whose records are on servers of NATS: one store, and two on one
//! record. Left to the simulated engine are only histories by a seed, which need hundreds of thousands of runs.
//!
//! The suite runs on one server, and by hand on three, which elect a leader for each of its records:
//!
//! ```text
//! cargo test -p annals-nats --test nats conformance:: -- --ignored
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use annals_conformance::{Report, run_where};
use annals_nats::JetStream;
use annals_replicated::create;
use annals_replicated::testing::{PairSubject, ReplicatedSubject, TestEngine, TestRecord};

use crate::server::{Servers, Settings};

/// Makes records.
struct Records {
    servers: Arc<Servers>,
    count: AtomicU32,
}

impl Records {
    fn start(settings: Settings) -> Option<Self> {
        let servers = Arc::new(Servers::start(settings)?);
        Some(Self { servers, count: AtomicU32::new(0) })
    }
}

impl TestEngine for Records {
    type Record = Record;

    fn create(&self) -> Record {
        // Relaxed: the counter guards nothing but itself.
        let name = format!("s{}", self.count.fetch_add(1, Ordering::Relaxed));
        let record = Record { servers: Arc::clone(&self.servers), name };
        create(&record.connect()).unwrap();
        record
    }
}

struct Record {
    servers: Arc<Servers>,
    name: String,
}

/// A server has no room only for all of its records at once, so no test makes it refuse those of one.
impl TestRecord for Record {
    type Log = JetStream;

    fn connect(&self) -> JetStream {
        JetStream::connect(&self.servers.url(&self.name)).unwrap()
    }
}

fn judge(report: &Report, skipped: &[&str]) {
    assert_eq!(report.violations().count(), 0, "{report}");
    assert_eq!(report.skipped().collect::<Vec<_>>(), skipped, "{report}");
}

fn one_passes(settings: Settings) {
    let Some(records) = Records::start(settings) else { return };
    let skipped = ["a_failed_sync_poisons"];
    judge(&run_where(&ReplicatedSubject(records), |_| true), &skipped);
}

fn a_pair_passes(settings: Settings) {
    let Some(records) = Records::start(settings) else { return };
    judge(&run_where(&PairSubject(records), PairSubject::<Records>::has), &[]);
}

#[test]
fn a_replicated_log_passes_the_conformance_suite() {
    one_passes(Settings::one());
}

#[test]
fn two_replicated_logs_on_one_record_pass_the_conformance_suite() {
    a_pair_passes(Settings::one());
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn a_replicated_log_on_three_servers_passes_the_conformance_suite() {
    one_passes(Settings::three());
}

#[test]
#[ignore = "takes minutes: see the top of this file"]
fn two_replicated_logs_on_three_servers_pass_the_conformance_suite() {
    a_pair_passes(Settings::three());
}
