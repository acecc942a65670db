//! The same rows in a program that embeds annals: what the network costs.

use std::io;
use std::time::Instant;

use annals::{Condition, EventStore, Journal, Query, RawEvent};

use crate::load::{Append, FILL, IN_TAG, Measured, READ, TAG, appends};
use crate::{Asked, Figure, Round};

type Store = EventStore<RawEvent, Journal<RawEvent>>;

pub fn round(asked: &Asked) -> io::Result<Round> {
    let files = crate::directory(&asked.dir)?;
    let store: Store = EventStore::open(files.path().join("log")).map_err(io::Error::other)?;
    let mut round = Round::new();
    for row in appends(asked) {
        round.push((row.to_string(), append(&store, asked, row)));
    }
    store.close().map_err(io::Error::other)?;
    if asked.rows.is_some() {
        return Ok(round);
    }
    let files = crate::directory(&asked.dir)?;
    let store: Store = EventStore::open(files.path().join("log")).map_err(io::Error::other)?;
    let mut next = 0;
    while next < asked.events {
        let end = (next + FILL).min(asked.events);
        let events = (next..end).map(|at| event(asked.bytes, &format!("seat:{}", at / IN_TAG)));
        store.append_batch(events.collect::<Vec<_>>()).map_err(io::Error::other)?;
        next = end;
    }
    round.push((READ.to_owned(), read(&store, asked)));
    round.push((TAG.to_owned(), tags(&store, asked)));
    store.close().map_err(io::Error::other)?;
    Ok(round)
}

fn event(bytes: usize, tag: &str) -> RawEvent {
    RawEvent::builder("seat-sold").tag(tag).data(vec![b'x'; bytes]).build().expect("it is valid")
}

fn append(store: &Store, asked: &Asked, row: Append) -> Figure {
    let Append { clients: threads, in_batch, condition: conditions } = row;
    let measured = Measured::begin(None);
    let end = Instant::now() + asked.seconds;
    let work = |at: usize| {
        let mut count = 0;
        while Instant::now() < end {
            let tag = format!("client:{at}:{}", count / IN_TAG);
            let events: Vec<_> = (0..in_batch).map(|_| event(asked.bytes, &tag)).collect();
            if conditions {
                let condition = Condition::fail_if(Query::tag(format!("none:{at}:{count}")));
                store.append_if(events, &condition).expect("an append");
            } else {
                store.append_batch(events).expect("an append");
            }
            count += in_batch;
        }
        count
    };
    let count = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|at| scope.spawn(move || work(at))).collect();
        started.into_iter().map(|thread| thread.join().expect("a thread")).sum()
    });
    measured.end(None, count)
}

fn read(store: &Store, asked: &Asked) -> Figure {
    let measured = Measured::begin(None);
    let (mut count, begin) = (0, Instant::now());
    while count == 0 || begin.elapsed() < asked.seconds {
        for event in store.read(..) {
            std::hint::black_box(event.expect("an event"));
            count += 1;
        }
        assert_eq!(count % asked.events, 0, "each read has all events");
    }
    measured.end(None, count)
}

fn tags(store: &Store, asked: &Asked) -> Figure {
    let measured = Measured::begin(None);
    let (mut count, begin) = (0, Instant::now());
    while begin.elapsed() < asked.seconds {
        let tag = format!("seat:{}", count * 7_919 % (asked.events / IN_TAG));
        let events = store.query(&Query::tag(tag)).inspect(|event| assert!(event.is_ok()));
        assert_eq!(events.count() as u64, IN_TAG);
        count += 1;
    }
    measured.end(None, count)
}
