//! Following a Journal beside its writer: after a failed sync, after a damaged frame, with and without syncs.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use annals::{
    AppendError, Durability, EventStore, FileSystem as _, FollowError, Journal, Query, RawEvent,
};
use annals_conformance::JournalSubject;
use annals_conformance::fault::{Call, FaultFileSystem, Reads, on_disk};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).data(vec![b'0'; 300]).build().expect("an event")
}

fn options(disk: &FaultFileSystem, durability: Durability) -> annals::JournalOptions {
    JournalSubject::new(durability).options(disk)
}

fn open(disk: &FaultFileSystem, durability: Durability) -> Store {
    EventStore::on(options(disk, durability).open(on_disk("store")).expect("it opens"))
}

fn follow(disk: &FaultFileSystem) -> Store {
    let options = options(disk, Durability::Sync);
    EventStore::on(options.open_read_only(on_disk("store")).expect("it opens"))
}

fn types(store: &Store) -> Vec<String> {
    let events = store.read(..);
    events.map(|event| event.expect("read").event.event_type().to_owned()).collect()
}

/// Waits until a follower has ended, and returns the reason.
fn end_of(reader: &Store) -> FollowError {
    for event in reader.subscription(Query::all(), reader.len()) {
        event.expect("read");
    }
    reader.backend().follow_error().expect("it ended for a reason").clone()
}

#[test]
fn a_follower_ends_when_what_it_read_is_taken_back() {
    // Either nothing more is appended, or the writer is opened again and appends shorter, longer or equally long
    // events. They differ from the lost one: the same event within the same millisecond has the same bytes.
    for next in [None, Some("b"), Some("a-longer-one-than-the-first"), Some("next")] {
        let disk = FaultFileSystem::new(0);
        let writer = open(&disk, Durability::Sync);
        writer.append(event("kept")).expect("appended");
        let reader = follow(&disk);
        let hold = disk.hold(Call::Sync);
        disk.fail(Call::Sync, 1, ErrorKind::Other);
        let lent = std::thread::scope(|scope| {
            let append = scope.spawn(|| writer.append(event("lost")));
            // The event is written but not synced. The follower reads it and lends it.
            let read = reader.subscription(Query::event_type("lost"), 0).next();
            let lent = read.expect("there").expect("read").into_owned();
            hold.release();
            let failed = append.join().expect("no panic");
            assert!(matches!(failed, Err(AppendError::Failed { .. })), "{failed:?}");
            lent
        });
        drop(writer);
        if let Some(next) = next {
            let writer = open(&disk, Durability::Sync);
            writer.append(event(next)).expect("appended");
            writer.append(event(next)).expect("appended");
            drop(writer);
        }
        let error = end_of(&reader);
        assert!(matches!(error, FollowError::TakenBack { offset: 1, .. }), "{next:?}: {error:?}");
        assert!(error.to_string().contains("open the store again"), "{error}");
        // The lent event does not change, and can be read again.
        assert_eq!(lent.event, event("lost"));
        assert_eq!(types(&reader), ["kept", "lost"]);
        let other = follow(&disk);
        assert_eq!(types(&other)[1..], next.map_or(vec![], |next| vec![next, next]));
    }
}

/// Returns a disk with a store of one event, and the bytes of its segment file once it has three events.
fn one_and_three() -> (FaultFileSystem, Vec<u8>) {
    let disk = FaultFileSystem::new(0);
    open(&disk, Durability::Sync).append(event("first")).expect("appended");
    let one = FaultFileSystem::of(&disk.image(), 0);
    let writer = open(&disk, Durability::Sync);
    writer.append(event("second")).expect("appended");
    writer.append(event("third")).expect("appended");
    drop(writer);
    let three = disk.contents(segment()).expect("a segment");
    (one, three)
}

fn segment() -> std::path::PathBuf {
    on_disk("store").join("00000000000000000000.log")
}

/// Writes these bytes to the segment file, as its writer would.
fn write(disk: &FaultFileSystem, bytes: &[u8]) {
    let directory = disk.process().open_directory(&on_disk("store")).expect("a directory");
    let file = directory.open("00000000000000000000.log").expect("a segment");
    file.write_at(bytes, 0).expect("written");
}

