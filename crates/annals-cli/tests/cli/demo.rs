//! `annals demo`: it comes to its end, what it says is so, and the commands that it gives go on from there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Place, Run, Running, annals, command, finish, streams};

/// Runs the demo in this directory of its own, as if no cargo had started it.
#[track_caller]
fn demo(place: &Path, args: &[&str]) -> Run {
    let mut demo = command(["demo"].into_iter().chain(args.iter().copied()));
    finish(demo.current_dir(place).env_remove("CARGO").spawn().unwrap())
}

#[track_caller]
fn comes_to_its_end(run: Run) -> String {
    // A commit that the kill cut off is told of as a warning.
    assert!(run.err.lines().all(|line| line.starts_with("annals: warning: ")), "{}", run.err);
    assert_eq!(run.code, Some(0), "{}\n{}", run.out, run.err);
    run.out
}

/// The number in front of these words.
#[track_caller]
fn number(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap();
    assert_ne!(before, text, "{words:?} is not in\n{text}");
    before.rsplit([' ', '\n']).next().unwrap().replace(',', "").parse().unwrap()
}

/// The commands that it tells to try: lines set in deeper than others, with what goes on behind a backslash.
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
fn it_comes_to_its_end_and_its_numbers_are_so() {
    let place = Place::new();
    let story = comes_to_its_end(demo(&place.path(""), &[]));
    let parts = (1..=8).filter(|part| story.contains(&format!("\n\n{part}. ")));
    assert_eq!(parts.count(), 8, "{story}");
    for line in story.lines() {
        assert!(line.chars().count() <= 100 || line.starts_with("     "), "{line}");
    }

    let acknowledged = number(&story, " acknowledged turns are there");
    assert!(acknowledged >= 100, "{story}");
    assert_eq!(number(&story, "; in the log after it: "), acknowledged);
    let [alice, bob] = ["alice", "bob"].map(|name| events(&place.path("annals-demo").join(name)));
    assert!(alice > acknowledged, "{alice}");
    assert_eq!(number(&story, " events in two logs"), alice + bob);
    assert!(story.contains(&format!("alice: all {alice} events are whole")), "{story}");
    let claims = story.lines().filter(|line| line.starts_with("   ✓ ")).count();
    assert_eq!(number(&story, " claims checked, and all held"), claims as u64);
}

#[cfg(unix)]
#[test]
fn the_commands_that_it_gives_work() {
    let place = Place::new();
    // A path that a shell takes apart unless it is quoted.
    let story = comes_to_its_end(demo(&place.path(""), &["it's a demo"]));
    let commands = commands(&story);
    for name in ["state", "read", "tail", "stats", "verify"] {
        assert!(commands.iter().any(|command| command.contains(&format!(" {name} "))), "{story}");
    }
    for line in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]).current_dir(place.path(""));
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

#[test]
fn cargo_is_in_the_commands_if_it_started_the_demo() {
    let place = Place::new();
    let mut demo = command(["demo"]);
    let run = finish(demo.current_dir(place.path("")).env("CARGO", "/bin/cargo").spawn().unwrap());
    let commands = commands(&comes_to_its_end(run));
    let release = if cfg!(debug_assertions) { "" } else { "--release " };
    let cargo = format!("cargo run {release}-q -- ");
    assert!(commands.iter().all(|command| command.starts_with(&cargo)), "{commands:?}");
    assert!(commands.contains(&format!("{cargo}verify annals-demo/alice")), "{commands:?}");
}

#[test]
fn it_writes_only_where_nothing_is() {
    let place = Place::new();
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/letter"), "dear").unwrap();
    fs::write(place.path("file"), "hello").unwrap();
    for taken in ["mine", "file"] {
        let run = demo(&place.path(""), &[taken]);
        let run = run.fails(&[taken, "is no empty directory", "give it another directory"]);
        assert_eq!(run.out, "");
    }
    demo(&place.path(""), &["no/where"]).fails(&["cannot create no/where", "create the directory"]);
    assert_eq!(fs::read_dir(place.path("mine")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "hello");

    // An empty directory is as good as none; without a name it takes the first that is not there.
    fs::create_dir(place.path("empty")).unwrap();
    comes_to_its_end(demo(&place.path(""), &["empty"]));
    fs::write(place.path("annals-demo"), "").unwrap();
    fs::create_dir(place.path("annals-demo-2")).unwrap();
    let story = comes_to_its_end(demo(&place.path(""), &[]));
    assert!(story.contains(" in annals-demo-3\n"), "{story}");
    assert_eq!(fs::read_dir(place.path("annals-demo-2")).unwrap().count(), 0);
}

#[test]
fn nobody_listening_any_more_is_no_failure() {
    let place = Place::new();
    let mut command = command(["demo"]);
    command.current_dir(place.path(""));
    let mut demo = Running::of(command);
    demo.turn_away();
    assert_eq!(demo.code(), Some(0));
}

/// Its process that is killed tells of each turn as it is on the disk, and ends when nobody listens.
#[test]
fn the_writer_tells_of_what_is_in_the_log() {
    let place = Place::new();
    fs::create_dir(place.path("own")).unwrap();
    let mut writer = Running::start(["demo-writer", &place.arg("own")]);
    for turn in 1..=3 {
        let told = writer.hear();
        assert_eq!((&told["turn_num"], &told["offset"]), (&turn.into(), &turn.into()));
        let event = annals(["get", &place.arg("own/alice"), &turn.to_string()], "").succeeds();
        let event: serde_json::Value = serde_json::from_str(&event.out).unwrap();
        assert_eq!(event["data"]["signature"], told["signature"]);
    }
    writer.turn_away();
    assert_eq!(writer.code(), Some(0));
}
