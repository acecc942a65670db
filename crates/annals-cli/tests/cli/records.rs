//! Stores whose record is in `PostgreSQL`, as a person uses them: from an empty directory, with a wrong user, on a
//! replica that is in use, or of another record, and after the record lost commits.

use std::fs;

use crate::harness::{Run, Running, TestDir, all, annals, command, finish, line, lines};
use crate::server::Server;

/// Starts a server that takes a user without a password, and another one with it.
fn server() -> Option<Server> {
    Server::start(&[])
}

/// Runs the command on a record with a replica.
fn on(url: &str, replica: &str, args: &[&str], input: &str) -> Run {
    let (name, rest) = args.split_first().unwrap();
    annals([&[*name, url], rest, &["--replica", replica]].concat(), input)
}

#[test]
fn from_an_empty_directory_to_a_log_on_two_machines() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, here, there) = (server.url("shop"), dir.arg("here"), dir.arg("there"));
    // Without a record, every command says how to create it, and leaves nothing behind.
    let create = format!("annals record create '{url}'");
    let words = ["has no record", "create the record, once", &create];
    on(&url, &here, &["append"], &line(0)).fails(&words);
    on(&url, &here, &["read"], "").fails(&words);
    annals(["record", "verify", &url], "").fails(&words);
    let status = annals(["record", "status", &url], "").fails(&["has no record", &create]);
    assert!(status.lines()[0]["engine"].as_str().unwrap().starts_with("PostgreSQL"), "{status:?}");
    assert!(!dir.path("here").exists());

    let created = annals(["record", "create", &url], "");
    assert!(created.err.contains("one server alone"), "the warnings are printed once: {created:?}");
    let store_id = created.lines()[0]["store_id"].clone();
    annals(["record", "create", &url], "").fails(&[
        "has a record already",
        store_id.as_str().unwrap(),
        "?store=NAME",
    ]);

    on(&url, &here, &["append"], &lines(0..20)).succeeds();
    let patient = format!("{url}&append_timeout=60");
    on(&patient, &there, &["append", "--type", "last", "--id", "x"], "").succeeds();
    let again = on(&url, &here, &["append", "--type", "last", "--id", "x"], "").succeeds();
    assert_eq!(again.lines()[0]["already"], true, "{again:?}");
    for replica in [&here, &there] {
        let read = on(&url, replica, &["read"], "").succeeds();
        assert_eq!(read.offsets(), (0..21).collect::<Vec<_>>());
    }
    assert_eq!(on(&url, &here, &["count"], "").succeeds().lines()[0]["count"], 21);
    assert_eq!(on(&url, &here, &["stats"], "").succeeds().lines()[0]["head"], 21);
    assert_eq!(on(&url, &here, &["get", "20"], "").succeeds().code, Some(0));
    assert_eq!(on(&url, &here, &["types"], "").succeeds().lines().len(), 4);
    on(&url, &here, &["append", "--if-none", "last", "--type", "last"], "")
        .fails(&["nothing appended", "offset 20"]);
    let note = on(&url, &here, &["verify"], "").succeeds().err;
    assert!(note.contains("annals record verify"), "{note}");
    // The replica is a store in files, for as long as no process has it open.
    assert_eq!(all(&there), all(&here));

    let status = annals(["record", "status", &url, "--replica", &here], "").succeeds();
    let status = &status.lines()[0];
    assert_eq!(status["store_id"], store_id);
    assert_eq!((&status["replica_events"], &status["lag_slots"]), (&21.into(), &0.into()));
    let text = annals(["record", "status", &url, "--replica", &here, "--format", "table"], "");
    assert!(text.out.contains("the record has the replica's last commit"), "{text:?}");
    let verified = annals(["record", "verify", &url, "--replica", &here], "").succeeds();
    let verified = &verified.lines()[0];
    assert_eq!((&verified["compared"], &verified["problems"]), (&21.into(), &0.into()));
    annals(["record", "verify", &url], "")
        .notes(&["give --replica to compare the record with a replica"]);
}

#[test]
fn a_log_is_copied_to_a_record_and_back_with_its_times() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, replica, back) = (server.url("shop"), dir.arg("replica"), dir.arg("back"));
    let store = dir.store("a.store", &lines(0..30));
    annals(["record", "create", &url], "");
    for _ in 0..2 {
        annals(["copy", &store, &url, "--replica", &replica], "").succeeds();
    }
    annals(["copy", &url, &back, "--replica", &replica], "").succeeds();
    let lines = |store: &str| annals(["read", store], "").succeeds().out;
    assert_eq!(lines(&back), lines(&store));
    // Another process appends to the record, so the two differ.
    on(&url, &dir.arg("other"), &["append"], &line(30)).succeeds();
    annals(["copy", &store, &url, "--replica", &replica], "").fails(&["is not a copy"]);
}

