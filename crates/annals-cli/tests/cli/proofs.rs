//! `annals key`, `checkpoint`, `prove`, `check`, `witness`, `publish`, and `verify --against`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{TestDir, annals, lines};

/// A store of 300 events with a key, and the paths of files beside it.
pub(crate) struct Log {
    pub(crate) dir: TestDir,
    pub(crate) store: String,
    pub(crate) vkey: String,
    pub(crate) witness_vkey: String,
}

impl Log {
    pub(crate) fn new() -> Self {
        let dir = TestDir::new();
        let store = dir.store("a.store", &lines(0..300));
        let keys = |name: &str, file: &str| {
            let made = annals(["key", name, "--out", &path(&dir, file)], "").succeeds();
            made.lines()[0].clone()
        };
        let (log, witness) =
            (keys("example.com/ledger", "log.key"), keys("example.com/bob", "bob.key"));
        let vkey = log["vkey"].as_str().unwrap().to_owned();
        let witness_vkey = witness["witness_vkey"].as_str().unwrap().to_owned();
        Self { dir, store, vkey, witness_vkey }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        path(&self.dir, name)
    }

    /// Signs, and writes the checkpoint to a file.
    pub(crate) fn sign(&self, name: &str) -> String {
        let key = self.path("log.key");
        let signed = annals(["checkpoint", &self.store, "--key", &key], "").succeeds().out;
        fs::write(self.path(name), signed).unwrap();
        self.path(name)
    }

    /// Proves, and writes the proof to a file.
    pub(crate) fn prove(&self, name: &str, args: &[&str]) -> String {
        let all = ["prove", self.store.as_str()].into_iter().chain(args.iter().copied());
        fs::write(self.path(name), annals(all, "").succeeds().out).unwrap();
        self.path(name)
    }

    pub(crate) fn check<'a>(&'a self, file: &'a str) -> [&'a str; 4] {
        ["check", file, "--vkey", &self.vkey]
    }
}

fn path(dir: &TestDir, name: &str) -> String {
    dir.path(name).to_str().unwrap().to_owned()
}

#[test]
fn what_is_signed_and_proved_is_checked_without_the_store() {
    let log = Log::new();
    annals(["prove", &log.store, "7"], "").fails(&["no proofs", "sign a first checkpoint"]);
    let first = log.sign("first");
    annals(["append", &log.store], lines(300..900)).succeeds();
    let second = log.sign("second");
    let event = log.prove("event", &["7"]);
    let grew = log.prove("grew", &["--since", &first]);
    let some = log.prove("some", &["--tag", "digit:3", "--content"]);
    let whole = log.prove("whole", &["--tag", "digit:3", "--whole", "--from", "10", "--to", "20"]);
    // The store is gone.
    fs::rename(&log.store, log.path("gone")).unwrap();
    let signed = annals(log.check(&second), "").succeeds().lines();
    assert_eq!((&signed[0]["proved"], &signed[0]["size"]), (&"signed".into(), &900.into()));
    let proved = annals(log.check(&event), "").succeeds().lines();
    assert_eq!((&proved[1]["proved"], &proved[1]["offset"]), (&"event".into(), &7.into()));
    let args = ["check", &grew, "--old", &first, "--vkey", &log.vkey];
    assert_eq!(annals(args, "").succeeds().lines()[1]["proved"], "continues");
    annals(log.check(&grew), "").fails(&["--old"]);
    annals(["check", &event, "--old", &first, "--vkey", &log.vkey], "").fails(&["--old is for"]);
    let table =
        annals([&log.check(&whole)[..], &["--format", "table"]].concat(), "").succeeds().out;
    assert!(table.contains("whole: these are all events from offset 10 to 19"), "{table}");
    assert!(table.contains("data not shown"), "{table}");
    let table = annals([&log.check(&some)[..], &["--format", "table"]].concat(), "").succeeds().out;
    assert!(table.contains("not shown to be whole") && table.contains(", data "), "{table}");
    // Another key, and a changed file.
    annals(["check", &event, "--vkey", &log.witness_vkey], "").fails(&["refused"]);
    let text = fs::read_to_string(&event).unwrap().replacen("index 7", "index 8", 1);
    fs::write(&event, text).unwrap();
    annals(log.check(&event), "").fails(&["refused", "index"]);
}

