//! Three processes that append to one record.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use annals::{Backend as _, RawEvent, Recorded};
use annals_replicated::create;
use annals_replicated::history::{History, check};
use tempfile::TempDir;

use super::process::{THREADS, notes_path, open, start, stop_path};

/// Processes that make no progress for this long have stopped for good, on any machine.
const HANGS: Duration = Duration::from_secs(180);
/// The size of the notes after which a process counts as having made progress, in bytes: some 50 calls.
const PROGRESS: u64 = 5_000;

/// Sends a signal to a process. One that has ended is not an error.
fn signal(process: u32, number: i32) {
    // SAFETY: the call has no conditions.
    let _ = unsafe { libc::kill(i32::try_from(process).unwrap(), number) };
}

/// A process that appends. Its replica keeps its name when the process is started again.
struct Writer {
    process: u64,
    replica: String,
    child: Child,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = (self.child.kill(), self.child.wait());
    }
}

pub(crate) struct World {
    url: String,
    writers: Vec<Writer>,
    /// The number of processes that were started.
    processes: u64,
    directory: TempDir,
}

impl World {
    /// Makes a record at `url`, and starts three processes.
    pub(crate) fn start(url: String) -> Self {
        create(&crate::connect(&url)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self { url, writers: Vec::new(), processes: 0, directory };
        for number in 0..3 {
            world.start_writer(&format!("replica-{number}"));
        }
        world
    }

    /// Starts a process with a replica. Returns its number among the writers.
    pub(crate) fn start_writer(&mut self, replica: &str) -> usize {
        let process = self.processes;
        self.processes += 1;
        let child = start(self.directory.path(), &self.url, process, replica);
        self.writers.push(Writer { process, replica: replica.to_owned(), child });
        self.writers.len() - 1
    }

    fn notes(&self, process: u64) -> impl Iterator<Item = PathBuf> {
        (0..THREADS).map(move |thread| notes_path(self.directory.path(), process, thread))
    }

    fn noted(&self, writer: usize) -> u64 {
        let sizes = self.notes(self.writers[writer].process);
        sizes.filter_map(|path| Some(path.metadata().ok()?.len())).sum()
    }

    fn log(&self, process: u64) -> String {
        std::fs::read_to_string(self.directory.path().join(format!("{process}.log"))).unwrap()
    }

    /// Waits until each process has made progress.
    pub(crate) fn progress(&mut self) {
        let goals = (0..self.writers.len()).map(|at| self.noted(at) + PROGRESS);
        let goals: Vec<u64> = goals.collect();
        let began = Instant::now();
        for (at, goal) in goals.into_iter().enumerate() {
            while self.noted(at) < goal {
                let process = self.writers[at].process;
                let ended = self.writers[at].child.try_wait().unwrap();
                assert!(ended.is_none(), "process {process} ended: {}", self.log(process));
                assert!(began.elapsed() < HANGS, "process {process} makes no progress");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    pub(crate) fn pause_writer(&self, writer: usize) {
        signal(self.writers[writer].child.id(), libc::SIGSTOP);
    }

    pub(crate) fn resume_writer(&self, writer: usize) {
        signal(self.writers[writer].child.id(), libc::SIGCONT);
    }

    /// Kills a process, and starts another one on its replica.
    pub(crate) fn replace_writer(&mut self, writer: usize) {
        let killed = self.writers.remove(writer);
        let replica = killed.replica.clone();
        drop(killed);
        let last = self.start_writer(&replica);
        self.writers.swap(writer, last);
    }

    /// Waits until a process ends, after it was told to.
    pub(crate) fn stop_writer(&mut self, writer: usize) {
        std::fs::write(stop_path(self.directory.path(), self.writers[writer].process), "").unwrap();
        self.wait_for_end(writer);
    }

    /// Waits until a process ends by itself.
    pub(crate) fn wait_for_end(&mut self, writer: usize) {
        let (began, process) = (Instant::now(), self.writers[writer].process);
        let status = loop {
            if let Some(status) = self.writers[writer].child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < HANGS, "process {process} does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "process {process}: {}", self.log(process));
    }

    /// Returns the history of some processes, and for each why it stopped if the record had diverged.
    pub(crate) fn history(&self, of: std::ops::Range<u64>) -> (History, Vec<Option<String>>) {
        let mut history = History::default();
        let stopped = of.map(|process| {
            let notes = self.notes(process).filter(|path| path.exists());
            let read = notes.map(|path| super::notes::read(&path, process, &mut history));
            read.collect::<Vec<_>>().into_iter().flatten().next()
        });
        let stopped = stopped.collect();
        (history, stopped)
    }

    /// Ends the processes, and checks what they were told and saw against the events that a new replica reads. Returns
    /// the history.
    pub(crate) fn judge(&mut self) -> History {
        for writer in 0..self.writers.len() {
            self.stop_writer(writer);
        }
        let (history, diverged) = self.history(0..self.processes);
        assert!(diverged.iter().all(Option::is_none), "a record diverged: {diverged:?}");
        let log = self.events("new");
        assert_eq!(check(&history, &log), []);
        history
    }

    /// Returns the events of a replica. A new replica reads the record.
    pub(crate) fn events(&self, replica: &str) -> Vec<RawEvent> {
        let store = open(&self.url, &self.directory.path().join(replica));
        let mut rest = 0..store.len();
        let mut page: Vec<Recorded<RawEvent>> = Vec::new();
        while !rest.is_empty() {
            rest = store.backend().read_raw(rest, 10_000, &mut page).unwrap();
        }
        page.into_iter().map(|recorded| recorded.event).collect()
    }
}
