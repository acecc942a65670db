//! Servers, rights and streams that are not as they should be.

use std::time::Duration;

use annals_nats::JetStream;
use annals_replicated::{
    AppendOutcome, CheckError, CommitLog as _, CreateError, LogError, ReadLimit, Slot, create,
};

use crate::raw;
use crate::server::{Servers, Settings};
use crate::writer::Writer;

#[test]
fn a_server_that_loses_commits_is_refused_unless_it_is_accepted() {
    let Some(servers) = Servers::start(Settings { syncs: false, ..Settings::one() }) else {
        return;
    };
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    let unfit = record.check().unwrap_err().to_string();
    assert!(
        unfit.contains("n1 acknowledges entries before it syncs them: set sync_interval"),
        "{unfit}"
    );
    let refused = create(&record).unwrap_err();
    assert!(matches!(refused, CreateError::Unfit(_)), "{refused}");
    let accepted = JetStream::options().accept_unsynced(true);
    let accepted = accepted.connect(&servers.url("shop")).unwrap();
    create(&accepted).unwrap();
    let mut writer = Writer::new(&accepted);
    writer.put();
    assert!(accepted.check().unwrap().warnings[0].contains("sync_interval: always"));
    // The connections of a program that did not accept it append nothing.
    let commit = writer.next();
    let outcome = Writer::new(&record).send(&commit);
    let text = format!("{outcome:?}");
    assert!(text.contains("NotSent") && text.contains("sync_interval: always"), "{text}");
}

#[test]
fn settings_are_checked_on_each_new_connection() {
    let Some(mut servers) = Servers::start(Settings::one()) else { return };
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    servers.set_syncs(false);
    servers.kill(0);
    servers.run(0);
    let commit = writer.next();
    // The first attempts may meet the connection to the old server.
    let outcome = loop {
        match writer.send(&commit) {
            AppendOutcome::Unknown(_) => {}
            AppendOutcome::NotSent(cause) if !cause.to_string().contains("sync_interval") => {}
            outcome => break outcome,
        }
    };
    let text = format!("{outcome:?}");
    assert!(text.contains("n1 acknowledges entries before it syncs them"), "{text}");
}

#[test]
fn a_server_that_does_not_say_how_it_syncs_is_refused() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let url =
        format!("nats://127.0.0.1:{}/shop?replicas=1&monitor=127.0.0.1:1", servers.node(0).port);
    let record = JetStream::connect(&url).unwrap();
    let unfit = record.check().unwrap_err();
    assert!(matches!(unfit, CheckError::Unfit(_)), "{unfit}");
    assert!(
        unfit.to_string().contains("no monitoring endpoint answers at 127.0.0.1:1: set http_port"),
        "{unfit}"
    );
    let options = JetStream::options().monitor(format!("127.0.0.1:{}", servers.node(0).monitor));
    let fitness = options.connect(&url).unwrap().check().unwrap();
    assert!(fitness.engine.contains("sync_interval always"), "{}", fitness.engine);
    assert!(fitness.warnings[0].contains("one server alone"), "{:?}", fitness.warnings);
}

const ACCOUNTS: &str = r#"
system_account: SYS
accounts {
  SYS { users: [{ user: system, password: boss }] }
  APP { jetstream: enabled, users: [
    { user: admin, password: "a@b" }
    { user: app, password: app, permissions: {
        publish: ["annals.shop.>", "$JS.API.STREAM.INFO.shop", "$JS.API.STREAM.MSG.GET.shop", "$JS.API.DIRECT.GET.shop"]
        subscribe: ["annals.shop.news", "_INBOX.>"]
    } }
  ] }
}
"#;

