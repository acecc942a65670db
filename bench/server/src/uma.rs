//! The rows of a server that speaks UmaDB's contract, by UmaDB's client.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync as _, DcbQuery, DcbQueryItem};

use crate::load::{Append, FILL, IN_TAG, LATENCY, Measured, READ, TAG, appends, percentile};
use crate::server::{Kind, Server};
use crate::{Asked, Figure, Round};

/// The subscribers, and the pause between the events that they wait for.
const SUBSCRIBERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(2);

pub async fn round(kind: Kind, program: &Path, asked: &Asked) -> io::Result<Round> {
    let server = Server::start(kind, program, &asked.dir)?;
    let mut round = Round::new();
    for row in appends(asked) {
        round.push((row.to_string(), append(&server, asked, row).await));
    }
    if asked.rows.is_some() {
        return Ok(round);
    }
    let latencies = subscribers(&server, asked).await;
    drop(server);
    // A log of a known size for reads.
    let server = Server::start(kind, program, &asked.dir)?;
    fill(&server, asked).await;
    round.push((READ.to_owned(), read(&server, asked).await));
    round.push((TAG.to_owned(), tags(&server, asked).await));
    round.extend(LATENCY.into_iter().map(str::to_owned).zip(latencies));
    Ok(round)
}

async fn connect(server: &Server) -> AsyncUmaDbClient {
    let client = UmaDbClient::new(format!("http://{}", server.address));
    client.connect_async().await.expect("the server listens")
}

fn event(bytes: usize, tag: &str) -> DcbEvent {
    DcbEvent::new().event_type("seat-sold").data(vec![b'x'; bytes]).tags([tag])
}

/// Appends for the time of a row by several clients, each with a connection of its own.
async fn append(server: &Server, asked: &Asked, row: Append) -> Figure {
    let Append { clients, in_batch, condition: conditions } = row;
    let connected = futures::future::join_all((0..clients).map(|_| connect(server))).await;
    let (bytes, time) = (asked.bytes, asked.seconds);
    let measured = Measured::begin(Some(server));
    let end = Instant::now() + time;
    let work = connected.into_iter().enumerate().map(|(at, client)| {
        tokio::spawn(async move {
            let mut count = 0;
            while Instant::now() < end {
                let tag = format!("client:{at}:{}", count / IN_TAG);
                let condition = conditions.then(|| {
                    // A tag that no event has: the condition is checked and holds.
                    let item = DcbQueryItem::new().tags([format!("none:{at}:{count}")]);
                    DcbAppendCondition::new(DcbQuery::new().item(item))
                });
                let events = (0..in_batch).map(|_| event(bytes, &tag)).collect();
                client.append(events, condition, None).await.expect("an append");
                count += in_batch;
            }
            count
        })
    });
    let counts = futures::future::join_all(work.collect::<Vec<_>>()).await;
    let count = counts.into_iter().map(|count| count.expect("a client")).sum();
    measured.end(Some(server), count)
}

/// Appends the events of the log that is read: ten with each tag.
async fn fill(server: &Server, asked: &Asked) {
    let client = connect(server).await;
    let mut next = 0;
    while next < asked.events {
        let end = (next + FILL).min(asked.events);
        let events = (next..end).map(|at| event(asked.bytes, &format!("seat:{}", at / IN_TAG)));
        client.append(events.collect(), None, None).await.expect("an append");
        next = end;
    }
}

/// Reads all events, again and again for the time of a row.
async fn read(server: &Server, asked: &Asked) -> Figure {
    let client = connect(server).await;
    let measured = Measured::begin(Some(server));
    let (mut count, begin) = (0, Instant::now());
    while count == 0 || begin.elapsed() < asked.seconds {
        let mut events = client.read(None, None, false, None).await.expect("a read");
        while let Some(event) = events.next().await {
            event.expect("an event");
            count += 1;
        }
        assert_eq!(count % asked.events, 0, "each read has all events");
    }
    measured.end(Some(server), count)
}

/// Reads the events of one tag after another.
async fn tags(server: &Server, asked: &Asked) -> Figure {
    let client = connect(server).await;
    let measured = Measured::begin(Some(server));
    let (mut count, begin) = (0, Instant::now());
    while begin.elapsed() < asked.seconds {
        let tag = format!("seat:{}", count * 7_919 % (asked.events / IN_TAG));
        let query = DcbQuery::new().item(DcbQueryItem::new().tags([tag]));
        let (events, _) =
            client.read_with_head(Some(query), None, false, None).await.expect("a read");
        assert_eq!(events.len() as u64, IN_TAG);
        count += 1;
    }
    measured.end(Some(server), count)
}

/// Measures the time from the beginning of an append until each of the subscribers has the event.
async fn subscribers(server: &Server, asked: &Asked) -> [Figure; 2] {
    let client = connect(server).await;
    let after = client.head().await.expect("the head");
    let origin = Instant::now();
    let appends = (asked.seconds.as_millis() / (2 * PAUSE.as_millis())).max(1) as usize;
    let ready = Arc::new(tokio::sync::Barrier::new(SUBSCRIBERS + 1));
    let mut waiting = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let client = connect(server).await;
        let ready = Arc::clone(&ready);
        waiting.push(tokio::spawn(async move {
            let mut events = client.subscribe(None, after).await.expect("a subscription");
            ready.wait().await;
            let mut times = Vec::new();
            while times.len() < appends {
                let event = events.next().await.expect("it has no end").expect("an event");
                let received = origin.elapsed();
                // The data begins with the time of the append.
                let sent = event.event.data[..8].try_into().map(u64::from_le_bytes);
                times.push(received - Duration::from_nanos(sent.expect("8 bytes")));
            }
            times
        }));
    }
    ready.wait().await;
    let measured = Measured::begin(Some(server));
    for _ in 0..appends {
        let mut event = event(asked.bytes.max(8), "seat:1");
        let sent = u64::try_from(origin.elapsed().as_nanos()).expect("a short run");
        event.data[..8].copy_from_slice(&sent.to_le_bytes());
        client.append(vec![event], None, None).await.expect("an append");
        tokio::time::sleep(PAUSE).await;
    }
    let mut times = Vec::new();
    for subscriber in waiting {
        times.extend(subscriber.await.expect("a subscriber"));
    }
    let cpu = measured.end(Some(server), times.len() as u64).cpu;
    let p50 = Figure { value: percentile(&mut times, 0.5), cpu };
    [p50, Figure { value: percentile(&mut times, 0.99), cpu: None }]
}