#[test]
fn a_witness_cosigns_and_its_receipt_is_stored() {
    let log = Log::new();
    log.sign("first");
    let request = fs::read_to_string(log.prove("request", &["--since", "none"])).unwrap();
    let (memory, key) = (log.path("memory"), log.path("bob.key"));
    let args = ["witness", &memory, "--key", &key, "--log", &log.vkey];
    let line = annals(args, &request).succeeds().out;
    annals(args, &request).fails(&["last cosigned size 300"]);
    fs::write(log.path("line"), &line).unwrap();
    let receipt =
        ["checkpoint", &log.store, "--receipt", &log.path("line"), "--witness", &log.witness_vkey];
    let cosigned = annals(receipt, "").succeeds().out;
    assert!(cosigned.ends_with(&line), "{cosigned}");
    let event = log.prove("event", &["7"]);
    let args = ["check", &event, "--vkey", &log.vkey, "--vkey", &log.witness_vkey];
    assert_eq!(annals(args, "").succeeds().lines()[1]["witness"], "example.com/bob");
}

#[test]
fn two_histories_make_a_fork() {
    let log = Log::new();
    let first = log.sign("first");
    // A second store of the same owner and key, with other events.
    let other = log.dir.store("other.store", &lines(100..400));
    let key = log.path("log.key");
    fs::write(log.path("theirs"), annals(["checkpoint", &other, "--key", &key], "").succeeds().out)
        .unwrap();
    let fork = ["fork", &first, &log.path("theirs"), "--vkey", &log.vkey];
    let written = annals(fork, "").succeeds().out;
    fs::write(log.path("fork"), &written).unwrap();
    let found = annals(log.check(&log.path("fork")), "").succeeds().lines();
    assert_eq!((&found[0]["proved"], &found[0]["sizes"][1]), (&"fork".into(), &300.into()));
    // The same checkpoint twice, another key, and sizes that differ.
    annals(["fork", &first, &first, "--vkey", &log.vkey], "").fails(&["refused"]);
    annals(["fork", &first, &log.path("theirs"), "--vkey", &log.witness_vkey], "")
        .fails(&["refused"]);
    annals(["append", &log.store], lines(300..310)).succeeds();
    let second = log.sign("second");
    let theirs = log.path("theirs");
    annals(["fork", &second, &theirs, "--vkey", &log.vkey], "")
        .fails(&["310 and 300 events", "two proofs of one offset"]);
    // Two proofs of one offset convict whatever the sizes are.
    let hers = log.prove("hers", &["7"]);
    fs::write(log.path("his"), annals(["prove", &other, "7"], "").succeeds().out).unwrap();
    let his = log.path("his");
    let written = annals(["fork", &hers, &his, "--vkey", &log.vkey], "").succeeds().out;
    fs::write(log.path("fork"), &written).unwrap();
    let found = annals(log.check(&log.path("fork")), "").succeeds().lines();
    assert_eq!(found[0]["offset"], 7);
    annals(["fork", &hers, &theirs, "--vkey", &log.vkey], "").fails(&["two of a kind"]);
}

#[test]
fn verify_compares_with_checkpoints() {
    let log = Log::new();
    let first = log.sign("first");
    let report = annals(["verify", &log.store], "").succeeds().lines();
    assert_eq!(report[1]["checkpoints"], 1);
    annals(["verify", &log.store, "--against", &first], "").succeeds();
    // Another store with as many events, to which the checkpoint does not belong.
    let other = log.dir.store("other.store", &lines(100..400));
    let not_checked = "is not checked";
    annals(["verify", &other, "--against", &first], "")
        .fails(&["events were changed", not_checked]);
    let shorter = log.dir.store("shorter.store", &lines(0..10));
    annals(["verify", &shorter, "--against", &first], "")
        .fails(&["covers 300 events", "rolled back"]);
    assert_eq!(annals(["verify", &other], "").succeeds().lines().len(), 1);
}

