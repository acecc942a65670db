//! A server of `PostgreSQL` that a test starts.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that takes longer to start or stop counts as broken, on any machine.
const HANGS: Duration = Duration::from_secs(120);

pub(crate) struct Server {
    programs: Programs,
    pub(crate) port: u16,
    child: Option<Child>,
    directory: TempDir,
}

/// The programs of `PostgreSQL`, and the user that runs them: it refuses to run as root.
#[derive(Clone)]
struct Programs {
    directory: PathBuf,
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Returns none, and says so, where the programs are not installed.
    fn find() -> Option<Self> {
        let mut found: Vec<PathBuf> = Vec::new();
        if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
            found.extend(versions.flatten().map(|version| version.path().join("bin")));
        }
        found.sort();
        found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let Some(directory) = found.into_iter().find(|path| path.join("initdb").exists()) else {
            let mut out = std::io::stderr();
            writeln!(out, "skipped: PostgreSQL's initdb is not installed (package postgresql)")
                .unwrap();
            return None;
        };
        // SAFETY: the call has no conditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        let id = |option: &str| {
            let output = Command::new("id").args([option, "postgres"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().expect("the user postgres")
        };
        let user = is_root.then(|| (id("-u"), id("-g")));
        Some(Self { directory, user })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.directory.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C").env_remove("PGPASSWORD");
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Makes a directory that the user of the server may write to.
    fn directory(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        self.give(directory.path());
        directory
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

/// A copy of the data of a server at an earlier time.
pub(crate) struct Backup(TempDir);

/// Sends a signal to a process. One that has ended is not an error.
pub(crate) fn signal(process: u32, number: i32) {
    // SAFETY: the call has no conditions.
    let _ = unsafe { libc::kill(i32::try_from(process).unwrap(), number) };
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts a new server with these settings. Returns none where `PostgreSQL` is not installed.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let programs = Programs::find()?;
        let directory = programs.directory();
        let data = directory.path().join("data");
        let data = data.to_str().unwrap();
        let options =
            ["-A", "trust", "-U", "annals", "-E", "UTF8", "--no-locale", "-k", "--no-sync"];
        programs.run("initdb", &[&options[..], &["-D", data]].concat());
        Some(Self::on(programs, directory, settings))
    }

    /// Starts a standby of this server under a name.
    pub(crate) fn standby(&self, name: &str) -> Self {
        let directory = self.programs.directory();
        let mut standby =
            Self { programs: self.programs.clone(), port: free_port(), child: None, directory };
        standby.copy_from(&self.connection(name));
        standby
    }

    /// Replaces everything that this server stores by a copy of the server at `connection`, and starts it as a standby
    /// of that one.
    pub(crate) fn copy_from(&mut self, connection: &str) {
        self.kill();
        let data = self.directory.path().join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data).unwrap();
        }
        let data = data.to_str().unwrap();
        self.programs.run("pg_basebackup", &["-R", "-c", "fast", "-D", data, "-d", connection]);
        self.configure(&[]);
        self.run();
    }

    fn on(programs: Programs, directory: TempDir, settings: &[(&str, &str)]) -> Self {
        let mut server = Self { programs, port: free_port(), child: None, directory };
        server.configure(settings);
        server.run();
        server
    }

    /// Adds settings to the configuration.
    fn configure(&self, settings: &[(&str, &str)]) {
        let mut text = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
             max_connections = 100\nshared_buffers = 32MB\nlogging_collector = off\n",
            self.port
        );
        text.extend(settings.iter().map(|(name, value)| format!("{name} = '{value}'\n")));
        let config = self.directory.path().join("data/postgresql.conf");
        let mut config = std::fs::OpenOptions::new().append(true).open(config).unwrap();
        config.write_all(text.as_bytes()).unwrap();
    }

    /// Starts the server's process, and waits until it takes connections.
    pub(crate) fn run(&mut self) {
        let began = Instant::now();
        loop {
            let mut command = self.programs.command("postgres");
            let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
            command.arg("-D").arg(self.directory.path().join("data"));
            let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
            while child.try_wait().unwrap().is_none() {
                if self.try_sql("select 1").is_ok() {
                    self.child = Some(child);
                    return;
                }
                assert!(began.elapsed() < HANGS, "the server does not start: {}", self.log());
                std::thread::sleep(Duration::from_millis(20));
            }
            // The processes of a killed server may still hold its memory.
            assert!(began.elapsed() < HANGS, "the server ends: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Kills the server's process without a warning. Its children end when they notice.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Writes a file that only the server's user may read, and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.programs.give(&path);
        path
    }

    /// Returns whether the server runs as a standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.child.is_some() && self.sql("select pg_is_in_recovery()") == "t"
    }

    /// Copies what the server stores.
    pub(crate) fn back_up(&self) -> Backup {
        let directory = self.programs.directory();
        let data = directory.path().join("data");
        let (data, from) = (data.to_str().unwrap(), self.connection("backup"));
        self.programs.run("pg_basebackup", &["-c", "fast", "-D", data, "-d", &from]);
        Backup(directory)
    }

    /// Starts the server, which was killed, with older data.
    pub(crate) fn put_back(&mut self, backup: &Backup) {
        let data = self.directory.path().join("data");
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(backup.0.path().join("data"), &data).unwrap();
        self.run();
    }

    /// Stops all processes of the server, until they are resumed.
    pub(crate) fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Sends a signal to the server's first process, and then to its children.
    fn signal(&self, number: i32) {
        let first = self.child.as_ref().expect("a server that runs").id();
        signal(first, number);
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(id) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
            let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // Behind the name in parentheses: the state, and the parent.
            let rest = stat.rsplit_once(") ").map(|(_, rest)| rest);
            let parent = rest.and_then(|rest| rest.split(' ').nth(1));
            if parent.is_some_and(|parent| parent.parse() == Ok(first)) {
                signal(id, number);
            }
        }
    }

    /// Returns how a client with this name connects.
    pub(crate) fn connection(&self, name: &str) -> String {
        let port = self.port;
        format!("host=127.0.0.1 port={port} user=annals dbname=postgres application_name={name}")
    }

    fn try_sql(&self, sql: &str) -> Result<String, String> {
        let arguments = [
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.connection("psql"),
            "-c",
            sql,
        ];
        let output = self.programs.command("psql").args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs a statement, and returns what it printed.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Waits until a statement prints `expected`.
    pub(crate) fn wait_for(&self, sql: &str, expected: &str) {
        let began = Instant::now();
        while self.try_sql(sql).as_deref() != Ok(expected) {
            assert!(
                began.elapsed() < HANGS,
                "{sql} never prints {expected}: {:?}",
                self.try_sql(sql)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.sql(&format!("alter system set {name} = '{value}'"));
        self.sql("select pg_reload_conf()");
        self.wait_for(&format!("show {name}"), value);
    }

    pub(crate) fn url(&self, store: &str) -> String {
        format!("postgres://annals@127.0.0.1:{}/postgres?store={store}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
