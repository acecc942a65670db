//! A server as a process of its own.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The clock ticks of a second in `/proc`: 100 on every Linux that runs these programs.
const TICKS: f64 = 100.0;

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Annals,
    Umadb,
}

/// A server that runs until the value is dropped.
pub struct Server {
    process: Child,
    pub address: String,
    _files: tempfile::TempDir,
}

impl Server {
    /// Starts a server with an empty log.
    pub fn start(kind: Kind, program: &Path, dir: &Path) -> io::Result<Self> {
        let files = crate::directory(dir)?;
        // The system finds a free port; no other program takes it in the moment until the server does.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        match kind {
            Kind::Annals => command.arg("serve").arg(files.path().join("log")),
            Kind::Umadb => command.arg("--db-path").arg(files.path().join("uma.db")),
        };
        command.args(["--listen", &address]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let begin = Instant::now();
        while TcpStream::connect(&address).is_err() {
            if process.try_wait()?.is_some() || begin.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other(format!("{} did not listen", program.display())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { process, address, _files: files })
    }

    /// Returns the processor time of the server up to now, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.unwrap_or_default();
        // Behind the name, which may have spaces: user and system time are the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
