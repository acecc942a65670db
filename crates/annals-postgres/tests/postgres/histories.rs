//! Histories of three processes, while servers and processes are killed and paused. A longer run by hand, here with 40
//! faults; 20 of them kill the primary:
//!
//! ```text
//! ANNALS_HISTORY_FAULTS=40 cargo test -p annals-postgres --test postgres histories:: -- --nocapture
//! ```
//! Or on servers that run already and that others kill, for example those of `packaging/try-patroni`, for 300 seconds:
//!
//! ```text
//! ANNALS_HISTORY_ON='postgres://annals@127.0.0.1:25381,127.0.0.1:25382,127.0.0.1:25383/postgres?store=one' \
//!     ANNALS_HISTORY_SECONDS=300 cargo test -p annals-postgres --test postgres elsewhere -- --nocapture
//! ```

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::history::report::{judge_divergence, report, survive};
use crate::history::world::World;
use crate::server::Server;

/// A fault of the servers or the processes.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The primary is killed, and the better standby promoted.
    KillPrimary,
    /// The primary is killed, and started again.
    RestartPrimary,
    /// The primary pauses.
    PausePrimary,
    /// The primary pauses, the better standby is promoted, and the old primary wakes up and believes to be one still.
    TwoPrimaries,
    /// Both standbys pause: no commit is acknowledged.
    PauseStandbys,
    /// A process is killed, and another one goes on with its replica.
    KillWriter,
    /// A process pauses while the others append.
    PauseWriter,
}

/// The faults of a run, again and again. Half of them kill the primary.
const FAULTS: [Fault; 10] = [
    Fault::KillPrimary,
    Fault::KillWriter,
    Fault::PausePrimary,
    Fault::RestartPrimary,
    Fault::PauseWriter,
    Fault::KillPrimary,
    Fault::TwoPrimaries,
    Fault::KillPrimary,
    Fault::PauseStandbys,
    Fault::RestartPrimary,
];
/// The number of faults, unless the environment says another one.
const COUNT: usize = 7;
/// A pause is longer than the time limits of the processes: 3 s for a call, 4 s for an append.
const PAUSE: Duration = Duration::from_secs(5);

fn befall(cluster: &mut Cluster, world: &mut World, fault: Fault, number: usize) {
    let pause = || std::thread::sleep(PAUSE);
    match fault {
        Fault::KillPrimary => {
            cluster.kill();
            cluster.promote();
            world.progress();
            cluster.rejoin();
        }
        Fault::RestartPrimary => {
            cluster.kill();
            cluster.run();
        }
        Fault::PausePrimary => {
            cluster.primary().pause();
            pause();
            cluster.primary().resume();
        }
        Fault::TwoPrimaries => {
            cluster.primary().pause();
            let old = cluster.promote();
            world.progress();
            cluster.server(old).resume();
            world.progress();
            cluster.rejoin();
        }
        Fault::PauseStandbys => {
            cluster.standbys().for_each(Server::pause);
            pause();
            cluster.standbys().for_each(Server::resume);
        }
        Fault::KillWriter => world.replace_writer(number % 3),
        Fault::PauseWriter => {
            world.pause_writer(number % 3);
            pause();
            world.resume_writer(number % 3);
        }
    }
}

#[test]
fn histories_hold_while_servers_and_processes_are_killed_and_paused() {
    let Some(mut cluster) = Cluster::start() else { return };
    let world = World::start(cluster.url("history"));
    survive(world, FAULTS, COUNT, |world, fault, number| {
        befall(&mut cluster, world, fault, number);
    });
}

/// Run as a test, it does nothing: see the top of this file.
#[test]
fn histories_hold_on_servers_elsewhere() {
    let Ok(url) = std::env::var("ANNALS_HISTORY_ON") else { return };
    let seconds = std::env::var("ANNALS_HISTORY_SECONDS").unwrap().parse().unwrap();
    let mut world = World::start(url);
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    world.progress();
    report(&world.judge(), began);
}

#[test]
fn a_failover_that_loses_commits_is_found() {
    let Some(mut cluster) = Cluster::start() else { return };
    // The primary acknowledges what no standby has.
    cluster.primary().set("synchronous_standby_names", "");
    let mut world = World::start(cluster.url("history"));
    world.progress();
    cluster.kill_standbys();
    world.progress();
    cluster.kill();
    cluster.run_standbys();
    cluster.promote();
    // The other standby may have more than the promoted one, and then it never follows that one: both were started
    // while the primary was away, so they cannot be compared.
    cluster.primary().set("synchronous_standby_names", "");
    for writer in 0..3 {
        world.wait_for_end(writer);
    }
    judge_divergence(&world, "the record ends before slot");
}

#[test]
fn older_data_that_is_put_back_under_running_writers_is_found() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut world = World::start(cluster.url("history"));
    world.progress();
    let backup = cluster.back_up();
    world.progress();
    cluster.put_back(&backup);
    for writer in 0..3 {
        world.wait_for_end(writer);
    }
    judge_divergence(&world, "the record ends before slot");
}

#[test]
fn older_data_that_others_went_on_with_is_found() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut world = World::start(cluster.url("history"));
    world.progress();
    let backup = cluster.back_up();
    world.progress();
    for writer in 0..3 {
        world.pause_writer(writer);
    }
    let slots = "select count(*) from annals_commits";
    let before: u64 = cluster.primary().sql(slots).parse().unwrap();
    cluster.put_back(&backup);
    // Another process appends beyond the positions of those that sleep.
    let other = world.start_writer("other");
    while cluster.primary().sql(slots).parse::<u64>().unwrap() <= before {
        std::thread::sleep(Duration::from_millis(20));
    }
    world.stop_writer(other);
    for writer in 0..3 {
        world.resume_writer(writer);
        world.wait_for_end(writer);
    }
    judge_divergence(&world, "the record has another commit at slot");
}
