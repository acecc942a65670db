//! Histories of three processes that write to one record on three servers, while servers and processes are killed and
//! paused. A longer run by hand, here with 40 faults; 20 of them kill the leader:
//!
//! ```text
//! ANNALS_HISTORY_FAULTS=40 cargo test -p annals-nats --test nats histories:: -- --nocapture
//! ```

use std::time::Duration;

use serde_json::Value;

use crate::history::report::{judge_divergence, survive};
use crate::history::world::World;
use crate::raw;
use crate::server::{Servers, Settings};

/// The record of the histories.
const RECORD: &str = "history";

/// A fault of the servers or the processes.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The leader is killed, and started again once every process appends to another one.
    KillLeader,
    /// The leader is killed, and started again at once.
    RestartLeader,
    /// The leader pauses, and wakes up as a follower that believes to be the leader still.
    PauseLeader,
    /// Both followers pause: no commit is acknowledged.
    PauseFollowers,
    /// All servers are killed, and started again.
    KillAll,
    /// A process is killed, and another one goes on with its replica.
    KillWriter,
    /// A process pauses while the others append.
    PauseWriter,
}

/// The faults of a run, again and again. Half of them kill the leader.
const FAULTS: [Fault; 10] = [
    Fault::KillLeader,
    Fault::KillWriter,
    Fault::PauseLeader,
    Fault::RestartLeader,
    Fault::PauseWriter,
    Fault::KillLeader,
    Fault::PauseFollowers,
    Fault::KillLeader,
    Fault::KillAll,
    Fault::RestartLeader,
];
/// The number of faults, unless the environment says another one.
const COUNT: usize = 5;
/// A pause is longer than the time limits of the processes: 3 s for a call, 4 s for an append.
const PAUSE: Duration = Duration::from_secs(5);

fn befall(servers: &mut Servers, world: &mut World, fault: Fault, number: usize) {
    let pause = || std::thread::sleep(PAUSE);
    let leader = raw::leader(servers, RECORD);
    match fault {
        Fault::KillLeader => {
            servers.kill(leader);
            world.progress();
            servers.run(leader);
        }
        Fault::RestartLeader => {
            servers.kill(leader);
            servers.run(leader);
        }
        Fault::PauseLeader => {
            servers.pause(leader);
            pause();
            servers.go_on(leader);
        }
        Fault::PauseFollowers => {
            let followers = (0..servers.count()).filter(|&node| node != leader);
            let followers: Vec<usize> = followers.collect();
            for &node in &followers {
                servers.pause(node);
            }
            pause();
            for &node in &followers {
                servers.go_on(node);
            }
        }
        Fault::KillAll => {
            servers.kill_all();
            servers.run_all();
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
    let Some(mut servers) = Servers::start(Settings::three()) else { return };
    let world = World::start(servers.url(RECORD));
    survive(world, FAULTS, COUNT, |world, fault, number| {
        befall(&mut servers, world, fault, number);
    });
}

#[test]
fn older_data_that_is_put_back_under_running_writers_is_found() {
    let Some(mut servers) = Servers::start(Settings::three()) else { return };
    let mut world = World::start(servers.url(RECORD));
    world.progress();
    let backup = servers.back_up();
    world.progress();
    servers.put_back(&backup);
    for writer in 0..3 {
        world.wait_for_end(writer);
    }
    judge_divergence(&world, "the record ends before slot");
}

#[test]
fn older_data_that_others_went_on_with_is_found() {
    let Some(mut servers) = Servers::start(Settings::three()) else { return };
    let mut world = World::start(servers.url(RECORD));
    world.progress();
    let backup = servers.back_up();
    world.progress();
    for writer in 0..3 {
        world.pause_writer(writer);
    }
    let before = last_slot(&servers);
    servers.put_back(&backup);
    // Another process appends beyond the positions of those that sleep.
    let other = world.start_writer("other");
    // A commit of a paused writer may still arrive, so one more message is not enough.
    while last_slot(&servers) <= before + 20 {
        std::thread::sleep(Duration::from_millis(20));
    }
    world.stop_writer(other);
    for writer in 0..3 {
        world.resume_writer(writer);
        world.wait_for_end(writer);
    }
    judge_divergence(&world, "the record has another commit at slot");
}

fn last_slot(servers: &Servers) -> u64 {
    let answer = raw::request(servers, &format!("$JS.API.STREAM.INFO.{RECORD}"), "");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["state"]["last_seq"].as_u64().expect("the state of the stream")
}
