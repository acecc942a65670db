//! A server on a log whose record is in an engine: what its clients learn when the engine fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use annals::{EventStore, RawEvent};
use annals_replicated::Replicated;
use annals_replicated::sim::{Faults, SimLog};
use annals_server::{Server, WireEvent};
use common::{Served, serve};
use tempfile::TempDir;

const BODY: &str = r#"{"events":[{"type":"a","id":"1"}]}"#;

/// Starts a server on a simulated engine, whose appends give up soon.
fn server() -> (SimLog, Served, TempDir) {
    let log = SimLog::new(Faults::none(), 1);
    let directory = tempfile::tempdir().unwrap();
    let options = Replicated::options().append_timeout(Duration::from_millis(300));
    let replicated: Replicated<WireEvent> =
        options.open(log.clone(), directory.path().join("replica")).unwrap();
    (log, serve(Server::on(replicated)), directory)
}

#[test]
fn an_engine_that_is_away_is_unavailable_and_the_same_request_succeeds_later() {
    let (log, server, _directory) = server();
    log.set_faults(Faults { not_sent: 100, ..Faults::none() });
    let refused = server.post("/v1/events", BODY);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/health/ready").status, 200, "reads work, and the engine may come back");
    log.set_faults(Faults::none());
    let appended = loop {
        // A busy machine may need longer than the time limit.
        let response = server.post("/v1/events", BODY);
        if response.status == 200 {
            break response;
        }
    };
    assert_eq!(appended.json()["first"], 0);
}

#[test]
fn an_append_in_doubt_is_told_from_one_that_is_not_in_the_log() {
    let (log, server, _directory) = server();
    log.set_faults(Faults { lost_answers: 100, failed_reads: 100, ..Faults::none() });
    let refused = server.post("/v1/events", BODY);
    assert_eq!((refused.status, refused.problem().as_str()), (504, "in-doubt"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), None, "without ids, a repeated append may double");
    log.set_faults(Faults::none());
    // With an id on each event, the same request is in the log once.
    let appended = loop {
        let response = server.post("/v1/events", BODY);
        if response.status == 200 {
            break response;
        }
    };
    assert_eq!((&appended.json()["first"], &appended.json()["head"]), (&0.into(), &1.into()));
}

#[test]
fn a_record_that_has_diverged_makes_the_server_not_ready() {
    let (log, server, directory) = server();
    let before = log.change(|record| record.clone());
    assert_eq!(server.post("/v1/events", BODY).status, 200);
    // An older copy of the record is put back, and another process appends to it.
    log.change(|record| *record = before);
    let other = Replicated::open(log, directory.path().join("other")).unwrap();
    let other = EventStore::<RawEvent, _>::on(other);
    // Two events, so that the record is longer than the server knows: the engine then refuses the server's next append.
    for event_type in ["b", "c"] {
        other.append(RawEvent::builder(event_type).build().unwrap()).unwrap();
    }
    let body = BODY.replace('1', "2");
    let refused = loop {
        let response = server.post("/v1/events", &body);
        if response.problem() != "in-doubt" {
            break response;
        }
    };
    assert_eq!((refused.status, refused.problem().as_str()), (503, "diverged"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(server.get("/health/ready").status, 503);
    assert_eq!(server.get("/v1/events/0").status, 200, "reads go on");
}
