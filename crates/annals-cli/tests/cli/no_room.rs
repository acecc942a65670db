//! A disk that is full for the reports: it is told what is appended.
#![cfg(target_os = "linux")]

use std::fs::{self, File};

use crate::harness::{Place, Run, all, command, finish, lines};

/// Runs the command on a file, with reports that go to a device that is always full.
fn unreported(args: &[&str], input: &str) -> Run {
    let place = Place::new();
    fs::write(place.path("input"), input).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let stdin = File::open(place.path("input")).unwrap();
    finish(command(args.iter().copied()).stdin(stdin).stdout(full).spawn().unwrap())
}

#[test]
fn reports_that_cannot_be_written_stop_no_append() {
    for format in ["jsonl", "table"] {
        let place = Place::new();
        let store = place.arg("a.store");
        let args = ["append", &store, "--batch", "10", "--format", format];
        let run = unreported(&args, &lines(0..25)).fails(&[
            "warning: cannot write the output: No space left",
            "appending goes on",
            "annals: cannot write the output: No space left",
            "everything up to line 25, the last one, is appended; only the report",
        ]);
        assert!(!run.err.contains("nothing") && !run.err.contains("try again"), "{}", run.err);
        assert_eq!(run.err.matches("warning").count(), 1);
        assert_eq!(all(&store).len(), 25);
        let bad = lines(25..35) + "bad\n";
        unreported(&args, &bad).fails(&["line 11, column 1", "the lines up to 10 are appended"]);
        unreported(&args, "").fails(&["nothing to append", "only the report"]);
        assert_eq!(all(&store).len(), 35);
    }
}
