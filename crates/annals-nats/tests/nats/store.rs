//! Stores whose record is in `JetStream`, as a program uses them.

use std::collections::HashMap;
use std::thread;

use annals::{AppendError, Condition, EventStore, Query, RawEvent};
use annals_nats::JetStream;
use annals_replicated::{OpenReplicatedError, Replicated, create};
use tempfile::TempDir;

use crate::raw;
use crate::server::{Servers, Settings};

pub(crate) type Store = EventStore<RawEvent, Replicated<RawEvent>>;

pub(crate) fn open(servers: &Servers, replica: &TempDir) -> Store {
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    EventStore::on(Replicated::open(record, replica.path().join("replica")).unwrap())
}

pub(crate) fn replicas<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| tempfile::tempdir().unwrap())
}

fn sold(seat: u32, writer: usize) -> RawEvent {
    let event = RawEvent::builder("seat-sold").tag(format!("seat:{seat}"));
    event.id(format!("{writer}-{seat}")).data(writer.to_string()).build().unwrap()
}

#[test]
fn a_store_on_servers_without_a_record_says_what_to_do() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let record = JetStream::connect(&servers.url("shop")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let opened = Replicated::<RawEvent>::open(record, directory.path().join("replica"));
    assert!(matches!(opened, Err(OpenReplicatedError::NoRecord)), "{:?}", opened.err());
}

#[test]
fn three_writers_sell_each_seat_once_although_the_leader_is_killed() {
    const SEATS: u32 = 40;
    let Some(mut servers) = Servers::start(Settings::three()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let directories = replicas::<3>();
    let stores: Vec<_> = directories.iter().map(|replica| open(&servers, replica)).collect();
    let sales = thread::scope(|scope| {
        let writers = stores.iter().enumerate().map(|(writer, store)| {
            scope.spawn(move || {
                (0..SEATS).filter(|&seat| sell(store, seat, writer)).collect::<Vec<_>>()
            })
        });
        let writers: Vec<_> = writers.collect();
        stores[0].backend().barrier().unwrap();
        let leader = raw::leader(&servers, "shop");
        servers.kill(leader);
        servers.run(leader);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sold_by = HashMap::new();
    for (writer, seats) in sales.iter().enumerate() {
        for seat in seats {
            assert_eq!(sold_by.insert(*seat, writer), None, "seat {seat} was sold twice");
        }
    }
    for store in &stores {
        settle(store);
        assert_eq!(store.len(), u64::from(SEATS), "each seat was sold once");
        for seat in 0..SEATS {
            let query = Query::tag(format!("seat:{seat}"));
            let found: Vec<_> = store.query(&query).collect::<Result<_, _>>().unwrap();
            assert_eq!(found.len(), 1, "seat {seat}");
            assert_eq!(found[0].event.data(), sold_by[&seat].to_string().as_bytes(), "seat {seat}");
        }
    }
    // A new machine reads everything, and the replica of an old one goes on where it was.
    let [new] = replicas();
    assert_eq!(open(&servers, &new).len(), u64::from(SEATS));
    drop(stores);
    assert_eq!(open(&servers, &directories[0]).len(), u64::from(SEATS));
}

/// Waits until a store shows everything that was appended before.
pub(crate) fn settle(store: &Store) {
    while let Err(error) = store.backend().barrier() {
        let is_over =
            matches!(error, AppendError::InDoubt { .. } | AppendError::Unavailable { .. });
        assert!(is_over, "{error}");
    }
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
