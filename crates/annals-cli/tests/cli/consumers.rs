//! `annals consumers`: lists, parked events, and repairs.

use annals::{EventStore, RawEvent};
use annals_consumer::{Consumers as _, Nack};

use crate::harness::{TestDir, annals, lines};

/// Makes a store with ten events, a consumer at 3, and a group at 2 with the first two events parked.
fn store(dir: &TestDir) -> String {
    let path = dir.store("a.store", &lines(0..10));
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let mut mailer = store.consumer("mailer").start().unwrap();
    for _ in 0..3 {
        mailer.next().unwrap().unwrap().ack().unwrap();
    }
    let group = store.group("billing").open().unwrap();
    for delivery in group.pull("a", 2, None).unwrap() {
        delivery.nack(Nack::Park, "no such\ncustomer").unwrap();
    }
    path
}

#[test]
fn consumers_are_listed_and_one_with_its_parked_events() {
    let dir = TestDir::new();
    let store = store(&dir);
    let list = annals(["consumers", &store], "").succeeds().lines();
    assert_eq!(list.len(), 2);
    assert_eq!((&list[0]["name"], &list[0]["kind"]), (&"billing".into(), &"group".into()));
    assert_eq!((&list[0]["position"], &list[0]["parked"]), (&2.into(), &2.into()));
    assert_eq!((&list[1]["name"], &list[1]["lag"]), (&"mailer".into(), &7.into()));
    let one = annals(["consumers", &store, "billing"], "").succeeds().lines();
    assert_eq!((one.len(), &one[1]["reason"]), (3, &"no such\ncustomer".into()));
    let table = annals(["consumers", &store, "billing", "--format", "table"], "").succeeds().out;
    assert!(table.starts_with("NAME     KIND          POSITION"), "{table}");
    assert!(table.contains(r"no such\ncustomer"), "{table}");
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    let empty = dir.store("empty.store", "");
    let none =
        annals(["consumers", &empty], "").notes(&["the store has no consumers and no groups"]);
    assert_eq!(none.out, "");
}

#[test]
fn a_consumer_is_reset_and_deleted_and_parked_events_are_replayed_or_dropped() {
    let dir = TestDir::new();
    let store = store(&dir);
    let run = |name: &str, args: &[&str]| {
        annals(["consumers", &store, name].into_iter().chain(args.iter().copied()), "")
    };
    let done = |name: &str, args: &[&str]| run(name, args).succeeds().lines()[0]["done"].clone();
    assert_eq!(done("billing", &["--replay-parked"]), "2 parked events to be delivered again");
    assert_eq!(done("billing", &["--drop-parked"]), "0 parked events dropped");
    assert_eq!(done("mailer", &["--reset", "9"]), "continues at offset 9");
    assert_eq!(run("mailer", &[]).succeeds().lines()[0]["position"], 9);
    run("mailer", &["--reset", "11"]).fails(&["offset 11", "ends at 10"]);
    run("mailer", &["--reset", "-1"]).complains(&["a whole number from 0 to"]);
    run("mailer", &["--reset", "1", "--delete"]).complains(&["cannot be used with"]);
    assert_eq!(done("mailer", &["--delete"]), "deleted");
    for args in [&["--delete"][..], &["--reset", "1"], &["--replay-parked"], &[]] {
        run("mailer", args).fails(&[
            "no consumer or group has the name \"mailer\"",
            "`annals consumers STORE` lists",
        ]);
    }
    run("a/b", &[]).complains(&["a/b"]);
    annals(["consumers", &store, "--delete"], "").complains(&["NAME"]);
}

#[test]
fn a_running_consumer_is_listed_and_not_changed() {
    let dir = TestDir::new();
    let path = store(&dir);
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    let _group = store.group("billing").open().unwrap();
    assert_eq!(annals(["consumers", &path], "").succeeds().lines().len(), 2);
    let run = annals(["consumers", &path, "billing", "--delete"], "")
        .fails(&["is running in process", "end that process first"]);
    assert!(!run.err.contains("another name"), "{}", run.err);
}

#[test]
fn a_problem_names_the_command_that_repairs_it() {
    let dir = TestDir::new();
    let path = store(&dir);
    let copy = dir.at("copy.store");
    annals(["copy", &path, &copy], "").succeeds();
    let beside = |store: &str| std::path::Path::new(store).join("consumers");
    std::fs::create_dir_all(beside(&copy)).unwrap();
    for file in std::fs::read_dir(beside(&path)).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            std::fs::copy(&file, beside(&copy).join(file.file_name().unwrap())).unwrap();
        }
    }
    let table = annals(["consumers", &copy, "mailer", "--format", "table"], "").succeeds().out;
    assert!(table.contains("is of the log"), "{table}");
    assert!(table.contains("`annals consumers STORE mailer --reset 3`"), "{table}");
    annals(["consumers", &copy, "nope"], "").fails(&["\"nope\"", "`annals consumers STORE` lists"]);
}
