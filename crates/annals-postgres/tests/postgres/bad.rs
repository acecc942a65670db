//! Servers, rights and records that are not as they should be.

use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_postgres::Postgres;
use annals_replicated::{
    AppendOutcome, CommitLog as _, CreateError, LogError, ReadLimit, Slot, create,
};

use crate::proxy;
use crate::server::Server;
use crate::writer::Writer;

#[test]
fn a_server_that_loses_commits_is_refused_unless_it_is_accepted() {
    let Some(server) = Server::start(&[("fsync", "off")]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    let unfit = record.check().unwrap_err().to_string();
    assert!(unfit.contains("fsync is off: set fsync = on in postgresql.conf"), "{unfit}");
    let refused = create(&record).unwrap_err();
    assert!(matches!(refused, CreateError::Unfit(_)), "{refused}");
    let accepted = Postgres::options().accept_unsynced(true).connect(&server.url("shop")).unwrap();
    create(&accepted).unwrap();
    let mut writer = Writer::new(&accepted);
    writer.put();
    assert!(accepted.check().unwrap().warnings[0].contains("fsync is off"));
    // The connections of a program that did not accept it append nothing.
    let commit = writer.next();
    let outcome = Writer::new(&record).send(&commit);
    assert!(matches!(outcome, AppendOutcome::Refused), "an entry with no place: {outcome:?}");
    let error = record.read(Slot(0), ReadLimit::default()).unwrap_err().to_string();
    assert!(error.contains("fsync is off"), "{error}");
}

#[test]
fn settings_are_checked_on_each_new_connection() {
    let Some(mut server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    server.set("synchronous_commit", "off");
    server.kill();
    server.run();
    let commit = writer.next();
    // The first attempts may meet the connection that the old server left behind.
    let outcome = loop {
        match writer.send(&commit) {
            AppendOutcome::Unknown(_) => {}
            AppendOutcome::NotSent(cause) if !cause.to_string().contains("synchronous") => {}
            outcome => break outcome,
        }
    };
    let text = format!("{outcome:?}");
    assert!(text.contains("synchronous_commit is off for this user and database"), "{text}");
}

#[test]
fn a_record_is_created_once_and_never_by_an_append() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    // Before the first record the table is absent, and the engine reports an empty record.
    assert_eq!(record.read(Slot(0), ReadLimit::default()).unwrap().entries.len(), 0);
    assert_eq!(record.ends().unwrap(), (Slot(1), Slot(0)));
    let id = create(&record).unwrap();
    assert!(matches!(create(&record), Err(CreateError::Exists { store_id }) if store_id == id));
    let other = Postgres::connect(&server.url("other")).unwrap();
    assert_eq!(other.ends().unwrap(), (Slot(1), Slot(0)));
    assert_eq!(other.read(Slot(0), ReadLimit::default()).unwrap().entries.len(), 0);
    let mut writer = Writer::new(&record);
    let commit = writer.next();
    let outcome = Writer::new(&other).send(&commit);
    assert!(matches!(outcome, AppendOutcome::Refused), "{outcome:?}");
    create(&other).unwrap();
}

#[test]
fn a_wait_that_is_cancelled_is_a_doubt() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    server.set("synchronous_standby_names", "ANY 1 (nobody)");
    let commit = writer.next();
    let outcome = std::thread::scope(|scope| {
        let sending = scope.spawn(|| writer.send(&commit));
        server.wait_for("select count(*) from pg_stat_activity where wait_event = 'SyncRep'", "1");
        server.sql(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
        );
        sending.join().unwrap()
    });
    assert!(matches!(outcome, AppendOutcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn rows_that_are_missing_are_reported() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    for _ in 0..4 {
        writer.put();
    }
    server.sql("delete from annals_commits where number = 2");
    let page = record.read(Slot(0), ReadLimit::default()).unwrap();
    assert_eq!(page.entries.len(), 2, "up to the gap");
    let behind = record.read(Slot(2), ReadLimit { entries: 10, bytes: 1 });
    assert!(matches!(behind, Err(LogError::Trimmed { first: Slot(4) })), "{behind:?}");
    server.sql("delete from annals_commits where number < 2");
    let behind = record.read(Slot(0), ReadLimit::default());
    assert!(matches!(behind, Err(LogError::Trimmed { first: Slot(4) })), "{behind:?}");
}

/// The commit that it was decided on was lost, and another one has the same number. The numbers fit, the hashes do not.
#[test]
fn a_commit_behind_another_hash_with_the_same_number_is_refused() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    let late = writer.next();
    server.sql("delete from annals_commits where number = 1");
    let other = Postgres::connect(&server.url("shop")).unwrap();
    Writer::new(&other).put();
    let outcome = writer.send(&late);
    assert!(matches!(outcome, AppendOutcome::Refused), "{outcome:?}");
    assert_eq!(server.sql("select max(number) from annals_commits"), "1");
    // With the hash that is there, the same number is free.
    let mut again = Writer::new(&record);
    again.read().unwrap();
    let next = again.next();
    assert_eq!(next.header().number, late.header().number);
    let outcome = again.send(&next);
    assert!(matches!(outcome, AppendOutcome::At(Slot(3))), "{outcome:?}");
}

#[test]
fn a_user_needs_only_the_rights_to_select_and_insert() {
    let Some(server) = Server::start(&[]) else { return };
    create(&Postgres::connect(&server.url("shop")).unwrap()).unwrap();
    server.sql("create role app login; grant select, insert on annals_commits to app");
    let url = server.url("shop").replace("annals@", "app@");
    let record = Postgres::connect(&url).unwrap();
    Writer::new(&record).put();
    assert_eq!(record.ends().unwrap(), (Slot(1), Slot(2)));
    // It can make a record of its own, too.
    create(&Postgres::connect(&url.replace("shop", "two")).unwrap()).unwrap();
}

#[test]
fn a_server_that_is_not_there_is_named_as_such() {
    let record = Postgres::connect("postgres://annals@127.0.0.1:1/postgres?store=shop").unwrap();
    let text = record.ends().unwrap_err().to_string();
    assert!(text.contains("the engine does not answer"), "{text}");
    let unfit = record.check().unwrap_err().to_string();
    assert!(unfit.contains("connect"), "{unfit}");
}

#[test]
fn what_no_standby_has_is_not_read_after_a_doubt() {
    let Some(server) = Server::start(&[]) else { return };
    let options = || Postgres::options().timeout(Duration::from_millis(500));
    let record = options().connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    // A setting that would hide the warning.
    server.sql("alter role annals set client_min_messages = error");
    let record = options().connect(&server.url("shop")).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    let commit = writer.next();
    server.set("synchronous_standby_names", "ANY 1 (nobody)");
    let patient = Postgres::connect(&server.url("shop")).unwrap();
    let mut other = Writer::new(&patient);
    other.read().unwrap_err();
    server.set("synchronous_standby_names", "");
    other.read().unwrap();
    server.set("synchronous_standby_names", "ANY 1 (nobody)");
    let outcome = std::thread::scope(|scope| {
        let sending = scope.spawn(|| other.send(&commit));
        let waits = "select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep' and query like '%insert%'";
        server.wait_for(waits, "t");
        server.sql(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep' and query like '%insert%'",
        );
        sending.join().unwrap()
    });
    assert!(matches!(outcome, AppendOutcome::Unknown(_)), "{outcome:?}");
    // The row is there for all, and this connection does not take it for stored.
    assert_eq!(server.sql("select count(*) from annals_commits"), "3");
    let slot = Slot(2);
    let read = patient.read(slot, ReadLimit::default());
    assert!(matches!(read, Err(LogError::Unavailable(_))), "{read:?}");
    server.set("synchronous_standby_names", "");
    while patient.read(slot, ReadLimit::default()).map_or(0, |page| page.entries.len()) == 0 {}
}

#[test]
fn calls_that_wait_for_a_standby_do_not_fill_the_server() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::options().timeout(Duration::from_millis(200));
    let record = record.connect(&server.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    let commit = writer.next();
    server.set("synchronous_standby_names", "ANY 1 (nobody)");
    // What takes longer hangs, on any machine.
    let hangs = std::time::Instant::now() + Duration::from_secs(120);
    let send = || {
        assert!(std::time::Instant::now() < hangs, "appends do not end as they should");
        let _ = record.read(Slot(1), ReadLimit::default());
        writer.send(&commit)
    };
    // On a busy machine a connection takes longer than the time limit at times, and nothing is sent.
    while !matches!(send(), AppendOutcome::Unknown(_)) {}
    while !format!("{:?}", send()).contains("still waits for a standby") {}
    for _ in 0..8 {
        send();
    }
    let count = "select count(*) from pg_stat_activity where application_name = 'annals'";
    let count: u32 = server.sql(count).parse().unwrap();
    assert!(count <= 4, "{count} connections");
    server.set("synchronous_standby_names", "");
    while writer.read().is_err() || writer.hashes.len() < 2 {}
    writer.put();
}

#[test]
fn a_server_that_accepts_and_never_answers_does_not_hide_the_next() {
    let Some(server) = Server::start(&[]) else { return };
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = frozen.local_addr().unwrap().port();
    let url = server.url("shop").replace("127.0.0.1", &format!("127.0.0.1:{port},127.0.0.1"));
    let record = Postgres::options().timeout(Duration::from_secs(1)).connect(&url).unwrap();
    create(&record).unwrap();
    Writer::new(&record).put();
}

#[test]
fn a_connection_that_the_network_drops_delays_no_later_call() {
    let Some(server) = Server::start(&[]) else { return };
    let (port, drops) = proxy::dropping(server.port);
    let url = server.url("shop").replace(&server.port.to_string(), &port.to_string());
    let record = Postgres::options().timeout(Duration::from_secs(2)).connect(&url).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    let commit = writer.next();
    drops.store(true, Ordering::SeqCst);
    let lost = writer.send(&commit);
    assert!(matches!(lost, AppendOutcome::Unknown(_)), "{lost:?}");
    let sent = writer.send(&commit);
    assert!(matches!(sent, AppendOutcome::At(Slot(3))), "{sent:?}");
}

#[test]
fn a_session_that_is_made_behind_a_fence_is_fenced_too() {
    let Some(server) = Server::start(&[]) else { return };
    create(&Postgres::connect(&server.url("shop")).unwrap()).unwrap();
    let (port, uses) = proxy::cutting_behind_a_fence(server.port);
    let url = server.url("shop").replace(&server.port.to_string(), &port.to_string());
    let record = Postgres::connect(&url).unwrap();
    while record.read(Slot(0), ReadLimit::default()).is_err() {}
    let uses = uses.lock().unwrap();
    assert!(uses.contains(&(0, "fence")) && uses.contains(&(1, "fence")), "{uses:?}");
}
