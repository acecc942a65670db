//! Stores whose record is in `PostgreSQL`, as a program uses them.

use std::collections::HashMap;
use std::thread;

use annals::{AppendError, Condition, EventStore, Query, RawEvent};
use annals_postgres::Postgres;
use annals_replicated::{OpenReplicatedError, Replicated, create};
use tempfile::TempDir;

use crate::server::Server;

type Store = EventStore<RawEvent, Replicated<RawEvent>>;

fn open(server: &Server, replica: &TempDir) -> Store {
    let record = Postgres::connect(&server.url("shop")).unwrap();
    EventStore::on(Replicated::open(record, replica.path().join("replica")).unwrap())
}

fn sold(seat: u32, writer: usize) -> RawEvent {
    let event = RawEvent::builder("seat-sold").tag(format!("seat:{seat}"));
    event.id(format!("{writer}-{seat}")).data(writer.to_string()).build().unwrap()
}

#[test]
fn a_store_on_a_server_without_a_record_says_what_to_do() {
    let Some(server) = Server::start(&[]) else { return };
    let record = Postgres::connect(&server.url("shop")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let opened = Replicated::<RawEvent>::open(record, directory.path().join("replica"));
    assert!(matches!(opened, Err(OpenReplicatedError::NoRecord)), "{:?}", opened.err());
}

#[test]
fn three_writers_sell_each_seat_once_although_the_server_is_killed() {
    const SEATS: u32 = 40;
    let Some(mut server) = Server::start(&[]) else { return };
    create(&Postgres::connect(&server.url("shop")).unwrap()).unwrap();
    let replicas: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let stores: Vec<_> = replicas.iter().map(|replica| open(&server, replica)).collect();
    let sales = thread::scope(|scope| {
        let writers = stores.iter().enumerate().map(|(writer, store)| {
            scope.spawn(move || {
                (0..SEATS).filter(|&seat| sell(store, seat, writer)).collect::<Vec<_>>()
            })
        });
        let writers: Vec<_> = writers.collect();
        stores[0].backend().barrier().unwrap();
        server.kill();
        server.run();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sold_by = HashMap::new();
    for (writer, seats) in sales.iter().enumerate() {
        for seat in seats {
            assert_eq!(sold_by.insert(*seat, writer), None, "seat {seat} was sold twice");
        }
    }
    for store in &stores {
        store.backend().barrier().unwrap();
        assert_eq!(store.len(), u64::from(SEATS), "each seat was sold once");
        for seat in 0..SEATS {
            let query = Query::tag(format!("seat:{seat}"));
            let found: Vec<_> = store.query(&query).collect::<Result<_, _>>().unwrap();
            assert_eq!(found.len(), 1, "seat {seat}");
            assert_eq!(found[0].event.data(), sold_by[&seat].to_string().as_bytes(), "seat {seat}");
        }
    }
    // A new machine reads everything, and the replica of an old one goes on where it was.
    let new = tempfile::tempdir().unwrap();
    assert_eq!(open(&server, &new).len(), u64::from(SEATS));
    drop(stores);
    assert_eq!(open(&server, &replicas[0]).len(), u64::from(SEATS));
}

/// Sells a seat, unless it is sold. Appends again after a doubt: the event has an id, so it is in the log once.
fn sell(store: &Store, seat: u32, writer: usize) -> bool {
    let is_free = Condition::fail_if(Query::tag(format!("seat:{seat}")));
    loop {
        match store.append_if([sold(seat, writer)], &is_free) {
            Ok(_) => return true,
            Err(AppendError::Conflict { .. }) => return false,
            Err(AppendError::InDoubt { .. } | AppendError::Unavailable { .. }) => {}
            Err(error) => panic!("seat {seat}: {error}"),
        }
    }
}
