//! Copying, and going on with a copy.

use crate::harness::{Place, Running, all, annals, line, lines, on_every_home, store_of_segments};

on_every_home!(
    a_copy_is_the_same_and_is_brought_up_to_date,
    another_log_is_refused_and_left_alone,
    a_store_is_not_copied_into_itself,
);

fn a_copy_is_the_same_and_is_brought_up_to_date(place: &Place) {
    let from = place.store("from.store", &lines(0..50));
    let special = [
        r#"{"type":"id","id":"1","metadata":{"a":"b"}}"#,
        r#"{"type":"bytes","data_base64":"AP8="}"#,
    ];
    annals(["append", &from], special.join("\n")).succeeds();
    let to = place.at("to.store");
    let read = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(annals(["copy", &from, &to], "").succeeds().out, "{\"copied\":52,\"events\":52}\n");
    assert_eq!(read(&from), read(&to));
    annals(["append", &from], lines(52..60)).succeeds();
    assert_eq!(annals(["copy", &from, &to], "").succeeds().out, "{\"copied\":8,\"events\":60}\n");
    assert_eq!(read(&from), read(&to));
    let text = annals(["copy", &from, &to, "--format", "table"], "").succeeds().out;
    assert_eq!(text, "0 events copied; all 60 compared, and the same\n");
    annals(["verify", &to], "").succeeds();
}

fn another_log_is_refused_and_left_alone(place: &Place) {
    let from = place.store("from.store", &lines(0..10));
    let other = place.store("other.store", &lines(1..6));
    let words = ["is no copy of", "at offset 4", "another event", "nothing is yet"];
    annals(["copy", &from, &other], "").fails(&words);
    let longer = place.store("longer.store", &lines(0..11));
    annals(["copy", &from, &longer], "").fails(&["11 events", "only 10"]);
    assert_eq!((all(&other).len(), all(&longer).len()), (5, 11));
    annals(["copy", &place.at("none.store"), &place.at("new.store")], "")
        .fails(&["there is no store"]);
    assert!(!place.path("new.store").exists());
}

#[test]
fn a_difference_before_the_last_event_is_found() {
    let place = Place::new();
    let from = place.store("from.store", &lines(0..3));
    let to = place.arg("to.store");
    // The same last event, of the same time, after another first one.
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
    annals(["copy", &from, &to], "").fails(&["at offset 0", "another event"]);
}

#[test]
fn it_goes_on_after_a_kill() {
    let place = Place::new();
    let from = place.arg("from.store");
    store_of_segments(&place.path("from.store"), 3_000);
    let to = place.arg("to.store");
    for _ in 0..5 {
        let mut copy = Running::start(["copy", &from, &to]);
        // As soon as there is something to be killed over.
        while !place.path("to.store").join("store.json").exists() {
            std::thread::yield_now();
        }
        copy.child.kill().unwrap();
        copy.code();
    }
    annals(["copy", &from, &to], "").succeeds();
    let read = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(read(&from), read(&to));
}

fn a_store_is_not_copied_into_itself(place: &Place) {
    let store = place.store("a.store", &lines(0..10));
    let files = || std::fs::read_dir(place.path("a.store")).unwrap().count();
    let before = files();
    let dotted = place.at("a.store/../a.store");
    let slashed = format!("{store}/");
    for to in [&store, &dotted, &slashed] {
        annals(["copy", &store, to], "").fails(&["is the same store as", "outside the store"]);
    }
    for inside in ["a.store/backup", "a.store/b/c", "a.store/b/../c", "a.store/../a.store/b"] {
        annals(["copy", &store, &place.at(inside)], "").fails(&[
            "is inside",
            &store,
            "into itself",
            "outside the store",
        ]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path("a.store"), place.path("link")).unwrap();
        annals(["copy", &store, &place.at("link")], "").fails(&["is the same store as"]);
        annals(["copy", &place.at("link"), &place.at("link/b")], "").fails(&["is inside"]);
    }
    assert_eq!((files(), all(&store).len()), (before, 10));
    // A name that only begins with the other is another.
    annals(["copy", &store, &place.at("a.store2")], "").succeeds();
}

/// A log that a wrong clock, or microseconds for milliseconds, left with times far in the future.
#[test]
fn times_far_in_the_future_are_copied_as_they_are() {
    use annals::{Batch, EventStore, RawEvent};
    let place = Place::new();
    let (from, to) = (place.arg("from.store"), place.arg("to.store"));
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