#[test]
fn a_follower_ends_at_a_bad_frame_and_says_so() {
    let (_, three) = one_and_three();
    let second = three.windows(6).position(|bytes| bytes == b"second").expect("it is there");
    for damaged in [second, second - 60] {
        let (disk, mut three) = one_and_three();
        let reader = follow(&disk);
        assert_eq!(types(&reader), ["first"]);
        three[damaged] ^= 1;
        write(&disk, &three);
        let error = end_of(&reader);
        let FollowError::Damaged(damage) = &error else { panic!("{error:?}") };
        assert_eq!(damage.offset, 1, "{damage}");
        assert_eq!(reader.backend().damage(), Some(damage));
        assert_eq!(types(&reader), ["first"]);
    }
}

#[test]
fn a_follower_ends_before_a_page_of_zeroes_and_says_so() {
    let (disk, mut three) = one_and_three();
    let reader = follow(&disk);
    let second = three.windows(6).position(|bytes| bytes == b"second").expect("it is there");
    three[second - 72..second + 200].fill(0);
    write(&disk, &three);
    let error = end_of(&reader);
    assert!(matches!(&error, FollowError::Damaged(damage) if damage.offset == 1), "{error:?}");
}

#[test]
fn a_follower_ends_when_its_segment_is_short_of_the_next() {
    let disk = FaultFileSystem::new(0);
    let writer = open(&disk, Durability::Sync);
    writer.append(event("first")).expect("appended");
    let begun = FaultFileSystem::of(&disk.image(), 0);
    for _ in 0..30 {
        writer.append(event("more")).expect("appended");
    }
    let reader = follow(&begun);
    // The later segments exist, but the current one has no more events.
    for name in disk.names(on_disk("store")).expect("listed") {
        let digits = name.strip_suffix(".log");
        if digits.is_some_and(|digits| digits != "00000000000000000000") {
            let path = on_disk("store").join(name);
            begun.put(&path, &disk.contents(&path).expect("read"));
        }
    }
    let error = end_of(&reader);
    assert!(matches!(&error, FollowError::Damaged(damage) if damage.offset == 1), "{error:?}");
}

#[test]
fn a_follower_in_a_withdrawn_segment_ends_when_the_log_goes_on_before_it() {
    let disk = FaultFileSystem::new(0);
    let sized = |bytes| options(&disk, Durability::Sync).segment_bytes(bytes);
    let writer = sized(4 << 10).open(on_disk("store")).expect("it opens");
    let writer: Store = EventStore::on(writer);
    for _ in 0..20 {
        if writer.stats().event_bytes >= 4 << 10 {
            break;
        }
        writer.append(event("before")).expect("appended");
    }
    let len = writer.len();
    // The next segment is created, and then its space cannot be allocated.
    let hold = disk.hold(Call::SetSize);
    disk.fail(Call::SetSize, 1, ErrorKind::Other);
    let reader = std::thread::scope(|scope| {
        let append = scope.spawn(|| writer.append(event("refused")));
        assert!(hold.wait(Duration::from_secs(3600)), "the segment is begun");
        let reader = follow(&disk);
        hold.release();
        append.join().expect("no panic").expect_err("no next segment");
        reader
    });
    assert_eq!(reader.len(), len);
    drop(writer);
    let writer: Store = EventStore::on(sized(1 << 20).open(on_disk("store")).expect("it opens"));
    assert_eq!(writer.append(event("after")).expect("appended"), len);
    let error = end_of(&reader);
    assert!(matches!(error, FollowError::Replaced { .. }), "{error:?}");
    assert!(error.to_string().contains("its last segment was withdrawn"), "{error}");
    assert_eq!(types(&follow(&disk)).last().map(String::as_str), Some("after"));
}

#[test]
fn a_commit_that_is_not_finished_is_waited_for() {
    let (disk, three) = one_and_three();
    let reader = follow(&disk);
    // The state that a process leaves when it is killed while it writes. Another process then continues.
    let second = three.windows(6).position(|bytes| bytes == b"second").expect("it is there");
    write(&disk, &three[..second + 3]);
    let writer = open(&disk, Durability::Sync);
    writer.append(event("other")).expect("appended");
    let read = reader.subscription(Query::event_type("other"), 0).next();
    assert_eq!(read.expect("there").expect("read").offset, 1);
    assert_eq!(reader.backend().follow_error(), None);
}