#[test]
fn wrong_users_passwords_databases_and_rights_fail_at_once() {
    let Some(mut server) = server() else { return };
    let dir = TestDir::new();
    let (url, replica) = (server.url("shop"), dir.arg("replica"));
    annals(["record", "create", &url], "");
    server.sql("create role app login password 'right'");
    let rules = server.write(
        "rules",
        "host all annals 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n",
    );
    server.sql(&format!("alter system set hba_file = '{}'", rules.display()));
    server.kill();
    server.run();
    let app = url.replace("annals@", "app@");
    let read = |url: &str, variables: &[(&str, &str)]| {
        let mut command = command(["read", url, "--replica", &replica]);
        finish(command.envs(variables.iter().copied()).spawn().unwrap())
    };
    read(&app, &[]).fails(&["asks for a password", "PGPASSWORD"]);
    let refused = read(&app, &[("PGPASSWORD", "wrong")]).fails(&["password authentication failed"]);
    assert!(!refused.err.contains("wrong"), "{refused:?}");
    read(&url.replace("/postgres?", "/other?"), &[]).fails(&["database \"other\" does not exist"]);
    // A user without rights on the table.
    let right = [("PGPASSWORD", "right")];
    read(&app, &right).fails(&["permission denied for table annals_commits"]);
    server.sql("grant select, insert on annals_commits to app");
    read(&app, &right).succeeds();
    let file = dir.path("password");
    fs::write(&file, "right\n").unwrap();
    read(&app, &[("ANNALS_PASSWORD_FILE", file.to_str().unwrap())]).succeeds();
    read(&app, &[("ANNALS_PASSWORD_FILE", "missing")]).fails(&["password file", "missing"]);
}

#[test]
fn a_replica_in_use_and_one_of_another_record_are_refused() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, other) = (server.url("shop"), server.url("two"));
    let (replica, free) = (dir.arg("replica"), dir.arg("free"));
    annals(["record", "create", &url], "");
    annals(["record", "create", &other], "");
    on(&url, &replica, &["append"], &lines(0..3)).succeeds();
    on(&other, &replica, &["read"], "").fails(&["of the store", "one where nothing exists yet"]);
    annals(["record", "status", &other, "--replica", &replica], "").fails(&["of the store"]);
    annals(["record", "verify", &other, "--replica", &replica], "").fails(&["contradict"]);

    let mut tail = Running::start(["tail", &url, "--replica", &replica]);
    assert_eq!(tail.hear()["offset"], 0);
    let used = format!("annals read {replica}");
    on(&url, &replica, &["append"], &line(3)).fails(&[
        "is open for writing in process",
        "a replica of its own",
        &used,
    ]);
    annals(["read", &replica], "").succeeds();
    // The status and the comparison need no lock.
    annals(["record", "status", &url, "--replica", &replica], "").succeeds();
    annals(["record", "verify", &url, "--replica", &replica], "").succeeds();
    on(&url, &free, &["append"], &line(3)).succeeds();
    while tail.hear()["offset"] != 3 {}
    // With --wait, the next process gets the replica once it is free.
    let mut waits = Running::start(["append", &url, "--replica", &replica, "--wait"]);
    waits.say(&line(4));
    waits.end_input();
    tail.signal("-TERM");
    assert_eq!(tail.code(), Some(0));
    assert_eq!(waits.hear()["first"], 4);
    assert_eq!(waits.code(), Some(0), "{}", waits.complaints());
}

#[test]
fn a_record_that_lost_commits_is_reported_by_every_command() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, replica) = (server.url("shop"), dir.arg("replica"));
    annals(["record", "create", &url], "");
    for n in 0..3 {
        on(&url, &replica, &["append"], &line(n)).succeeds();
    }
    server.sql("delete from annals_commits where number = 3");
    let words = ["diverged", "docs/REPLICATION.md"];
    annals(["record", "status", &url, "--replica", &replica], "").fails(&words);
    let verified = annals(["record", "verify", &url, "--replica", &replica], "");
    let problem = verified.lines()[0]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("2 events, and the replica has 3"), "{verified:?}");
    verified.fails(&["contradict each other: 1 problem"]);
    // What the replica has is printed first.
    assert_eq!(on(&url, &replica, &["read"], "").fails(&words).offsets(), [0, 1, 2]);
    on(&url, &replica, &["append"], &line(4)).fails(&["docs/REPLICATION.md"]);
    // A new replica has what the record has.
    assert_eq!(on(&url, &dir.arg("new"), &["read"], "").succeeds().offsets(), [0, 1]);
}