#[test]
fn a_log_is_published_in_tiles() {
    let log = Log::new();
    log.sign("first");
    let site = log.path("site");
    annals(["publish", &log.store, &site, "--entries"], "").succeeds();
    let bytes = |name: &str| fs::metadata(Path::new(&site).join(name)).unwrap().len();
    assert_eq!(
        (bytes("tile/0/000"), bytes("tile/0/001.p/44"), bytes("tile/1/000.p/1")),
        (256 * 32, 44 * 32, 32)
    );
    assert!(bytes("tile/entries/000") > 256 * 57 && bytes("checkpoint") > 100);
    annals(["append", &log.store], lines(300..600)).succeeds();
    log.sign("second");
    annals(["publish", &log.store, &site], "").succeeds();
    assert_eq!(
        (bytes("tile/0/001"), bytes("tile/0/002.p/88"), bytes("tile/1/000.p/2")),
        (256 * 32, 88 * 32, 64)
    );
    // A flipped bit is found.
    let tile = Path::new(&site).join("tile/0/000");
    let good = fs::read(&tile).unwrap();
    let mut flipped = good.clone();
    flipped[777] ^= 1;
    fs::write(&tile, flipped).unwrap();
    let repaired = annals(["publish", &log.store, &site], "");
    let (replaced, damaged) =
        ("note: replaced 1 damaged file", "warning: a published file is damaged");
    assert!(repaired.err.contains(replaced) && repaired.err.contains(damaged), "{repaired:?}");
    assert_eq!(repaired.code, Some(0));
    assert!(fs::read(&tile).unwrap() == good);
    // Not over the tiles of another log.
    let other = Log::new();
    annals(["append", &other.store], lines(400..800)).succeeds();
    other.sign("first");
    annals(["publish", &other.store, &site], "").fails(&["consistency proof"]);
}

#[test]
fn what_is_published_is_apart_from_stores_and_keys() {
    let log = Log::new();
    log.sign("first");
    let proofs = format!("{}/proofs", log.store);
    let before = fs::read(Path::new(&proofs).join("checkpoint")).unwrap();
    for directory in [&log.store, &proofs, &format!("{}/public", log.store)] {
        annals(["publish", &log.store, directory], "")
            .fails(&["cannot be used", "give a path outside of it"]);
    }
    // The store and both keys are in this directory.
    annals(["publish", &log.store, &log.path("")], "")
        .fails(&["which a web server would show", "publish to a directory of its own"]);
    let key = format!("{}/new.key", log.store);
    annals(["key", "x", "--out", &key], "").fails(&["new.key", "give a path outside of it"]);
    let witness = ["--key", &log.path("bob.key"), "--log", &log.vkey];
    let request = fs::read_to_string(log.prove("request", &["--since", "none"])).unwrap();
    annals(["witness", &log.store].into_iter().chain(witness), request)
        .fails(&["store.json is there"]);
    assert_eq!(fs::read(Path::new(&proofs).join("checkpoint")).unwrap(), before);
    annals(["publish", &log.store, &log.path("site")], "").succeeds();
}

#[test]
fn a_key_is_not_replaced_and_names_are_checked() {
    let log = Log::new();
    annals(["key", "x", "--out", &log.path("log.key")], "").fails(&["write", "log.key"]);
    annals(["key", "two words", "--out", &log.path("new.key")], "").fails(&["white space"]);
    annals(["checkpoint", &log.path("none.store"), "--key", &log.path("log.key")], "")
        .fails(&["none.store"]);
    annals(["check", "x"], "").complains(&["--vkey"]);
}

