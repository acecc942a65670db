//! Three servers, three writers, and a primary that is killed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use annals_postgres::Postgres;
use annals_replicated::create;

use crate::cluster::Cluster;
use crate::writer::Writer;

/// The number of commits that the writers append before, between and after the failures.
const COMMITS: usize = 60;

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_primary_is_killed() {
    let Some(mut cluster) = Cluster::start() else { return };
    let url = cluster.url("shop");
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
        cluster.kill();
        cluster.promote();
        wait_for(COMMITS);
        cluster.rejoin();
        // A restart in place, without a failover.
        cluster.kill();
        cluster.run();
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
    assert_eq!(reader.voids, 0, "a row is inserted only behind the commit that it was decided on");
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
