//! `annals copy`: new copies, and copies that are continued.

use crate::harness::{
    Running, TestDir, all, annals, line, lines, on_every_backend, store_of_segments,
};

on_every_backend!(
    a_copy_is_the_same_and_is_brought_up_to_date,
    another_log_is_refused_and_left_alone,
    a_store_is_not_copied_into_itself,
);

fn a_copy_is_the_same_and_is_brought_up_to_date(dir: &TestDir) {
    let from = dir.store("from.store", &lines(0..50));
    let special = [
        r#"{"type":"id","id":"1","metadata":{"a":"b"}}"#,
        r#"{"type":"bytes","data_base64":"AP8="}"#,
    ];
    annals(["append", &from], special.join("\n")).succeeds();
    let to = dir.at("to.store");
    let read = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(annals(["copy", &from, &to], "").succeeds().out, "{\"copied\":52,\"events\":52}\n");
    assert_eq!(read(&from), read(&to));
    annals(["append", &from], lines(52..60)).succeeds();
    assert_eq!(annals(["copy", &from, &to], "").succeeds().out, "{\"copied\":8,\"events\":60}\n");
    assert_eq!(read(&from), read(&to));
    let text = annals(["copy", &from, &to, "--format", "table"], "").succeeds().out;
    assert_eq!(text, "0 events copied; all 60 events are the same in both stores\n");
    annals(["verify", &to], "").succeeds();
}

fn another_log_is_refused_and_left_alone(dir: &TestDir) {
    let from = dir.store("from.store", &lines(0..10));
    let other = dir.store("other.store", &lines(1..6));
    let words = ["is not a copy of", "offset 4", "another event", "nothing exists yet"];
    annals(["copy", &from, &other], "").fails(&words);
    let longer = dir.store("longer.store", &lines(0..11));
    annals(["copy", &from, &longer], "").fails(&["11 events", "only 10"]);
    assert_eq!((all(&other).len(), all(&longer).len()), (5, 11));
    annals(["copy", &dir.at("none.store"), &dir.at("new.store")], "").fails(&["no store"]);
    assert!(!dir.path("new.store").exists());
}

#[test]
fn a_difference_before_the_last_event_is_found() {
    let dir = TestDir::new();
    let from = dir.store("from.store", &lines(0..3));
    let to = dir.arg("to.store");
    // The last event and its time are the same; the first event differs.
    {
        use annals::{Batch, EventStore, Journal, RawEvent};
        let read = EventStore::<RawEvent, _>::on(Journal::options().open_read_only(&from).unwrap());
        let write = EventStore::<RawEvent, _>::on(Journal::options().open(&to).unwrap());
        for event in read.read(..) {
            let event = event.unwrap().into_owned();
            let raw = if event.offset == 0 {
                annals_cli::parse_line(line(9).as_bytes()).unwrap()
            } else {
                event.event
            };
            write.append_as(Batch::new(vec![raw]).time_ms(event.time_ms)).unwrap();
        }
    }
    annals(["copy", &from, &to], "").fails(&["offset 0", "another event"]);
}

#[test]
fn it_goes_on_after_a_kill() {
    let dir = TestDir::new();
    let from = dir.arg("from.store");
    store_of_segments(&dir.path("from.store"), 3_000);
    let to = dir.arg("to.store");
    for _ in 0..5 {
        let mut copy = Running::start(["copy", &from, &to]);
        // Kill it as soon as it has created the store.
        while !dir.path("to.store").join("store.json").exists() {
            std::thread::yield_now();
        }
        copy.child.kill().unwrap();
        copy.code();
    }
    annals(["copy", &from, &to], "").succeeds();
    let read = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(read(&from), read(&to));
}

fn a_store_is_not_copied_into_itself(dir: &TestDir) {
    let store = dir.store("a.store", &lines(0..10));
    let files = || std::fs::read_dir(dir.path("a.store")).unwrap().count();
    let before = files();
    let dotted = dir.at("a.store/../a.store");
    let slashed = format!("{store}/");
    for to in [&store, &dotted, &slashed] {
        annals(["copy", &store, to], "").fails(&["is the same store as", "outside the store"]);
    }
    for inside in ["a.store/backup", "a.store/b/c", "a.store/b/../c", "a.store/../a.store/b"] {
        annals(["copy", &store, &dir.at(inside)], "").fails(&[
            "is inside",
            &store,
            "into itself",
            "outside the store",
        ]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path("a.store"), dir.path("link")).unwrap();
        annals(["copy", &store, &dir.at("link")], "").fails(&["is the same store as"]);
        annals(["copy", &dir.at("link"), &dir.at("link/b")], "").fails(&["is inside"]);
    }
    assert_eq!((files(), all(&store).len()), (before, 10));
    // A name with the store's name as a prefix is another path.
    annals(["copy", &store, &dir.at("a.store2")], "").succeeds();
}

/// A wrong clock, or microseconds in place of milliseconds, can leave a log with times far in the future.
#[test]
fn times_far_in_the_future_are_copied_as_they_are() {
    use annals::{Batch, EventStore, RawEvent};
    let dir = TestDir::new();
    let (from, to) = (dir.arg("from.store"), dir.arg("to.store"));
    let event = || RawEvent::builder("event").build().unwrap();
    let late = 1_764_000_000_000_000;
    let store = EventStore::<RawEvent>::open(&from).unwrap();
    store.append_as(Batch::new(vec![event()]).time_ms(late).allow_future_time()).unwrap();
    store.append(event()).unwrap();
    drop(store);
    annals(["copy", &from, &to], "").succeeds();
    let copied = EventStore::<RawEvent>::open_read_only(&to).unwrap();
    let times: Vec<_> = copied.read(..).map(|event| event.unwrap().time_ms).collect();
    assert_eq!(times, [late, late]);
}
