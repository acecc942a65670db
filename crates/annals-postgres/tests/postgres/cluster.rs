//! Three servers: a primary, and two standbys; one of them has each commit before it is acknowledged. A script does
//! what an operator, or Patroni, does when the primary fails.

use super::server::{Backup, Server};

/// The names of the servers, as `synchronous_standby_names` has them.
const NAMES: [&str; 3] = ["s1", "s2", "s3"];
const STANDBYS: &str = "ANY 1 (s1, s2, s3)";

pub(crate) struct Cluster {
    servers: Vec<Server>,
    primary: usize,
}

impl Cluster {
    /// Starts three servers. Returns none where `PostgreSQL` is not installed.
    pub(crate) fn start() -> Option<Self> {
        let first = Server::start(&[("synchronous_standby_names", STANDBYS)])?;
        let mut servers = vec![first];
        for name in &NAMES[1..] {
            let standby = servers[0].standby(name);
            servers.push(standby);
        }
        let cluster = Self { servers, primary: 0 };
        cluster.wait_for_standbys();
        Some(cluster)
    }

    pub(crate) fn primary(&self) -> &Server {
        &self.servers[self.primary]
    }

    pub(crate) fn url(&self, store: &str) -> String {
        let hosts = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!("postgres://annals@{hosts}/postgres?store={store}&connect_timeout=2")
    }

    /// Waits until both standbys follow the primary.
    pub(crate) fn wait_for_standbys(&self) {
        self.primary().wait_for("select count(*) from pg_stat_replication", "2");
    }

    /// Kills the primary without a warning.
    pub(crate) fn kill(&mut self) {
        self.servers[self.primary].kill();
    }

    /// Starts the killed primary again, which stays the primary.
    pub(crate) fn run(&mut self) {
        self.servers[self.primary].run();
    }

    pub(crate) fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    pub(crate) fn standbys(&self) -> impl Iterator<Item = &Server> {
        (0..3).filter(|&at| at != self.primary).map(|at| &self.servers[at])
    }

    pub(crate) fn kill_standbys(&mut self) {
        for standby in (0..3).filter(|&at| at != self.primary) {
            self.servers[standby].kill();
        }
    }

    /// Starts the killed standbys again.
    pub(crate) fn run_standbys(&mut self) {
        for standby in (0..3).filter(|&at| at != self.primary) {
            self.servers[standby].run();
        }
    }

    /// Promotes the standby that has more, after the primary was killed or paused, and points the other one to it.
    /// Returns the number of the old primary.
    pub(crate) fn promote(&mut self) -> usize {
        let standbys: Vec<usize> = (0..3).filter(|&at| at != self.primary).collect();
        let [one, two] = standbys[..] else { panic!("three servers") };
        // Processes of the killed server may go on for a moment. What they still send must not be missed by the
        // comparison.
        for &standby in &standbys {
            self.servers[standby].set("primary_conninfo", "");
            self.servers[standby].wait_for("select count(*) from pg_stat_wal_receiver", "0");
        }
        let received = "select pg_last_wal_receive_lsn() - '0/0'::pg_lsn";
        let has = |at: usize| self.servers[at].sql(received).parse::<u64>().unwrap();
        let (better, other) = if has(one) >= has(two) { (one, two) } else { (two, one) };
        self.servers[better].sql("select pg_promote()");
        let primary = self.servers[better].connection(NAMES[other]);
        self.servers[other].set("primary_conninfo", &primary);
        std::mem::replace(&mut self.primary, better)
    }

    /// Copies what the servers store.
    pub(crate) fn back_up(&self) -> Backup {
        self.primary().back_up()
    }

    /// Ends all servers, and starts them again with older data.
    pub(crate) fn put_back(&mut self, backup: &Backup) {
        for server in &mut self.servers {
            server.kill();
        }
        self.servers[self.primary].put_back(backup);
        self.rejoin();
    }

    /// Makes the servers that were killed, and those that still believe to be a primary, standbys again, from a new
    /// copy of the primary.
    pub(crate) fn rejoin(&mut self) {
        for (at, name) in NAMES.iter().enumerate() {
            if at != self.primary && !self.servers[at].is_standby() {
                let connection = self.primary().connection(name);
                self.servers[at].copy_from(&connection);
            }
        }
        self.wait_for_standbys();
    }
}