#[test]
fn go_verifies_what_the_commands_write() {
    let packages = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb");
    if !packages.exists() || Command::new("go").arg("version").output().is_err() {
        let text =
            b"skipped: there is no Go with x/mod (Debian: golang-go golang-golang-x-mod-dev)\n";
        std::io::Write::write_all(&mut std::io::stderr(), text).unwrap();
        return;
    }
    let log = Log::new();
    let first = log.sign("first");
    annals(["append", &log.store], lines(300..900)).succeeds();
    let second = log.sign("second");
    let (event, grew) = (log.prove("event", &["777"]), log.prove("grew", &["--since", &first]));
    let (mut go, key) = (Command::new("go"), log.path("log.key"));
    go.arg("run")
        .arg("tests/cli/oracle.go")
        .args([&log.vkey, &first, &second, &event, &grew, &key]);
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    go.env("GOCACHE", log.path("go-cache"));
    let output = go.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("all hold"), "{text}");
}

#[test]
fn files_of_another_log_and_swapped_keys_are_named() {
    let (log, other) = (Log::new(), Log::new());
    let first = log.sign("first");
    // Another log, with the same events and another name.
    let (store, key) = (other.store.as_str(), other.path("bob.key"));
    let theirs = log.path("theirs");
    fs::write(&theirs, annals(["checkpoint", store, "--key", &key], "").succeeds().out).unwrap();
    let words = ["of the log example.com/bob", "this is the log example.com/ledger"];
    annals(["prove", &log.store, "7", "--at", &theirs], "").fails(&words);
    annals(["prove", &log.store, "--since", &theirs], "").fails(&words);
    annals(["prove", &log.store, "--tag", "digit:3", "--at", &theirs], "").fails(&words);
    annals(["verify", &log.store, "--against", &theirs], "")
        .complains(&["of the log example.com/bob"]);
    // A checkpoint with another signature, of an older size, of no log.
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&theirs, text.replacen("\n300\n", "\n299\n", 1)).unwrap();
    annals(["prove", &log.store, "7", "--at", &theirs], "").fails(&["not valid"]);
    fs::write(&theirs, text.replacen("\n300\n", "\n301\n", 1)).unwrap();
    annals(["prove", &log.store, "--since", &theirs], "").fails(&["301 events was changed"]);
    annals(["prove", &log.store, "7", "--at", &log.path("log.key")], "")
        .fails(&["log.key", "a secret key"]);
    // Keys for the other role, and files that are not keys.
    let request = fs::read_to_string(log.prove("request", &["--since", "none"])).unwrap();
    let (memory, key) = (log.path("memory"), log.path("bob.key"));
    let swapped = ["witness", &memory, "--key", &key, "--log", &log.witness_vkey];
    annals(swapped, &request).fails(&["is the key of a witness"]);
    let line = annals(["witness", &memory, "--key", &key, "--log", &log.vkey], &request);
    fs::write(log.path("line"), line.succeeds().out).unwrap();
    let receipt = |vkey: &str, file: &str| {
        annals(["checkpoint", &log.store, "--receipt", &log.path(file), "--witness", vkey], "")
    };
    receipt(&log.vkey, "line").fails(&["signs checkpoints of its own log", "witness_vkey"]);
    receipt(&other.witness_vkey, "line").fails(&["is not by the key"]);
    receipt(&log.witness_vkey, "first").fails(&["not a cosignature of the last checkpoint"]);
    annals(["checkpoint", &log.store, "--key", &first], "").fails(&["first: not a valid key file"]);
    // The owner signs again before it stores the receipt.
    annals(["append", &log.store], lines(300..310)).succeeds();
    log.sign("second");
    receipt(&log.witness_vkey, "line")
        .fails(&["covers 310 events", "stored before the next one is signed"]);
}

#[test]
fn public_keys_are_shown_again() {
    let log = Log::new();
    let shown = annals(["key", "--show", &log.path("bob.key")], "").succeeds().lines();
    assert_eq!(shown[0]["witness_vkey"], log.witness_vkey.as_str());
    annals(["key", "--show", &log.path("none.key")], "").fails(&["read", "none.key"]);
    annals(["key", "x", "--show", &log.path("bob.key")], "").complains(&["--show"]);
    annals(["key", "x"], "").complains(&["--out"]);
    annals(["key", "--out", &log.path("new.key")], "").complains(&["NAME"]);
}

