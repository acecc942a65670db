//! A command that fails before a new store has any event removes the store.

use std::fs;

use crate::harness::{
    Running, TestDir, all, annals, annals_with_file, line, lines, on_every_backend,
};

on_every_backend!(
    a_refused_first_batch_leaves_nothing,
    an_empty_directory_stays_empty,
    a_store_is_created_with_its_first_batch,
    a_lock_is_reported_before_any_input_is_read,
    a_copy_of_nothing_readable_leaves_nothing,
);

fn is_empty(dir: &TestDir) -> bool {
    fs::read_dir(dir.path("")).unwrap().next().is_none()
}

fn a_refused_first_batch_leaves_nothing(dir: &TestDir) {
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
            let arg = dir.at(store);
            let args = ["append", &arg].into_iter().chain(options.iter().copied());
            annals(args, input).fails(&["line ", "nothing was appended"]);
            assert!(is_empty(dir), "{store}");
        }
    }
}

fn an_empty_directory_stays_empty(dir: &TestDir) {
    fs::create_dir(dir.path("new.store")).unwrap();
    annals(["append", &dir.at("new.store")], "nonsense").fails(&["nothing was appended"]);
    assert!(fs::read_dir(dir.path("new.store")).unwrap().next().is_none());
    dir.store("new.store", &line(0));
}

fn a_store_is_created_with_its_first_batch(dir: &TestDir) {
    let store = dir.at("new.store");
    let mut append = Running::start(["append", &store]);
    append.say("");
    assert!(is_empty(dir));
    append.say(&line(0));
    assert_eq!(append.hear()["last"], 0);
    append.say("nonsense");
    assert_eq!(append.code(), Some(1));
    assert!(append.complaints().contains("the lines up to 2 are appended"));
    // Appended events stay.
    assert_eq!(all(&store), [line(0)]);
    // An existing store without events stays, too.
    let empty = dir.store("empty.store", "");
    annals(["append", &empty], "nonsense").fails(&["nothing was appended"]);
    assert_eq!(all(&empty).len(), 0);
}

fn a_lock_is_reported_before_any_input_is_read(dir: &TestDir) {
    let store = dir.store("a.store", &line(0));
    let mut writer = Running::start(["append", &store]);
    writer.say(&line(1));
    writer.hear();
    // It gets no input, and its input does not end.
    let mut second = Running::start(["append", &store]);
    assert_eq!(second.code(), Some(1));
    assert!(second.complaints().contains("open for writing"));
}

fn a_copy_of_nothing_readable_leaves_nothing(dir: &TestDir) {
    if !dir.is_journal() {
        return;
    }
    let from = dir.store("a.store", &lines(0..3));
    let log = dir.path("a.store").join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, bytes).unwrap();
    annals(["copy", &from, &dir.at("b.store")], "").fails(&["damaged"]);
    assert!(!dir.path("b.store").exists());
    // An existing copy stays.
    let other = dir.store("c.store", "");
    annals(["copy", &from, &other], "").fails(&["damaged"]);
    assert_eq!(all(&other).len(), 0);
}

/// Runs the command with a limit on the size of files, in units of the shell (512 or 1,024 bytes).
#[cfg(target_os = "linux")]
fn limited(units: u32, args: &[&str], input: &str) -> crate::harness::Run {
    let dir = TestDir::new();
    fs::write(dir.path("input"), input).unwrap();
    let mut shell = std::process::Command::new("sh");
    let command = format!("ulimit -f {units}; exec \"$0\" \"$@\"");
    shell.arg("-c").arg(command).arg(env!("CARGO_BIN_EXE_annals")).args(args);
    let input = fs::File::open(dir.path("input")).unwrap();
    crate::harness::finish(crate::harness::streams(&mut shell).stdin(input).spawn().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_signal() {
    let dir = TestDir::new();
    let (new, from) = (dir.arg("new.store"), dir.store("a.store", &lines(0..3)));
    for units in [0, 1, 8, 20_000] {
        let words = ["ulimit -f", "limit", "nothing was appended"];
        let run = limited(units, &["append", &new], &line(0)).fails(&words);
        assert_eq!(run.err.matches("annals: ").count(), 1, "{run:?}");
        assert!(!run.err.contains("free some"), "{run:?}");
        assert!(!dir.path("new.store").exists(), "{units}");
        limited(units, &["copy", &from, &new], "").fails(&["ulimit -f"]);
        assert!(!dir.path("new.store").exists(), "{units}");
        limited(units, &["append", &from], &line(3)).fails(&words[..2]);
        assert_eq!(all(&from).len(), 3);
        limited(units, &["verify", &from], "").succeeds();
    }
    let file = dir.path("input");
    fs::write(&file, line(3)).unwrap();
    annals_with_file(["append", &from], &file).succeeds();
}
