//! The format, as docs/FORMAT.md specifies it: an independent reader (reader.py, written from that document) reads the
//! stores that this version writes, and this version reads a store that the first version wrote (golden/).
//!
//! golden/format-1 is a store that the first version wrote, and golden/format-1.jsonl has its events. Keep them as long
//! as format 1 is read. If a test of this file fails, do not write them again: the code is wrong, or the format has
//! changed. If they must be written again nevertheless:
//! `ANNALS_WRITE_GOLDEN=1 cargo test -p annals --test format the_golden_example` (and put the output of that test into
//! the document).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use annals::{Batch, Durability, EventStore, Journal, OpenError, Query, RawEvent, Recorded};
use serde_json::{Value, json};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

fn open(path: &Path) -> Result<Store, OpenError> {
    let options = Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered);
    options.open(path).map(EventStore::on)
}

fn at(time_ms: u64, events: Vec<RawEvent>) -> Batch<RawEvent> {
    Batch::new(events).time_ms(time_ms)
}

/// Returns the batches of the golden store. The first frame is the example in docs/FORMAT.md.
fn golden_batches() -> Vec<Batch<RawEvent>> {
    let start = 1_700_000_000_000;
    let example = RawEvent::builder("seat-sold")
        .tag("seat:12Ä")
        .tag("show:7")
        .id("0x1")
        .metadata("actor", "Jörg")
        .data(r#"{"price":90}"#);
    let longest = "x".repeat(255);
    let odd = [
        RawEvent::builder("ping"),
        RawEvent::builder("名前").tag("都市:東京").tag("🎟").metadata("empty", "").data("…"),
        RawEvent::builder(&longest).tag(&longest).id(&longest).metadata(&longest, "y".repeat(300)),
        (0..64)
            .fold(RawEvent::builder("many").metadata("b", "2").metadata("a", "1"), |event, n| {
                event.tag(format!("t{n}"))
            }),
        RawEvent::builder("bytes").id("any byte").data((0..=255).collect::<Vec<u8>>()),
    ];
    let mut batches = vec![
        at(start, vec![example.build().unwrap()]),
        at(start, odd.into_iter().map(|event| event.build().unwrap()).collect()),
    ];
    let plain = |n: u64| {
        let event = RawEvent::builder(if n.is_multiple_of(3) { "seat-freed" } else { "seat-sold" })
            .tag(format!("seat:{}", n % 8))
            .tag("show:7")
            .data(format!(r#"{{"n":{n}}}"#));
        (if n.is_multiple_of(2) { event.id(format!("id-{n}")) } else { event }).build().unwrap()
    };
    batches.extend(
        (0..36).map(|n| at(start + 1 + n, (4 * n..4 * n + 1 + n % 4).map(plain).collect())),
    );
    batches
}

fn golden() -> PathBuf {
    PathBuf::from("tests/golden/format-1")
}

fn golden_lines() -> Vec<Value> {
    let text = std::fs::read_to_string(golden().with_extension("jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns a copy of the golden store and its temporary directory.
fn golden_copy() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy.store");
    std::fs::create_dir(&path).unwrap();
    for name in files(&golden()) {
        std::fs::copy(golden().join(&name), path.join(&name)).unwrap();
    }
    (directory, path)
}

fn files(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn files_with(path: &Path, extension: &str) -> Vec<String> {
    let has = |name: &String| Path::new(name).extension().is_some_and(|found| found == extension);
    files(path).into_iter().filter(has).collect()
}

fn write_golden_if_asked() {
    if std::env::var_os("ANNALS_WRITE_GOLDEN").is_none() {
        return;
    }
    let _ = std::fs::remove_dir_all(golden());
    std::fs::create_dir_all(golden()).unwrap();
    let store = open(&golden()).unwrap();
    for batch in golden_batches() {
        store.append_as(batch).unwrap();
    }
    let lines: Vec<String> = lines_of(&store).iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(golden().with_extension("jsonl"), lines.concat()).unwrap();
    drop(store);
    // Every writer creates this file; no reader depends on it.
    std::fs::remove_file(golden().join("LOCK")).unwrap();
}

/// Returns an event as reader.py prints it.
fn line(recorded: &Recorded<RawEvent>) -> Value {
    let event = &recorded.event;
    json!({
        "offset": recorded.offset,
        "time_ms": recorded.time_ms,
        "type": event.event_type(),
        "tags": event.tags().collect::<Vec<_>>(),
        "id": event.id(),
        "metadata": event.metadata().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "data": base64(event.data_bytes()),
    })
}

fn lines_of(store: &Store) -> Vec<Value> {
    store.read(..).map(|read| line(&read.unwrap())).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        let digit = |at: usize| {
            if at <= chunk.len() { char::from(DIGITS[bits >> (18 - 6 * at) & 63]) } else { '=' }
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// Reads a store with reader.py.
fn run_reader(path: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.arg("-B").arg("tests/reader.py").arg(path).args(arguments).env("PYTHONUTF8", "1");
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "python3 is not there: install it (./check does; on Debian, apt-get install python3)"
            )
        }
        output => output.unwrap(),
    }
}

fn reader_lines(path: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = run_reader(path, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert_eq!(errors, "");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that reader.py finds the same events as the store, for some names of each kind.
fn check_searches(path: &Path, lines: &[Value], tags: &[&str], types: &[&str], ids: &[&str]) {
    let check = |option: &str, name: &str, matches: &dyn Fn(&Value) -> bool| {
        let expected: Vec<Value> = lines.iter().filter(|line| matches(line)).cloned().collect();
        assert_eq!(reader_lines(path, &[option, name]), expected, "{option} {name}");
        expected.len()
    };
    for &tag in tags {
        let found =
            check("--tag", tag, &|line| line["tags"].as_array().unwrap().contains(&json!(tag)));
        let store = EventStore::<RawEvent>::open_read_only(path).unwrap();
        assert_eq!(store.query(&Query::tag(tag)).count(), found, "{tag}");
    }
    for &name in types {
        check("--type", name, &|line| line["type"] == name);
    }
    for &id in ids {
        assert!(check("--id", id, &|line| line["id"] == id) <= 1);
    }
}

#[test]
fn golden_files_are_read_by_both_readers() {
    let expected = golden_lines();
    assert_eq!(reader_lines(&golden(), &[]), expected);
    check_searches(
        &golden(),
        &expected,
        &["seat:12Ä", "show:7", "seat:3", "t63", "🎟", "none"],
        &["seat-sold", "名前", "none"],
        &["0x1", "any byte", "id-2", "none"],
    );
    let (_directory, path) = golden_copy();
    let store = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    assert!(store.stats().segments >= 3, "sealed segments are among them");
    assert_eq!(lines_of(&store), expected);
    assert_eq!(files(&path), files(&golden()), "reading makes no file");
}

#[test]
fn golden_files_are_opened_for_writing_and_extended() {
    let (_directory, path) = golden_copy();
    let expected = golden_lines();
    {
        let store = open(&path).unwrap();
        assert_eq!(lines_of(&store), expected);
        let again = golden_batches().swap_remove(0);
        assert_eq!(store.append_as(again).unwrap().offsets, 0..1, "its id is known");
        assert_eq!(
            store.append(RawEvent::builder("next").build().unwrap()).unwrap(),
            expected.len() as u64
        );
    }
    let lines = reader_lines(&path, &[]);
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(lines.len(), expected.len() + 1);
}

/// `verify` compares each index file with one that is rebuilt from the events.
#[test]
fn golden_indexes_are_equal_to_rebuilt_ones() {
    let (_directory, path) = golden_copy();
    let check = || {
        let report = annals::verify(&path).unwrap();
        assert_eq!((report.problems, report.notes), (vec![], Vec::<String>::new()));
    };
    check();
    let indexes = files_with(&golden(), "idx");
    assert!(indexes.len() >= 2);
    for name in &indexes {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    drop(open(&path).unwrap());
    check();
    assert!(indexes.iter().all(|name| path.join(name).exists()), "they were rebuilt");
    assert_eq!(
        reader_lines(&path, &["--tag", "show:7"]),
        reader_lines(&golden(), &["--tag", "show:7"])
    );
}

/// From the golden store's first 64 bytes on, the same appends write the same bytes, but for the checksum of the frames
/// before a segment.
#[test]
fn this_version_still_writes_the_golden_log() {
    let directory = tempfile::tempdir().unwrap();
    let (path, first) = (directory.path(), "00000000000000000000.log");
    std::fs::copy(golden().join("store.json"), path.join("store.json")).unwrap();
    std::fs::write(path.join(first), &std::fs::read(golden().join(first)).unwrap()[..64]).unwrap();
    {
        let store = open(path).unwrap();
        for batch in golden_batches() {
            store.append_as(batch).unwrap();
        }
    }
    for name in files_with(&golden(), "log") {
        let mut written = std::fs::read(path.join(&name)).unwrap();
        let has_crc_before = written[48..52] != [0; 4];
        assert_eq!(has_crc_before, name != first, "{name}: the checksum of the frames before it");
        // annals 0.1 wrote the golden store, without that checksum.
        let golden = std::fs::read(golden().join(&name)).unwrap();
        written[12..16].copy_from_slice(&golden[12..16]);
        written[48..52].fill(0);
        assert!(written == golden, "{name}");
    }
    assert_eq!(annals::verify(path).unwrap().problems, []);
}

/// The example in docs/FORMAT.md is the golden store's first frame, byte for byte.
#[test]
fn the_golden_example_is_in_the_document() {
    write_golden_if_asked();
    let document = "../../docs/FORMAT.md";
    let document = std::fs::read_to_string(document).unwrap();
    let store: Value =
        serde_json::from_slice(&std::fs::read(golden().join("store.json")).unwrap()).unwrap();
    assert!(document.contains(store["store_id"].as_str().unwrap()), "the example's store: {store}");
    let segment = std::fs::read(golden().join("00000000000000000000.log")).unwrap();
    let size = usize::from(u16::from_le_bytes([segment[64 + 12], segment[64 + 13]]));
    let dump = |bytes: &[u8]| -> String {
        let row = |(row, bytes): (usize, &[u8])| {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:>4}  {}\n", row * 16, hex.join(" "))
        };
        bytes.chunks(16).enumerate().map(row).collect()
    };
    let (head, frame) = (dump(&segment[..64]), dump(&segment[64..64 + 48 + size]));
    assert!(document.contains(&head), "the segment's head:\n{head}");
    assert!(document.contains(&frame), "the frame:\n{frame}");
}

fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder(format!("type-{}", n % 3))
        .tag(format!("digit:{}", n % 10))
        .tag(format!("ereignis:ä{n}"))
        .metadata("trace", format!("ß{n}"))
        .data(format!("{{\"n\":{n}}}"));
    (if n.is_multiple_of(5) { event.id(format!("id-{n}")) } else { event }).build().unwrap()
}

#[test]
fn the_reader_reads_closed_and_open_stores() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = open(&path).unwrap();
    for n in 0..200 {
        store.append(event(n)).unwrap();
    }
    store.append_batch((200..2_200).map(event)).unwrap();
    let large: Vec<u8> = (0..1_u32 << 20).map(|n| (n % 251) as u8).collect();
    store.append(RawEvent::builder("large").data(large).build().unwrap()).unwrap();
    store.append(RawEvent::builder("after").tag("digit:7").build().unwrap()).unwrap();
    let expected = lines_of(&store);
    let names: (&[_], &[_], &[_]) =
        (&["digit:7", "ereignis:ä2199", "none"], &["large"], &["id-55", "id-56", "id-2195"]);
    // While the store is open, the active file is longer than the log.
    assert_eq!(reader_lines(&path, &[]), expected);
    check_searches(&path, &expected, names.0, names.1, names.2);
    drop(store);
    assert!(path.join("closed.json").exists());
    assert_eq!(reader_lines(&path, &[]), expected);
    check_searches(&path, &expected, names.0, names.1, names.2);
}

/// The filter of an index file is its last bytes. Its size is at byte 76 of the file, and its checksum at byte 92.
#[test]
fn the_reader_compares_filters_with_their_segments() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = open(&path).unwrap();
    for n in 0..600 {
        store.append(event(n)).unwrap();
    }
    drop(store);
    assert_eq!(reader_lines(&path, &[]).len(), 600);
    let indexes = files_with(&path, "idx");
    assert!(indexes.len() > 8);
    let (name, file) = (&indexes[3], path.join(&indexes[3]));
    let whole = std::fs::read(&file).unwrap();
    let size = usize::from(whole[76]) + (usize::from(whole[77]) << 8);
    assert!(size >= 64 && size.is_multiple_of(64) && whole.len().is_multiple_of(64), "{size}");
    let start = whole.len() - size;
    let check = |bytes: &[u8], problem: &str| {
        std::fs::write(&file, bytes).unwrap();
        let output = run_reader(&path, &[]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{problem}");
        assert!(message.contains(name) && message.contains(problem), "{message}");
        assert_eq!(annals::verify(&path).unwrap().problems.len(), 1, "{problem}");
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    check(&flipped(start), "a wrong filter");
    check(&flipped(whole.len() - 1), "a wrong filter");
    check(&flipped(92), "a wrong checksum of its head");
    check(&whole[..start + 32], "a wrong filter");
    // A filter with a bit too few or too many, and the right checksums.
    let set = (start..whole.len()).find(|&at| whole[at] & 1 != 0).unwrap();
    let unset = (start..whole.len()).find(|&at| whole[at] & 1 == 0).unwrap();
    for at in [set, unset] {
        let mut bytes = flipped(at);
        write_checksum(&mut bytes, 92, start..whole.len());
        write_checksum(&mut bytes, 12, 16..112);
        // The blocks that changed: the first, with the head, and that of the filter. Byte 108 has where the
        // checksums start.
        let end = usize::from(whole[108]) + (usize::from(whole[109]) << 8);
        write_checksum(&mut bytes, end, 0..end.min(1_024));
        let of_filter = end + (4 * end.div_ceil(1_024)).next_multiple_of(64);
        write_checksum(&mut bytes, of_filter, start..whole.len());
        check(&bytes, "a filter of other names");
    }
}

fn write_checksum(bytes: &mut [u8], at: usize, of: std::ops::Range<usize>) {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[of]);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes()[..4]);
}

#[test]
fn the_reader_reads_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = open(&path).unwrap();
    assert_eq!(reader_lines(&path, &[]), [Value::Null; 0]);
    drop(store);
    assert_eq!(reader_lines(&path, &["--tag", "none"]), [Value::Null; 0]);
}

#[test]
fn a_log_without_its_store_json_is_not_mistaken_for_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    open(&path).unwrap().append(event(0)).unwrap();
    std::fs::remove_file(path.join("store.json")).unwrap();
    std::fs::remove_file(path.join("closed.json")).unwrap();
    let log = std::fs::read(path.join("00000000000000000000.log")).unwrap();
    let refused = open(&path).map(|_| ());
    assert!(matches!(refused, Err(OpenError::NotAStore { .. })), "{refused:?}");
    assert_eq!(std::fs::read(path.join("00000000000000000000.log")).unwrap(), log);
}

/// Both readers detect a changed byte in any file, and neither returns wrong events.
#[test]
fn both_readers_detect_any_changed_byte_of_a_log() {
    let (_directory, path) = golden_copy();
    let expected = golden_lines();
    for name in files_with(&path, "log") {
        let file = path.join(&name);
        let bytes = std::fs::read(&file).unwrap();
        // In the headers of the file, of a frame and of a record, in a body, and in the last body.
        for at in [0, 13, 40, 69, 105, 117, 124, 200, bytes.len() - 9] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            std::fs::write(&file, &changed).unwrap();
            let output = run_reader(&path, &[]);
            assert_eq!(output.status.code(), Some(1), "{name}, byte {at}");
            assert!(!output.stderr.is_empty());
            assert!(!annals::verify(&path).unwrap().problems.is_empty(), "{name}, byte {at}");
            let Ok(store) = EventStore::<RawEvent>::open_read_only(&path) else { continue };
            for read in store.read(..).map_while(Result::ok) {
                assert_eq!(line(&read), expected[usize::try_from(read.offset).unwrap()]);
            }
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(reader_lines(&path, &[]), expected);
}
