//! `annals demo`: it finishes, its claims are true, and the commands that it suggests work.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Run, Running, TestDir, annals, command, finish, streams};

/// Runs the demo in this directory, as if cargo had not started it.
#[track_caller]
fn demo(dir: &Path, args: &[&str]) -> Run {
    let mut demo = command(["demo"].into_iter().chain(args.iter().copied()));
    finish(demo.current_dir(dir).env_remove("CARGO").spawn().unwrap())
}

#[track_caller]
fn finishes(run: Run) -> String {
    // A commit that the kill interrupted is reported as a warning.
    assert!(run.err.lines().all(|line| line.starts_with("annals: warning: ")), "{}", run.err);
    assert_eq!(run.code, Some(0), "{}\n{}", run.out, run.err);
    run.out
}

/// Returns the number before these words.
#[track_caller]
fn number(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap();
    assert_ne!(before, text, "{words:?} is not in\n{text}");
    before.rsplit([' ', '\n']).next().unwrap().replace(',', "").parse().unwrap()
}

/// Returns the suggested commands: lines that are indented deeper than others, joined where a backslash continues them.
fn commands(story: &str) -> Vec<String> {
    let (_, next) = story.split_once("Try next\n").unwrap();
    let next = next.replace("\\\n", "");
    next.lines().filter_map(|line| line.strip_prefix("     ").map(str::to_owned)).collect()
}

fn events(store: &Path) -> u64 {
    let stats = annals(["stats", store.to_str().unwrap()], "").succeeds();
    stats.lines()[0]["events"].as_u64().unwrap()
}

#[test]
fn it_finishes_and_its_numbers_are_right() {
    let dir = TestDir::new();
    let story = finishes(demo(&dir.path(""), &[]));
    let parts = (1..=9).filter(|part| story.contains(&format!("\n\n{part}. ")));
    assert_eq!(parts.count(), 9, "{story}");
    for line in story.lines() {
        assert!(line.chars().count() <= 100 || line.starts_with("     "), "{line}");
    }

    let acknowledged = number(&story, " acknowledged turns are in the log");
    assert!(acknowledged >= 100, "{story}");
    assert_eq!(number(&story, "; in the log after the kill: "), acknowledged);
    let [alice, bob] = ["alice", "bob"].map(|name| events(&dir.path("annals-demo").join(name)));
    assert!(alice > acknowledged, "{alice}");
    assert_eq!(number(&story, " events in two logs"), alice + bob);
    assert!(story.contains(&format!("alice: all {alice} events are whole")), "{story}");
    let claims = story.lines().filter(|line| line.starts_with("   ✓ ")).count();
    assert_eq!(number(&story, " claims checked, and all are true"), claims as u64);
}

#[cfg(unix)]
#[test]
fn the_commands_that_it_gives_work() {
    let dir = TestDir::new();
    // A path that must be quoted for a shell.
    let story = finishes(demo(&dir.path(""), &["it's a demo"]));
    let commands = commands(&story);
    for name in ["state", "read", "check", "tail", "stats", "verify"] {
        assert!(commands.iter().any(|command| command.contains(&format!(" {name} "))), "{story}");
    }
    for line in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]).current_dir(dir.path(""));
        if line.contains(" tail ") {
            let mut tail = Running::of(shell);
            assert!(tail.hear()["offset"].is_u64());
            tail.signal("-TERM");
            assert_eq!(tail.code(), Some(0), "{line}");
        } else {
            let run = finish(streams(&mut shell).spawn().unwrap()).succeeds();
            assert!(!run.out.is_empty(), "{line}");
        }
    }
}

