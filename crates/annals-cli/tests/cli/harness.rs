//! Runs the command, and checks its output.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use annals::{EventStore, Journal, RawEvent};
use serde_json::Value;
use tempfile::TempDir;

/// A directory for one test, and the kind of its stores.
pub(crate) struct TestDir {
    directory: TempDir,
    kind: StoreKind,
}

/// The kind of a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Journal,
    #[cfg(feature = "rocksdb")]
    RocksDb,
}

/// Runs each of these tests, which are functions of a `TestDir`, for every kind of store.
macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        mod journal {
            $(#[test] fn $test() { super::$test(&$crate::harness::TestDir::new()); })+
        }
        #[cfg(feature = "rocksdb")]
        mod rocksdb {
            use $crate::harness::{StoreKind, TestDir};
            $(#[test] fn $test() { super::$test(&TestDir::of(StoreKind::RocksDb)); })+
        }
    };
}
pub(crate) use on_every_backend;

impl TestDir {
    /// Creates a directory for stores in files.
    pub(crate) fn new() -> Self {
        Self::of(StoreKind::Journal)
    }

    /// Creates a directory for stores of this kind.
    pub(crate) fn of(kind: StoreKind) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), kind }
    }

    pub(crate) fn is_journal(&self) -> bool {
        self.kind == StoreKind::Journal
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns a STORE argument.
    pub(crate) fn at(&self, name: &str) -> String {
        match self.kind {
            StoreKind::Journal => self.arg(name),
            #[cfg(feature = "rocksdb")]
            StoreKind::RocksDb => format!("rocksdb:{}", self.arg(name)),
        }
    }

    /// Returns a path as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Creates a store with the events of these lines, and returns it as an argument.
    pub(crate) fn store(&self, name: &str, lines: &str) -> String {
        let store = self.at(name);
        annals(["append", &store], lines).succeeds();
        store
    }
}

/// The exit code and the output of a run of the command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Checks that the exit code is 0 and that there are no messages besides notes.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        let is_note = |line: &str| line.starts_with("annals: note: ");
        assert!(self.code == Some(0) && self.err.lines().all(is_note), "{self:?}");
        self
    }

    /// Checks that the exit code is 0, and the notes.
    #[track_caller]
    pub(crate) fn notes(self, notes: &[&str]) -> Self {
        let lines = notes.iter().map(|note| format!("annals: note: {note}\n"));
        let expected = lines.collect::<Vec<_>>().concat();
        assert_eq!((self.code, &*self.err), (Some(0), &*expected), "{self:?}");
        self
    }

    /// Checks that the exit code is 1 and that the message contains all of these words.
    #[track_caller]
    pub(crate) fn fails(self, words: &[&str]) -> Self {
        self.ends(1, words)
    }

    /// Checks that the exit code is 2 and that the message contains all of these words.
    #[track_caller]
    pub(crate) fn complains(self, words: &[&str]) -> Self {
        self.ends(2, words)
    }

    #[track_caller]
    fn ends(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
        self
    }

    /// Returns the lines of the output, as JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the offsets in the lines of the output.
    #[track_caller]
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.lines().iter().map(|line| line["offset"].as_u64().unwrap()).collect()
    }
}

pub(crate) fn command<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command
        .args(args)
        .env_remove("ANNALS_STORE")
        .env_remove("ANNALS_REPLICA")
        .env_remove("PGPASSWORD");
    streams(&mut command);
    command
}

/// Sets an empty standard input, and pipes for the output.
pub(crate) fn streams(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Runs the command with this input, through a pipe.
#[track_caller]
pub(crate) fn annals<'a>(args: impl IntoIterator<Item = &'a str>, input: impl AsRef<[u8]>) -> Run {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // An error is ignored: the command may end before it has read all input.
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let run = finish(child);
    let _ = feeder.join().unwrap();
    run
}

/// Runs the command with a file as its input.
pub(crate) fn annals_with_file<'a>(args: impl IntoIterator<Item = &'a str>, file: &Path) -> Run {
    finish(command(args).stdin(std::fs::File::open(file).unwrap()).spawn().unwrap())
}

pub(crate) fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running command.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(command(args))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = streams(&mut command).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        Self { child, input, output }
    }

    /// Writes a line to its input.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for the next line of its output.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Returns the remaining whole lines of its output, until it ends.
    pub(crate) fn hear_out(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.output.as_mut().unwrap().read_line(&mut line).unwrap();
            if !line.ends_with('\n') {
                return lines;
            }
            lines.push(serde_json::from_str(&line).unwrap());
        }
    }

    /// Closes its input.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Closes the pipe of its output.
    pub(crate) fn turn_away(&mut self) {
        self.output = None;
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until SIGINT does not end it at once.
    #[cfg(target_os = "linux")]
    pub(crate) fn wait_until_it_handles_signals(&self) {
        let path = format!("/proc/{}/status", self.child.id());
        loop {
            let status = std::fs::read_to_string(&path).unwrap();
            let handled = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            // Bit 0 is that of signal 1; SIGINT is signal 2.
            if u64::from_str_radix(handled.trim(), 16).unwrap() & 2 != 0 {
                return;
            }
            thread::yield_now();
        }
    }

    /// Returns its standard error, after it has ended.
    pub(crate) fn complaints(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Waits for its end, and returns its exit code.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test must not leave the process running. An error is ignored: the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the line of event `n`, as it is appended.
pub(crate) fn line(n: u64) -> String {
    format!(r#"{{"type":"type-{}","tags":["digit:{}","all"],"data":{{"n":{n}}}}}"#, n % 3, n % 10)
}

/// Returns the lines of these events.
pub(crate) fn lines(range: std::ops::Range<u64>) -> String {
    range.map(|n| line(n) + "\n").collect()
}

/// Returns the line that was appended for a line that was read.
pub(crate) fn as_given(read: &str) -> String {
    let at = read.find(r#""type""#).unwrap();
    format!("{{{}", &read[at..])
}

/// Returns the lines of all events of a store, as they were appended.
pub(crate) fn all(store: &str) -> Vec<String> {
    annals(["read", store], "").succeeds().out.lines().map(as_given).collect()
}

/// Creates a store of `count` events in several small segments, which the command itself cannot create.
pub(crate) fn store_of_segments(path: &Path, count: u64) {
    let journal = Journal::options().segment_bytes(4 << 10).open(path).unwrap();
    let store = EventStore::<RawEvent, _>::on(journal);
    for n in (0..count).step_by(10) {
        store
            .append_batch((n..n + 10).map(|n| annals_cli::parse_line(line(n).as_bytes()).unwrap()))
            .unwrap();
    }
    assert!(store.stats().segments > 3);
}