#[test]
fn users_need_few_rights_and_the_system_account_says_how_servers_sync() {
    let settings = Settings { more: ACCOUNTS.to_owned(), ..Settings::three() };
    let Some(servers) = Servers::start(settings) else { return };
    let file = |name: &str, secret: &str| {
        let path = servers.directory().join(name);
        std::fs::write(&path, secret).unwrap();
        path
    };
    let boss = file("boss", "boss\n");
    // The URLs of the system account's tests have no monitoring endpoint.
    let without_monitors = |user: &str| {
        let url = servers.url_by("shop", user);
        format!("{}&monitor=127.0.0.1:1", url.split("&monitor").next().unwrap())
    };
    let admin = JetStream::options().password_file(file("admin", "a@b"));
    let system = admin.clone().system_user("system", &boss);
    let record = system.connect(&without_monitors("admin@")).unwrap();
    create(&record).unwrap();
    let engine = record.check().unwrap().engine;
    assert!(
        engine.contains("3 replicas (n") && engine.contains("sync_interval always"),
        "{engine}"
    );
    let wrong = admin.system_user("app", &boss).system_user("admin", &boss);
    let wrong = wrong.connect(&without_monitors("admin@")).unwrap();
    let unfit = wrong.check().unwrap_err().to_string();
    assert!(unfit.contains("authorization violation"), "{unfit}");

    let by_file = JetStream::options().password_file(file("app", "app\nand more lines"));
    let app = by_file.clone().connect(&servers.url_by("shop", "app@")).unwrap();
    app.check().unwrap();
    Writer::new(&app).put();
    assert_eq!(app.ends().unwrap(), (Slot(1), Slot(2)));
    // Without a right, the error says which one is missing.
    let other = by_file.connect(&servers.url_by("other", "app@")).unwrap();
    let text = other.ends().unwrap_err().to_string();
    assert!(text.contains("ermissions") && text.contains("STREAM.INFO.other"), "{text}");
    let stranger = JetStream::options().password_file(file("wrong", "wrong"));
    let stranger = stranger.connect(&servers.url_by("shop", "app@")).unwrap();
    let text = stranger.ends().unwrap_err().to_string();
    assert!(text.contains("authorization violation") && !text.contains("wrong"), "{text}");
}

#[test]
fn a_token_comes_from_a_file() {
    let more = "authorization { token: \"t@ken\" }".to_owned();
    let Some(servers) = Servers::start(Settings { more, ..Settings::one() }) else { return };
    let by_token = |token: &str| {
        let path = servers.directory().join("token");
        std::fs::write(&path, token).unwrap();
        JetStream::options().token_file(path).connect(&servers.url("shop")).unwrap()
    };
    create(&by_token("t@ken")).unwrap();
    let text = by_token("wrong").ends().unwrap_err().to_string();
    assert!(text.contains("authorization violation"), "{text}");
}

#[test]
fn a_record_is_created_once_and_never_by_an_append() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    // Before the first record the stream is absent, and the engine reports an empty record.
    assert_eq!(record.read(Slot(0), ReadLimit::default()).unwrap().entries.len(), 0);
    assert_eq!(record.ends().unwrap(), (Slot(1), Slot(0)));
    let id = create(&record).unwrap();
    assert!(matches!(create(&record), Err(CreateError::Exists { store_id }) if store_id == id));
    let commit = Writer::new(&record).next();
    let other = JetStream::connect(&servers.url("other")).unwrap();
    let outcome = Writer::new(&other).send(&commit);
    let is_refused = matches!(outcome, AppendOutcome::NotSent(_) | AppendOutcome::Unknown(_));
    assert!(is_refused, "{outcome:?}");
    assert_eq!(other.ends().unwrap(), (Slot(1), Slot(0)));
    let streams = raw::api(&servers, "STREAM.NAMES", "");
    assert!(!streams.contains("other"), "{streams}");
    create(&other).unwrap();
    // A cluster of three is not made of one server.
    let three = JetStream::options().replicas(3).connect(&servers.url("three")).unwrap();
    let unfit = create(&three).unwrap_err().to_string();
    assert!(unfit.contains("set ?replicas=1"), "{unfit}");
}

#[test]
fn a_stream_that_loses_entries_is_refused() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let body = r#"{"name":"shop","subjects":["annals.shop.commits"],"max_age":3600000000000}"#;
    raw::api(&servers, "STREAM.CREATE.shop", body);
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    let unfit = create(&record).unwrap_err().to_string();
    for part in [
        "set max_age to 0",
        "set discard to new",
        "set deny_delete to true",
        "set deny_purge to true",
    ] {
        assert!(unfit.contains(part), "{unfit}");
    }
}