/// The judge has the file and two addresses. The logs do not exist any more.
#[test]
fn the_evidence_convicts_bob_without_the_logs() {
    let dir = TestDir::new();
    finishes(demo(&dir.path(""), &["own"]));
    let court = TestDir::new();
    let file = court.path("evidence");
    fs::rename(dir.path("own/bob-cheated.annals-evidence"), &file).unwrap();
    drop(dir);
    let [alice, bob] = [
        "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
        "0x1563915e194D8CfBA1943570603F7606A3115508",
    ];
    let file = file.to_str().unwrap();
    let args = ["check", file, "--address", alice, "--address", bob];
    let lines = annals(args, "").succeeds().lines();
    let found: Vec<_> = lines.iter().filter(|line| line["proved"] == "convicted").collect();
    assert_eq!(found.len(), 1, "{lines:?}");
    assert!(found[0]["signer"].as_str().unwrap().eq_ignore_ascii_case(bob));
    assert!(lines.iter().any(|line| line["proved"] == "cosigned"), "{lines:?}");
    let table = annals([&args[..], &["--format", "table"]].concat(), "").succeeds().out;
    assert!(table.contains("CONVICTED: ") && !table.contains("NOT CHECKED"), "{table}");
    // Not by the word of another account, and not with one digit changed in a state.
    annals(["check", file, "--address", bob], "").fails(&["no trusted account"]);
    let text = fs::read_to_string(file).unwrap().replacen("\"amount\":\"", "\"amount\":\"1", 1);
    fs::write(file, text).unwrap();
    annals(args, "").fails(&["refused"]);
}

#[test]
fn cargo_is_in_the_commands_if_it_started_the_demo() {
    let dir = TestDir::new();
    let mut demo = command(["demo"]);
    let run = finish(demo.current_dir(dir.path("")).env("CARGO", "/bin/cargo").spawn().unwrap());
    let commands = commands(&finishes(run));
    let release = if cfg!(debug_assertions) { "" } else { "--release " };
    let cargo = format!("cargo run {release}-q -- ");
    assert!(commands.iter().all(|command| command.starts_with(&cargo)), "{commands:?}");
    assert!(commands.contains(&format!("{cargo}verify annals-demo/alice")), "{commands:?}");
}

#[test]
fn it_writes_only_to_a_new_or_empty_directory() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("mine")).unwrap();
    fs::write(dir.path("mine/letter"), "dear").unwrap();
    fs::write(dir.path("file"), "hello").unwrap();
    for taken in ["mine", "file"] {
        let run = demo(&dir.path(""), &[taken]);
        let run = run.fails(&[taken, "not an empty directory", "another directory"]);
        assert_eq!(run.out, "");
    }
    demo(&dir.path(""), &["no/where"]).fails(&["cannot create no/where", "create the directory"]);
    assert_eq!(fs::read_dir(dir.path("mine")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(dir.path("file")).unwrap(), "hello");

    // A given directory may exist if it is empty. By default the first name that does not exist is used.
    fs::create_dir(dir.path("empty")).unwrap();
    finishes(demo(&dir.path(""), &["empty"]));
    fs::write(dir.path("annals-demo"), "").unwrap();
    fs::create_dir(dir.path("annals-demo-2")).unwrap();
    let story = finishes(demo(&dir.path(""), &[]));
    assert!(story.contains(" in annals-demo-3\n"), "{story}");
    assert_eq!(fs::read_dir(dir.path("annals-demo-2")).unwrap().count(), 0);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = TestDir::new();
    let mut command = command(["demo"]);
    command.current_dir(dir.path(""));
    let mut demo = Running::of(command);
    demo.turn_away();
    assert_eq!(demo.code(), Some(0));
}

/// The process that is killed prints each turn once it is on the disk, and ends when the pipe is closed.
#[test]
fn the_writer_prints_the_turns_in_the_log() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("own")).unwrap();
    let mut writer = Running::start(["demo-writer", &dir.arg("own")]);
    for turn in 1..=3 {
        let turn_line = writer.hear();
        // After the key of the log and the channel, each turn has two events: the signature, and the state that is
        // kept.
        let offset = 2 * turn;
        assert_eq!((&turn_line["turn_num"], &turn_line["offset"]), (&turn.into(), &offset.into()));
        let event = annals(["get", &dir.arg("own/alice"), &offset.to_string()], "").succeeds();
        let event: serde_json::Value = serde_json::from_str(&event.out).unwrap();
        assert_eq!(event["data"]["signature"], turn_line["signature"]);
    }
    writer.turn_away();
    assert_eq!(writer.code(), Some(0));
}
