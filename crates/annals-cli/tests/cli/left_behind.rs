//! A command that fails before anything is in a new store leaves nothing behind.

use std::fs;

use crate::harness::{Place, Running, all, annals, annals_with_file, line, lines, on_every_home};

on_every_home!(
    a_refused_first_batch_leaves_nothing,
    an_empty_directory_stays_empty,
    a_store_is_created_with_its_first_batch,
    a_lock_is_told_before_any_input_is_read,
    a_copy_of_nothing_readable_leaves_nothing,
);

fn is_empty(place: &Place) -> bool {
    fs::read_dir(place.path("")).unwrap().next().is_none()
}

fn a_refused_first_batch_leaves_nothing(place: &Place) {
    let many = "{\"type\":\"a\"}\n".repeat(65_537);
    let large = format!("{{\"type\":\"a\",\"data\":\"{}\"}}", "x".repeat(16 << 20));
    let other = "{\"type\":\"a\",\"id\":\"1\"}\n{\"type\":\"b\",\"id\":\"1\"}\n";
    let one_batch = ["--if-none", "x"];
    for (input, options) in [
        ("nonsense\n", &[][..]),
        (&(line(0) + "\nnonsense\n"), &one_batch),
        (&many, &one_batch),
        (&large, &[]),
        (&(" ".repeat((64 << 20) + 1)), &[]),
        (other, &one_batch),
    ] {
        for store in ["new.store", "new.store/"] {
            let arg = place.at(store);
            let args = ["append", &arg].into_iter().chain(options.iter().copied());
            annals(args, input).fails(&["line ", "nothing was appended"]);
            assert!(is_empty(place), "{store}");
        }
    }
}

fn an_empty_directory_stays_empty(place: &Place) {
    fs::create_dir(place.path("new.store")).unwrap();
    annals(["append", &place.at("new.store")], "nonsense").fails(&["nothing was appended"]);
    assert!(fs::read_dir(place.path("new.store")).unwrap().next().is_none());
    place.store("new.store", &line(0));
}

fn a_store_is_created_with_its_first_batch(place: &Place) {
    let store = place.at("new.store");
    let mut append = Running::start(["append", &store]);
    append.say("");
    assert!(is_empty(place));
    append.say(&line(0));
    assert_eq!(append.hear()["last"], 0);
    append.say("nonsense");
    assert_eq!(append.code(), Some(1));
    assert!(append.complaints().contains("the lines up to 2 are appended"));
    // What is appended stays.
    assert_eq!(all(&store), [line(0)]);
    // A store without events that was there stays, too.
    let empty = place.store("empty.store", "");
    annals(["append", &empty], "nonsense").fails(&["nothing was appended"]);
    assert_eq!(all(&empty).len(), 0);
}

fn a_lock_is_told_before_any_input_is_read(place: &Place) {
    let store = place.store("a.store", &line(0));
    let mut writer = Running::start(["append", &store]);
    writer.say(&line(1));
    writer.hear();
    // Nothing is said to it, and its input does not end.
    let mut second = Running::start(["append", &store]);
    assert_eq!(second.code(), Some(1));
    assert!(second.complaints().contains("open for writing"));
}

fn a_copy_of_nothing_readable_leaves_nothing(place: &Place) {
    if !place.is_journal() {
        return;
    }
    let from = place.store("a.store", &lines(0..3));
    let log = place.path("a.store").join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, bytes).unwrap();
    annals(["copy", &from, &place.at("b.store")], "").fails(&["is damaged"]);
    assert!(!place.path("b.store").exists());
    // A copy that was there stays.
    let other = place.store("c.store", "");
    annals(["copy", &from, &other], "").fails(&["is damaged"]);
    assert_eq!(all(&other).len(), 0);
}

/// Runs the command where no file may be larger than so many units of the shell (512 or 1,024 bytes).
#[cfg(target_os = "linux")]
fn limited(units: u32, args: &[&str], input: &str) -> crate::harness::Run {
    let place = Place::new();
    fs::write(place.path("input"), input).unwrap();
    let mut shell = std::process::Command::new("sh");
    let command = format!("ulimit -f {units}; exec \"$0\" \"$@\"");
    shell.arg("-c").arg(command).arg(env!("CARGO_BIN_EXE_annals")).args(args);
    let input = fs::File::open(place.path("input")).unwrap();
    crate::harness::finish(crate::harness::streams(&mut shell).stdin(input).spawn().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_signal() {
    let place = Place::new();
    let (new, from) = (place.arg("new.store"), place.store("a.store", &lines(0..3)));
    for units in [0, 1, 8, 20_000] {
        let words = ["ulimit -f", "raise the limit", "nothing was appended"];
        let run = limited(units, &["append", &new], &line(0)).fails(&words);
        assert_eq!(run.err.matches("annals: ").count(), 1, "{run:?}");
        assert!(!run.err.contains("free some"), "{run:?}");
        assert!(!place.path("new.store").exists(), "{units}");
        limited(units, &["copy", &from, &new], "").fails(&["ulimit -f", "raise the limit"]);
        assert!(!place.path("new.store").exists(), "{units}");
        limited(units, &["append", &from], &line(3)).fails(&words[..2]);
        assert_eq!(all(&from).len(), 3);
        limited(units, &["verify", &from], "").succeeds();
    }
    let file = place.path("input");
    fs::write(&file, line(3)).unwrap();
    annals_with_file(["append", &from], &file).succeeds();
}
