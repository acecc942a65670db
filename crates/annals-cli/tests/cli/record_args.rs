//! Addresses of records and `--replica`, as far as no server is needed: each error says what would be right.

use std::process::Command;

use crate::harness::{Run, TestDir, all, annals, command, finish, line, lines};

const URL: &str = "postgres://app@127.0.0.1:1/app?store=shop";

fn with_environment(args: &[&str], name: &str, value: &str) -> Run {
    let mut command: Command = command(args.iter().copied());
    finish(command.env(name, value).spawn().unwrap())
}

#[test]
fn a_record_needs_a_replica_and_a_path_refuses_one() {
    let dir = TestDir::new();
    let store = dir.store("a.store", &lines(0..2));
    for command in ["append", "read", "tail", "stats", "count", "export", "verify"] {
        annals([command, URL], "").complains(&["--replica DIR is missing", "ANNALS_REPLICA", URL]);
        annals([command, &store, "--replica", "r"], "").complains(&[
            "is a path, which needs no --replica",
            &store,
            "postgres://",
        ]);
    }
    annals(["get", URL, "0"], "").complains(&["--replica DIR is missing"]);
    annals(["read", URL, "--replica", ""], "")
        .complains(&["a value is required for '--replica <DIR>'"]);
    annals(["read", URL, "--replica", URL], "").complains(&["is a directory on this machine"]);
    annals(["copy", URL, URL, "--replica", "r"], "").complains(&["both stores are records"]);
    annals(["key", "a/b", "--out", "k", "--replica", "r"], "").complains(&["has no record"]);
    // A variable that is set for a record does not get in the way of a path.
    let read = with_environment(&["read", &store], "ANNALS_REPLICA", &dir.arg("r")).succeeds();
    assert_eq!(read.lines().len(), 2);
    assert!(!dir.path("r").exists());
}

#[test]
fn a_password_in_an_address_is_refused_and_printed_nowhere() {
    for url in [
        "postgres://app:hidden@db1/app?store=shop",
        "postgres://app@db1/app?store=shop&password=hidden",
        "mysql://app:hidden@db1/app",
    ] {
        for args in [&["read", url, "--replica", "r"][..], &["record", "create", url]] {
            let refused = annals(args.iter().copied(), "").complains(&["postgres://"]);
            assert!(!refused.err.contains("hidden"), "{refused:?}");
        }
        let refused = with_environment(&["read"], "ANNALS_STORE", url);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(!refused.err.contains("hidden"), "{refused:?}");
    }
    let refused = annals(["record", "status", "postgres://app:hidden@db1/app?store=shop"], "");
    refused.complains(&["PGPASSWORD", "app:***@db1"]);
}

#[test]
fn a_time_limit_of_appends_that_is_not_one_is_refused() {
    let dir = TestDir::new();
    let replica = dir.arg("r");
    for value in ["0", "1.5", "60s", "86401", "", "60&append_timeout=60"] {
        for url in [
            format!("{URL}&append_timeout={value}"),
            format!("nats://n1/shop?append_timeout={value}"),
        ] {
            for args in [&["append", &url, "--replica", &replica][..], &["record", "create", &url]]
            {
                annals(args.iter().copied(), "").complains(&["append_timeout"]);
            }
        }
    }
    annals(["append", &format!("{URL}&append_timeout=1m"), "--replica", &replica], "")
        .complains(&["a whole number of seconds from 1 to 86400", "append_timeout=60"]);
    assert!(!dir.path("r").exists());
}

#[test]
fn commands_and_options_that_make_no_sense_on_a_record_say_why() {
    let replica = ["--replica", "r"];
    let run = |args: &[&str]| annals(args.iter().copied().chain(replica), "");
    run(&["append", URL, "--durability", "buffered"])
        .complains(&["the engine of a record decides"]);
    run(&["salvage", URL, "new"])
        .complains(&["is the address of a record", "remove its directory"]);
    run(&["bench", URL]).complains(&["`annals bench` is for paths"]);
    annals(["record", "create", "my.store"], "")
        .complains(&["my.store is a path", "give an address"]);
    // Wrong usage of a command of a group has the usage of that command.
    annals(["record", "heal", URL], "")
        .complains(&["--replica DIR is missing", "annals record heal"]);
    annals(["record"], "").complains(&["create", "status", "verify"]);
    annals(["read", "mysql://db1/app"], "").complains(&["begin with postgres://", "./mysql:"]);
    #[cfg(feature = "serve")]
    run(&["serve", URL, "--read-only"]).complains(&["annals serve r --read-only"]);
}

#[test]
fn a_directory_whose_name_looks_like_an_address_is_a_path_behind_a_dot() {
    let dir = TestDir::new();
    std::fs::create_dir(dir.path("postgres:")).unwrap();
    let mut command = command(["append", "./postgres://a.store", "--type", "hello"]);
    finish(command.current_dir(dir.path("")).spawn().unwrap()).succeeds();
    assert_eq!(all(&dir.arg("postgres:/a.store")).len(), 1);
}

#[cfg(not(feature = "postgres"))]
#[test]
fn without_the_feature_the_error_names_it() {
    let dir = TestDir::new();
    let replica = dir.arg("r");
    let words = ["was built without PostgreSQL", "--features postgres"];
    for command in ["append", "read", "tail", "stats"] {
        annals([command, URL, "--replica", &replica], line(0)).fails(&words);
    }
    annals(["record", "create", URL], "").fails(&words);
    assert!(!dir.path("r").exists());
}

#[cfg(feature = "postgres")]
#[test]
fn a_wrong_address_is_refused_with_a_right_one() {
    let dir = TestDir::new();
    let replica = dir.arg("r");
    for (url, part) in [
        ("postgres://app@db1/app", "has no ?store=NAME"),
        ("postgres:///app?store=s", "names no host"),
        ("postgres://app@db1/app?store=a%20b", "the store's name"),
    ] {
        let words = [part, "postgres://app@db1,db2,db3/app?store=shop"];
        annals(["append", url, "--replica", &replica], line(0)).complains(&words);
        annals(["record", "status", url], "").complains(&words);
    }
    assert!(!dir.path("r").exists());
}

/// The command asks for 30 seconds. It says so at once.
#[cfg(feature = "postgres")]
#[test]
fn a_server_that_is_away_is_waited_for_with_a_note() {
    use std::io::{BufRead as _, BufReader};
    let dir = TestDir::new();
    let mut running =
        crate::harness::Running::start(["read", URL, "--replica", &dir.arg("r"), "--color=never"]);
    let mut note = String::new();
    let errors = running.child.stderr.take().unwrap();
    BufReader::new(errors).read_line(&mut note).unwrap();
    assert!(note.contains("PostgreSQL does not answer") && note.contains("30 s"), "{note}");
}