/// Waits until so many more reads were made; returns how much had been read before, and has been now.
fn wait_for_reads(disk: &FaultFileSystem, calls: u64) -> [Reads; 2] {
    let before = disk.reads();
    loop {
        let now = disk.reads();
        if now.calls >= before.calls + calls {
            return [before, now];
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn an_idle_follower_reads_next_to_nothing_and_maps_nothing() {
    for events in [0, 1] {
        let disk = FaultFileSystem::new(0);
        // Segments of the default size, so that there is room behind the last event to read too much of.
        let options = || Journal::options().file_system(Arc::new(disk.process()));
        let writer: Store = EventStore::on(options().open(on_disk("store")).expect("it opens"));
        writer.append_batch((0..events).map(|_| event("first"))).expect("appended");
        let reader: Store =
            EventStore::on(options().open_read_only(on_disk("store")).expect("it opens"));
        assert_eq!(reader.len(), events);
        // A round reads no more than the head of a frame. Now and then, more and more seldom, the follower reads what
        // is ready behind the end to see whether the log is damaged: among a hundred reads there are few of these.
        let [before, now] = wait_for_reads(&disk, 100);
        assert_eq!(now.files, before.files, "mappings");
        assert!(now.bytes - before.bytes < 4 << 20, "{before:?} {now:?}");
        writer.append(event("next")).expect("appended");
        let read = reader.subscription(Query::event_type("next"), 0).next();
        assert_eq!(read.expect("there").expect("read").offset, events);
    }
}

#[test]
fn a_follower_waits_for_a_segment_without_events_that_is_made_again() {
    // As a writer does whose disk is full when it has just begun a segment.
    let disk = FaultFileSystem::new(0);
    drop(open(&disk, Durability::Sync));
    let reader = follow(&disk);
    let empty = disk.contents(segment()).expect("a segment");
    assert!(disk.take_away(segment()));
    // It looks, and does not find the file.
    let before = disk.reads().calls;
    while disk.reads().calls < before + 5 && reader.backend().follow_error().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(reader.backend().follow_error(), None);
    disk.put(segment(), &empty);
    open(&disk, Durability::Sync).append(event("first")).expect("appended");
    let read = reader.subscription(Query::all(), 0).next();
    assert_eq!(read.expect("there").expect("read").offset, 0);
    assert_eq!(reader.backend().follow_error(), None);
}

#[test]
fn a_follower_sees_each_event_once_however_seldom_its_writer_syncs() {
    for (durability, every) in
        [(Durability::Sync, 1), (Durability::Buffered, 7), (Durability::Buffered, 1_000)]
    {
        let disk = FaultFileSystem::new(0);
        let writer = open(&disk, durability);
        let reader = follow(&disk);
        let mut cursor = reader.subscription(Query::all(), 0);
        for n in 0..300_u64 {
            writer.append(event(&format!("e{n}"))).expect("appended");
            if n % every == 0 {
                writer.sync().expect("synced");
            }
            // First in lock step, so that the follower reads many small pieces, then in larger ones.
            if n < 100 {
                let read = cursor.next().expect("there").expect("read");
                assert_eq!((read.offset, read.event.event_type()), (n, &*format!("e{n}")));
            }
        }
        for n in 100..300 {
            let read = cursor.next().expect("there").expect("read");
            assert_eq!((read.offset, read.event.event_type()), (n, &*format!("e{n}")));
        }
        let expected: Vec<String> = (0..300).map(|n| format!("e{n}")).collect();
        assert_eq!(types(&reader), expected);
        let mut reversed: Vec<u64> =
            reader.read(..).rev().map(|event| event.expect("read").offset).collect();
        reversed.reverse();
        assert_eq!(reversed, (0..300).collect::<Vec<_>>());
        assert_eq!(reader.backend().follow_error(), None);
        let readers: Vec<_> = (0..2).map(|_| Arc::new(follow(&disk))).collect();
        assert!(readers.iter().all(|reader| types(reader) == expected));
    }
}
