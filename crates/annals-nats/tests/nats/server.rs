//! Servers of NATS that a test starts: one alone, or three of a cluster.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that takes longer to start or stop counts as broken, on any machine.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

/// Returns the program. Returns none, and says so, where it is missing.
fn find_program() -> Option<PathBuf> {
    let named = std::env::var_os("ANNALS_NATS_SERVER").map(PathBuf::from);
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|path| path.join("nats-server"));
    let program = named.into_iter().chain(on_path).find(|path| path.is_file());
    if program.is_none() {
        let mut out = std::io::stderr();
        writeln!(
            out,
            "skipped: no nats-server (set ANNALS_NATS_SERVER, or run ./check, which fetches it)"
        )
        .unwrap();
    }
    program
}

/// How the servers are set up.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) servers: usize,
    /// Whether the servers sync what they acknowledge.
    pub(crate) syncs: bool,
    /// The largest message, in bytes.
    pub(crate) max_payload: usize,
    /// More lines for the configuration of each.
    pub(crate) more: String,
}

impl Settings {
    /// Returns the settings of one server.
    pub(crate) fn one() -> Self {
        Self { servers: 1, syncs: true, max_payload: 1 << 20, more: String::new() }
    }

    /// Returns the settings of three servers.
    pub(crate) fn three() -> Self {
        Self { servers: 3, ..Self::one() }
    }
}

/// One server, or several of a cluster. They are killed when this is dropped.
pub(crate) struct Servers {
    program: PathBuf,
    settings: Settings,
    nodes: Vec<Node>,
    directory: TempDir,
}

pub(crate) struct Node {
    pub(crate) port: u16,
    pub(crate) monitor: u16,
    route: u16,
    child: Option<Child>,
}

impl Servers {
    /// Starts new servers. Returns none where `nats-server` is missing.
    pub(crate) fn start(settings: Settings) -> Option<Self> {
        let program = find_program()?;
        let mut ports = free_ports(settings.servers * 3).into_iter();
        let mut port = || ports.next().unwrap();
        let nodes = (0..settings.servers).map(|_| Node {
            port: port(),
            monitor: port(),
            route: port(),
            child: None,
        });
        let nodes = nodes.collect();
        let directory = tempfile::tempdir().unwrap();
        let mut servers = Self { program, settings, nodes, directory };
        servers.run_all();
        Some(servers)
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the directory with the data of a server.
    pub(crate) fn data(&self, node: usize) -> PathBuf {
        self.directory().join(format!("n{}", node + 1))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Changes whether the servers sync what they acknowledge, from their next start on.
    pub(crate) fn set_syncs(&mut self, syncs: bool) {
        self.settings.syncs = syncs;
    }

    /// Changes the largest message of the servers, from their next start on.
    pub(crate) fn set_max_payload(&mut self, bytes: usize) {
        self.settings.max_payload = bytes;
    }

    fn configuration(&self, node: usize) -> String {
        let Settings { syncs, max_payload, more, .. } = &self.settings;
        let Node { port, monitor, route, .. } = &self.nodes[node];
        let sync = if *syncs { "always" } else { "2m" };
        let data = self.data(node);
        let mut text = format!(
            "server_name: n{}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\nmax_payload: {max_payload}\n\
             jetstream {{ store_dir: \"{}\", sync_interval: {sync} }}\n{more}\n",
            node + 1,
            data.display()
        );
        if self.nodes.len() > 1 {
            let routes = self.nodes.iter().map(|node| format!("nats://127.0.0.1:{}", node.route));
            let routes = routes.collect::<Vec<_>>().join(", ");
            let listen = format!("listen: 127.0.0.1:{route}, routes: [{routes}]");
            writeln!(text, "cluster {{ name: annals, {listen} }}").unwrap();
        }
        text
    }

    /// Starts the process of a server, and waits until it takes connections.
    pub(crate) fn run(&mut self, node: usize) {
        let file = self.directory.path().join(format!("n{}.conf", node + 1));
        std::fs::write(&file, self.configuration(node)).unwrap();
        let log = std::fs::File::create(self.log_file(node)).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.nodes[node].port)).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < HANGS, "no server: {}", self.log(node));
            std::thread::sleep(Duration::from_millis(20));
        }
        self.nodes[node].child = Some(child);
    }

    fn log_file(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("n{}.log", node + 1))
    }

    fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.log_file(node)).unwrap_or_default()
    }

    /// Kills the process of a server without a warning.
    pub(crate) fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn kill_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
    }

    pub(crate) fn run_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.run(node));
    }

    /// Ends all servers, copies what they store, and starts them again. Returns the directory with the copies.
    pub(crate) fn back_up(&mut self) -> PathBuf {
        self.kill_all();
        let backup = self.directory().join("backup");
        for node in 0..self.nodes.len() {
            copy(&self.data(node), &backup.join(format!("n{}", node + 1)));
        }
        self.run_all();
        backup
    }

    /// Ends all servers, and starts them again with what they stored at the time of a backup.
    pub(crate) fn put_back(&mut self, backup: &Path) {
        self.kill_all();
        for node in 0..self.nodes.len() {
            std::fs::remove_dir_all(self.data(node)).unwrap();
            copy(&backup.join(format!("n{}", node + 1)), &self.data(node));
        }
        self.run_all();
    }

    /// Stops the process of a server until it goes on: it takes connections and does not answer.
    pub(crate) fn pause(&self, node: usize) {
        let id = self.signal(node, libc::SIGSTOP);
        // SAFETY: the process is a child that was not waited for, and a null pointer asks for no status.
        let stopped = unsafe { libc::waitpid(id, std::ptr::null_mut(), libc::WUNTRACED) };
        assert_eq!(stopped, id);
    }

    pub(crate) fn go_on(&self, node: usize) {
        self.signal(node, libc::SIGCONT);
    }

    fn signal(&self, node: usize, signal: i32) -> i32 {
        let child = self.nodes[node].child.as_ref().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        // SAFETY: the process is a child that was not waited for, so its id is its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
        id
    }

    /// Returns the URL of a record, with the defaults of a store.
    pub(crate) fn url(&self, record: &str) -> String {
        self.url_by(record, "")
    }

    /// Returns the URL of a record with a user: `user@`.
    pub(crate) fn url_by(&self, record: &str, user: &str) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let monitors = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.monitor));
        format!(
            "nats://{user}{}/{record}?replicas={}&monitor={}",
            hosts.collect::<Vec<_>>().join(","),
            self.nodes.len(),
            monitors.collect::<Vec<_>>().join(",")
        )
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns ports that no process listens at. They are all taken at the same time, so that each is another one.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