#[test]
fn entries_that_are_missing_are_reported() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let body = r#"{"name":"shop","subjects":["annals.shop.commits"],"allow_direct":true}"#;
    raw::api(&servers, "STREAM.CREATE.shop", body);
    for _ in 0..5 {
        raw::request(&servers, "annals.shop.commits", "an entry");
    }
    raw::api(&servers, "STREAM.MSG.DELETE.shop", r#"{"seq":3}"#);
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    let page = record.read(Slot(0), ReadLimit::default()).unwrap();
    assert_eq!(page.entries.len(), 2, "up to the gap");
    let behind = record.read(Slot(2), ReadLimit { entries: 10, bytes: 1 });
    assert!(matches!(behind, Err(LogError::Trimmed { first: Slot(4) })), "{behind:?}");
    raw::api(&servers, "STREAM.PURGE.shop", "");
    let behind = record.read(Slot(0), ReadLimit::default());
    assert!(matches!(behind, Err(LogError::Trimmed { first: Slot(6) })), "{behind:?}");
    assert_eq!(record.read(Slot(5), ReadLimit::default()).unwrap().entries.len(), 0);
    assert_eq!(record.ends().unwrap(), (Slot(6), Slot(5)));
}

#[test]
fn the_leader_is_asked_where_no_server_shows_an_entry() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    // Without allow_direct, only the leader is read.
    raw::api(
        &servers,
        "STREAM.CREATE.shop",
        r#"{"name":"shop","subjects":["annals.shop.commits"]}"#,
    );
    let large = "large".repeat(200_000);
    raw::request(&servers, "annals.shop.commits", &large);
    raw::request(&servers, "annals.shop.commits", "small");
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    for (slot, entry) in [(1, large.as_str()), (2, "small")] {
        let page = record.read(Slot(slot - 1), ReadLimit::default()).unwrap();
        let expected = (Slot(slot), entry.as_bytes().to_vec().into());
        assert!(page.entries == [expected], "slot {slot}: {} entries", page.entries.len());
        assert!(page.time_ms.is_some());
    }
}

#[test]
fn a_server_that_is_not_there_is_named_as_such() {
    let record = JetStream::connect("nats://127.0.0.1:1/shop").unwrap();
    let text = record.ends().unwrap_err().to_string();
    assert!(text.contains("the engine does not answer") && text.contains("127.0.0.1:1"), "{text}");
    let error = record.check().unwrap_err();
    assert!(matches!(error, CheckError::Unavailable(_)), "{error}");
    assert_eq!(record.limits().under_way, 32);
}

#[test]
fn every_call_ends_while_the_server_does_not_answer() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let options = JetStream::options().timeout(Duration::from_secs(1));
    let record = options.connect(&servers.url("shop")).unwrap();
    create(&record).unwrap();
    let mut writer = Writer::new(&record);
    writer.put();
    let commit = writer.next();
    servers.pause(0);
    let outcome = writer.send(&commit);
    assert!(matches!(outcome, AppendOutcome::Unknown(_)), "{outcome:?}");
    let error = record.check().unwrap_err();
    assert!(matches!(error, CheckError::Unavailable(_)), "{error}");
    let read = record.read(Slot(2), ReadLimit::default());
    assert!(matches!(read, Err(LogError::Unavailable(_))), "{read:?}");
    let ends = record.ends();
    assert!(matches!(ends, Err(LogError::Unavailable(_))), "{ends:?}");
    servers.go_on(0);
    writer.put();
}

#[test]
fn a_server_that_accepts_and_never_answers_does_not_hide_the_next() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = frozen.local_addr().unwrap().port();
    let url = servers.url("shop").replace("//127.0.0.1", &format!("//127.0.0.1:{port},127.0.0.1"));
    let record = JetStream::options().timeout(Duration::from_secs(1)).connect(&url).unwrap();
    create(&record).unwrap();
    Writer::new(&record).put();
}

#[test]
fn an_entry_that_the_server_does_not_take_is_too_large() {
    let Some(mut servers) = Servers::start(Settings::one()) else { return };
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    create(&record).unwrap();
    assert_eq!(record.limits().entry_bytes, (1 << 20) - 256);
    servers.set_max_payload(64 << 10);
    servers.kill(0);
    servers.run(0);
    let mut writer = Writer::new(&record);
    writer.put();
    let commit = writer.next_of(100 << 10);
    let outcome = writer.send(&commit);
    assert!(matches!(outcome, AppendOutcome::TooLarge), "{outcome:?}");
    writer.put();
}
