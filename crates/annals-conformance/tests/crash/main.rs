//! Thousands of simulated crashes. A schedule appends to a log, its disk fails or loses power at a random call, the log
//! is opened again, and a model checks which events must be there and which may.
//!
//! Every schedule has a seed, which a failure names. `ANNALS_CRASH_SEED=17` runs that schedule alone, and
//! `ANNALS_CRASH_SCHEDULES=100000` runs more schedules. A schedule is the same every time: appends for one commit are
//! submitted from a callback while the leader of the previous commit is stopped in it, so that no threads race. Only in
//! `racing_writers_survive_crashes` do threads race; there the seed decides only when the power goes off, and whether a
//! thread beside the log makes room.

mod large;
mod model;
mod schedule;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use annals::Durability;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs schedules on as many threads as there are processors.
fn run_all(count: u64, schedule: impl Fn(u64) + Sync) {
    if let Some(seed) = setting("ANNALS_CRASH_SEED") {
        return schedule(seed);
    }
    let count = setting("ANNALS_CRASH_SCHEDULES").unwrap_or(count);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let run = catch_unwind(AssertUnwindSafe(|| schedule(seed)));
                    assert!(
                        run.is_ok(),
                        "schedule {seed} failed: ANNALS_CRASH_SEED={seed} runs it again"
                    );
                }
            });
        }
    });
}

#[test]
fn synced_appends_survive_crashes() {
    run_all(4_000, |seed| schedule::run(seed, Durability::Sync));
}

#[test]
fn buffered_appends_survive_the_end_of_the_process_and_are_a_prefix_after_a_power_cut() {
    run_all(2_000, |seed| schedule::run(seed, Durability::Buffered));
}

#[test]
fn large_commits_survive_crashes() {
    run_all(200, large::run);
}

#[test]
fn racing_writers_survive_crashes() {
    run_all(200, schedule::race);
}
