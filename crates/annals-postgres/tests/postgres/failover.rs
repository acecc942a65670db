//! Three servers, three writers, and a primary that is killed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use annals_postgres::Postgres;
use annals_replicated::create;

use crate::server::Server;
use crate::writer::Writer;

/// What the writers append before, between and after the failures.
const COMMITS: usize = 60;

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_primary_is_killed() {
    let Some(first) = Server::start(&[]) else { return };
    let mut servers = vec![first];
    for name in ["s2", "s3"] {
        let standby = servers[0].standby(name);
        servers.push(standby);
    }
    servers[0].wait_for("select count(*) from pg_stat_replication", "2");
    servers[0].set("synchronous_standby_names", "ANY 1 (s1, s2, s3)");
    let hosts: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let url =
        format!("postgres://annals@{}/postgres?store=shop&connect_timeout=2", hosts.join(","));
    let connect = || Postgres::options().timeout(Duration::from_secs(3)).connect(&url).unwrap();
    let record = connect();
    create(&record).unwrap();

    let (count, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let acknowledged: Vec<_> = thread::scope(|scope| {
        let writer = || {
            let log = connect();
            let mut writer = Writer::new(&log);
            let mut hashes = Vec::new();
            // Relaxed: the flag and the counter guard nothing; joining the thread publishes its hashes.
            while !is_done.load(Ordering::Relaxed) {
                hashes.push(writer.put());
                count.fetch_add(1, Ordering::Relaxed);
            }
            hashes
        };
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(writer)).collect();
        let wait_for = |more: usize| {
            // Relaxed: as above.
            let goal = count.load(Ordering::Relaxed) + more;
            while count.load(Ordering::Relaxed) < goal {
                assert!(
                    !writers.iter().any(thread::ScopedJoinHandle::is_finished),
                    "a writer failed"
                );
                thread::sleep(Duration::from_millis(5));
            }
        };
        let end = End(&is_done);
        wait_for(COMMITS);
        servers[0].kill();
        let promoted = promote(&servers[1], &servers[2]);
        wait_for(COMMITS);
        // A restart in place, without a failover.
        servers[promoted].kill();
        servers[promoted].run();
        wait_for(COMMITS);
        drop(end);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });

    let mut reader = Writer::new(&record);
    while reader.read().is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    let there: HashSet<_> = reader.hashes.iter().collect();
    assert_eq!(there.len(), reader.hashes.len(), "a commit is there once");
    let lost: Vec<_> = acknowledged.iter().filter(|hash| !there.contains(hash)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged commits are lost",
        lost.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() >= 3 * COMMITS, "{} commits", acknowledged.len());
}

/// Ends the writers, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Relaxed: the flag guards nothing.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Promotes the standby that has more, and points the other one to it. Returns its number among the servers.
fn promote(second: &Server, third: &Server) -> usize {
    // Processes of the killed server may go on for a moment. What they still send must not be missed by the comparison.
    for server in [second, third] {
        server
            .wait_for("select count(*) from pg_stat_wal_receiver where status = 'streaming'", "0");
    }
    let received = "select pg_last_wal_receive_lsn() - '0/0'::pg_lsn";
    let has = |server: &Server| server.sql(received).parse::<u64>().unwrap();
    let (better, other, name, number) =
        if has(second) >= has(third) { (second, third, "s3", 1) } else { (third, second, "s2", 2) };
    better.sql("select pg_promote()");
    let primary =
        format!("host=127.0.0.1 port={} user=annals application_name={name}", better.port);
    other.set("primary_conninfo", &primary);
    number
}
