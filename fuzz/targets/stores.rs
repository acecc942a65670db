//! The golden store with one file changed is never taken for another log: what is read is as it was, and when it opens
//! for writing, all that was there at its last close is there; when it does not, its files are as they were. What is
//! whole of it can be salvaged, in order, and that changes nothing.
//!
//! Input: which file (1 byte), what is done to it (1: cut, overwrite, append, replace), where (2), and the bytes.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use annals::{Durability, EventStore, Journal, OpenError, Query, RawEvent, Recorded};
use libfuzzer_sys::fuzz_target;

/// `fuzz/run` starts the targets in `fuzz/`.
const GOLDEN: &str = "../crates/annals/tests/golden/format-1";

type Store = EventStore<RawEvent, Journal<RawEvent>>;

fuzz_target!(|input: &[u8]| {
    let [file, deed, low, high, bytes @ ..] = input else { return };
    let files = golden_files();
    let changed = usize::from(*file) % files.len();
    let directory = tempfile::tempdir_in(memory()).expect("room for a store");
    for (at, (name, content)) in files.iter().enumerate() {
        let mut content = content.clone();
        if at == changed {
            change(&mut content, *deed, u16::from_le_bytes([*low, *high]).into(), bytes);
        }
        std::fs::write(directory.path().join(name), content).expect("room for a file");
    }
    check(directory.path());
});

fn change(content: &mut Vec<u8>, deed: u8, position: usize, bytes: &[u8]) {
    let position = position % (content.len() + 1);
    match deed % 4 {
        0 => content.truncate(position),
        1 => {
            let end = (position + bytes.len()).min(content.len());
            content[position..end].copy_from_slice(&bytes[..end - position]);
        }
        2 => content.extend_from_slice(bytes),
        _ => *content = bytes.to_vec(),
    }
}

fn check(path: &Path) {
    let golden = golden_events();
    if let Ok(store) = EventStore::open_read_only(path) {
        check_read(&store);
    }
    let _ = annals::verify(path);
    let before = files_but_lock(path);
    check_salvage(path);
    assert!(before == files_but_lock(path), "reading changed the store");
    match open(path) {
        Ok(store) => {
            check_read(&store);
            let head = store.len();
            assert_eq!(head, golden.len() as u64, "nothing that was there is lost");
            let event = RawEvent::builder("next").build().expect("a plain event");
            assert_eq!(store.append(event).expect("an open store takes events"), head);
            drop(store);
            assert_eq!(open(path).expect("what was closed opens").len(), head + 1);
        }
        Err(_) => {
            assert!(before == files_but_lock(path), "a store that was refused was changed");
        }
    }
}

/// What is saved is in the order in which it was, and what is not is told. (A record of the input's own may be whole.)
fn check_salvage(path: &Path) {
    let directory = tempfile::tempdir_in(memory()).expect("room for a store");
    let to = directory.path().join("saved");
    let Ok(report) = Journal::options().segment_bytes(4 << 10).salvage(path, &to) else { return };
    if report.events == 0 {
        assert!(!to.exists());
        return;
    }
    let store: Store = EventStore::open_read_only(&to).expect("a new store");
    assert_eq!(store.len(), report.events);
    let (mut next, mut time_ms) = (0, 0);
    for (read, old) in store.read(..).zip(report.ranges.iter().flat_map(|r| r.old..r.old + r.count))
    {
        let read = read.expect("a new event");
        assert!(old >= next && read.time_ms >= time_ms);
        assert_eq!(report.new_offset(old), Some(read.offset));
        (next, time_ms) = (old + 1, read.time_ms);
    }
}

/// What is read is as it was, or an error; and queries answer nothing else.
fn check_read(store: &Store) {
    let same = |read: &Recorded<RawEvent>| golden_events().contains(read);
    for query in
        [Query::all(), Query::tag("show:7"), Query::tag("seat:3"), Query::event_type("ping")]
    {
        let (mut forward, mut failed) = (Vec::new(), false);
        for read in store.query(&query) {
            let Ok(read) = read else {
                failed = true;
                break;
            };
            assert!(same(&read), "{read:?}");
            assert!(query.matches(read.event.event_type(), read.event.tags()));
            forward.push(read.offset);
        }
        let mut backward: Vec<_> =
            store.query(&query).rev().map_while(Result::ok).map(|read| read.offset).collect();
        backward.reverse();
        assert!(failed || forward == backward, "one way as the other");
    }
    let _ = (store.types(), store.tags(""));
}

fn open(path: &Path) -> Result<Store, OpenError> {
    let options = Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered);
    options.open(path).map(EventStore::on)
}

fn files_but_lock(path: &Path) -> Vec<(String, Vec<u8>)> {
    read_files(path).into_iter().filter(|file| file.0 != "LOCK").collect()
}

fn read_files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(path).expect("a directory");
    let read = |path: &Path| std::fs::read(path).expect("a file");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path())))
        .collect();
    files.sort();
    files
}

fn golden_files() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| read_files(Path::new(GOLDEN)))
}

fn golden_events() -> &'static [Recorded<RawEvent>] {
    static EVENTS: OnceLock<Vec<Recorded<RawEvent>>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        let store = EventStore::open_read_only(GOLDEN).expect("the golden store");
        store.read(..).map(|read| read.expect("a golden event").into_owned()).collect()
    })
}

/// Where files cost no disk, if there is such a place.
fn memory() -> &'static Path {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared } else { Path::new("/tmp") }
}
