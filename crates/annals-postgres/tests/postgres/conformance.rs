//! The conformance suite of annals on replicated logs whose records are on three servers: one store, and two on one
//! record. Left to the simulated engine are only histories by a seed, which need hundreds of thousands of runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use annals_conformance::{Report, run_where};
use annals_postgres::Postgres;
use annals_replicated::create;
use annals_replicated::testing::{PairSubject, ReplicatedSubject, TestEngine, TestRecord};

use crate::cluster::Cluster;

/// Refuses the commits of the stores in a table, as a server without room does.
const REFUSAL: &str = "
    create table full_stores (store text primary key);
    create function refuse() returns trigger language plpgsql as $$ begin
        if exists (select 1 from full_stores where store = new.store) then
            raise exception using errcode = 'disk_full', message = 'no space left on device';
        end if;
        return new;
    end $$;
    create trigger refuse before insert on annals_commits for each row execute function refuse()";

/// Makes records on three servers.
struct Records {
    cluster: Arc<Cluster>,
    count: AtomicU32,
}

impl Records {
    fn start() -> Option<Self> {
        let records = Self { cluster: Arc::new(Cluster::start()?), count: AtomicU32::new(0) };
        records.create();
        records.cluster.primary().sql(REFUSAL);
        Some(records)
    }
}

impl TestEngine for Records {
    type Record = Record;

    fn create(&self) -> Record {
        // Relaxed: the counter guards nothing but itself.
        let store = format!("s{}", self.count.fetch_add(1, Ordering::Relaxed));
        let record = Record { cluster: Arc::clone(&self.cluster), store };
        create(&record.connect()).unwrap();
        record
    }
}

struct Record {
    cluster: Arc<Cluster>,
    store: String,
}

impl TestRecord for Record {
    type Log = Postgres;

    fn connect(&self) -> Postgres {
        Postgres::connect(&self.cluster.url(&self.store)).unwrap()
    }

    fn set_full(&self, is_full: bool) -> bool {
        let store = &self.store;
        self.cluster.primary().sql(&if is_full {
            format!("insert into full_stores values ('{store}')")
        } else {
            format!("delete from full_stores where store = '{store}'")
        });
        true
    }
}

fn judge(report: &Report, skipped: &[&str]) {
    assert_eq!(report.violations().count(), 0, "{report}");
    assert_eq!(report.skipped().collect::<Vec<_>>(), skipped, "{report}");
}

#[test]
fn a_replicated_log_passes_the_conformance_suite() {
    let Some(records) = Records::start() else { return };
    judge(&run_where(&ReplicatedSubject(records), |_| true), &["a_failed_sync_poisons"]);
}

#[test]
fn two_replicated_logs_on_one_record_pass_the_conformance_suite() {
    let Some(records) = Records::start() else { return };
    judge(&run_where(&PairSubject(records), PairSubject::<Records>::has), &[]);
}
