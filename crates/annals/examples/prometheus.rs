//! A log that one can watch: its numbers as Prometheus has them, printed once, or served.
//!
//! ```sh
//! cargo run --release -p annals --example prometheus                      # prints them
//! cargo run --release -p annals --example prometheus -- 127.0.0.1:9100    # serves them, until it is stopped
//! curl http://127.0.0.1:9100/metrics
//! ```
//! A program that has a web server needs no more than the first line of `run`, and `scrape` in one of its handlers.
//! The names and units stand in docs/METRICS.md.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use annals::{Backend, Condition, Event, EventStore, Journal, Query};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The events of seats.
#[derive(Event, Debug, Clone, PartialEq)]
pub(crate) enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        price: u32,
    },
}

/// Something to measure: a thousand seats are asked for, ten of them for the second time, and all sales read.
fn sell<B: Backend<Booking>>(store: &EventStore<Booking, B>) -> Result<(), Box<dyn Error>> {
    store.subscribe(|_| {});
    for number in 0..1_000 {
        let seat = (number % 990).to_string();
        let unsold = Condition::fail_if(Query::tag(format!("seat:{seat}"))).after(0);
        // Who comes second is refused, which is counted as a conflict.
        let _sold = store.append_if([Booking::SeatSold { seat, price: 90 }], &unsold);
    }
    for offset in 0..store.len() {
        store.get(offset)?;
    }
    let mut cursor = store.subscription(Query::all(), 0);
    while let Some(event) = cursor.try_next() {
        event?;
    }
    Ok(())
}

/// The numbers of all stores in the process, as Prometheus reads them.
fn scrape(
    memory: &EventStore<Booking>,
    files: &EventStore<Booking, Journal<Booking>>,
    recorder: &PrometheusHandle,
) -> String {
    // How much there is goes to the recorder when a store is asked for it.
    let _ = (memory.stats(), files.stats());
    recorder.render()
}

/// Answers one request, whatever it asks for.
fn answer(mut peer: TcpStream, text: &str) -> io::Result<()> {
    peer.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(peer.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let size = text.len();
    write!(
        peer,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {size}\r\n\r\n{text}"
    )
}

/// Uses a log in memory and one in files at `path`; serves their numbers at `address`, or else writes them to `out`.
pub(crate) fn run(
    path: &Path,
    address: Option<&str>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    // Before the first store: each looks for the recorder when it is made.
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let memory = EventStore::<Booking>::in_memory();
    let files = EventStore::<Booking>::open(path)?;
    sell(&memory)?;
    sell(&files)?;
    let Some(address) = address else {
        out.write_all(scrape(&memory, &files, &recorder).as_bytes())?;
        return Ok(());
    };
    let listener = TcpListener::bind(address)?;
    writeln!(out, "http://{}/metrics", listener.local_addr()?)?;
    for peer in listener.incoming() {
        if let Err(error) = answer(peer?, &scrape(&memory, &files, &recorder)) {
            writeln!(out, "a request was not answered: {error}")?;
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "the test of this example calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    run(&place.path().join("log"), std::env::args().nth(1).as_deref(), &mut io::stdout())
}
