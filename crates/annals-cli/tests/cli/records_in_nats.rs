//! Stores whose record is in NATS `JetStream`.

use crate::harness::{TestDir, annals, line, lines};
use crate::nats_server::{Servers, Settings};

#[test]
fn from_an_empty_directory_to_a_log_on_two_machines() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let dir = TestDir::new();
    let (url, here, there) = (servers.url("shop"), dir.arg("here"), dir.arg("there"));
    let create = format!("annals record create '{url}'");
    annals(["read", &url, "--replica", &here], "").fails(&["create the record, once", &create]);
    let created = annals(["record", "create", &url], "").lines();
    annals(["record", "create", &url], "").fails(&[
        "has a record already",
        created[0]["store_id"].as_str().unwrap(),
        "another NAME",
    ]);
    annals(["append", &url, "--replica", &here], lines(0..20)).succeeds();
    annals(["append", &url, "--replica", &there], line(20)).succeeds();
    for replica in [&here, &there] {
        let read = annals(["read", &url, "--replica", replica], "").succeeds();
        assert_eq!(read.offsets(), (0..21).collect::<Vec<_>>());
    }
    let status = annals(["record", "status", &url, "--replica", &here], "").succeeds();
    assert_eq!(status.lines()[0]["replica_events"], 21);
    let verified = annals(["record", "verify", &url, "--replica", &here], "").succeeds();
    assert_eq!(verified.lines()[0]["compared"], 21);
    let healed = annals(["record", "heal", &url, "--replica", &here], "").succeeds();
    assert_eq!(healed.lines()[0]["appended_commits"], 0);
}

#[test]
fn an_address_with_a_password_is_refused() {
    let url = "nats://app:secret@127.0.0.1:1/shop";
    let refused = annals(["read", url, "--replica", "r"], "").complains(&["NATS_PASSWORD"]);
    assert!(!refused.err.contains("secret"), "{refused:?}");
}