#[test]
fn a_record_that_lost_commits_is_healed_by_a_replica() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, replica) = (server.url("shop"), dir.arg("replica"));
    annals(["record", "create", &url], "");
    for n in 0..3 {
        on(&url, &replica, &["append"], &line(n)).succeeds();
    }
    annals(["record", "heal", &url], "").complains(&["--replica DIR is missing"]);
    let heal = |more: &[&str]| {
        annals([&["record", "heal", &url, "--replica", &replica], more].concat(), "")
    };
    assert_eq!(heal(&[]).succeeds().lines()[0]["appended_commits"], 0);
    server.sql("delete from annals_commits where number = 3");
    let dry = heal(&["--dry-run"]).succeeds();
    assert_eq!((&dry.lines()[0]["lost_from"], &dry.lines()[0]["lost_to"]), (&2.into(), &3.into()));
    assert_eq!(dry.lines()[0]["appended_commits"], 0);
    let table = heal(&["--dry-run", "--format", "table"]).succeeds();
    assert!(table.out.contains("only the replica has 1 commit with 1 event: offsets 2 to 2"));
    assert_eq!(heal(&[]).succeeds().lines()[0]["appended_commits"], 1);
    assert_eq!(on(&url, &replica, &["read"], "").succeeds().offsets(), [0, 1, 2]);
    assert_eq!(on(&url, &dir.arg("new"), &["read"], "").succeeds().offsets(), [0, 1, 2]);
    annals(["record", "verify", &url, "--replica", &replica], "").succeeds();
}

#[test]
fn commits_that_cannot_follow_any_more_are_given_up_by_an_epoch() {
    let Some(server) = server() else { return };
    let dir = TestDir::new();
    let (url, replica) = (server.url("shop"), dir.arg("replica"));
    annals(["record", "create", &url], "");
    for n in 0..3 {
        on(&url, &replica, &["append"], &line(n)).succeeds();
    }
    let run = |command: &str, more: &[&str]| {
        annals([&["record", command, &url, "--replica", &replica], more].concat(), "")
    };
    let reason = ["--reason", "restored the backup of Sunday"];
    run("epoch", &reason).fails(&["the record has everything"]);
    run("set-aside", &[]).fails(&["the record has everything"]);
    server.sql("delete from annals_commits where number = 3");
    run("set-aside", &[]).fails(&["no epoch gives them up", "annals record heal"]);
    on(&url, &dir.arg("other"), &["append"], &line(7)).succeeds();
    run("heal", &[]).fails(&[
        "another writer appended",
        &format!("annals export {replica} --from 2"),
        "annals record epoch",
        "annals record set-aside",
    ]);
    run("epoch", &["--reason", ""]).complains(&["1 to 1024 bytes"]);
    assert!(run("epoch", &[&reason[..], &["--dry-run"]].concat()).lines()[0]["epoch"].is_null());
    assert_eq!(run("epoch", &reason).succeeds().lines()[0]["is_old"], false);
    assert_eq!(run("epoch", &reason).succeeds().lines()[0]["is_old"], true);
    on(&url, &replica, &["read"], "").fails(&["goes on without the commits"]);
    let set_aside = format!("annals record set-aside '{url}' --replica {replica}");
    let status = run("status", &[]).fails(&["diverged: commit 4", &set_aside]);
    let diverged = status.lines()[0]["diverged"].as_str().unwrap().to_owned();
    assert!(diverged.contains("commit 4 of the record says"), "{diverged}");
    let aside = run("set-aside", &[]).succeeds();
    let path = aside.lines()[0]["path"].as_str().unwrap().to_owned();
    assert_eq!(annals(["export", &path, "--from", "2"], "").succeeds().lines().len(), 1);
    let lines = on(&url, &replica, &["read"], "").succeeds();
    assert_eq!(lines.offsets(), [0, 1, 2]);
    assert_eq!(
        lines.lines()[2]["data"],
        annals(["read", &dir.arg("other")], "").lines()[2]["data"]
    );
}
