//! Reports on a full disk: the message states which lines are appended.
#![cfg(target_os = "linux")]

use std::fs::{self, File};

use crate::harness::{Run, TestDir, all, command, finish, lines};

/// Runs the command with a file as its input, and with a device that is always full as its output.
fn unreported(args: &[&str], input: &str) -> Run {
    let dir = TestDir::new();
    fs::write(dir.path("input"), input).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let stdin = File::open(dir.path("input")).unwrap();
    finish(command(args.iter().copied()).stdin(stdin).stdout(full).spawn().unwrap())
}

#[test]
fn reports_that_cannot_be_written_stop_no_append() {
    for format in ["jsonl", "table"] {
        let dir = TestDir::new();
        let store = dir.arg("a.store");
        let args = ["append", &store, "--batch", "10", "--format", format];
        let run = unreported(&args, &lines(0..25)).fails(&[
            "warning: cannot write the output: No space left",
            "appending continues",
            "annals: cannot write the output: No space left",
            "all lines up to 25, the last one, are appended; only the report",
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
