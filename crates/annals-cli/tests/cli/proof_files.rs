//! Files that are given to the commands about proofs: old checkpoints, files of another kind, and selections that no
//! event matches.

use std::fs;
use std::path::Path;

use crate::harness::{annals, lines};
use crate::proofs::Log;

/// Copies the files of a directory with its subdirectories.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_rollback_that_was_shown_is_remembered_by_later_commands() {
    for act in ["verify", "prove"] {
        let log = Log::new();
        log.sign("first");
        copy(Path::new(&log.store), Path::new(&log.path("backup")));
        annals(["append", &log.store], lines(300..700)).succeeds();
        let third = log.sign("third");
        // The backup is put back with its proofs, so the store itself knows of nothing.
        fs::remove_dir_all(&log.store).unwrap();
        copy(Path::new(&log.path("backup")), Path::new(&log.store));
        match act {
            "verify" => annals(["verify", &log.store, "--against", &third], ""),
            _ => annals(["prove", &log.store, "--since", &third], ""),
        }
        .fails(&["rolled back"]);
        annals(["append", &log.store], lines(1_000..2_000)).succeeds();
        let key = log.path("log.key");
        annals(["checkpoint", &log.store, "--key", &key], "")
            .fails(&["nothing is signed", "move the directory of the proofs away"]);
        // Nor under a new key, until the directory is moved away.
        let new = log.path("new.key");
        annals(["key", "example.com/ledger-2", "--out", &new], "").succeeds();
        annals(["checkpoint", &log.store, "--key", &new], "")
            .fails(&["move the directory of the proofs away", "new name"]);
        fs::rename(format!("{}/proofs", log.store), log.path("old-proofs")).unwrap();
        annals(["checkpoint", &log.store, "--key", &new], "").succeeds();
    }
}

#[test]
fn a_checkpoint_that_nobody_signed_accuses_nobody() {
    let log = Log::new();
    let first = log.sign("first");
    let text = fs::read_to_string(&first).unwrap();
    let changed = log.path("changed");
    let verify = || annals(["verify", &log.store, "--against", &changed], "");
    let root = text.lines().nth(2).unwrap();
    let other = root.replacen(&root[..1], if root.starts_with('A') { "B" } else { "A" }, 1);
    for changes in [("\n300\n", "\n301\n"), ("\n300\n", "\n200\n"), (root, other.as_str())] {
        fs::write(&changed, text.replacen(changes.0, changes.1, 1)).unwrap();
        verify().complains(&["changed", "says nothing about this log"]);
    }
    fs::copy(log.path("bob.key"), &changed).unwrap();
    verify().complains(&["not a valid", "the file is a secret key"]);
    annals(["verify", &log.store, "--against", &first], "").succeeds();
    annals(["checkpoint", &log.store, "--key", &log.path("log.key")], "").succeeds();
}

#[test]
fn each_contradiction_is_a_problem_of_the_report() {
    let log = Log::new();
    log.sign("first");
    let other = log.dir.store("other.store", &lines(100..400));
    copy(&Path::new(&log.store).join("proofs"), &Path::new(&other).join("proofs"));
    // The other store takes the place of the signed one.
    let identity = Path::new(&other).join("proofs/log.json");
    let text = fs::read_to_string(&identity).unwrap();
    let id = |store: &str| {
        let text = fs::read_to_string(Path::new(store).join("store.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["store_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    fs::write(&identity, text.replace(&id(&log.store), &id(&other))).unwrap();
    let failed = annals(["verify", &other], "").fails(&["events were changed"]);
    let report = failed.lines();
    assert!(report[0]["problem"].as_str().unwrap().contains("events were changed"), "{report:?}");
    assert_eq!((report.len(), &report[1]["problems"]), (2, &1.into()));
    let table = annals(["verify", &other, "--format", "table"], "").fails(&["changed"]).out;
    assert!(table.contains("not the log that was signed") && !table.contains("whole"), "{table}");
}

#[test]
fn what_is_selected_is_named() {
    let log = Log::new();
    let first = log.sign("first");
    annals(["prove", &log.store], "")
        .complains(&["OFFSET", "--since", "--tag", "--type", "--whole"]);
    annals(["prove", &log.store, "7", "--content"], "").complains(&["--content"]);
    annals(["prove", &log.store, "--since", &first, "--content"], "").complains(&["--content"]);
    let prove = |args: &[&str]| annals(["prove", &log.store].iter().chain(args).copied(), "");
    prove(&["--tag", "order:999"]).fails(&["none of the 300 events", "the tag \"order:999\""]);
    prove(&["--tag", "digit:3", "--tag", "order:999"]).fails(&["has the tag \"order:999\""]);
    prove(&["--tag", "digit:3", "--tag", "digit:4"]).fails(&["these tags and types together"]);
    prove(&["--type", "unheard"]).fails(&["the type \"unheard\""]);
    // That the log has no such event can be proved.
    prove(&["--tag", "order:999", "--whole"]).succeeds();
    let event = log.prove("event", &["7"]);
    let grew = log.prove("grew", &["--since", &first]);
    let args = ["check", &grew, "--old", &event, "--vkey", &log.vkey];
    let failed = annals(args, "").fails(&["event: not a valid", "a proof of an event"]);
    assert!(!failed.err.contains("damaged"), "{failed:?}");
}

#[test]
fn a_log_is_not_its_own_witness() {
    let log = Log::new();
    log.sign("first");
    let request = fs::read_to_string(log.prove("request", &["--since", "none"])).unwrap();
    let (memory, key) = (log.path("memory"), log.path("log.key"));
    annals(["witness", &memory, "--key", &key, "--log", &log.vkey], &request)
        .fails(&["the witness's own key", "a key of its own"]);
}