#[test]
fn a_fork_is_refused_as_a_fork() {
    let log = Log::new();
    let first = log.sign("first");
    let note = serde_json::Value::from(fs::read_to_string(&first).unwrap());
    let refused = |text: String, words: &[&str]| {
        fs::write(log.path("fork"), text).unwrap();
        annals(log.check(&log.path("fork")), "").fails(words);
    };
    refused(format!("{{\"annals_fork\":1,\"a\":{note},\"b\":{note}}}"), &["different roots"]);
    refused(format!("{{\"annals_fork\":1,\"a\":{note}}}"), &["not a valid fork", "missing field"]);
    refused(
        format!("{{\"annals_fork\":1,\"a\":{note},\"a\":{note}}}"),
        &["not a valid fork", "duplicate"],
    );
    for member in ["offset", "entry_a", "proof_a", "entry_b", "proof_b"] {
        let text = format!("{{\"annals_fork\":1,\"a\":{note},\"b\":{note},\"{member}\":null}}");
        refused(text, &["not a valid fork", "null"]);
    }
    refused(
        format!("{{\"annals_fork\":2,\"a\":{note},\"b\":{note}}}"),
        &["not a valid fork", "version 2"],
    );
}

/// The page is for readers who have never made a proof: they copy its commands.
#[cfg(unix)]
#[test]
fn the_commands_of_the_page_run_as_printed_in_an_empty_directory() {
    let page = fs::read_to_string("../../docs/PROOFS.md").unwrap();
    let blocks = page.split("```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 3, "{} blocks of commands", blocks.len());
    let program = Path::new(env!("CARGO_BIN_EXE_annals")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let dir = TestDir::new();
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &blocks.concat()]).env("PATH", path).current_dir(dir.path(""));
    let output = shell.env_remove("ANNALS_STORE").output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && !err.contains("warning"), "{out}{err}");
    for proved in ["signed", "event", "whole", "continues", "cosigned", "fork"] {
        assert!(out.contains(&format!("\"proved\":\"{proved}\"")), "{proved}: {out}");
    }
}

#[test]
fn of_two_processes_that_sign_at_once_each_signs_the_same_or_nothing() {
    let log = Log::new();
    let key = log.path("log.key");
    let expected = fs::read_to_string(log.sign("first")).unwrap();
    let sign = |more: &[&'static str]| {
        let args = ["checkpoint", &log.store, "--key", &key].map(str::to_owned);
        let args = args.into_iter().chain(more.iter().map(|&arg| arg.to_owned()));
        let args: Vec<String> = args.collect();
        std::thread::spawn(move || annals(args.iter().map(String::as_str), ""))
    };
    for run in [sign(&[]), sign(&[]), sign(&[])].map(|thread| thread.join().unwrap()) {
        if run.code == Some(0) {
            assert_eq!(run.out, expected);
        } else {
            assert!(run.fails(&["a.store is"]).out.is_empty());
        }
    }
    let waits = ["--wait=10min"];
    for run in [sign(&waits), sign(&waits), sign(&waits)].map(|thread| thread.join().unwrap()) {
        assert_eq!(run.succeeds().out, expected);
    }
}

#[test]
fn a_copied_log_takes_its_proofs_along() {
    let log = Log::new();
    let first = log.sign("first");
    let (copy, key) = (log.path("copy.store"), log.path("log.key"));
    annals(["copy", &log.store, &copy], "").succeeds();
    let (from, to) = (Path::new(&log.store).join("proofs"), Path::new(&copy).join("proofs"));
    fs::create_dir(&to).unwrap();
    for name in ["log.json", "checkpoint"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let args = ["checkpoint", &copy, "--key", &key];
    annals(args, "").fails(&["has the proofs of the store", "--adopt"]);
    // With another key, nothing is taken over.
    let bob = log.path("bob.key");
    annals(["checkpoint", &copy, "--key", &bob, "--adopt"], "").fails(&["the key is"]);
    annals(args, "").fails(&["has the proofs of the store", "--adopt"]);
    let adopted = annals([&args[..], &["--adopt"]].concat(), "").succeeds().out;
    assert_eq!(adopted, fs::read_to_string(first).unwrap());
    annals(args, "").succeeds();
    annals(["verify", &copy], "").succeeds();
}
