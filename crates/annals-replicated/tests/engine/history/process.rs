//! A process that appends: this program, started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use annals::{AppendError, Appended, Backend as _, EventStore, RawEvent, Recorded};
use annals_replicated::Replicated;
use annals_replicated::history::PrefixDigest;
use annals_replicated::sim::Random;

use super::notes::{Notes, Spec, now};

const DIRECTORY: &str = "ANNALS_HISTORY_DIRECTORY";
const URL: &str = "ANNALS_HISTORY_URL";
const PROCESS: &str = "ANNALS_HISTORY_PROCESS";
const REPLICA: &str = "ANNALS_HISTORY_REPLICA";

/// The threads of a process that append.
pub(super) const THREADS: u64 = 2;
/// A replica that does not open for this long is broken, on any machine.
const HANGS: Duration = Duration::from_secs(180);

pub(super) type Store = EventStore<RawEvent, Replicated<RawEvent>>;

/// Returns the file of a thread of a process.
pub(super) fn notes_path(directory: &Path, process: u64, thread: u64) -> PathBuf {
    directory.join(format!("{process}-{thread}.notes"))
}

/// Returns the file that ends a process, once it is there.
pub(super) fn stop_path(directory: &Path, process: u64) -> PathBuf {
    directory.join(format!("{process}.stop"))
}

/// Starts a process that appends to the record at `url`.
pub(super) fn start(directory: &Path, url: &str, process: u64, replica: &str) -> Child {
    let log = std::fs::File::create(directory.join(format!("{process}.log"))).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "history::process::appends_until_it_is_told_to_stop", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(URL, url)
        .env(PROCESS, process.to_string())
        .env(REPLICA, directory.join(replica))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Appends until a file tells it to stop, or the record has diverged. Run as a test, it does nothing.
#[test]
fn appends_until_it_is_told_to_stop() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let process: u64 = std::env::var(PROCESS).unwrap().parse().unwrap();
    let replica = PathBuf::from(std::env::var_os(REPLICA).unwrap());
    let store = open(&std::env::var(URL).unwrap(), &replica);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let notes = Notes::create(&notes_path(&directory, process, thread));
            let (store, stop) = (store.clone(), stop_path(&directory, process));
            std::thread::spawn(move || append(&store, notes, process * THREADS + thread, &stop))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Opens the store, again and again while the servers are away.
pub(super) fn open(url: &str, replica: &Path) -> Store {
    let began = Instant::now();
    loop {
        let options = Replicated::options().append_timeout(Duration::from_secs(4));
        match options.open(crate::connect(url), replica) {
            Ok(store) => return EventStore::on(store),
            Err(error) => assert!(began.elapsed() < HANGS, "the replica does not open: {error}"),
        }
    }
}

fn append(store: &Store, mut notes: Notes, thread: u64, stop: &Path) {
    let mut random = Random::new(thread);
    let (mut head, mut digest) = (0, PrefixDigest::default());
    let mut number = 0;
    while !stop.exists() {
        if number % 16 == 0 {
            observe(store, &mut head, &mut digest, &mut notes);
        }
        number += 1;
        let seen = store.len();
        let spec = Spec {
            thread,
            number,
            events: random.below(4),
            has_ids: random.chance(50),
            condition: random
                .chance(40)
                .then(|| (random.index(3), seen.saturating_sub(random.below(4)))),
        };
        let mut result = call(store, &spec, &mut notes);
        // With ids a batch in doubt is appended again, once or until it is known.
        let again = spec.has_ids && spec.events > 0;
        while again && matches!(result, Err(AppendError::InDoubt { .. })) && !random.chance(20) {
            result = call(store, &spec, &mut notes);
        }
        if matches!(result, Err(AppendError::Diverged { .. })) || !store.health().takes_appends() {
            return notes.diverged(&format!("{:?}", store.health()));
        }
    }
    observe(store, &mut head, &mut digest, &mut notes);
}

fn call(store: &Store, spec: &Spec, notes: &mut Notes) -> Result<Appended, AppendError> {
    notes.begin(spec);
    let result = if spec.events == 0 {
        store.backend().barrier().map(|head| Appended::new(head..head))
    } else {
        store.append_as(spec.batch())
    };
    notes.end(&result);
    result
}

/// Reads what is new, and notes what the log is up to there.
fn observe(store: &Store, head: &mut u64, digest: &mut PrefixDigest, notes: &mut Notes) {
    let time = now();
    let end = store.len();
    let mut rest = *head..end;
    let mut page: Vec<Recorded<RawEvent>> = Vec::new();
    while !rest.is_empty() {
        rest = store.backend().read_raw(rest, 1_000, &mut page).unwrap();
        for recorded in page.drain(..) {
            *digest = digest.then(&recorded.event);
        }
    }
    *head = end;
    notes.saw(time, end, *digest);
}
